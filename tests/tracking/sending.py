"""What tests of trackers share: events as a run sends them."""

from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.tracking.tracker import Tracker
from tune_ner.tuning.events import RunStart
from tune_ner.tuning.resources import TrialResources


def title(trial: TrialConfig) -> str:
    return trial.titled()


def no_note(message: str) -> None:
    raise AssertionError(message)


def send(tracker: Tracker, *records: TrialRecord) -> None:
    """Call the tracker as a run does."""
    tracker.on_run_start(RunStart(TrialResources(1, 0.0, 1)))
    for record in records:
        tracker.on_trial_start(record.config)
        for epoch in record.curve:
            tracker.on_epoch_end(record.config, epoch)
        tracker.on_trial_end(record)
