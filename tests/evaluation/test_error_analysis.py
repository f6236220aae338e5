"""Errors of a sentence: worked cases, and the counts of `score_spans` as the reference."""

from collections import Counter

import pytest
from hypothesis import given

from tests.evaluation.strategies import sentences
from tune_ner.data.corpus import Span
from tune_ner.evaluation.error_analysis import ErrorKind, SpanError, find_errors
from tune_ner.evaluation.span_metrics import score_spans

GOLD = Span(4, 9, "DRUG")


@pytest.mark.parametrize(
    ("predicted", "kind"),
    [
        (Span(4, 9, "DISORDER"), "wrong type"),
        (Span(4, 8, "DRUG"), "wrong boundary"),
        (Span(0, 5, "DISORDER"), "wrong type and boundary"),
    ],
)
def test_overlapping_pair_is_one_error(predicted: Span, kind: ErrorKind) -> None:
    assert find_errors([GOLD], [predicted]) == [SpanError(kind, GOLD, predicted)]


def test_errors_are_sorted_and_correct_spans_are_left_out() -> None:
    early, correct, late = Span(0, 2, "DRUG"), Span(4, 9, "DRUG"), Span(12, 14, "DRUG")
    assert find_errors([correct, late], [early, correct]) == [
        SpanError("spurious", None, early),
        SpanError("missed", late, None),
    ]
    assert find_errors([correct, late], [late, correct, late]) == []


@given(sentences, sentences)
def test_error_kinds_add_up_to_the_metrics(gold: list[Span], predicted: list[Span]) -> None:
    errors = find_errors(gold, predicted)
    kinds = Counter(error.kind for error in errors)
    matches = score_spans([gold], [predicted], ()).matches
    assert (kinds["missed"], kinds["spurious"]) == (matches["strict"].missed, matches["strict"].spurious)
    assert kinds["wrong type"] + kinds["wrong type and boundary"] == matches["type"].incorrect
    assert kinds["wrong boundary"] + kinds["wrong type and boundary"] == matches["exact"].incorrect
    wrong = {error.gold for error in errors} - {None}
    assert set(gold) - wrong == set(gold) & set(predicted)
