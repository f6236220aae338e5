"""Ranking configurations by validation. What it is given holds no test figure, so that none can steer it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord

_FIXED = frozenset({"data_fingerprint", "model_fingerprint", "precision", "fold"})
_NAMED = frozenset({"model", "tagging_scheme", "learning_rate", "seed", "epochs"})


@dataclass(frozen=True)
class Candidate:
    """What selection may know of a trial: its configuration, and its validation if it finished.

    A trial that the scheduler stopped has none: its last epoch is not to be laid beside the best of a whole trial.
    """

    trial_id: str
    config: TrialConfig
    validation_f1: float | None
    validation_loss: float | None
    stopped: bool = False

    @classmethod
    def of(cls, record: TrialRecord) -> Candidate:
        """The trial without its test figures; validation F1 is that of exact spans."""
        if record.result is None:
            return cls(record.trial_id, record.config, None, None, stopped=record.status == "stopped")
        best = record.result.epochs[record.result.best_epoch - 1]
        f1 = record.result.scores["validation"].spans.f1
        return cls(record.trial_id, record.config, f1, best.loss)


@dataclass(frozen=True)
class RankedConfiguration:
    """A configuration with its replicates, which differ in seed and fold alone.

    `deviation` is the standard deviation over the finished replicates (ddof 1), None where there is one.
    """

    configuration: TrialConfig
    finished: tuple[str, ...]
    failed: tuple[str, ...]
    stopped: tuple[str, ...]
    mean_f1: float
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
    ranked = [_ranked(key, group) for key, group in groups.items() if any(c.validation_f1 is not None for c in group)]
    return sorted(ranked, key=lambda item: (bool(item.stopped), -item.mean_f1, item.mean_loss))


def winner(candidates: Iterable[Candidate]) -> Candidate | None:
    """The trial whose model a run leaves: of the first configuration the replicate with the highest validation F1.

    Of equals the one with the lower loss. None where no trial finished.
    """
    by_id = {candidate.trial_id: candidate for candidate in candidates}
    ranked = rank(by_id.values())
    if not ranked:
        return None
    replicates = [by_id[trial_id] for trial_id in ranked[0].finished]
    return min(replicates, key=lambda one: (-(one.validation_f1 or 0.0), one.validation_loss or 0.0))


def _ranked(configuration: TrialConfig, group: list[Candidate]) -> RankedConfiguration:
    scores = [candidate.validation_f1 for candidate in group if candidate.validation_f1 is not None]
    losses = [candidate.validation_loss for candidate in group if candidate.validation_loss is not None]
    return RankedConfiguration(
        configuration=configuration,
        finished=tuple(c.trial_id for c in group if c.validation_f1 is not None),
        failed=tuple(c.trial_id for c in group if c.validation_f1 is None and not c.stopped),
        stopped=tuple(c.trial_id for c in group if c.stopped),
        mean_f1=fmean(scores),
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
