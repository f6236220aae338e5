"""Overlapping spans."""

from tests.audit.corpora import corpus_of, run
from tune_ner.audit.checks.overlaps import OverlappingSpans
from tune_ner.data.corpus import Sentence, Span


def test_nested_and_crossing_spans_are_counted_separately() -> None:
    spans = (Span(0, 11, "A"), Span(6, 11, "B"), Span(6, 14, "B"), Span(0, 3, "A"))
    (finding,) = run(OverlappingSpans(), corpus_of(Sentence("a", "ont i magen nu", spans)))
    assert (finding.severity, finding.count, finding.total) == ("warning", 3, 4)
    assert finding.values == {"nested": 2, "crossing": 1}


def test_adjacent_spans_do_not_overlap() -> None:
    spans = (Span(0, 3, "A"), Span(3, 5, "A"), Span(6, 11, "B"))
    assert run(OverlappingSpans(), corpus_of(Sentence("a", "ont i magen", spans))) == []
