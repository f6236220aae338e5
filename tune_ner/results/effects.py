"""Effects of hyperparameters on test F1, in numbers and in sentences.

Two values of a hyperparameter are compared in two ways. At their best setting: each with the other hyperparameters that
have the best mean validation score, so that test plays no part in the choice. On average: trials with one value are
paired with trials with the other value that share all other hyperparameters, seed and fold; a bad setting of these
counts as much as a good one. Effects are computed after selection and do not affect it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

from tune_ner.config.trial_config import TrialConfig
from tune_ner.evaluation.significance import Difference, contrast, holm
from tune_ner.results.prediction_cache import PredictionCache
from tune_ner.results.records import TrialRecord
from tune_ner.results.selection import (
    MAIN_HYPERPARAMETERS,
    configuration_of,
    hyperparameter_values,
    varied_hyperparameters,
)
from tune_ner.utils.text import format_value, plural, signed

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
        settings: the other hyperparameters of the best setting of each value; empty for an average effect.
        trial_ids: the trials of each value.
    """

    hyperparameter: str
    one: Any
    other: Any
    f1_one: float
    f1_other: float
    difference: Difference
    pairs: int
    settings: tuple[str, ...] = ()
    trial_ids: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def title(self) -> str:
        """The two values: `BIO minus IO`."""
        return f"{format_value(self.one)} minus {format_value(self.other)}"


@dataclass(frozen=True)
class ComparedEffect:
    """An effect as one of several comparisons of a run.

    Attributes:
        effect: the effect.
        p_value: its p-value, corrected by Holm's method over all comparisons.
        interval: its interval, which holds for all comparisons together (Bonferroni).
        comparisons: their number.
    """

    effect: Effect
    p_value: float
    interval: Difference
    comparisons: int

    @property
    def is_significant(self) -> bool:
        """Whether the two values differ significantly on the test set."""
        return self.p_value <= SIGNIFICANT


def main_effects(cache: PredictionCache, records: Sequence[TrialRecord], hyperparameter: str) -> list[Effect]:
    """Return the effect of a hyperparameter for each pair of its values that has matched completed trials.

    With many values, only the six with the best mean validation score are compared.
    """
    pairs = combinations(_compared_values(records, hyperparameter), 2)
    found = (_effect(cache, records, hyperparameter, one, other) for one, other in pairs)
    return [effect for effect in found if effect]


def best_setting_effects(cache: PredictionCache, records: Sequence[TrialRecord], hyperparameter: str) -> list[Effect]:
    """Return the effect for each pair of values, each with the other settings that have the best validation score.

    Only seeds and folds that both have are compared. Empty if no value has several settings.
    """
    best = {value: _best_setting(records, hyperparameter, value) for value in _compared_values(records, hyperparameter)}
    if all(count < 2 for _, count in best.values()):
        return []
    effects = []
    for one, other in combinations(best, 2):
        sides = [{(r.config.fold, r.config.seed): r for r in best[value][0]} for value in (one, other)]
        shared = sorted(sides[0].keys() & sides[1].keys(), key=str)
        if shared:
            pair = [[side[replicate] for replicate in shared] for side in sides]
            settings = tuple(_title_without(side[0], hyperparameter, records) for side in pair)
            effects.append(_compare(cache, hyperparameter, one, other, pair, settings))
    return effects


def all_effects(cache: PredictionCache, records: Sequence[TrialRecord]) -> dict[str, list[Effect]]:
    """Return the main effects of all hyperparameters that vary, by name."""
    names = (*MAIN_HYPERPARAMETERS, *varied_hyperparameters(records))
    effects = {name: main_effects(cache, comparable(records, name), name) for name in names}
    return {name: found for name, found in effects.items() if found}


def comparable(records: Sequence[TrialRecord], hyperparameter: str) -> list[TrialRecord]:
    """Return the trials that show the effect of a hyperparameter.

    Those of models with an encoder, if it has an effect on them: how it acts on a baseline is another question, and a
    baseline has no other settings at which it could be matched with an encoder.
    """
    affected = [record for record in records if record.config.has_effect(hyperparameter)]
    return [record for record in affected if not record.config.is_baseline] or affected


