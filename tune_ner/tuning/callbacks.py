"""Ray Tune callbacks of the driver: one writes the records, the other handles Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ray
from ray import tune

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import RunFolderError, Terminated
from tune_ner.results.records import Phase, Status, TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.training.result import EpochMetrics
from tune_ner.tuning.events import RunEvents
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.resources import memory_kills
from tune_ner.tuning.trainable import EPOCH_METRICS, trial_of


class RecordWriter(tune.Callback):
    """Writes the record of each trial that ends, and passes events on.

    Args:
        experiment: the experiment.
        run_dir: the run folder.
        events: listens to the run.
        records: the records of earlier sessions; those of this session are appended.

    Attributes:
        phase: phase of the trials that run now.
        retries_left: retries of trials whose worker died before they started; see `take_never_started`.
        error: error of a record that could not be written.
    """

    def __init__(self, experiment: Experiment, run_dir: RunDir, events: RunEvents, records: list[TrialRecord]) -> None:
        self.phase: Phase = "final"
        self.retries_left = 0
        self.error: RunFolderError | None = None
        self._experiment = experiment
        self._run_dir = run_dir
        self._events = events
        self._records = records
        # by Tune's key of a trial
        self._start_times: dict[str, float] = {}
        self._epochs: dict[str, list[EpochMetrics]] = {}
        self._recorded: set[str] = set()
        self._never_started: list[TrialConfig] = []
        self._watchdog: Watchdog | None = None
        self._memory_kills = memory_kills()

    def watch(self, watchdog: Watchdog) -> None:
        """Take the reason why a worker died from a watchdog that may have killed it."""
        self._watchdog = watchdog

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks to restore them, which is not used here.
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note the start of an attempt."""
        self._start_times[trial.trial_id] = time.perf_counter()
        self._events.on_trial_start(trial_of(trial.config))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Pass on an epoch, or write the record that the worker sent."""
        if "record" in result:
            self._write(trial, TrialRecord.model_validate_json(result.pop("record")))
        elif "metrics" in result:
            metrics = EPOCH_METRICS.validate_python(result.pop("metrics"))
            # A trial that ran out of GPU memory starts over with smaller steps, and so do its epochs.
            self._epochs.setdefault(trial.trial_id, [])[metrics.epoch - 1 :] = [metrics]
            self._events.on_epoch_end(trial_of(trial.config), metrics)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record a trial whose worker died; errors within a trial are in the record that its worker sends."""
        if trial.trial_id in self._recorded:
            return  # it died after it had sent the record
        if self.retries_left and trial.trial_id not in self._start_times:
            self._never_started.append(trial_of(trial.config))
            return
        self._write(trial, self._ended(trial, "failed", error=f"the worker died: {self._cause_of_death(trial)}"))

    def _cause_of_death(self, trial: Any) -> str:
        if self._watchdog and trial.trial_id in self._watchdog.killed:
            return f"killed, because it reported nothing for {self._watchdog.seconds:g} s (--trial-timeout)"
        error = trial.get_pickled_error()
        lines = str(error).strip().splitlines() if error else ["its process ended before the trial began"]
        cause = lines[0] if lines else type(error).__name__
        if memory_kills() > self._memory_kills:
            cause += " (probably for lack of memory: this machine killed processes for this reason during the run)"
        return cause

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record a trial that was pruned: it ends without a record from its worker."""
        if trial.trial_id not in self._recorded:
            epochs = tuple(self._epochs.get(trial.trial_id, []))
            self._write(trial, self._ended(trial, "pruned", epochs=epochs))

    def take_never_started(self) -> list[TrialConfig]:
        """Return, once, the trials that Tune gave up because the worker died while it was prepared for them."""
        trials, self._never_started = self._never_started, []
        return trials

    def _ended(self, trial: Any, status: Status, **outcome: Any) -> TrialRecord:
        now = time.perf_counter()
        seconds = now - self._start_times.get(trial.trial_id, now)
        return TrialRecord.of(trial_of(trial.config), status, seconds, phase=self.phase, **outcome)

    def _write(self, trial: Any, record: TrialRecord) -> None:
        if trial.trial_id in self._recorded:
            return  # its worker died after it had sent the record, and another ran the trial again
        self._recorded.add(trial.trial_id)
        self._epochs.pop(trial.trial_id, None)
        try:
            self._run_dir.append(record, self._experiment.corpus, self._experiment.splits[record.config.fold])
        except RunFolderError as error:
            self.error = error  # Tune replaces it by an error of its own
            raise
        if record.result:  # predictions are in a file of their own
            result = replace(record.result, predicted_spans={}, epoch_counts=(), probabilities=b"")
            record = record.model_copy(update={"result": result})
        self._records.append(record)
        self._events.on_trial_end(record)


class Watchdog(tune.Callback):
    """Kills workers that report nothing for a while, as one that waits for a disk or a network that is gone.

    Tune retries their trials as those of other workers that die.

    Attributes:
        seconds: longest time between the start and the first report, and between two reports.
        killed: Tune's keys of the trials whose last worker was killed.
    """

    def __init__(self, seconds: float, events: RunEvents) -> None:
        self.seconds = seconds
        self.killed: set[str] = set()
        self._events = events
        self._last: dict[str, float] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note the start of an attempt."""
        self._last[trial.trial_id] = time.monotonic()
        self.killed.discard(trial.trial_id)  # this attempt may fail for another reason

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        """Note a report."""
        self._last[trial.trial_id] = time.monotonic()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Forget a trial that ended."""
        self._last.pop(trial.trial_id, None)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Forget a trial that failed."""
        self._last.pop(trial.trial_id, None)

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Kill the workers that are late; Tune calls this repeatedly while trials run."""
        now = time.monotonic()
        for trial in trials:
            actor = trial.temporary_state.ray_actor
            late = now - self._last.get(trial.trial_id, now) > self.seconds
            if late and actor is not None and trial.status == "RUNNING":
                self._last.pop(trial.trial_id)  # until its next attempt starts
                self.killed.add(trial.trial_id)
                self._events.on_note(
                    f"no report of {trial_of(trial.config).trial_id} for {self.seconds:g} s: its worker is killed"
                )
                ray.kill(actor, no_restart=True)


class Interrupts(tune.Callback):
    """Raises KeyboardInterrupt (or Terminated after SIGTERM) again if the run continues after a signal.

    Python raises the first one anywhere. In a destructor, or in a callback from C, it is lost.
    """

    def __init__(self) -> None:
        self._received: type[KeyboardInterrupt] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def handle(self, number: int, frame: Any) -> None:
        """Handle SIGINT or SIGTERM."""
        self._received = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        raise self._received

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Check for a signal; Tune calls this repeatedly while trials run."""
        self.raise_again()

    def raise_again(self) -> None:
        """Raise what a signal requested, if there was one; another error may have replaced the first."""
        if self._received:
            raise self._received


@contextmanager
def handle_interrupts() -> Iterator[Interrupts]:
    """Handle Ctrl-C and SIGTERM by the callback; outside of the main thread, Python allows no signal handlers."""
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = {number: signal.signal(number, interrupts.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
