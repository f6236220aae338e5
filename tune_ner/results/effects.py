"""The questions that a grid was run for, answered in sentences with numbers and intervals.

Each axis with two or more values is asked what difference it makes, everything else being equal: trials of the
one value are laid beside those of the other that share all other hyperparameters, seed and fold, and the mean
test F1 of the two sets is compared on the same sentences. Answers come after selection and do not enter it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

from tune_ner.evaluation.significance import Difference, holm
from tune_ner.results.leaderboard import MOST_COMPARED, Evidence, LeaderboardEntry
from tune_ner.results.records import TrialRecord
from tune_ner.results.selection import axis_values, configuration_of, varied_axes
from tune_ner.utils.renderers import value_text

NEAR_BEST = 0.01
"""Convergence is the first epoch whose validation F1 is within this share of the trial's best."""

_SIGNIFICANT = 0.05
_MOST_VALUES = 6
_QUESTIONS = {
    "model": "Which encoder?",
    "tagging_scheme": "Which tagging scheme?",
    "learning_rate": "What does the learning rate do?",
}
MAIN_AXES = tuple(_QUESTIONS)
"""The axes that every ranking shows; others are asked about where a grid varies them."""

_MULTILINGUAL = ("multilingual", "xlm", "mbert", "mdeberta", "labse")


@dataclass(frozen=True)
class Effect:
    """Mean test F1 at one value of an axis less that at another, over `trials` matched pairs."""

    axis: str
    one: Any
    other: Any
    f1_one: float
    f1_other: float
    difference: Difference
    trials: int


def effects(evidence: Evidence, records: Sequence[TrialRecord], axis: str) -> list[Effect]:
    """The main effect of an axis, for each pair of its values that have matched finished trials.

    Of an axis of many values those six are compared that are best by mean validation F1.
    """
    pairs = combinations(_asked_about(records, axis), 2)
    found = (_effect(evidence, records, axis, one, other) for one, other in pairs)
    return [effect for effect in found if effect]


def _asked_about(records: Sequence[TrialRecord], axis: str) -> list[Any]:
    done = [record for record in records if record.result]
    values = axis_values(done, axis)
    if len(values) <= _MOST_VALUES:
        return values
    mean = {value: _mean_validation(done, {axis: value}) for value in values}
    best = sorted(values, key=lambda value: -mean[value])[:_MOST_VALUES]
    return [value for value in values if value in best]


def _effect(evidence: Evidence, records: Sequence[TrialRecord], axis: str, one: Any, other: Any) -> Effect | None:
    first, second = (_by_rest(records, axis, value) for value in (one, other))
    shared = [rest for rest in first if rest in second]
    if not shared:
        return None
    sides = [[side[rest] for rest in shared] for side in (first, second)]
    # Equal rests give equal orders, so that pair is laid beside pair.
    alike, others = (_as_if(side, axis, one) for side in sides)
    difference = evidence.difference(alike, others, "test")
    f1_one, f1_other = (fmean(map(test_f1, side)) for side in sides)
    return Effect(axis, one, other, f1_one, f1_other, difference, len(shared))


def _by_rest(records: Iterable[TrialRecord], axis: str, value: Any) -> dict[str, TrialRecord]:
    return {
        record.config.model_dump_json(exclude={axis, "model_fingerprint"}): record
        for record in records
        if record.result and getattr(record.config, axis) == value
    }


def _as_if(records: Iterable[TrialRecord], axis: str, value: Any) -> list[TrialRecord]:
    """The records with one value of the axis, for sorting alone; ids still name the real trials."""
    return [
        record.model_copy(update={"config": record.config.model_copy(update={axis: value, "model_fingerprint": ""})})
        for record in records
    ]


def test_f1(record: TrialRecord) -> float:
    """F1 of exact spans on the test part."""
    assert record.result
    return record.result.metrics["test"].spans.f1


def convergence(record: TrialRecord) -> int:
    """The first epoch whose validation F1 is within one per cent of the trial's best."""
    assert record.result
    curve = [epoch.score(record.config.selection_metric) for epoch in record.result.epochs]
    return next(number for number, f1 in enumerate(curve, start=1) if f1 >= (1 - NEAR_BEST) * max(curve))


def summary_lines(found: Sequence[LeaderboardEntry], records: Sequence[TrialRecord]) -> list[str]:
    """What the ranking says, and what it cannot say."""
    best, *others = found
    like = sum(1 for entry in others if entry.tied)
    seeds = {record.config.seed for record in records if record.result}
    # a configuration that was stopped early was compared on validation, too
    compared = {configuration_of(record.config) for record in records if record.status != "failed"}
    optimism = best.validation.estimate - best.test.estimate
    searched = any(record.phase == "search" and record.is_trained for record in records)
    chosen = (
        f"the best {len(found)} of {len(compared)} were trained anew with fresh seeds, and of these the best is chosen"
        if searched
        else f"the best of {len(compared)} is chosen"
    )
    lines = [
        f"Best by validation: {best.records[0].config.titled(varied_axes(records), replicate=False)}, validation F1 "
        f"{best.validation.estimate:.3f} (95 % interval {best.validation.low:.3f} to {best.validation.high:.3f}), "
        f"test F1 {best.test.estimate:.3f} ({best.test.low:.3f} to {best.test.high:.3f}).",
        f"Validation less test of the best: {optimism:+.3f}; {chosen} for its validation figure, which flatters it.",
    ]
    left = sum(entry.tied is None for entry in others)
    if others:
        those = f"{len(others) - left} others that were compared" if left else f"{len(others)} others"
        lines.append(
            f"{like} of the {those} cannot be told from the best on validation (paired randomisation test, Holm's "
            "correction)."
        )
    if left:
        lines.append(
            f"{left} were not compared: they are behind the first {MOST_COMPARED}, or have too few seeds and folds in "
            "common with the best."
        )
    if len(seeds) == 1:
        lines.append(
            "One seed only: intervals and tests are about these trained models on other sentences; how much another "
            "seed would change is not known. Give --seed several times."
        )
    return lines


