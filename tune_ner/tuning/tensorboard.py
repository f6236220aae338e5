"""The curves of a run's trials for TensorBoard, by Ray's own logger, in the run folder."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ray.tune.logger import TBXLoggerCallback

from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_log import LOGGER
from tune_ner.training.result import EpochMetrics
from tune_ner.tuning.events import RunEvents

_UNLOGGED = ("epoch", "tokens", "training_loss")
_UNNAMED = {"data_fingerprint", "model_fingerprint"}


_EVERY_EVENT = 1_000_000


@dataclass(eq=False)
class _LoggedTrial:
    """What Ray's logger asks of a trial: where its file goes, and its hyperparameters."""

    local_path: str
    evaluated_params: dict[str, Any]
    started: float = field(default_factory=time.monotonic)

    def init_local_path(self) -> None:
        """Make the folder. A trial that begins anew is told from its first epoch, so that its old file goes."""
        shutil.rmtree(self.local_path, ignore_errors=True)
        Path(self.local_path).mkdir(parents=True)


class TensorBoardFiles(RunEvents):
    """One event file a trial in `tensorboard/<title>-<id>/`: validation figures, losses and seconds by epoch, and the
    hyperparameters once it has ended.

    A folder that cannot be written ends the files, not the run.

    Args:
        run: the run folder.
        title: what a trial is called.
    """

    def __init__(self, run: Path, title: Callable[[TrialConfig], str]) -> None:
        self._folder = run / "tensorboard"
        self._title = title
        self._logger = _patient_logger()
        self._trials: dict[str, _LoggedTrial] = {}
        self._broken = False

    def trial_started(self, trial: TrialConfig) -> None:
        """Begin the trial's file."""
        name = re.sub(r"[^\w.+-]+", "_", self._title(trial).replace(" · ", "-"))
        parameters = trial.model_dump(exclude=_UNNAMED, exclude_none=True)
        logged = _LoggedTrial(str(self._folder / f"{name}-{trial.trial_id}"), parameters)
        self._trials[trial.trial_id] = logged
        self._write(self._logger.log_trial_start, logged)

    def epoch_ended(self, trial: TrialConfig, figures: EpochMetrics) -> None:
        """Add an epoch's figures."""
        logged = self._trials[trial.trial_id]
        result = {
            "training_iteration": figures.epoch,
            "validation": {
                name.removeprefix("validation_"): value
                for name, value in asdict(figures).items()
                if name not in _UNLOGGED
            },
            "seconds": time.monotonic() - logged.started,
            **({} if figures.training_loss is None else {"training": {"loss": figures.training_loss}}),
        }
        self._write(self._logger.log_trial_result, figures.epoch, logged, result)

    def trial_ended(self, record: TrialRecord) -> None:
        """Add the hyperparameters and close the file."""
        if logged := self._trials.pop(record.trial_id, None):
            self._write(self._logger.log_trial_end, logged, record.status == "failed")

    def _write(self, write: Callable[..., None], *arguments: object) -> None:
        if self._broken:
            return
        try:
            write(*arguments)
        except OSError as error:
            self._broken = True
            LOGGER.warning("%s: no more files for TensorBoard: %s", self._folder, error)


def _patient_logger() -> Any:
    """Ray's logger, whose writers never wait: one whose thread met a full disk would take ten events and no more."""
    logger: Any = TBXLoggerCallback()  # type: ignore[no-untyped-call]
    logger._summary_writer_cls = partial(logger._summary_writer_cls, max_queue=_EVERY_EVENT)
    return logger
