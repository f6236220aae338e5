"""Trackers of services that have runs in groups: one run for each trial, and one for the results."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import RunFolderError
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.tracking.tracker import Tracker, TrackerName, tracker_file
from tune_ner.utils.io import atomic_write, read_json


class RunPerTrialTracker(Tracker):
    """Logs hyperparameters, metrics by epoch and final metrics of each trial, and the leaderboard at the end.

    Texts, models and the report page are not sent. `NAME.json` in the run folder lists the trials that were sent, so
    that a later session sends the others.

    Args:
        run_dir, title, note: see `Tracker`.
    """

    name: ClassVar[TrackerName]

    def __init__(self, run_dir: RunDir, title: Callable[[TrialConfig], str], note: Callable[[str], None]) -> None:
        super().__init__(run_dir, title, note)
        self._file = tracker_file(run_dir, self.name)
        self._sent = self._read_sent()

    def _read_sent(self) -> dict[str, str]:
        """Return the status of the trials that earlier sessions sent, by trial id."""
        try:
            content = read_json(self._file)
        except RunFolderError:
            return {}
        return {str(trial): str(status) for trial, status in content.items()} if isinstance(content, dict) else {}

    def _start_run(self) -> None:
        """A group has no start of its own."""

    def _end_trial(self, record: TrialRecord) -> None:
        self._close_trial(record)
        self._sent[record.trial_id] = record.status
        atomic_write(self._file, json.dumps(self._sent, indent=1) + "\n")

    def _end_run(self, results: Results, is_interrupted: bool) -> None:
        for record in results.records:
            if self._sent.get(record.trial_id) != record.status:
                self._send_trial(record)
        self._send_results(results, results.space.model_dump(mode="json") if results.space else {}, is_interrupted)

    def _close_trial(self, record: TrialRecord) -> None:
        """Send the end of a trial."""
        raise NotImplementedError

    def _send_results(self, results: Results, space: dict[str, Any], is_interrupted: bool) -> None:
        """Send the leaderboard and the F1 of the best configuration."""
        raise NotImplementedError
