"""Metrics of predicted spans against gold spans, independent of words and tags.

Configurations are ranked by the exact match of entity type and character span. The four schemas of MUC (Chinchor and
Sundheim, "MUC-5 evaluation metrics", 1993) as defined by SemEval-2013 (Segura-Bedmar et al., "SemEval-2013 Task 9",
section 9.1) add how much of the error is due to types, to boundaries and to missed entities.

A span that occurs twice in the gold spans or in the predictions of a sentence counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from tune_ner.data.corpus import Span
from tune_ner.evaluation.error_analysis import SpanPair, match_spans, pair_spans
from tune_ner.evaluation.seqeval_metrics import TypeMetrics

Schema = Literal["strict", "exact", "partial", "type"]
SCHEMAS: tuple[Schema, ...] = get_args(Schema)
Outcome = Literal["correct", "incorrect", "partial"]


@dataclass(frozen=True)
class MatchCounts:
    """Outcomes under one schema.

    `correct`, `incorrect` and `partial` count pairs of a gold and a predicted span that overlap; `missed` counts gold
    spans without a partner, `spurious` predictions without one.
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
        """`(correct + partial / 2) / actual`; 0.0 without predictions."""
        return _ratio(self.correct + 0.5 * self.partial, self.actual)

    @property
    def recall(self) -> float:
        """`(correct + partial / 2) / possible`; 0.0 without gold spans."""
        return _ratio(self.correct + 0.5 * self.partial, self.possible)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0.0 if both are 0."""
        return _ratio(2 * self.correct + self.partial, self.possible + self.actual)


@dataclass(frozen=True)
class SpanMetrics:
    """Metrics of predicted spans.

    `precision`, `recall` and `f1` are micro averages of the exact match of type and span; `support` is the number of
    gold spans; `macro_f1` is the mean over entity types with a gold span or a prediction; `matches` holds the counts
    of each schema.
    """

    precision: float
    recall: float
    f1: float
    support: int
    macro_f1: float
    per_type: dict[str, TypeMetrics]
    matches: dict[str, MatchCounts]


def score_spans(
    gold: Sequence[Iterable[Span]], predicted: Sequence[Iterable[Span]], entity_types: Sequence[str]
) -> SpanMetrics:
    """Compute the metrics of predicted spans; gold spans may overlap and nest.

    Args:
        gold: spans of each sentence, in any order.
        predicted: spans of the same sentences.
        entity_types: types to report, in this order; other types that occur are reported after them.

    The schemas judge pairs of overlapping spans. `strict` and `exact` share the pairs of `pair_spans`; `partial` and
    `type` each have the pairs with the best score (`match_spans`):

    * `strict`: correct if type and range agree, else incorrect;
    * `exact`: correct if the ranges agree, else incorrect;
    * `partial`: correct if the ranges agree, else partial;
    * `type`: correct if the types agree, else incorrect.

    A metric with a denominator of zero is 0.0.

    Raises:
        ValueError: `gold` and `predicted` have different numbers of sentences.
    """
    correct, in_gold, in_predictions = Counter[str](), Counter[str](), Counter[str]()
    outcomes: dict[Schema, Counter[Outcome]] = {schema: Counter() for schema in SCHEMAS}
    for true, guessed in _span_sets(gold, predicted):
        correct.update(span.label for span in true & guessed)
        in_gold.update(span.label for span in true)
        in_predictions.update(span.label for span in guessed)
        if true == guessed:
            for counts in outcomes.values():
                counts["correct"] += len(true)
            continue
        pairs = pair_spans(true, guessed)
        matched: dict[Schema, list[SpanPair]] = {"strict": pairs, "exact": pairs}
        matched["partial"] = match_spans(true, guessed, lambda pair: 1.0 if pair.has_same_range else 0.5)
        matched["type"] = match_spans(true, guessed, lambda pair: float(pair.has_same_type))
        for schema, found in matched.items():
            outcomes[schema].update(_outcome(pair, schema) for pair in found)
    names = [*entity_types, *sorted((in_gold.keys() | in_predictions.keys()) - set(entity_types))]
    per_type = {name: _type_metrics(correct[name], in_gold[name], in_predictions[name]) for name in names}
    total = _type_metrics(correct.total(), in_gold.total(), in_predictions.total())
    f1_scores = [per_type[name].f1 for name in names if in_gold[name] or in_predictions[name]]
    return SpanMetrics(
        precision=total.precision,
        recall=total.recall,
        f1=total.f1,
        support=total.support,
        macro_f1=_ratio(sum(f1_scores), len(f1_scores)),
        per_type=per_type,
        matches={name: _match_counts(counts, in_gold, in_predictions) for name, counts in outcomes.items()},
    )


def exact_f1(gold: Sequence[Iterable[Span]], predicted: Sequence[Iterable[Span]]) -> float:
    """Return the micro F1 of the exact match, as `score_spans` does but faster."""
    correct, spurious, missed = sentence_counts(gold, predicted).sum(axis=0).tolist()
    return _ratio(2 * correct, 2 * correct + spurious + missed)


def sentence_counts(gold: Sequence[Iterable[Span]], predicted: Sequence[Iterable[Span]]) -> npt.NDArray[np.int64]:
    """Count true positives, false positives and false negatives of the exact match, shape `(sentences, 3)`.

    Raises:
        ValueError: `gold` and `predicted` have different numbers of sentences.
    """
    rows = [
        (len(true & guessed), len(guessed - true), len(true - guessed)) for true, guessed in _span_sets(gold, predicted)
    ]
    return np.array(rows, dtype=np.int64).reshape(len(rows), 3)


def _span_sets(
    gold: Sequence[Iterable[Span]], predicted: Sequence[Iterable[Span]]
) -> Iterator[tuple[set[Span], set[Span]]]:
    if len(gold) != len(predicted):
        raise ValueError(f"gold has {len(gold)} sentences but predicted has {len(predicted)}; expected equally many")
    return zip(map(set, gold), map(set, predicted), strict=True)


def _outcome(pair: SpanPair, schema: Schema) -> Outcome:
    is_correct = {
        "strict": pair.has_same_range and pair.has_same_type,
        "exact": pair.has_same_range,
        "partial": pair.has_same_range,
        "type": pair.has_same_type,
    }
    if is_correct[schema]:
        return "correct"
    return "partial" if schema == "partial" else "incorrect"


def _match_counts(outcomes: Counter[Outcome], gold: Counter[str], predicted: Counter[str]) -> MatchCounts:
    missed, spurious = gold.total() - outcomes.total(), predicted.total() - outcomes.total()
    return MatchCounts(outcomes["correct"], outcomes["incorrect"], outcomes["partial"], missed, spurious)


def _type_metrics(correct: int, gold: int, predicted: int) -> TypeMetrics:
    return TypeMetrics(_ratio(correct, predicted), _ratio(correct, gold), _ratio(2 * correct, gold + predicted), gold)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0
