"""Pairing of gold and predicted spans, and the kinds of errors that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from scipy.optimize import linear_sum_assignment

from tune_ner.data.corpus import Span

ErrorKind = Literal["missed", "spurious", "wrong type", "wrong boundary", "wrong type and boundary"]
ERROR_KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)


class SpanPair(NamedTuple):
    """A gold span and the predicted span that it is compared with."""

    gold: Span
    predicted: Span

    @property
    def has_same_type(self) -> bool:
        """Whether both spans have the same entity type."""
        return self.gold.label == self.predicted.label

    @property
    def has_same_range(self) -> bool:
        """Whether both spans cover the same characters."""
        return (self.gold.start, self.gold.end) == (self.predicted.start, self.predicted.end)

    @property
    def overlap(self) -> int:
        """Number of characters that both spans cover."""
        return max(0, min(self.gold.end, self.predicted.end) - max(self.gold.start, self.predicted.start))


class SpanError(NamedTuple):
    """An error; `gold` is missing for a spurious prediction, `predicted` for a missed entity."""

    kind: ErrorKind
    gold: Span | None
    predicted: Span | None


def pair_spans(gold: set[Span], predicted: set[Span]) -> list[SpanPair]:
    """Pair each gold span with at most one prediction, and each prediction with at most one gold span.

    Equal spans are paired first, then equal ranges of different type, then the spans that share most characters.
    Ties go to the pair of the same type, then to the leftmost pair.
    """
    equal = gold & predicted
    candidates = [SpanPair(true, guess) for true in gold - equal for guess in predicted - equal]
    candidates = [pair for pair in candidates if pair.overlap or pair.has_same_range]
    candidates.sort(key=lambda pair: (not pair.has_same_range, -pair.overlap, not pair.has_same_type, pair))
    pairs = [SpanPair(span, span) for span in sorted(equal)]
    used: set[Span] = set()  # one set is enough: the remaining gold and predicted spans have no span in common
    for pair in candidates:
        if used.isdisjoint(pair):
            used.update(pair)
            pairs.append(pair)
    return pairs


def match_spans(gold: set[Span], predicted: set[Span], value: Callable[[SpanPair], float]) -> list[SpanPair]:
    """Pair overlapping gold and predicted spans one to one with the largest sum of values; among these, most pairs.

    `value` is 0, 1/2 or 1; with equal sums, pairs of value 1 are preferred. Solved as an assignment problem (Crouse
    2016).
    """
    tie = 0.1
    pairs = [SpanPair(true, guess) for true in gold for guess in predicted]
    pairs = sorted(pair for pair in pairs if pair.overlap or pair.has_same_range)
    golds, guesses = (sorted({pair[side] for pair in pairs}) for side in (0, 1))
    if len(golds) == len(pairs) == len(guesses):
        return pairs
    rows, columns = ({span: place for place, span in enumerate(spans)} for spans in (golds, guesses))
    weights = np.zeros((len(golds), len(guesses)))
    for pair in pairs:
        # what breaks ties adds up to less than the smallest difference of values
        points = value(pair)
        weights[rows[pair.gold], columns[pair.predicted]] = points + (3 if points == 1 else 1) * tie / (len(pairs) + 1)
    chosen = linear_sum_assignment(weights, maximize=True)
    return [
        SpanPair(golds[row], guesses[column])
        for row, column in zip(*(side.tolist() for side in chosen), strict=True)
        if weights[row, column]
    ]


def find_errors(gold: Iterable[Span], predicted: Iterable[Span]) -> list[SpanError]:
    """Return the errors of one sentence from left to right; an empty list if every span is correct."""
    true, guessed = set(gold), set(predicted)
    if true == guessed:
        return []
    pairs = pair_spans(true, guessed)
    errors = [SpanError(kind, *pair) for pair in pairs if (kind := _error_kind(pair))]
    errors += [SpanError("missed", span, None) for span in true - {pair.gold for pair in pairs}]
    errors += [SpanError("spurious", None, span) for span in guessed - {pair.predicted for pair in pairs}]
    return sorted(errors, key=lambda error: (error.gold or error.predicted, error.kind))


def _error_kind(pair: SpanPair) -> ErrorKind | None:
    if pair.has_same_range:
        return None if pair.has_same_type else "wrong type"
    return "wrong boundary" if pair.has_same_type else "wrong type and boundary"


def confusion_counts(
    gold: Sequence[Iterable[Span]], predicted: Sequence[Iterable[Span]], entity_types: Sequence[str]
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Count pairs of gold and predicted spans by their types, as `pair_spans` pairs them.

    Args:
        gold, predicted: the spans of each sentence.
        entity_types: all types.

    Returns:
        Counts of shape (types + 1, types + 1): gold types by row, predicted types by column. The last column counts
        missed entities, the last row spurious predictions. Pairs with other boundaries are counted like exact ones.
    """
    place = {name: index for index, name in enumerate(entity_types)}
    counts = np.zeros((len(place) + 1, len(place) + 1), np.int64)
    for of_gold, of_predicted in zip(gold, predicted, strict=True):
        golds, guesses = set(of_gold), set(of_predicted)
        pairs = pair_spans(golds, guesses)
        for pair in pairs:
            counts[place[pair.gold.label], place[pair.predicted.label]] += 1
        for span in golds - {pair.gold for pair in pairs}:
            counts[place[span.label], -1] += 1
        for span in guesses - {pair.predicted for pair in pairs}:
            counts[-1, place[span.label]] += 1
    return counts
