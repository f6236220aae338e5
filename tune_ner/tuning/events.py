"""Events of a run, which displays, trackers and logs listen to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import isfunction
from typing import Any

from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_log import LOGGER
from tune_ner.training.result import EpochMetrics
from tune_ner.tuning.resources import TrialResources


@dataclass(frozen=True)
class RunStart:
    """Size and resources of a run when its first trial is about to start.

    Attributes:
        resources: resources of each trial.
        dashboard: address of Ray's dashboard; empty without one.
        trials: trials of the grid, or at most of the search; those of earlier sessions included.
        recorded: how many of them earlier sessions recorded.
        cost: summed `Experiment.cost` of the trials that are left; None for a search.
        seconds: time limit of a search.
        confirmations: trials at most that confirm the best configurations of a search.
    """

    resources: TrialResources
    dashboard: str = ""
    trials: int = 0
    recorded: int = 0
    cost: float | None = None
    seconds: float | None = None
    confirmations: int = 0


class RunEvents:
    """Base class of listeners: every event is ignored until a subclass overrides its method.

    The methods are called in the driver's process.
    """

    def on_run_start(self, start: RunStart) -> None:
        """Ray is ready and the run folder exists."""

    def on_note(self, message: str) -> None:
        """A message for the user: a sentence without a full stop."""

    def on_confirmation_start(self, trials: int) -> None:
        """A search is over; `trials` trials that confirm its best configurations follow."""

    def on_trial_start(self, trial: TrialConfig) -> None:
        """A worker started a trial."""

    def on_epoch_end(self, trial: TrialConfig, metrics: EpochMetrics) -> None:
        """A trial was measured on validation."""

    def on_trial_end(self, record: TrialRecord) -> None:
        """The record of a trial was written to disk."""


def _call_each(methods: Sequence[Callable[..., None]], *arguments: Any) -> None:
    for method in methods:
        method(*arguments)


class Listeners(RunEvents):
    """Several listeners as one; each event reaches them in their order."""

    def __init__(self, *listeners: RunEvents) -> None:
        for name in (name for name, method in vars(RunEvents).items() if isfunction(method)):
            setattr(self, name, partial(_call_each, [getattr(listener, name) for listener in listeners]))


class LoggedEvents(RunEvents):
    """Writes events to the package's log."""

    def on_run_start(self, start: RunStart) -> None:
        """Log the resources and the dashboard's address."""
        LOGGER.info(
            "run started: %d trials at once, each with %d CPUs and %g GPUs; dashboard %s",
            start.resources.concurrent,
            start.resources.cpus,
            start.resources.gpus,
            start.dashboard or "off",
        )

    def on_note(self, message: str) -> None:
        """Log the message as a warning."""
        LOGGER.warning("%s", message)

    def on_confirmation_start(self, trials: int) -> None:
        """Log the number of trials."""
        LOGGER.info("%d trials confirm the best configurations", trials)

    def on_trial_start(self, trial: TrialConfig) -> None:
        """Log the trial's id and title."""
        LOGGER.info("trial %s started: %s", trial.trial_id, trial.title)

    def on_epoch_end(self, trial: TrialConfig, metrics: EpochMetrics) -> None:
        """Log the validation score and loss."""
        LOGGER.info(
            "trial %s: epoch %d of %d, %s %.4f, loss %.4f",
            trial.trial_id,
            metrics.epoch,
            trial.epochs,
            f"validation_{trial.selection_metric}",
            metrics.score(trial.selection_metric),
            metrics.validation_loss,
        )

    def on_trial_end(self, record: TrialRecord) -> None:
        """Log the status and, for a failure, the error and its traceback."""
        details = "".join(f"\n{text}" for text in (record.error, record.traceback) if text)
        LOGGER.info("trial %s %s after %.1f s%s", record.trial_id, record.status, record.seconds, details)
