"""Seen entities, entity lookup in texts, and overlap queries."""

from hypothesis import given
from hypothesis import strategies as st

from tests.audit.corpora import make_corpus, make_split
from tune_ner.data.corpus import Span
from tune_ner.evaluation.seen_entities import EntityMatcher, SpanIndex, count_occurrences, seen_entities

RANGES = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda ends: (min(ends), max(ends)))
SPANS = st.lists(RANGES.map(lambda ends: Span(*ends, "DRUG")), max_size=6)


def test_seen_entities_ignore_case_spacing_and_type() -> None:
    corpus = make_corpus("Ta <DRUG Alvedon>.", "x", "<DRUG salva> mot <DISORDER alvedon>.")
    seen = seen_entities(corpus, make_split(1, 1, 1))
    assert seen.texts == {"alvedon"}
    assert seen.is_seen(Span(0, 7, "DISORDER"), "ALVEDON nu")
    assert not seen.is_seen(Span(0, 5, "DRUG"), "salva")
    spaced = seen_entities(make_corpus("<DISORDER ont  i magen>"), make_split(1, 0, 0))
    assert spaced.is_seen(Span(0, 11, "DISORDER"), "Ont i magen")


def test_longest_entity_is_found_on_word_boundaries() -> None:
    matcher = EntityMatcher(make_corpus("<DISORDER ont>", "<DISORDER ont i halsen>").sentences, fold_case=True)
    found = [(start, end) for start, end, _ in matcher.find("Ont i halsen, ont i magen, kontant")]
    assert found == [(0, 12), (14, 17)]


def test_occurrences_count_partly_labelled_words_as_labelled() -> None:
    sentences = make_corpus("<DRUG salva> eller salva, salvan", "<DRUG fet salva>").sentences
    matcher = EntityMatcher(sentences, fold_case=False)
    assert count_occurrences(matcher, make_corpus("<BODY salva i> salva").sentences)[("salva",)] == (1, 1)
    assert count_occurrences(matcher, sentences) == {("salva",): (1, 1), ("fet", "salva"): (1, 0)}


@given(SPANS, RANGES)
def test_span_index_agrees_with_a_linear_scan(spans: list[Span], place: tuple[int, int]) -> None:
    start, end = place
    expected = any(span.start < end and start < span.end for span in spans)
    assert SpanIndex(spans).overlaps(start, end) == expected


def test_a_lookup_of_known_words_finds_what_the_original_finds() -> None:
    sentences = make_corpus("<DISORDER Ont> här", "<DRUG alvedon forte> hjälper").sentences
    original = EntityMatcher(sentences, fold_case=True)
    types = {words: next(iter(labels)) for words, labels in original.labels.items()}
    copy = EntityMatcher.of(types, True, original.word_tokenizer)
    text = "Alvedon forte mot ont, inte alvedon"
    assert list(copy.find(text)) == list(original.find(text))
    assert [found for *_, found in copy.find(text)] == [("alvedon", "forte"), ("ont",)]
