"""From gold spans to tags and back, and the account of what tags cannot hold."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.data.corpus import Sentence, Span
from tune_ner.tagging.schemes import SCHEMES, TaggingScheme
from tune_ner.tagging.spans import Problem, TaggedSentence, tag_sentence, tag_words, tags_to_spans
from tune_ner.tagging.tokenization import WORD_RULES, WordTokenizer, split_texts, split_words

BIO = SCHEMES["BIO"]
ALL = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
TYPES = ("X", "Y", "A-X")
TEXT = "Ont i halsen, hög feber."


def tagged(
    *spans: Span, scheme: TaggingScheme = BIO, rule: WordTokenizer = "whitespace", text: str = TEXT
) -> TaggedSentence:
    return tag_sentence(Sentence("s", text, spans), split_words(text, rule), scheme)


def decoded(item: TaggedSentence, scheme: TaggingScheme = BIO) -> tuple[Span, ...]:
    return tags_to_spans(item.tags, item.words, scheme)


def whole_words(words: list[tuple[int, int]]) -> st.SearchStrategy[list[Span]]:
    """Spans that begin and end with a word, in any order, overlapping or not."""
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
@pytest.mark.parametrize("rule", WORD_RULES)
@given(data=st.data())
def test_a_span_comes_back_from_the_tags_or_its_loss_is_named(
    scheme: TaggingScheme, rule: WordTokenizer, data: st.DataObject
) -> None:
    spans = data.draw(st.one_of(whole_words(split_words(TEXT, rule)), ANY_SPANS))
    item = tagged(*spans, scheme=scheme, rule=rule)
    lossy = {index for index, _ in item.problems}
    back = set(decoded(item, scheme))
    for index, span in enumerate(spans):
        assert index in lossy or span in back
    if not lossy:
        assert back == set(spans)


@ALL
@given(data=st.data())
def test_whole_words_in_order_have_a_problem_only_where_the_scheme_cannot_express_them(
    scheme: TaggingScheme, data: st.DataObject
) -> None:
    spans = sorted(data.draw(whole_words(split_words(TEXT, "punctuation"))))
    item = tagged(*spans, scheme=scheme, rule="punctuation")
    if scheme.expresses(item.ranges):
        assert item.problems == []
        assert decoded(item, scheme) == tuple(spans)
    else:
        assert {problem for _, problem in item.problems} <= {"overlap", "merged"}
        assert item.problems


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
def test_each_fault_of_a_single_span_has_its_name(span: Span, problems: list[Problem]) -> None:
    assert tagged(span).problems == [(0, problem) for problem in problems]


def test_a_span_tags_every_word_of_which_it_has_a_character() -> None:
    item = tagged(Span(8, 15, "X"))  # from within "halsen," into "hög"
    assert item.tags == ["O", "O", "B-X", "I-X", "O"]
    assert item.problems == [(0, "off_boundary")]
    assert decoded(item) == (Span(6, 17, "X"),)


def test_the_punctuation_rule_meets_a_span_before_a_comma_exactly() -> None:
    item = tagged(Span(6, 12, "X"), rule="punctuation")
    assert item.problems == []
    assert decoded(item) == (Span(6, 12, "X"),)


@pytest.mark.parametrize("span", [Span(5, 5, "X"), Span(3, 4, "X"), Span(40, 50, "X")])
def test_a_span_without_a_word_tags_nothing_but_keeps_its_place(span: Span) -> None:
    item = tagged(span, Span(0, 3, "Y"))
    assert item.ranges == [(0, 0, "X"), (0, 1, "Y")]
    assert item.tags == ["B-Y", "O", "O", "O", "O"]


def test_a_later_span_overwrites_an_earlier_one_and_the_earlier_is_named() -> None:
    item = tagged(Span(0, 13, "X"), Span(6, 17, "Y"))
    assert item.tags == ["B-X", "I-X", "B-Y", "I-Y", "O"]
    assert item.problems == [(0, "overlap")]


def test_of_equal_spans_the_last_one_is_kept() -> None:
    item = tagged(Span(0, 3, "X"), Span(0, 3, "Y"), Span(0, 3, "X"))
    assert item.tags[0] == "B-X"
    assert item.problems == [(0, "overlap"), (1, "overlap")]


def test_a_span_within_one_of_its_type_is_named_when_the_tags_run_on_behind_it() -> None:
    item = tagged(Span(0, 13, "X"), Span(4, 5, "X"))
    assert item.tags == ["B-X", "B-X", "I-X", "O", "O"]
    assert item.problems == [(0, "overlap"), (1, "merged")]


TOUCHING = (Span(0, 3, "X"), Span(4, 5, "X"))


@ALL
def test_touching_spans_of_one_type_are_merged_by_io_alone(scheme: TaggingScheme) -> None:
    item = tagged(*TOUCHING, scheme=scheme)
    assert item.problems == ([(0, "merged"), (1, "merged")] if scheme.name == "IO" else [])


@pytest.mark.parametrize("name", ["BIO", "BIOES", "BILOU"])
def test_the_order_in_which_spans_are_listed_is_no_problem(name: str) -> None:
    item = tagged(*reversed(TOUCHING), scheme=SCHEMES[name])
    assert item.problems == []
    assert decoded(item, SCHEMES[name]) == TOUCHING


def test_a_text_without_words_has_no_tags() -> None:
    item = tagged(Span(0, 1, "X"), text="  ")
    assert (item.words, item.tags, item.problems) == ([], [], [(0, "no_word")])


OTHER_TEXTS = st.sampled_from(["", " ", "x", "Ta ej Alvedon!", TEXT])


@ALL
@pytest.mark.parametrize("rule", WORD_RULES)
@given(data=st.data())
def test_many_sentences_are_tagged_as_each_of_them_is(
    scheme: TaggingScheme, rule: WordTokenizer, data: st.DataObject
) -> None:
    sentences = [
        Sentence("s", text, tuple(data.draw(st.one_of(whole_words(split_words(text, rule) or [(0, 0)]), ANY_SPANS))))
        for text in data.draw(st.lists(OTHER_TEXTS, max_size=5))
    ]
    labels = scheme.labels(TYPES)
    words, _, _ = split_texts([sentence.text for sentence in sentences], rule)
    together = tag_words(sentences, words, scheme, labels)
    apart = [tag_sentence(sentence, split_words(sentence.text, rule), scheme) for sentence in sentences]
    assert [labels[number] for number in together.label_ids] == [tag for item in apart for tag in item.tags]
    assert together.problems == Counter(problem for item in apart for _, problem in item.problems)
    ranges = [
        (first + int(words.firsts[index]), after + int(words.firsts[index])) if first < after else (0, 0)
        for index, item in enumerate(apart)
        for first, after, _ in item.ranges
    ]
    assert list(zip(together.firsts.tolist(), together.afters.tolist(), strict=True)) == ranges