def convergence_epoch(record: TrialRecord) -> int:
    """Return the first epoch whose validation score is within one percent of the trial's best."""
    curve = [epoch.score(record.config.selection_metric) for epoch in record.curve]
    return next(number for number, score in enumerate(curve, start=1) if score >= (1 - NEAR_BEST) * max(curve))


def test_span_f1(record: TrialRecord) -> float:
    """Return the test span F1 of a completed final trial."""
    assert record.result
    return record.result.metrics["test"].spans.f1


def compare_effects(
    effects: Mapping[str, Sequence[Effect]], cache: PredictionCache, records: Sequence[TrialRecord]
) -> dict[str, list[ComparedEffect]]:
    """Return for each hyperparameter its effects at the best settings, if there are any, then those on average.

    P-values are corrected by Holm's method, and intervals by Bonferroni's, over the effects of all hyperparameters.
    """
    every = {
        name: [*best_setting_effects(cache, comparable(records, name), name), *found] for name, found in effects.items()
    }
    flat = [effect for found in every.values() for effect in found]
    adjusted = dict(zip(map(id, flat), holm([effect.difference.p_value for effect in flat]), strict=True))
    return {
        name: [
            ComparedEffect(e, adjusted[id(e)], _simultaneous(cache, records, e, len(flat)), len(flat)) for e in found
        ]
        for name, found in every.items()
    }


def answer_questions(
    tested: Mapping[str, Sequence[ComparedEffect]], cache: PredictionCache, records: Sequence[TrialRecord]
) -> dict[str, list[str]]:
    """Return the questions that the run answers, such as `Which tagging scheme?`, each with its answer in sentences."""
    done = [record for record in records if record.result]
    answers: dict[str, list[str]] = {}
    for name, found in tested.items():
        group = comparable(done, name)
        sentences = [*_restriction(name, group), *map(_comparison, found)]
        sentences += _learning_rates(group) if name == "learning_rate" else _interactions(cache, group, name)
        answers[_question(name, group)] = sentences
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
    return _compare(cache, hyperparameter, one, other, sides)


def _compare(
    cache: PredictionCache,
    hyperparameter: str,
    one: Any,
    other: Any,
    sides: Sequence[Sequence[TrialRecord]],
    settings: tuple[str, ...] = (),
) -> Effect:
    f1_one, f1_other = (fmean(map(test_span_f1, side)) for side in sides)
    difference = cache.difference(*_aligned(sides), "test")
    ids = tuple(tuple(record.trial_id for record in side) for side in sides)
    return Effect(hyperparameter, one, other, f1_one, f1_other, difference, len(sides[0]), settings, (ids[0], ids[1]))


def _best_setting(records: Sequence[TrialRecord], hyperparameter: str, value: Any) -> tuple[list[TrialRecord], int]:
    """Return the trials of the configuration with this value that is best on validation, and how many there are."""
    groups: dict[TrialConfig, list[TrialRecord]] = {}
    for record in records:
        if record.result and getattr(record.config, hyperparameter) == value:
            groups.setdefault(configuration_of(record.config), []).append(record)
    best = max(groups.values(), key=lambda group: (len(group), _mean_validation(group, {})))
    return best, len(groups)


def _title_without(record: TrialRecord, hyperparameter: str, records: Sequence[TrialRecord]) -> str:
    """Return the hyperparameters of a configuration that vary, except one: `BIO, learning_rate 0.0003`."""
    names = [*MAIN_HYPERPARAMETERS, *varied_hyperparameters(records)]
    varied = [n for n in names if n != hyperparameter and len(hyperparameter_values(records, n)) > 1]
    return ", ".join(
        f"{'' if name in ('model', 'tagging_scheme') else f'{name} '}{format_value(getattr(record.config, name))}"
        for name in varied
    )


def _by_other_settings(records: Iterable[TrialRecord], hyperparameter: str, value: Any) -> dict[str, TrialRecord]:
    return {
        record.config.model_dump_json(exclude={hyperparameter, "model_fingerprint"}): record
        for record in records
        if record.result and getattr(record.config, hyperparameter) == value
    }


