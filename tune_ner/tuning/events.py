"""What a run tells while it goes on."""

from __future__ import annotations

from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_log import LOGGER
from tune_ner.training.result import EpochMetrics
from tune_ner.tuning.resources import TrialResources


class RunEvents:
    """A listener that hears nothing; a display overrides what it shows. Called in the driver's process."""

    def run_started(self, resources: TrialResources, dashboard: str) -> None:
        """Ray is up; `dashboard` is the address of its page, or empty where there is none."""

    def noted(self, what: str) -> None:
        """Something that a user should know: a sentence without its full stop."""

    def confirming(self, trials: int) -> None:
        """A search is over; this many trials of the best with fresh seeds are left."""

    def trial_started(self, trial: TrialConfig) -> None:
        """A worker took up a trial."""

    def epoch_ended(self, trial: TrialConfig, figures: EpochMetrics) -> None:
        """A trial was measured on validation."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial finished, failed or was stopped, and its record is on the disk."""


class Listeners(RunEvents):
    """Several listeners as one, told in their order."""

    def __init__(self, *listeners: RunEvents) -> None:
        self._listeners = listeners

    def run_started(self, resources: TrialResources, dashboard: str) -> None:
        """Tell each."""
        for listener in self._listeners:
            listener.run_started(resources, dashboard)

    def noted(self, what: str) -> None:
        """Tell each."""
        for listener in self._listeners:
            listener.noted(what)

    def confirming(self, trials: int) -> None:
        """Tell each."""
        for listener in self._listeners:
            listener.confirming(trials)

    def trial_started(self, trial: TrialConfig) -> None:
        """Tell each."""
        for listener in self._listeners:
            listener.trial_started(trial)

    def epoch_ended(self, trial: TrialConfig, figures: EpochMetrics) -> None:
        """Tell each."""
        for listener in self._listeners:
            listener.epoch_ended(trial, figures)

    def trial_ended(self, record: TrialRecord) -> None:
        """Tell each."""
        for listener in self._listeners:
            listener.trial_ended(record)


class LoggedEvents(RunEvents):
    """Writes what happens into the package's log."""

    def run_started(self, resources: TrialResources, dashboard: str) -> None:
        """What a trial gets, and where the dashboard is."""
        LOGGER.info(
            "run started: %d trials at once, each with %d CPUs and %g GPUs; dashboard %s",
            resources.concurrent,
            resources.cpus,
            resources.gpus,
            dashboard or "none",
        )

    def noted(self, what: str) -> None:
        """The note."""
        LOGGER.warning("%s", what)

    def confirming(self, trials: int) -> None:
        """How many trials."""
        LOGGER.info("%d trials confirm the best", trials)

    def trial_started(self, trial: TrialConfig) -> None:
        """Id and title."""
        LOGGER.info("trial %s started: %s", trial.trial_id, trial.title)

    def epoch_ended(self, trial: TrialConfig, figures: EpochMetrics) -> None:
        """The epoch's figures on validation."""
        LOGGER.info(
            "trial %s: epoch %d of %d, %s %.4f, loss %.4f",
            trial.trial_id,
            figures.epoch,
            trial.epochs,
            f"validation_{trial.selection_metric}",
            figures.score(trial.selection_metric),
            figures.validation_loss,
        )

    def trial_ended(self, record: TrialRecord) -> None:
        """How it ended, and why; a failure that is no user's mistake with its traceback."""
        why = "".join(f"\n{text}" for text in (record.error, record.traceback) if text)
        LOGGER.info("trial %s %s after %.1f s%s", record.trial_id, record.status, record.seconds, why)