def answers(evidence: Evidence, records: Sequence[TrialRecord]) -> list[tuple[str, list[str]]]:
    """Each question that the grid can answer, with its sentences; empty where no axis has two values."""
    asked = [
        (_question(axis, records), effects(evidence, records, axis), axis)
        for axis in (*MAIN_AXES, *varied_axes(records))
    ]
    every = [effect for _, found, _ in asked for effect in found]
    adjusted = dict(zip(map(id, every), holm([effect.difference.p_value for effect in every]), strict=True))
    told: list[tuple[str, list[str]]] = []
    for question, found, axis in asked:
        if found:
            sentences = _selected(axis, records)
            sentences += [_sentence(effect, adjusted[id(effect)], len(every)) for effect in found]
            sentences += (
                _by_learning_rate(records) if axis == "learning_rate" else _interaction(evidence, records, axis)
            )
            told.append((question, sentences))
    return told


def _question(axis: str, records: Sequence[TrialRecord]) -> str:
    models = {record.config.model for record in records}
    kinds = {any(word in model.lower() for word in _MULTILINGUAL) for model in models}
    if axis == "model" and kinds == {True, False}:
        return "Language-specific or multilingual encoder?"
    return _QUESTIONS.get(axis, f"What does {axis.replace('_', ' ')} do?")


def _selected(axis: str, records: Sequence[TrialRecord]) -> list[str]:
    """Says so where not all values of an axis are asked about."""
    count = len(axis_values((record for record in records if record.result), axis))
    if count <= _MOST_VALUES:
        return []
    return [f"Of {count} values, the {_MOST_VALUES} with the best mean validation F1."]


def _sentence(effect: Effect, p_value: float, compared: int) -> str:
    found = effect.difference
    verdict = "told apart by this test part" if p_value <= _SIGNIFICANT else "not to be told apart by this test part"
    return (
        f"{value_text(effect.one)} against {value_text(effect.other)}: test F1 {effect.f1_one:.3f} against "
        f"{effect.f1_other:.3f}, difference {found.difference:+.3f} (95 % interval {found.low:+.3f} to "
        f"{found.high:+.3f}; {_p_value(p_value)}{_after(compared)}; {effect.trials} matched pairs of trials): "
        f"{verdict}."
    )


def _after(compared: int) -> str:
    """Over how many comparisons, those of all questions, a p-value was corrected; intervals are of one each."""
    return f" after Holm over {compared} comparisons" if compared > 1 else ""


def _p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _by_learning_rate(records: Sequence[TrialRecord]) -> list[str]:
    """Convergence and final score at each rate, and whether the best one depends on encoder or scheme."""
    done = [record for record in records if record.result]
    rates = sorted({record.config.learning_rate for record in done})
    lines = []
    for rate in _asked_about(done, "learning_rate"):
        group = [record for record in done if record.config.learning_rate == rate]
        learnt = [convergence(record) for record in group if record.best_score]
        when = f"within 1 % of its best validation F1 after {fmean(learnt):.1f} epochs" if learnt else "nothing learnt"
        lines.append(f"{rate:g}: {when}, test F1 {fmean(map(test_f1, group)):.3f} (means of {len(group)} trials).")
    for axis in ("model", "tagging_scheme"):
        values = axis_values(done, axis)
        best = {value: _best_rates(done, axis, value, rates) for value in values}
        if len(best) > 1:
            told = ", ".join(f"{' and '.join(best[value])} for {value_text(value)}" for value in values)
            alike = "" if all(len(tied) == 1 for tied in best.values()) else " (ties named together)"
            lines.append(f"The best rate by validation F1, the mean over other axes{alike}: {told}.")
    return lines


def _best_rates(records: Sequence[TrialRecord], axis: str, value: Any, rates: Sequence[float]) -> list[str]:
    means = {rate: _mean_validation(records, {axis: value, "learning_rate": rate}) for rate in rates}
    return [f"{rate:g}" for rate, mean in means.items() if mean == max(means.values())][:_MOST_VALUES]


def _mean_validation(records: Sequence[TrialRecord], at: Mapping[str, Any]) -> float:
    scores = [
        record.result.metrics["validation"].spans.f1
        for record in records
        if record.result and all(getattr(record.config, axis) == value for axis, value in at.items())
    ]
    return fmean(scores) if scores else -1.0


def _interaction(evidence: Evidence, records: Sequence[TrialRecord], axis: str) -> list[str]:
    """The effect of an axis at each value of the other one, encoder by scheme."""
    across = "tagging_scheme" if axis == "model" else "model"
    values = axis_values((record for record in records if record.result), across)
    if len(values) < 2:
        return []
    lines = []
    for value in values:
        within = [record for record in records if getattr(record.config, across) == value]
        for effect in effects(evidence, within, axis):
            found = effect.difference
            lines.append(
                f"With {value_text(value)} alone: {value_text(effect.one)} less {value_text(effect.other)} is "
                f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f})."
            )
    return lines
