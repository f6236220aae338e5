"""TensorBoard files of a run's trials in the run folder."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_log import LOGGER
from tune_ner.training.result import EpochMetrics
from tune_ner.tuning.events import RunEvents

_NOT_LOGGED = {"epoch", "tokens"}
_NOT_HYPERPARAMETERS = {"data_fingerprint", "model_fingerprint"}


class TensorBoardFiles(RunEvents):
    """One event file per trial in `tensorboard/TITLE-ID/`: metrics by epoch, and at the end the hyperparameters.

    If the folder cannot be written, the run continues without these files.

    Args:
        run: the run folder.
        title: returns the title of a trial.
    """

    def __init__(self, run: Path, title: Callable[[TrialConfig], str]) -> None:
        self._folder = run / "tensorboard"
        self._title = title
        self._folders: dict[str, tuple[Path, float]] = {}  # with the time of the start
        self._writers: dict[str, Any] = {}
        self._is_broken = False

    def on_trial_start(self, trial: TrialConfig) -> None:
        """Remove the file of an earlier attempt; the trial's own is created when its first epoch ends."""
        name = re.sub(r"[^\w.+-]+", "_", self._title(trial).replace(" · ", "-"))
        self._try(self._open, trial.trial_id, self._folder / f"{name}-{trial.trial_id}")

    def on_epoch_end(self, trial: TrialConfig, metrics: EpochMetrics) -> None:
        """Add the metrics of an epoch."""
        self._try(self._add_epoch, trial.trial_id, metrics)

    def on_trial_end(self, record: TrialRecord) -> None:
        """Add the hyperparameters and the last metrics, and close the file."""
        self._try(self._close, record)

    def _try(self, write: Callable[..., None], *arguments: object) -> None:
        if self._is_broken:
            return
        try:
            write(*arguments)
        except OSError as error:
            self._is_broken = True
            LOGGER.warning("%s: TensorBoard files are not written any more: %s", self._folder, error)

    def _open(self, trial_id: str, folder: Path) -> None:
        if trial_id in self._writers:
            self._writers.pop(trial_id).close()
        shutil.rmtree(folder, ignore_errors=True)
        self._folders[trial_id] = folder, time.monotonic()

    def _add_epoch(self, trial_id: str, metrics: EpochMetrics) -> None:
        from tensorboardX.event_file_writer import EventsWriter  # imports torch, which takes seconds
        from tensorboardX.summary import scalar

        folder, start = self._folders[trial_id]
        if trial_id not in self._writers:
            folder.mkdir(parents=True, exist_ok=True)
            # not `SummaryWriter`: its thread and its handler at exit print tracebacks when the disk is full
            self._writers[trial_id] = EventsWriter(str(folder / "events"))
        writer = self._writers[trial_id]
        for tag, value in {**_scalars(metrics), "seconds": time.monotonic() - start}.items():
            _add(writer, scalar(tag, value), metrics.epoch)
        writer.flush()

    def _close(self, record: TrialRecord) -> None:
        self._folders.pop(record.trial_id, None)
        if record.trial_id not in self._writers:
            return
        from tensorboardX.summary import hparams

        writer = self._writers.pop(record.trial_id)
        if record.curve:
            parameters = record.config.model_dump(exclude=_NOT_HYPERPARAMETERS, exclude_none=True)
            for summary in hparams(parameters, _scalars(record.curve[-1])):
                _add(writer, summary)
        writer.close()


def _add(writer: Any, summary: Any, step: int = 0) -> None:
    from tensorboardX.proto.event_pb2 import Event

    writer.write_event(Event(wall_time=time.time(), step=step, summary=summary))


def _scalars(metrics: EpochMetrics) -> dict[str, float]:
    """Return the metrics of an epoch by their TensorBoard tag, for instance `validation/span_f1`."""
    return {
        name.replace("_", "/", 1): value
        for name, value in asdict(metrics).items()
        if name not in _NOT_LOGGED and value is not None
    }
