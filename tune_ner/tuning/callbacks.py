"""What the driver does while trials run: it writes their records, and hears Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter
from ray import tune

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import RunFolderError, Terminated
from tune_ner.results.records import Phase, Status, TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.training.result import EpochMetrics
from tune_ner.tuning.events import RunEvents
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.prometheus import RunGauges

_EPOCH = TypeAdapter(EpochMetrics)


class RecordWriter(tune.Callback):
    """Writes each trial's record in the driver, and passes on what happens.

    Attributes:
        records: of the trials that ended, in that order.
        error: why a record could not be written.
        tries_left: how often trials are tried anew whose worker died before they began; see `never_begun`.
    """

    def __init__(self, experiment: Experiment, folder: RunDir, events: RunEvents) -> None:
        self.run = folder.name
        self.checkpoints = folder.checkpoints.absolute()
        self._gauges = RunGauges(self.run, experiment.space.selection_metric, folder.records())
        self._experiment = experiment
        self._folder = folder
        self._events = events
        self._started: dict[str, float] = {}
        self._epochs: dict[str, list[EpochMetrics]] = {}
        self._recorded: set[str] = set()
        self.records: list[TrialRecord] = []
        self.error: RunFolderError | None = None
        self.tries_left = 0
        self.phase: Phase = "final"
        self._never_begun: list[TrialConfig] = []

    def __getstate__(self) -> dict[str, Any]:
        # Tune saves its callbacks for a restore of its own; the display cannot be pickled and is not needed there.
        return {}

    def expect(self, trials: int) -> None:
        """So many trials are about to be run."""
        self._gauges.expect(trials)

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker took the trial up."""
        self._started[trial.trial_id] = time.perf_counter()
        config = self._experiment.trial(trial.config)
        self._gauges.started(config.trial_id)
        self._events.trial_started(config)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch ended, or the trial with its record."""
        if "record" in result:
            self._record(trial, TrialRecord.model_validate_json(result.pop("record")))
        elif "figures" in result:
            config = self._experiment.trial(trial.config)
            figures = _EPOCH.validate_python(result.pop("figures"))
            # A trial that ran out of GPU memory begins anew with smaller steps, and its epochs with it.
            self._epochs.setdefault(trial.trial_id, [])[figures.epoch - 1 :] = [figures]
            self._gauges.measured(figures.score(config.selection_metric))
            self._events.epoch_ended(config, figures)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The worker itself died; what a trial raises ends in a record of its own."""
        if trial.trial_id in self._recorded:
            return  # it died after its work was done
        if self.tries_left and trial.trial_id not in self._started:
            self._never_begun.append(self._experiment.trial(trial.config))
            return
        cause = trial.get_pickled_error() or "no cause known"
        first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        self._record(trial, self._ended(trial, "failed", error=f"the worker died: {first}"))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial that ends without a record was stopped by the scheduler."""
        if trial.trial_id not in self._recorded:
            epochs = tuple(self._epochs.get(trial.trial_id, []))
            self._record(trial, self._ended(trial, "pruned", epochs=epochs))

    def never_begun(self) -> list[TrialConfig]:
        """Trials whose worker died while it was made ready for them, and which Tune gives up; each is given once."""
        found, self._never_begun = self._never_begun, []
        return found

    def _ended(self, trial: Any, status: Status, **outcome: Any) -> TrialRecord:
        config = self._experiment.trial(trial.config)
        return TrialRecord.of(config, status, self._seconds(trial), phase=self.phase, **outcome)

    def _seconds(self, trial: Any) -> float:
        return time.perf_counter() - self._started.get(trial.trial_id, time.perf_counter())

    def _record(self, trial: Any, record: TrialRecord) -> None:
        if trial.trial_id in self._recorded:
            return  # its worker died after its work was done, and another did it again
        self._recorded.add(trial.trial_id)
        self._epochs.pop(trial.trial_id, None)
        try:
            self._folder.append(record, self._experiment.corpus, self._experiment.splits[record.config.fold])
        except RunFolderError as error:
            self.error = error  # Tune raises another in its place
            raise
        self._gauges.ended(record)
        self.records.append(record if not record.result else _without_spans(record))
        self._events.trial_ended(record)


def _without_spans(record: TrialRecord) -> TrialRecord:
    """The record without its predicted spans, which lie in a file of their own."""
    assert record.result
    return record.model_copy(update={"result": replace(record.result, predicted_spans={})})


class Interrupts(tune.Callback):
    """Raises KeyboardInterrupt once more if Ctrl-C was pressed and the run still goes on; Terminated for SIGTERM.

    Where the first one is raised is a matter of chance. In a destructor, or in a callback that Python calls from C,
    nobody hears it.
    """

    def __init__(self) -> None:
        self._pressed: type[KeyboardInterrupt] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def press(self, number: int, frame: Any) -> None:
        """The handler of both signals."""
        self._pressed = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        raise self._pressed

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Called by Tune again and again while trials run."""
        self.raise_again()

    def raise_again(self) -> None:
        """Raise what a signal asked for, if there was one; what is between may have raised another in its place."""
        if self._pressed:
            raise self._pressed


@contextmanager
def heard_interrupts() -> Iterator[Interrupts]:
    """Ctrl-C and SIGTERM handled by the callback, where Python lets a handler be set: in the main thread."""
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = {number: signal.signal(number, interrupts.press) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
