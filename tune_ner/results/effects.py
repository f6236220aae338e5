"""Main effects of hyperparameters on test F1, in numbers and in sentences.

The effect of a hyperparameter is estimated with everything else equal: trials with one value are paired with trials
with another value that share all other hyperparameters, seed and fold, and the mean test span F1 of the two sets is
compared on the same sentences. Effects are computed after selection and do not affect it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

from tune_ner.evaluation.significance import Difference, holm
from tune_ner.results.prediction_cache import PredictionCache
from tune_ner.results.records import TrialRecord
from tune_ner.results.selection import MAIN_HYPERPARAMETERS, hyperparameter_values, varied_hyperparameters
from tune_ner.utils.text import format_value, plural

NEAR_BEST = 0.01
"""A trial has converged at the first epoch whose score is within this share of its best."""

SIGNIFICANT = 0.05
_MOST_VALUES = 6
_QUESTIONS = {"model": "Which encoder?", "tagging_scheme": "Which tagging scheme?"}
_MULTILINGUAL = ("multilingual", "xlm", "mbert", "mdeberta", "labse")


@dataclass(frozen=True)
class Effect:
    """Mean test span F1 at one value of a hyperparameter minus that at another value.

    Attributes:
        hyperparameter: its name.
        one, other: the two values.
        f1_one, f1_other: mean test span F1 at these values.
        difference: the difference with its 95 % interval and p-value (not corrected for several comparisons).
        pairs: number of matched pairs of trials.
    """

    hyperparameter: str
    one: Any
    other: Any
    f1_one: float
    f1_other: float
    difference: Difference
    pairs: int

    @property
    def title(self) -> str:
        """The two values: `BIO minus IO`."""
        return f"{format_value(self.one)} minus {format_value(self.other)}"


def main_effects(cache: PredictionCache, records: Sequence[TrialRecord], hyperparameter: str) -> list[Effect]:
    """Return the effect of a hyperparameter for each pair of its values that has matched completed trials.

    With many values, only the six with the best mean validation score are compared.
    """
    pairs = combinations(_compared_values(records, hyperparameter), 2)
    found = (_effect(cache, records, hyperparameter, one, other) for one, other in pairs)
    return [effect for effect in found if effect]


def all_effects(cache: PredictionCache, records: Sequence[TrialRecord]) -> dict[str, list[Effect]]:
    """Return the main effects of all hyperparameters that vary, by name."""
    names = (*MAIN_HYPERPARAMETERS, *varied_hyperparameters(records))
    effects = {name: main_effects(cache, records, name) for name in names}
    return {name: found for name, found in effects.items() if found}


def convergence_epoch(record: TrialRecord) -> int:
    """Return the first epoch whose validation score is within one percent of the trial's best."""
    curve = [epoch.score(record.config.selection_metric) for epoch in record.curve]
    return next(number for number, score in enumerate(curve, start=1) if score >= (1 - NEAR_BEST) * max(curve))


def test_span_f1(record: TrialRecord) -> float:
    """Return the test span F1 of a completed final trial."""
    assert record.result
    return record.result.metrics["test"].spans.f1


def answer_questions(
    effects: Mapping[str, Sequence[Effect]], cache: PredictionCache, records: Sequence[TrialRecord]
) -> dict[str, list[str]]:
    """Return the questions that the run answers, such as `Which tagging scheme?`, each with its answer in sentences.

    P-values are corrected by Holm's method over the comparisons of all questions.
    """
    every = [effect for found in effects.values() for effect in found]
    adjusted = dict(zip(map(id, every), holm([effect.difference.p_value for effect in every]), strict=True))
    done = [record for record in records if record.result]
    answers: dict[str, list[str]] = {}
    for name, found in effects.items():
        sentences = _restriction(name, done)
        sentences += [_comparison(effect, adjusted[id(effect)], len(every)) for effect in found]
        sentences += _learning_rates(done) if name == "learning_rate" else _interactions(cache, done, name)
        answers[_question(name, records)] = sentences
    return answers


def _compared_values(records: Sequence[TrialRecord], hyperparameter: str) -> list[Any]:
    done = [record for record in records if record.result]
    values = hyperparameter_values(done, hyperparameter)
    if len(values) <= _MOST_VALUES:
        return values
    mean = {value: _mean_validation(done, {hyperparameter: value}) for value in values}
    best = sorted(values, key=lambda value: -mean[value])[:_MOST_VALUES]
    return [value for value in values if value in best]


def _effect(
    cache: PredictionCache, records: Sequence[TrialRecord], hyperparameter: str, one: Any, other: Any
) -> Effect | None:
    first, second = (_by_other_settings(records, hyperparameter, value) for value in (one, other))
    shared = [settings for settings in first if settings in second]
    if not shared:
        return None
    sides = [[side[settings] for settings in shared] for side in (first, second)]
    f1_one, f1_other = (fmean(map(test_span_f1, side)) for side in sides)
    # with equal configurations, both sides are sorted in the same order and pairs stay together
    one_side, other_side = (_with_value(side, hyperparameter, one) for side in sides)
    difference = cache.difference(one_side, other_side, "test")
    return Effect(hyperparameter, one, other, f1_one, f1_other, difference, len(shared))