def _aligned(sides: Sequence[Sequence[TrialRecord]]) -> tuple[list[TrialRecord], list[TrialRecord]]:
    """Return both sides with the hyperparameters of the first, so that pairs stay together when they are sorted."""
    first, second = sides
    copies = [other.model_copy(update={"config": one.config}) for one, other in zip(first, second, strict=True)]
    return list(first), copies


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


def _simultaneous(
    cache: PredictionCache, records: Sequence[TrialRecord], effect: Effect, comparisons: int
) -> Difference:
    """Return the difference with an interval that holds for all comparisons together (Bonferroni)."""
    if comparisons == 1:
        return effect.difference
    by_id = {record.trial_id: record for record in records}
    sides = [[by_id[trial] for trial in side] for side in effect.trial_ids]
    return cache.difference(*_aligned(sides), "test", level=1 - SIGNIFICANT / comparisons)


def _comparison(tested: ComparedEffect) -> str:
    effect, interval, comparisons = tested.effect, tested.interval, tested.comparisons
    verdict = "significantly different" if tested.is_significant else "not significantly different"
    corrected, kind = "", "95 % interval"
    if comparisons > 1:
        corrected = f" after Holm's correction over {comparisons} comparisons"
        kind = "simultaneous 95 % interval"
    if tested.is_significant and interval.low <= 0 <= interval.high:
        verdict = "significantly different by this test, though not by the interval, which is more cautious,"
    one, other = format_value(effect.one), format_value(effect.other)
    of = plural(effect.pairs, "matched pair")
    where = f"On average over {of} of trials, "
    if effect.settings:
        first, second = (f" ({setting})" if setting else "" for setting in effect.settings)
        one, other, where = f"{one}{first}", f"{other}{second}", "Each at its best setting on validation, "
    return (
        f"{where}{one} vs. {other}: test F1 {effect.f1_one:.3f} vs. {effect.f1_other:.3f}, difference "
        f"{signed(effect.difference.difference)} ({kind} {signed(interval.low)} to {signed(interval.high)}; "
        f"{_p_value(tested.p_value)}{corrected}): {verdict} on the test set."
    )


def _p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


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
        sentences.append(f"{format_value(rate)}: {when}, test F1 {f1:.3f} (mean of {plural(len(group), 'trial')}).")
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
    return [format_value(rate) for rate, mean in means.items() if mean == max(means.values())][:_MOST_VALUES]


def _interactions(cache: PredictionCache, done: Sequence[TrialRecord], hyperparameter: str) -> list[str]:
    """Describe the effect of a hyperparameter within each encoder, or of the encoder within each tagging scheme.

    Two effects are compared by their difference (an interaction contrast).
    """
    across = "tagging_scheme" if hyperparameter == "model" else "model"
    values = hyperparameter_values(done, across)
    if len(values) < 2:
        return []
    within = {
        value: main_effects(cache, [r for r in done if getattr(r.config, across) == value], hyperparameter)
        for value in values
    }
    sentences = [
        f"With {format_value(value)} only: {effect.title} is {signed(effect.difference.difference)} (95 % interval "
        f"{signed(effect.difference.low)} to {signed(effect.difference.high)})."
        for value, effects in within.items()
        for effect in effects
    ]
    by_id = {record.trial_id: record for record in done}
    for (first, one), (second, other) in combinations(
        [(value, effect) for value, effects in within.items() for effect in effects], 2
    ):
        if first == second or (one.one, one.other) != (other.one, other.other):
            continue
        groups = [[by_id[trial] for trial in side] for effect in (one, other) for side in effect.trial_ids]
        samples = [cache.sample(group, "test") for group in groups]
        seeds = [cache.seed_variance_of(group, "test") for group in groups]
        found = contrast(samples, [1, -1, -1, 1], seeds)
        verdict = "differs" if found.p_value <= SIGNIFICANT else "does not differ"
        sentences.append(
            f"{one.title} {verdict} significantly between {format_value(first)} and {format_value(second)}: by "
            f"{signed(found.difference)} (95 % interval {signed(found.low)} to {signed(found.high)}; "
            f"{_p_value(found.p_value)}, not corrected)."
        )
    return sentences
