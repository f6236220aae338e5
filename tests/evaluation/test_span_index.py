"""Whether a span touches a place, against a look at every span."""

from hypothesis import given
from hypothesis import strategies as st

from tune_ner.audit.checks.boundary_markers import inner_positions
from tune_ner.data.corpus import Sentence, Span
from tune_ner.evaluation.span_index import SpanIndex

RANGES = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda ends: (min(ends), max(ends)))
SPANS = st.lists(RANGES.map(lambda ends: Span(*ends, "DRUG")), max_size=6)


@given(SPANS, RANGES)
def test_the_index_answers_as_a_look_at_every_span_does(spans: list[Span], place: tuple[int, int]) -> None:
    start, end = place
    expected = any(span.start < end and start < span.end for span in spans)
    assert SpanIndex(spans).touches(start, end) == expected


@given(SPANS)
def test_positions_within_spans_are_those_of_each_span(spans: list[Span]) -> None:
    expected = {place for span in spans for place in range(span.start + 1, span.end)}
    assert inner_positions(Sentence("a", "x" * 12, tuple(spans))) == expected