def _by_other_settings(records: Iterable[TrialRecord], hyperparameter: str, value: Any) -> dict[str, TrialRecord]:
    return {
        record.config.model_dump_json(exclude={hyperparameter, "model_fingerprint"}): record
        for record in records
        if record.result and getattr(record.config, hyperparameter) == value
    }


def _with_value(records: Iterable[TrialRecord], hyperparameter: str, value: Any) -> list[TrialRecord]:
    """Return copies of the records with one value, for sorting; their ids are unchanged."""
    change = {hyperparameter: value, "model_fingerprint": ""}
    return [record.model_copy(update={"config": record.config.model_copy(update=change)}) for record in records]


def _mean_validation(records: Sequence[TrialRecord], at: Mapping[str, Any]) -> float:
    scores = [
        record.result.metrics["validation"].score(record.config.selection_metric)
        for record in records
        if record.result and all(getattr(record.config, name) == value for name, value in at.items())
    ]
    return fmean(scores) if scores else -1.0


def _question(hyperparameter: str, records: Sequence[TrialRecord]) -> str:
    models = {record.config.model for record in records}
    kinds = {any(word in model.lower() for word in _MULTILINGUAL) for model in models}
    if hyperparameter == "model" and kinds == {True, False}:
        return "Language-specific or multilingual encoder?"
    return _QUESTIONS.get(hyperparameter, f"What is the effect of the {hyperparameter.replace('_', ' ')}?")


def _restriction(hyperparameter: str, done: Sequence[TrialRecord]) -> list[str]:
    count = len(hyperparameter_values(done, hyperparameter))
    if count <= _MOST_VALUES:
        return []
    return [f"Of {count} values, the {_MOST_VALUES} with the best mean validation F1 are compared."]


def _comparison(effect: Effect, p_value: float, comparisons: int) -> str:
    found = effect.difference
    verdict = "significantly different" if p_value <= SIGNIFICANT else "not significantly different"
    p = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    corrected = f" after Holm's correction over {comparisons} comparisons" if comparisons > 1 else ""
    return (
        f"{format_value(effect.one)} vs. {format_value(effect.other)}: test F1 {effect.f1_one:.3f} vs. "
        f"{effect.f1_other:.3f}, difference {found.difference:+.3f} (95 % interval {found.low:+.3f} to "
        f"{found.high:+.3f}; {p}{corrected}; {plural(effect.pairs, 'matched pair')} of trials): {verdict} on the test "
        "set."
    )


def _learning_rates(done: Sequence[TrialRecord]) -> list[str]:
    """Describe convergence and test F1 at each learning rate, and the best rate by encoder and by scheme."""
    sentences = []
    for rate in _compared_values(done, "learning_rate"):
        group = [record for record in done if record.config.learning_rate == rate]
        epochs = [convergence_epoch(record) for record in group if record.best_score]
        when = (
            f"within 1 % of the best validation F1 after {fmean(epochs):.1f} epochs" if epochs else "no correct entity"
        )
        f1 = fmean(map(test_span_f1, group))
        sentences.append(f"{rate:g}: {when}, test F1 {f1:.3f} (mean of {plural(len(group), 'trial')}).")
    for name in ("model", "tagging_scheme"):
        best = {value: _best_rates(done, {name: value}) for value in hyperparameter_values(done, name)}
        if len(best) > 1:
            rates = ", ".join(f"{' and '.join(best[value])} for {format_value(value)}" for value in best)
            tied = "" if all(len(found) == 1 for found in best.values()) else ", with ties"
            sentences.append(f"Best learning rate by mean validation F1{tied}: {rates}.")
    return sentences


def _best_rates(done: Sequence[TrialRecord], at: Mapping[str, Any]) -> list[str]:
    rates = sorted({record.config.learning_rate for record in done})
    means = {rate: _mean_validation(done, {**at, "learning_rate": rate}) for rate in rates}
    return [f"{rate:g}" for rate, mean in means.items() if mean == max(means.values())][:_MOST_VALUES]


def _interactions(cache: PredictionCache, done: Sequence[TrialRecord], hyperparameter: str) -> list[str]:
    """Describe the effect of a hyperparameter within each encoder, or of the encoder within each tagging scheme."""
    across = "tagging_scheme" if hyperparameter == "model" else "model"
    values = hyperparameter_values(done, across)
    if len(values) < 2:
        return []
    return [
        f"With {format_value(value)} only: {effect.title} is {effect.difference.difference:+.3f} (95 % interval "
        f"{effect.difference.low:+.3f} to {effect.difference.high:+.3f})."
        for value in values
        for effect in main_effects(cache, [r for r in done if getattr(r.config, across) == value], hyperparameter)
    ]
