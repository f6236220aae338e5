"""Overlapping spans."""

import pytest

from tests.audit.corpora import corpus_of, run
from tune_ner.audit.checks.overlaps import OverlappingSpans
from tune_ner.data.corpus import Sentence, Span
from tune_ner.tagging.overlaps import OverlapPolicy


def test_nested_and_crossing_spans_are_counted_separately() -> None:
    spans = (Span(0, 11, "A"), Span(6, 11, "B"), Span(6, 14, "B"), Span(0, 3, "A"))
    (finding,) = run(OverlappingSpans(), corpus_of(Sentence("a", "ont i magen nu", spans)))
    assert (finding.severity, finding.count, finding.total) == ("warning", 3, 4)
    assert finding.values == {"nested": 2, "crossing": 1, "dropped_A": 1, "dropped_B": 2}


@pytest.mark.parametrize(("policy", "dropped"), [("longest", {"A": 0, "B": 1}), ("innermost", {"A": 1, "B": 0})])
def test_dropped_entities_are_counted_by_type(policy: OverlapPolicy, dropped: dict[str, int]) -> None:
    corpus = corpus_of(Sentence("a", "ont i magen", (Span(0, 11, "A"), Span(6, 11, "B"))))
    (finding,) = run(OverlappingSpans(), corpus, overlaps=policy)
    assert {name: finding.values.get(f"dropped_{name}", 0) for name in dropped} == dropped
    assert f"With `overlaps: {policy}`, 1 are not trained on" in finding.effect


def test_adjacent_spans_do_not_overlap() -> None:
    spans = (Span(0, 3, "A"), Span(3, 5, "A"), Span(6, 11, "B"))
    assert run(OverlappingSpans(), corpus_of(Sentence("a", "ont i magen", spans))) == []
