"""Base class of trackers, which send a run to a server or a service while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import OutputError
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.training.result import EpochMetrics
from tune_ner.tuning.events import RunEvents, RunStart
from tune_ner.utils.text import one_line, redact

TrackerName = Literal["mlflow", "wandb", "trackio"]
TRACKER_NAMES: tuple[str, ...] = get_args(TrackerName)


class Tracker(RunEvents):
    """Sends the events of a run from a thread, so that no trial waits for a server.

    After the first error nothing more is sent: the run continues, and its records are complete. At the end of the run,
    or of a later session, a subclass sends the missing trials.

    Args:
        run_dir: the run folder.
        title: returns the title of a trial.
        note: called with a message after an error.
    """

    service: ClassVar[str]
    """Name of the service, for messages."""

    def __init__(self, run_dir: RunDir, title: Callable[[TrialConfig], str], note: Callable[[str], None]) -> None:
        self._run_dir = run_dir
        self._title = title
        self._note = note
        self._is_lost = False
        self._queue = ThreadPoolExecutor(1, self.service)

    def on_run_start(self, start: RunStart) -> None:
        """Start the run, or continue that of an earlier session."""
        self._submit(self._start_run)

    def on_trial_start(self, trial: TrialConfig) -> None:
        """Start a trial with its hyperparameters."""
        self._submit(self._start_trial, trial)

    def on_epoch_end(self, trial: TrialConfig, metrics: EpochMetrics) -> None:
        """Log the metrics of an epoch."""
        self._submit(self._log_epoch, trial, metrics)

    def on_trial_end(self, record: TrialRecord) -> None:
        """Log the result of a trial and end it."""
        self._submit(self._end_trial, record)

    def finish(self, results: Results, is_interrupted: bool) -> None:
        """Send the missing trials and the results of the run, and wait until all is sent."""
        self._submit(self._end_run, results, is_interrupted)
        self._queue.shutdown()

    def _submit(self, task: Callable[..., object], *arguments: Any) -> None:
        self._queue.submit(self._try, task, *arguments)

    def _try(self, task: Callable[..., object], *arguments: Any) -> None:
        if self._is_lost and task != self._end_run:
            return
        try:
            task(*arguments)
        except Exception as error:  # noqa: BLE001 - clients raise many classes; tracking must not stop the run
            self._is_lost = True
            self._note(f"{self.service} lost: {reason(error)}; the run continues and its records are complete")

    def _send_trial(self, record: TrialRecord) -> None:
        """Send a trial that ended."""
        self._start_trial(record.config)
        for epoch in record.curve:
            self._log_epoch(record.config, epoch)
        self._end_trial(record)

    def _start_run(self) -> object:
        raise NotImplementedError

    def _start_trial(self, trial: TrialConfig) -> object:
        raise NotImplementedError

    def _log_epoch(self, trial: TrialConfig, metrics: EpochMetrics) -> None:
        raise NotImplementedError

    def _end_trial(self, record: TrialRecord) -> None:
        raise NotImplementedError

    def _end_run(self, results: Results, is_interrupted: bool) -> None:
        raise NotImplementedError


def new_tracker(
    name: TrackerName, run_dir: RunDir, title: Callable[[TrialConfig], str], note: Callable[[str], None]
) -> Tracker:
    """Return the tracker of this name.

    Raises:
        OutputError: its client is not installed, or the service cannot be used.
    """
    if name == "mlflow":
        from tune_ner.tracking.mlflow import MlflowTracker

        return MlflowTracker(run_dir, title, note)
    if name == "wandb":
        from tune_ner.tracking.wandb import WandbTracker

        return WandbTracker(run_dir, title, note)
    if name == "trackio":
        from tune_ner.tracking.trackio import TrackioTracker

        return TrackioTracker(run_dir, title, note)
    raise OutputError(f"found the tracker {name!r}; expected one of {', '.join(TRACKER_NAMES)}")


def epoch_values(metrics: EpochMetrics) -> dict[str, float | None]:
    """Return the metrics of an epoch by name."""
    return {name: value for name, value in asdict(metrics).items() if name != "epoch"}


def trial_values(record: TrialRecord) -> dict[str, float | None]:
    """Return the final metrics of a trial by name."""
    metrics: dict[str, float | None] = {"seconds": record.seconds}
    if record.result:
        metrics["best_epoch"] = record.result.best_epoch
        for split_name, scores in record.result.metrics.items():
            metrics[f"{split_name}_span_f1"] = scores.spans.f1
            metrics[f"{split_name}_seqeval_f1"] = scores.seqeval.f1
    return metrics


def best_values(results: Results) -> dict[str, float | None]:
    """Return span F1 of the best configuration with its 95 % intervals."""
    return {
        f"best_{split_name}_span_f1{end}": value
        for best in results.entries[:1]
        for split_name, interval in (("validation", best.validation), ("test", best.test))
        for end, value in (("", interval.estimate), ("_low", interval.low), ("_high", interval.high))
    }


def finite(values: Mapping[str, float | None]) -> dict[str, float]:
    """Return the values that JSON can represent."""
    return {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}


def reason(error: Exception) -> str:
    """Return an error as a line without secrets."""
    return redact(one_line(error))[:300]


def tracker_file(run_dir: RunDir, name: TrackerName) -> Path:
    """Return the file in which a tracker notes what later sessions need."""
    return run_dir.path / f"{name}.json"
