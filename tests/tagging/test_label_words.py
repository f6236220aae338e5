"""From gold spans to word labels and back, and the counts of spans that labels cannot represent."""

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tagging.reference import expresses, tag_sentence
from tune_ner.data.corpus import Sentence, Span
from tune_ner.tagging.alignment import Problem, label_words, tags_to_spans
from tune_ner.tagging.schemes import SCHEMES, TaggingScheme
from tune_ner.tagging.tokenization import WORD_TOKENIZERS, Word, WordTokenizer, split_texts, split_words

BIO = SCHEMES["BIO"]
ALL = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
TYPES = ("X", "Y", "A-X")
TEXT = "Ont i halsen, hög feber."


@dataclass(frozen=True)
class Labelled:
    """The words of a sentence, their tags, the words of each span, and the numbers of problems."""

    words: list[Word]
    tags: list[str]
    ranges: list[tuple[int, int]]
    problems: dict[Problem, int]

    @property
    def spans(self) -> tuple[Span, ...]:
        return tags_to_spans(self.tags, self.words)


def labelled(
    *spans: Span, scheme: TaggingScheme = BIO, rule: WordTokenizer = "whitespace", text: str = TEXT
) -> Labelled:
    words, _, _ = split_texts([text], rule)
    labels = scheme.labels(TYPES)
    found = label_words([Sentence("s", text, spans)], words, scheme, labels)
    ranges = list(zip(found.firsts.tolist(), found.afters.tolist(), strict=True))
    return Labelled(words.of(0), [labels[number] for number in found.label_ids], ranges, found.problems)


def whole_words(words: list[tuple[int, int]]) -> st.SearchStrategy[list[Span]]:
    """Draw spans of whole words, in any order, overlapping or not."""
    places = st.integers(0, len(words) - 1)
    return st.lists(
        st.builds(
            lambda a, b, label: Span(words[min(a, b)][0], words[max(a, b)][1], label),
            places,
            places,
            st.sampled_from(TYPES),
        ),
        max_size=5,
    )


ANY_SPANS = st.lists(st.builds(Span, st.integers(-3, 30), st.integers(-3, 30), st.sampled_from(TYPES)), max_size=5)


@ALL
@pytest.mark.parametrize("rule", WORD_TOKENIZERS)
@given(data=st.data())
def test_a_span_is_read_back_from_the_tags_or_counted_as_a_problem(
    scheme: TaggingScheme, rule: WordTokenizer, data: st.DataObject
) -> None:
    spans = data.draw(st.one_of(whole_words(split_words(TEXT, rule)), ANY_SPANS))
    result = labelled(*spans, scheme=scheme, rule=rule)
    lost = sum(span not in result.spans for span in spans)
    assert lost <= sum(result.problems.values())
    if not result.problems:
        assert set(result.spans) == set(spans)


@ALL
@given(data=st.data())
def test_ordered_spans_of_whole_words_have_problems_only_where_the_scheme_cannot_express_them(
    scheme: TaggingScheme, data: st.DataObject
) -> None:
    spans = sorted(data.draw(whole_words(split_words(TEXT, "punctuation"))))
    result = labelled(*spans, scheme=scheme, rule="punctuation")
    chunks = [(first, after, span.label) for (first, after), span in zip(result.ranges, spans, strict=True)]
    if expresses(scheme, chunks):
        assert result.problems == {}
        assert result.spans == tuple(spans)
    else:
        assert result.problems
        assert set(result.problems) <= {"overlap", "merged"}


@pytest.mark.parametrize(
    ("span", "problems"),
    [
        (Span(0, 3, "X"), []),
        (Span(6, 12, "X"), ["off_boundary"]),  # without the comma
        (Span(1, 3, "X"), ["off_boundary"]),
        (Span(0, 4, "X"), ["off_boundary"]),
        (Span(3, 4, "X"), ["no_word"]),
        (Span(5, 5, "X"), ["empty"]),
        (Span(7, 5, "X"), ["empty"]),
        (Span(999, 999, "X"), ["empty", "outside_text"]),
        (Span(30, 40, "X"), ["no_word", "outside_text"]),
        (Span(18, 99, "X"), ["off_boundary", "outside_text"]),
        (Span(-2, 3, "X"), ["off_boundary", "outside_text"]),
    ],
)
def test_each_problem_of_a_single_span_is_counted(span: Span, problems: list[Problem]) -> None:
    assert labelled(span).problems == dict.fromkeys(problems, 1)


