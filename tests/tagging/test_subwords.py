"""From words to labelled subwords, and the account of what was cut."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.synthetic import synthetic_corpus
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.tagging.subwords import ALIGNMENTS, IGNORED, Alignment, EncodedPart, encode_part
from tune_ner.tagging.words import WordRule
from tune_ner.training.encoders import load_tokenizer, resolve_encoder

BIO = SCHEMES["BIO"]
LABELS = BIO.labels(("DRUG", "DISORDER"))
IDS = {label: index for index, label in enumerate(LABELS)}
# Two words; the tokenizer knows neither whole, so that each has several subwords.
TEXT = "xylometazolin hjälper"
DRUG = Span(0, 13, "DRUG")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    texts = [sentence.text for sentence in synthetic_corpus(50).sentences]
    return load_tokenizer(resolve_encoder("tiny:1x32"), [*texts, "xyz"])


def encoded(
    tokenizer: Any,
    *sentences: Sentence | str,
    alignment: Alignment = "first",
    max_length: int = 256,
    rule: WordRule = "whitespace",
    stride: int = 0,
) -> EncodedPart:
    given = [Sentence("s", item) if isinstance(item, str) else item for item in sentences]
    return encode_part(
        given, tokenizer, LABELS, BIO, word_rule=rule, alignment=alignment, max_length=max_length, stride=stride
    )


def positions_of(part: EncodedPart, sentence: int = 0) -> list[int | None]:
    """Where each word of a sentence that is one window is read; None for a word that was cut."""
    return [place.position if place else None for place in part.places[sentence]]


def pieces(tokenizer: Any, word: str) -> list[str]:
    return list(tokenizer.tokenize(word))


def test_the_first_subword_carries_the_label_and_the_others_are_ignored(tokenizer: Any) -> None:
    part = encoded(tokenizer, Sentence("s", TEXT, (DRUG,)))
    drug, verb = (len(pieces(tokenizer, word)) for word in TEXT.split())
    assert drug > 1
    assert part.label_ids == [
        [IGNORED, IDS["B-DRUG"], *[IGNORED] * (drug - 1), IDS["O"], *[IGNORED] * (verb - 1), IGNORED]
    ]
    assert positions_of(part) == [1, 1 + drug]


def test_with_alignment_all_every_subword_carries_the_label_of_its_word(tokenizer: Any) -> None:
    part = encoded(tokenizer, Sentence("s", TEXT, (DRUG,)), alignment="all")
    drug, verb = (len(pieces(tokenizer, word)) for word in TEXT.split())
    assert part.label_ids == [[IGNORED, *[IDS["B-DRUG"]] * drug, *[IDS["O"]] * verb, IGNORED]]
    assert positions_of(part) == [1, 1 + drug]


def test_input_ids_are_the_words_between_the_special_tokens(tokenizer: Any) -> None:
    (ids,) = encoded(tokenizer, TEXT).input_ids
    expected = ["[CLS]", *(piece for word in TEXT.split() for piece in pieces(tokenizer, word)), "[SEP]"]
    assert tokenizer.convert_ids_to_tokens(ids) == expected


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@given(texts=st.lists(st.text(st.sampled_from("xyz åÅ\u200b\x07,-😀\u0308")), min_size=1, max_size=4))
def test_rows_fit_together_whatever_the_text(tokenizer: Any, texts: list[str], alignment: Alignment) -> None:
    part = encoded(tokenizer, *texts, alignment=alignment, max_length=9, rule="punctuation")
    assert len(part.input_ids) == len(part.label_ids) == len(part.places) == len(part.tagged) == len(texts)
    rows = zip(part.input_ids, part.label_ids, part.tagged, strict=True)
    for number, (ids, labels, item) in enumerate(rows):
        positions = positions_of(part, number)
        assert len(ids) == len(labels) <= 9
        assert len(positions) == len(item.words)
        kept = [at for at in positions if at is not None]
        assert kept == sorted(set(kept))
        assert all(labels[at] != IGNORED for at in kept)
        if alignment == "first":
            assert sum(label != IGNORED for label in labels) == len(kept)


def test_words_and_entities_behind_the_limit_are_counted_as_cut(tokenizer: Any) -> None:
    text = "xyz xyz xyz xyz xyz"
    sizes = len(pieces(tokenizer, "xyz"))
    spans = (Span(0, 3, "DRUG"), Span(4, 11, "DRUG"), Span(12, 19, "DISORDER"))
    part = encoded(tokenizer, Sentence("s", text, spans), Sentence("t", "xyz", spans[:1]), max_length=2 + 2 * sizes)
    assert [at is not None for at in positions_of(part)] == [True, True, False, False, False]
    assert part.account.sentences == 2
    assert part.account.words == 6
    assert part.account.words_cut == 3
    assert part.account.entities == 4
    assert part.account.entities_cut == 2
    assert part.account.subwords == 2 + 2 * sizes + 2 + sizes


def test_a_word_cut_in_its_middle_still_carries_its_label(tokenizer: Any) -> None:
    part = encoded(tokenizer, Sentence("s", TEXT, (DRUG,)), max_length=3)
    assert part.label_ids == [[IGNORED, IDS["B-DRUG"], IGNORED]]
    assert positions_of(part) == [1, None]
    assert (part.account.words_cut, part.account.entities_cut) == (1, 0)


@pytest.mark.parametrize("invisible", ["\u200b", "\x07", "\u200e", "\ufeff"])
def test_a_word_of_which_the_tokenizer_makes_nothing_has_no_position_and_counts_as_cut(
    tokenizer: Any, invisible: str
) -> None:
    part = encoded(tokenizer, Sentence("s", f"xyz {invisible} xyz", (Span(4, 9, "DRUG"),)))
    size = len(pieces(tokenizer, "xyz"))
    assert positions_of(part) == [1, None, 1 + size]
    assert part.tagged[0].tags == ["O", "B-DRUG", "I-DRUG"]
    assert (part.account.words_cut, part.account.entities_cut) == (1, 1)


@pytest.mark.parametrize("texts", [("",), ("", "xyz"), ("xyz", "  ")])
def test_a_sentence_without_words_has_special_subwords_only(tokenizer: Any, texts: Sequence[str]) -> None:
    part = encoded(tokenizer, *texts)
    empty = [not text.strip() for text in texts].index(True)
    assert part.label_ids[empty] == [IGNORED, IGNORED]
    assert part.places[empty] == []


def test_problems_of_all_sentences_are_counted_by_kind(tokenizer: Any) -> None:
    part = encoded(
        tokenizer,
        Sentence("a", "xyz, xyz", (Span(0, 3, "DRUG"), Span(5, 5, "DRUG"), Span(5, 8, "DRUG"))),
        Sentence("b", "xyz, xyz", (Span(0, 3, "DRUG"), Span(4, 5, "DRUG"))),
    )
    assert part.account.problems == {"off_boundary": 2, "empty": 1, "no_word": 1}
    assert part.account.entities == 5
    assert part.account.entities_cut == 0


def test_the_account_is_plain_data(tokenizer: Any) -> None:
    account = encoded(tokenizer, Sentence("s", TEXT, (Span(0, 4, "DRUG"),))).account.as_dict()
    assert set(account) == {
        *("sentences", "words", "words_cut", "subwords", "entities", "entities_cut", "problems"),
    }
    assert account["problems"] == {"off_boundary": 1}


def test_a_part_is_tokenised_in_one_batched_call(tokenizer: Any) -> None:
    calls: list[int] = []

    def counting(texts: list[list[str]], **options: Any) -> Any:
        calls.append(len(texts))
        return tokenizer(texts, **options)

    encoded(counting, *["xyz"] * 30)
    assert calls == [30]


WORDS = " ".join(["xyz", "zyx", "yxz"] * 9)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@given(words=st.integers(1, 27), max_length=st.integers(10, 20), stride=st.integers(1, 7))
def test_with_a_stride_every_word_is_labelled_once_and_nothing_is_cut(
    tokenizer: Any, words: int, max_length: int, stride: int, alignment: Alignment
) -> None:
    text = " ".join(WORDS.split()[:words])
    part = encoded(tokenizer, text, "xyz", max_length=max_length, stride=stride, alignment=alignment)
    assert part.account.words_cut == 0
    assert all(len(row) <= max_length for row in part.input_ids)
    places = [place for row in part.places for place in row if place]
    assert len(set(places)) == len(places) == words + 1
    assert all(part.label_ids[place.row][place.position] != IGNORED for place in places)
    if alignment == "first":
        assert sum(label != IGNORED for row in part.label_ids for label in row) == words + 1


def test_a_word_is_read_in_the_window_where_it_has_most_context(tokenizer: Any) -> None:
    part = encoded(tokenizer, WORDS, max_length=20, stride=8)
    lengths = [len(row) for row in part.input_ids]
    assert len(lengths) > 2
    firsts = [tokenizer.tokenize(word)[0] for word in WORDS.split()]
    for piece, place in zip(firsts, part.places[0], strict=True):
        assert place
        assert tokenizer.convert_ids_to_tokens(part.input_ids[place.row][place.position]) == piece
        edge = min(place.position, lengths[place.row] - 1 - place.position)
        outer = place.row in (0, len(lengths) - 1)
        assert edge >= 4 or outer


def test_without_a_stride_the_windows_are_the_sentences(tokenizer: Any) -> None:
    part = encoded(tokenizer, WORDS, "xyz", max_length=20)
    assert len(part.input_ids) == 2
    assert part.account.words_cut > 0
