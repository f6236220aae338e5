"""Ranking of configurations by their validation metric. Test metrics are not visible here and cannot affect it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.training.result import TrialResult

_FIXED = frozenset({"data_fingerprint", "model_fingerprint", "precision", "fold"})
MAIN_HYPERPARAMETERS = ("model", "tagging_scheme", "learning_rate")
"""Hyperparameters that every table shows."""


@dataclass(frozen=True)
class Candidate:
    """The part of a trial that selection may use: its configuration and its validation metrics.

    A pruned trial has no score: the score of its last epoch must not be compared with the best epoch of a completed
    trial.

    Attributes:
        score: validation value of the selection metric at the best epoch; None unless the trial has a result.
        loss: validation loss of that epoch.
        pruned: whether the scheduler pruned the trial.
    """

    trial_id: str
    config: TrialConfig
    score: float | None
    loss: float | None
    pruned: bool = False

    @classmethod
    def of(cls, record: TrialRecord) -> Candidate:
        """Return the trial without its test metrics."""
        if record.result is None:
            return cls(record.trial_id, record.config, None, None, pruned=record.status == "pruned")
        # with other versions of the libraries than those of the run, its configuration would have another id
        return replace(cls.of_result(record.config, record.result), trial_id=record.trial_id)

    @classmethod
    def of_result(cls, config: TrialConfig, result: TrialResult) -> Candidate:
        """Return a trial that this process completed, without its test metrics."""
        best = result.epochs[result.best_epoch - 1]
        score = result.metrics["validation"].score(config.selection_metric)
        return cls(config.trial_id, config, score, best.validation_loss)


@dataclass(frozen=True)
class RankedConfiguration:
    """A configuration and the trials that ran it, which differ only in seed and fold.

    Attributes:
        configuration: the hyperparameters, with seed 0 and no fold.
        completed, failed, pruned: trial ids.
        mean_score: mean validation score of the completed trials.
        deviation: standard deviation of these scores (ddof 1); None for a single one.
        mean_loss: mean validation loss of the completed trials.
    """

    configuration: TrialConfig
    completed: tuple[str, ...]
    failed: tuple[str, ...]
    pruned: tuple[str, ...]
    mean_score: float
    deviation: float | None
    mean_loss: float


def configuration_of(config: TrialConfig) -> TrialConfig:
    """Return the configuration of a trial: all hyperparameters except seed and fold."""
    return config.model_copy(update={"seed": 0, "fold": None})


def rank(candidates: Iterable[Candidate]) -> list[RankedConfiguration]:
    """Return the configurations by mean validation score, best first; ties are broken by mean validation loss.

    Means are taken over completed trials, because the best of many seeds is luck. Configurations with a pruned trial
    follow all others: the mean over their remaining trials is too high. Configurations without a completed trial are
    left out.
    """
    groups: dict[TrialConfig, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(configuration_of(candidate.config), []).append(candidate)
    ranked = [_ranked(key, group) for key, group in groups.items() if any(c.score is not None for c in group)]
    return sorted(ranked, key=lambda item: (bool(item.pruned), -item.mean_score, item.mean_loss))


def winner(candidates: Iterable[Candidate]) -> Candidate | None:
    """Return the trial whose model is exported: the best trial of the best configuration; ties go to the lower loss.

    None if no trial was completed.
    """
    by_id = {candidate.trial_id: candidate for candidate in candidates}
    ranked = rank(by_id.values())
    if not ranked:
        return None
    trials = [by_id[trial_id] for trial_id in ranked[0].completed]
    return min(trials, key=lambda one: (-(one.score or 0.0), one.loss or 0.0))


def _ranked(configuration: TrialConfig, group: list[Candidate]) -> RankedConfiguration:
    scores = [candidate.score for candidate in group if candidate.score is not None]
    losses = [candidate.loss for candidate in group if candidate.loss is not None]
    return RankedConfiguration(
        configuration=configuration,
        completed=tuple(c.trial_id for c in group if c.score is not None),
        failed=tuple(c.trial_id for c in group if c.score is None and not c.pruned),
        pruned=tuple(c.trial_id for c in group if c.pruned),
        mean_score=fmean(scores),
        deviation=stdev(scores) if len(scores) > 1 else None,
        mean_loss=fmean(losses),
    )


def varied_hyperparameters(records: Sequence[TrialRecord]) -> list[str]:
    """Return the hyperparameters that differ between the trials, except the main ones and the seed."""
    configs = [record.config.model_dump() for record in records]
    shown = {*MAIN_HYPERPARAMETERS, "seed", "epochs"} | _FIXED
    names = [*(name for name in (configs[0] if configs else {}) if name not in shown), "epochs"]
    return [name for name in names if len({config[name] for config in configs}) > 1]


def hyperparameter_values(records: Iterable[TrialRecord], name: str) -> list[Any]:
    """Return the values of a hyperparameter in these trials in ascending order, numbers before texts.

    The order does not depend on the order of the records, which is that in which the trials ended.
    """
    return sorted({getattr(record.config, name) for record in records}, key=_ascending)


def _ascending(value: Any) -> tuple[bool, Any]:
    numeric = isinstance(value, int | float)
    return not numeric, value if numeric else str(value)
