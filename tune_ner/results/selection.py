"""Ranking configurations by validation. What it is given holds no test figure, so that none can steer it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.training.result import TrialResult

_FIXED = frozenset({"data_fingerprint", "model_fingerprint", "precision", "fold"})
_NAMED = frozenset({"model", "tagging_scheme", "learning_rate", "seed", "epochs"})


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
        return cls.of_result(record.config, record.result)

    @classmethod
    def of_result(cls, config: TrialConfig, result: TrialResult) -> Candidate:
        """Return a completed trial without its test metrics."""
        best = result.epochs[result.best_epoch - 1]
        score = result.metrics["validation"].score(config.selection_metric)
        return cls(config.trial_id, config, score, best.validation_loss)


@dataclass(frozen=True)
class RankedConfiguration:
    """A configuration with its replicates, which differ in seed and fold alone.

    `deviation` is the standard deviation over the finished replicates (ddof 1), None where there is one.
    """

    configuration: TrialConfig
    completed: tuple[str, ...]
    failed: tuple[str, ...]
    pruned: tuple[str, ...]
    mean_score: float
    deviation: float | None
    mean_loss: float


def configuration_of(config: TrialConfig) -> TrialConfig:
    """What the replicates of a configuration share: all but seed and fold."""
    return config.model_copy(update={"seed": 0, "fold": None})


def rank(candidates: Iterable[Candidate]) -> list[RankedConfiguration]:
    """Configurations by mean validation F1 over their finished replicates, best first; ties by mean loss.

    Those of which a replicate was stopped come after the others: it was stopped because it was behind, and the mean
    over the rest flatters them.

    Replicates are never candidates of their own: the best of many seeds is luck. A configuration of which no
    replicate finished is left out.
    """
    groups: dict[TrialConfig, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(configuration_of(candidate.config), []).append(candidate)
    ranked = [_ranked(key, group) for key, group in groups.items() if any(c.score is not None for c in group)]
    return sorted(ranked, key=lambda item: (bool(item.pruned), -item.mean_score, item.mean_loss))


def winner(candidates: Iterable[Candidate]) -> Candidate | None:
    """The trial whose model a run leaves: of the first configuration the replicate with the highest validation F1.

    Of equals the one with the lower loss. None where no trial finished.
    """
    by_id = {candidate.trial_id: candidate for candidate in candidates}
    ranked = rank(by_id.values())
    if not ranked:
        return None
    replicates = [by_id[trial_id] for trial_id in ranked[0].completed]
    return min(replicates, key=lambda one: (-(one.score or 0.0), one.loss or 0.0))


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


def varied_axes(records: Sequence[TrialRecord]) -> list[str]:
    """The hyperparameters, besides those that every table shows, that differ between the trials."""
    configs = [record.config.model_dump() for record in records]
    names = [name for name in (configs[0] if configs else {}) if name not in _NAMED | _FIXED]
    if len({config["epochs"] for config in configs}) > 1:
        names.append("epochs")
    return [name for name in names if len({config[name] for config in configs}) > 1]


def axis_values(records: Iterable[TrialRecord], axis: str) -> list[Any]:
    """The values that a hyperparameter has in these trials, numbers first, each kind ascending.

    Records lie in the order in which trials ended, which the next run would not repeat: what is shown goes by this.
    """
    return sorted({getattr(record.config, axis) for record in records}, key=_ascending)


def _ascending(value: Any) -> tuple[bool, Any]:
    numeric = isinstance(value, int | float)
    return not numeric, value if numeric else str(value)
