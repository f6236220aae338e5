"""Predicted spans against gold spans: the figures that need neither words nor tags.

The measure of everything that is ranked is the exact match of type and character span. Beside it stand the
four ways of counting that MUC began (Chinchor and Sundheim, "MUC-5 evaluation metrics", 1993) and
SemEval-2013 fixed for drug names (Segura-Bedmar et al., "SemEval-2013 Task 9", section 9.1): they tell a
wrong type from a wrong boundary from an entity that was not seen at all.

A span that is given twice for a sentence, in the gold or in the predictions, counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from tune_ner.data.corpus import Span
from tune_ner.evaluation.seqeval_metrics import TypeMetrics

Schema = Literal["strict", "exact", "partial", "type"]
SCHEMAS: tuple[Schema, ...] = ("strict", "exact", "partial", "type")
Outcome = Literal["correct", "incorrect", "partial"]
ErrorKind = Literal["missed", "spurious", "wrong type", "wrong boundary", "wrong type and boundary"]
ERROR_KINDS: tuple[ErrorKind, ...] = ("missed", "spurious", "wrong type", "wrong boundary", "wrong type and boundary")


@dataclass(frozen=True)
class MatchCounts:
    """Outcomes of one schema, in the words of MUC.

    `correct`, `incorrect` and `partial` count pairs of a gold and a predicted span that overlap; `missed`
    counts gold spans without a partner, `spurious` predictions without one.
    """

    correct: int
    incorrect: int
    partial: int
    missed: int
    spurious: int

    @property
    def possible(self) -> int:
        """Number of gold spans."""
        return self.correct + self.incorrect + self.partial + self.missed

    @property
    def actual(self) -> int:
        """Number of predicted spans."""
        return self.correct + self.incorrect + self.partial + self.spurious

    @property
    def precision(self) -> float:
        """`(correct + partial / 2) / actual`; 0.0 where nothing was predicted."""
        return _ratio(self.correct + 0.5 * self.partial, self.actual)

    @property
    def recall(self) -> float:
        """`(correct + partial / 2) / possible`; 0.0 where there is no gold span."""
        return _ratio(self.correct + 0.5 * self.partial, self.possible)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0.0 where both are."""
        return _ratio(2 * self.correct + self.partial, self.possible + self.actual)


@dataclass(frozen=True)
class SpanScores:
    """Figures of predicted spans.

    `precision`, `recall` and `f1` are of the exact match of type and span, over all entities (micro);
    `support` is the number of gold spans; `macro_f1` is the mean over the types that have a gold span or a
    prediction; `matches` holds the four schemas `strict`, `exact`, `partial` and `type`.
    """

    precision: float
    recall: float
    f1: float
    support: int
    macro_f1: float
    per_type: dict[str, TypeMetrics]
    matches: dict[str, MatchCounts]


class SpanError(NamedTuple):
    """What went wrong with a gold span, a predicted span, or a pair of them.

    `gold` is None for a spurious prediction, `predicted` for a missed gold span.
    """

    kind: ErrorKind
    gold: Span | None
    predicted: Span | None


class _Pair(NamedTuple):
    gold: Span
    predicted: Span


def score_spans(
    gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]], types: Sequence[str]
) -> SpanScores:
    """Figures of predicted spans against the gold spans as annotated, overlapping and nested ones included.

    Args:
        gold: the spans of each sentence, in any order.
        predicted: as many sentences.
        types: entity types to report, in this order, whether they occur or not; types beyond them that
            occur are reported after them.

    For the schemas each gold span is paired with at most one prediction and each prediction with at most
    one gold span: equal spans first, then equal ranges of different type, then those that share most
    characters; of equals the pair of one type, then the leftmost. A pair is

    * `strict`: correct when type and range agree, else incorrect;
    * `exact`: correct when the ranges agree, else incorrect;
    * `partial`: correct when the ranges agree, else partial;
    * `type`: correct when the types agree, else incorrect.

    A figure whose denominator is zero is 0.0.

    Raises:
        ValueError: `gold` and `predicted` are not equally many sentences.
    """
    _check_lengths(gold, predicted)
    right, wanted, given = Counter[str](), Counter[str](), Counter[str]()
    outcomes: dict[Schema, Counter[Outcome]] = {schema: Counter() for schema in SCHEMAS}
    for true, guessed in zip(map(set, gold), map(set, predicted), strict=True):
        right.update(span.label for span in true & guessed)
        wanted.update(span.label for span in true)
        given.update(span.label for span in guessed)
        for pair in _pairs(true, guessed):
            for schema, outcome in _outcomes(pair).items():
                outcomes[schema][outcome] += 1
    names = [*types, *sorted((set(wanted) | set(given)) - set(types))]
    per_type = {name: _figures(right[name], wanted[name], given[name]) for name in names}
    total = _figures(right.total(), wanted.total(), given.total())
    present = [per_type[name].f1 for name in names if wanted[name] or given[name]]
    return SpanScores(
        precision=total.precision,
        recall=total.recall,
        f1=total.f1,
        support=total.support,
        macro_f1=_ratio(sum(present), len(present)),
        per_type=per_type,
        matches={schema: _match_counts(outcomes[schema], wanted.total(), given.total()) for schema in SCHEMAS},
    )


