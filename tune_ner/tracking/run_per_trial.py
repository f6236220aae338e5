"""Trackers of services that have runs in groups: one run for each trial, and one for the results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import RunFolderError
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.tracking.tracker import (
    Tracker,
    TrackerName,
    best_values,
    epoch_values,
    finite,
    tracker_file,
    trial_values,
)
from tune_ner.training.result import EpochMetrics
from tune_ner.utils.io import atomic_write, read_json


class RunPerTrialTracker(Tracker):
    """Logs hyperparameters, metrics by epoch and final metrics of each trial, and the leaderboard at the end.

    Texts, models and the report page are not sent. `NAME.json` in the run folder lists the trials that were sent, so
    that a later session sends the others. A subclass opens and closes the runs of its client, whose `log(values, step)`
    and `Table(dataframe=…)` are those of W&B.

    Args:
        run_dir, title, note: see `Tracker`.
        client: the imported client.
    """

    name: ClassVar[TrackerName]

    def __init__(
        self, run_dir: RunDir, title: Callable[[TrialConfig], str], note: Callable[[str], None], client: Any
    ) -> None:
        super().__init__(run_dir, title, note)
        self._client = client
        self._file = tracker_file(run_dir, self.name)
        self._runs: dict[str, Any] = {}
        self._sent = self._read_sent()

    def _open(self, title: str, run_id: str, config: Mapping[str, Any]) -> Any:
        """Start a run of the service, or continue that of an earlier session."""
        raise NotImplementedError

    def _close(self, run: Any, values: Mapping[str, float], status: str, error: str | None, *, is_failed: bool) -> None:
        """End a run with its final metrics."""
        raise NotImplementedError

    def _read_sent(self) -> dict[str, str]:
        """Return the status of the trials that earlier sessions sent, by trial id."""
        try:
            content = read_json(self._file)
        except RunFolderError:
            return {}
        return {str(trial): str(status) for trial, status in content.items()} if isinstance(content, dict) else {}

    def _start_run(self) -> None:
        """A group has no start of its own."""

    def _start_trial(self, trial: TrialConfig) -> Any:
        if trial.trial_id not in self._runs:  # a retried trial starts again
            self._runs[trial.trial_id] = self._open(self._title(trial), trial.trial_id, trial.model_dump(mode="json"))
        return self._runs[trial.trial_id]

    def _log_epoch(self, trial: TrialConfig, metrics: EpochMetrics) -> None:
        self._start_trial(trial).log(finite(epoch_values(metrics)), step=metrics.epoch)

    def _end_trial(self, record: TrialRecord) -> None:
        run = self._start_trial(record.config)
        del self._runs[record.trial_id]
        is_failed = record.status in ("failed", "diverged")
        self._close(run, finite(trial_values(record)), record.status, record.error, is_failed=is_failed)
        self._sent[record.trial_id] = record.status
        atomic_write(self._file, json.dumps(self._sent, indent=1) + "\n")

    def _end_run(self, results: Results, is_interrupted: bool) -> None:
        for record in results.records:
            if self._sent.get(record.trial_id) != record.status:
                self._send_trial(record)
        for run in self._runs.values():  # of trials that an interrupt ended
            self._close(run, {}, "interrupted", None, is_failed=True)
        self._runs.clear()
        space = results.space
        run = self._open(f"{results.name}: results", "results", space.model_dump(mode="json") if space else {})
        run.log({"leaderboard": self._client.Table(dataframe=results.leaderboard().astype(str))})
        status = "interrupted" if is_interrupted else "completed"
        self._close(run, finite(best_values(results)), status, None, is_failed=is_interrupted)
