"""What a run tells while it goes on."""

from __future__ import annotations

from tune_ner.runs import TrialRecord
from tune_ner.training import EpochFigures, TrialConfig
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

    def epoch_ended(self, trial: TrialConfig, figures: EpochFigures) -> None:
        """A trial was measured on validation."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial finished, failed or was stopped, and its record is on the disk."""
