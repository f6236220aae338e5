"""The errors of a sentence: worked cases, and the counts of `score_spans` as the judge."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.data.corpus import Span
from tune_ner.evaluation.span_metrics import ErrorKind, SpanError, score_spans, span_errors

TYPES = ("DRUG", "DISORDER")
GOLD = Span(4, 9, "DRUG")

spans = st.builds(
    lambda start, length, label: Span(start, start + length, label),
    st.integers(0, 12),
    st.integers(1, 6),
    st.sampled_from(TYPES),
)
sentences = st.lists(spans, max_size=6)


@pytest.mark.parametrize(
    ("predicted", "kind"),
    [
        (Span(4, 9, "DISORDER"), "wrong type"),
        (Span(4, 8, "DRUG"), "wrong boundary"),
        (Span(0, 5, "DISORDER"), "wrong type and boundary"),
    ],
)
def test_a_pair_that_overlaps_is_one_error(predicted: Span, kind: ErrorKind) -> None:
    assert span_errors([GOLD], [predicted]) == [SpanError(kind, GOLD, predicted)]


def test_errors_go_from_left_to_right_and_what_is_right_is_none() -> None:
    early, right, late = Span(0, 2, "DRUG"), Span(4, 9, "DRUG"), Span(12, 14, "DRUG")
    assert span_errors([right, late], [early, right]) == [
        SpanError("spurious", None, early),
        SpanError("missed", late, None),
    ]
    assert span_errors([right, late], [late, right, late]) == []


@given(sentences, sentences)
def test_the_kinds_add_up_to_the_counts_of_the_figures(gold: list[Span], predicted: list[Span]) -> None:
    errors = span_errors(gold, predicted)
    kinds = Counter(error.kind for error in errors)
    strict, exact, by_type = (
        score_spans([gold], [predicted], TYPES).matches[schema] for schema in ("strict", "exact", "type")
    )
    assert (kinds["missed"], kinds["spurious"]) == (strict.missed, strict.spurious)
    assert kinds["wrong type"] + kinds["wrong type and boundary"] == by_type.incorrect
    assert kinds["wrong boundary"] + kinds["wrong type and boundary"] == exact.incorrect
    wrong = {error.gold for error in errors} - {None}
    assert set(gold) - wrong == set(gold) & set(predicted)
