"""Errors of a sentence: worked cases, and the counts of `score_spans` as the reference."""

from collections import Counter
from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.strategies import sentences
from tune_ner.data.corpus import Span
from tune_ner.evaluation.error_analysis import (
    ErrorKind,
    SpanError,
    SpanPair,
    confusion_counts,
    find_errors,
    match_spans,
)
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


@settings(deadline=None)
@given(sentences.filter(lambda spans: len(spans) < 5), sentences.filter(lambda spans: len(spans) < 5))
def test_matching_has_the_largest_sum(gold: list[Span], predicted: list[Span]) -> None:
    true, guessed = sorted(set(gold)), sorted(set(predicted))
    values: tuple[Callable[[SpanPair], float], ...] = (
        lambda pair: 1.0 if pair.has_same_range else 0.5,
        lambda pair: float(pair.has_same_type),
    )
    for value in values:
        found = match_spans(set(true), set(guessed), value)
        assert len({pair.gold for pair in found}) == len({pair.predicted for pair in found}) == len(found)
        padded: list[Span | None] = [*guessed, *[None] * len(true)]
        sums = []
        for order in permutations(padded, len(true)):
            tried = [SpanPair(one, other) for one, other in zip(true, order, strict=True) if other]
            sums.append(sum(value(pair) for pair in tried if pair.overlap or pair.has_same_range))
        assert sum(map(value, found)) == max(sums)


@given(sentences, sentences)
def test_error_kinds_add_up_to_the_metrics(gold: list[Span], predicted: list[Span]) -> None:
    errors = find_errors(gold, predicted)
    kinds = Counter(error.kind for error in errors)
    matches = score_spans([gold], [predicted], ()).matches
    assert (kinds["missed"], kinds["spurious"]) == (matches["strict"].missed, matches["strict"].spurious)
    assert kinds["wrong boundary"] + kinds["wrong type and boundary"] == matches["exact"].incorrect
    wrong = {error.gold for error in errors} - {None}
    assert set(gold) - wrong == set(gold) & set(predicted)


@given(gold=st.lists(sentences, min_size=1, max_size=4), data=st.data())
def test_confusion_counts_add_up_to_gold_and_predicted_spans(gold: list[list[Span]], data: st.DataObject) -> None:
    predicted = [data.draw(sentences) for _ in gold]
    types = sorted({span.label for spans in (*gold, *predicted) for span in spans})
    counts = confusion_counts(gold, predicted, types)
    for place, name in enumerate(types):
        assert counts[place].sum() == sum(span.label == name for spans in gold for span in set(spans))
        assert counts[:, place].sum() == sum(span.label == name for spans in predicted for span in set(spans))
    assert counts[-1, -1] == 0
    equal = sum(len(set(a) & set(b)) for a, b in zip(gold, predicted, strict=True))
    assert np.trace(counts) >= equal