def test_a_span_covers_every_word_with_which_it_shares_a_character() -> None:
    result = labelled(Span(8, 15, "X"))  # from within "halsen," into "hög"
    assert result.tags == ["O", "O", "B-X", "I-X", "O"]
    assert result.problems == {"off_boundary": 1}
    assert result.spans == (Span(6, 17, "X"),)


def test_splitting_at_punctuation_represents_a_span_before_a_comma() -> None:
    result = labelled(Span(6, 12, "X"), rule="punctuation")
    assert result.problems == {}
    assert result.spans == (Span(6, 12, "X"),)


@pytest.mark.parametrize("span", [Span(5, 5, "X"), Span(3, 4, "X"), Span(40, 50, "X")])
def test_a_span_without_words_has_an_empty_range(span: Span) -> None:
    result = labelled(span, Span(0, 3, "Y"))
    assert result.ranges == [(0, 0), (0, 1)]
    assert result.tags == ["B-Y", "O", "O", "O", "O"]


def test_the_longest_of_overlapping_spans_is_kept_whole() -> None:
    result = labelled(Span(4, 13, "X"), Span(6, len(TEXT), "Y"))
    assert result.tags == ["O", "O", "B-Y", "I-Y", "I-Y"]
    assert result.problems == {"overlap": 1}


def test_of_equal_spans_one_is_kept() -> None:
    result = labelled(Span(0, 3, "X"), Span(0, 3, "Y"), Span(0, 3, "X"))
    assert result.tags[0] == "B-X"
    assert result.problems == {"overlap": 2}


def test_a_span_nested_in_one_of_its_type_leaves_that_whole() -> None:
    result = labelled(Span(0, 13, "X"), Span(4, 5, "X"))
    assert result.tags == ["B-X", "I-X", "I-X", "O", "O"]
    assert result.problems == {"overlap": 1}


TOUCHING = (Span(0, 3, "X"), Span(4, 5, "X"))


@ALL
def test_only_io_merges_touching_spans_of_one_type(scheme: TaggingScheme) -> None:
    assert labelled(*TOUCHING, scheme=scheme).problems == ({"merged": 2} if scheme.name == "IO" else {})


@pytest.mark.parametrize("name", ["BIO", "BIOES", "BILOU"])
def test_the_order_in_which_spans_are_listed_does_not_matter(name: str) -> None:
    result = labelled(*reversed(TOUCHING), scheme=SCHEMES[name])
    assert result.problems == {}
    assert result.spans == TOUCHING


def test_a_text_without_words_has_no_tags() -> None:
    result = labelled(Span(0, 1, "X"), text="  ")
    assert (result.words, result.tags, result.problems) == ([], [], {"no_word": 1})


OTHER_TEXTS = st.sampled_from(["", " ", "x", "Ta ej Alvedon!", TEXT])


@ALL
@pytest.mark.parametrize("rule", WORD_TOKENIZERS)
@given(data=st.data())
def test_batches_equal_the_reference_for_each_sentence(
    scheme: TaggingScheme, rule: WordTokenizer, data: st.DataObject
) -> None:
    sentences = [
        Sentence("s", text, tuple(data.draw(st.one_of(whole_words(split_words(text, rule) or [(0, 0)]), ANY_SPANS))))
        for text in data.draw(st.lists(OTHER_TEXTS, max_size=5))
    ]
    labels = scheme.labels(TYPES)
    words, _, _ = split_texts([sentence.text for sentence in sentences], rule)
    together = label_words(sentences, words, scheme, labels)
    apart = [tag_sentence(sentence, split_words(sentence.text, rule), scheme) for sentence in sentences]
    assert [labels[number] for number in together.label_ids] == [tag for item in apart for tag in item.tags]
    assert together.problems == Counter(problem for item in apart for _, problem in item.problems)
    ranges = [
        (first + int(words.firsts[index]), after + int(words.firsts[index])) if first < after else (0, 0)
        for index, item in enumerate(apart)
        for first, after, _ in item.ranges
    ]
    assert list(zip(together.firsts.tolist(), together.afters.tolist(), strict=True)) == ranges