def sentence_counts(gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]]) -> npt.NDArray[np.int64]:
    """True positives, false positives and false negatives of the exact match, one row a sentence.

    Returns:
        An array of shape `(sentences, 3)`; its column sums are the counts behind `score_spans`.

    Raises:
        ValueError: `gold` and `predicted` are not equally many sentences.
    """
    _check_lengths(gold, predicted)
    rows = [
        (len(true & guessed), len(guessed - true), len(true - guessed))
        for true, guessed in zip(map(set, gold), map(set, predicted), strict=True)
    ]
    return np.array(rows, dtype=np.int64).reshape(len(rows), 3)


def span_errors(gold: Iterable[Span], predicted: Iterable[Span]) -> list[SpanError]:
    """The errors of one sentence from left to right, by the pairing of `score_spans`; none where all is correct.

    Where types and ranges of a pair both differ, the kind is `wrong type and boundary`.
    """
    true, guessed = set(gold), set(predicted)
    if true == guessed:
        return []
    pairs = _pairs(true, guessed)
    missed = true - {pair.gold for pair in pairs}
    spurious = guessed - {pair.predicted for pair in pairs}
    errors = [SpanError(kind, *pair) for pair in pairs if (kind := _pair_error(pair))]
    errors += [SpanError("missed", span, None) for span in missed]
    errors += [SpanError("spurious", None, span) for span in spurious]
    return sorted(errors, key=_place)


def _pair_error(pair: _Pair) -> ErrorKind | None:
    same_type = pair.gold.label == pair.predicted.label
    if _same_range(pair):
        return None if same_type else "wrong type"
    return "wrong boundary" if same_type else "wrong type and boundary"


def _place(error: SpanError) -> tuple[Span, str]:
    span = error.gold or error.predicted
    assert span
    return span, error.kind


def _pairs(gold: set[Span], predicted: set[Span]) -> list[_Pair]:
    """Gold spans with their predictions, each used once, best pair first."""
    equal = gold & predicted
    candidates = sorted(
        (_Pair(true, guess) for true in gold - equal for guess in predicted - equal if _is_candidate(true, guess)),
        key=_preference,
    )
    pairs = [_Pair(span, span) for span in sorted(equal)]
    # what is left of the gold and of the predictions has no span in common, so one set knows both
    taken: set[Span] = set()
    for pair in candidates:
        if taken.isdisjoint(pair):
            taken.update(pair)
            pairs.append(pair)
    return pairs


def _preference(pair: _Pair) -> tuple[bool, int, bool, _Pair]:
    return not _same_range(pair), -_overlap(*pair), pair.gold.label != pair.predicted.label, pair


def _outcomes(pair: _Pair) -> dict[Schema, Outcome]:
    same_range, same_type = _same_range(pair), pair.gold.label == pair.predicted.label
    return {
        "strict": "correct" if same_range and same_type else "incorrect",
        "exact": "correct" if same_range else "incorrect",
        "partial": "correct" if same_range else "partial",
        "type": "correct" if same_type else "incorrect",
    }


def _match_counts(outcomes: Counter[Outcome], possible: int, actual: int) -> MatchCounts:
    return MatchCounts(
        correct=outcomes["correct"],
        incorrect=outcomes["incorrect"],
        partial=outcomes["partial"],
        missed=possible - outcomes.total(),
        spurious=actual - outcomes.total(),
    )


def _figures(right: int, wanted: int, given: int) -> TypeMetrics:
    return TypeMetrics(_ratio(right, given), _ratio(right, wanted), _ratio(2 * right, wanted + given), wanted)


def _is_candidate(gold: Span, predicted: Span) -> bool:
    return _overlap(gold, predicted) > 0 or _same_range(_Pair(gold, predicted))


def _same_range(pair: _Pair) -> bool:
    return (pair.gold.start, pair.gold.end) == (pair.predicted.start, pair.predicted.end)


def _overlap(one: Span, other: Span) -> int:
    return max(0, min(one.end, other.end) - max(one.start, other.start))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _check_lengths(gold: Sequence[Iterable[Span]], predicted: Sequence[Iterable[Span]]) -> None:
    if len(gold) != len(predicted):
        raise ValueError(f"gold has {len(gold)} sentences and the predictions have {len(predicted)}")
