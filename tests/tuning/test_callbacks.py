"""Records that the driver writes, and signals that it handles, without starting Ray."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from tests.factories import a_result
from tune_ner.config.loading import parse_space
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.tuning import callbacks
from tune_ner.tuning.callbacks import RecordWriter, Watchdog, handle_interrupts
from tune_ner.tuning.events import RunEvents
from tune_ner.tuning.experiment import Experiment, prepare
from tune_ner.tuning.resources import memory_kills
from tune_ner.tuning.trainable import tune_config


def a_writer(tmp_path: Path, **changes: Any) -> tuple[RecordWriter, RunDir, Experiment]:
    space = {"data": "synthetic:60", "model": "tiny:1x32", "learning_rate": 1e-3, "epochs": 5, **changes}
    experiment = prepare(parse_space(space, "test"))
    run_dir = RunDir.new(tmp_path, "run")
    run_dir.create(experiment.space.to_yaml())
    return RecordWriter(experiment, run_dir, RunEvents(), []), run_dir, experiment


def test_epochs_that_are_trained_twice_are_recorded_once(tmp_path: Path) -> None:
    """A trial that ran out of GPU memory starts over with smaller steps."""
    writer, run_dir, experiment = a_writer(tmp_path)
    trial = SimpleNamespace(trial_id="key", config=tune_config(experiment.trials[0]))
    one, two = a_result((0.1, 0.2)).epochs
    for metrics in (one, two, one, two):
        writer.on_trial_result(0, [], trial, {"metrics": asdict(metrics)})
    writer.on_trial_complete(0, [], trial)
    (record,) = run_dir.records()
    assert (record.config, record.status, record.curve) == (experiment.trials[0], "pruned", (one, two))


def test_a_worker_that_dies_before_its_trial_starts_is_not_a_failure_while_retries_are_left(tmp_path: Path) -> None:
    """Ray Tune retries trials that were running, but not those for which it was preparing a used worker."""
    writer, run_dir, experiment = a_writer(tmp_path, learning_rate=[1e-3, 2e-3])
    started, waiting = (
        SimpleNamespace(trial_id=f"key-{n}", config=tune_config(trial), get_pickled_error=lambda: None)
        for n, trial in enumerate(experiment.trials)
    )
    writer.retries_left = 1
    writer.on_trial_start(0, [], started)
    for trial in (started, waiting):
        writer.on_trial_error(0, [], trial)
    assert [record.config for record in run_dir.records()] == [experiment.trials[0]]
    assert writer.take_never_started() == [experiment.trials[1]]
    assert writer.take_never_started() == []
    writer.retries_left = 0
    writer.on_trial_error(0, [], waiting)
    assert writer.take_never_started() == []
    assert [record.status for record in run_dir.records()] == ["failed", "failed"]


def test_a_second_record_of_a_trial_is_dropped(tmp_path: Path) -> None:
    """A worker may die after it has sent the record, and another runs the trial again."""
    writer, run_dir, experiment = a_writer(tmp_path)
    trial = SimpleNamespace(trial_id="key", config=tune_config(experiment.trials[0]))
    record = TrialRecord.searched(experiment.trials[0], a_result((0.5,)).epochs, 1.0)
    for _ in range(2):
        writer.on_trial_result(0, [], trial, {"record": record.model_dump_json()})
    assert run_dir.records() == [record]


def test_a_lost_interrupt_is_raised_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    with handle_interrupts() as interrupts:
        interrupts.on_step_begin(0, [])
        with suppress(KeyboardInterrupt):  # as Python does in a destructor
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.on_step_begin(1, [])
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_of_the_main_thread_signals_are_not_handled() -> None:
    before = signal.getsignal(signal.SIGINT)

    def handler() -> object:
        with handle_interrupts():
            return signal.getsignal(signal.SIGINT)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(handler).result() is before


@pytest.mark.parametrize(
    ("error", "kills", "expected"),
    [
        ("node lost\nmore", 0, "node lost"),
        (ValueError(), 0, "ValueError"),
        (None, 0, "its process ended before the trial began"),
        ("node lost", 1, "node lost (probably for lack of memory: "),
    ],
)
def test_the_record_says_why_a_worker_died(
    error: object, kills: int, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, run_dir, experiment = a_writer(tmp_path)
    already = memory_kills()
    monkeypatch.setattr(callbacks, "memory_kills", lambda: already + kills)
    config = tune_config(experiment.trials[0])
    trial = SimpleNamespace(trial_id="key", config=config, get_pickled_error=lambda: error)
    writer.on_trial_error(0, [trial], trial)
    (record,) = run_dir.records()
    assert str(record.error).startswith(f"the worker died: {expected}")
    assert ("memory" in str(record.error)) == bool(kills)


def test_only_the_attempt_that_the_watchdog_ended_is_blamed_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, run_dir, experiment = a_writer(tmp_path)
    watchdog = Watchdog(0.001, RunEvents())
    writer.watch(watchdog)
    killed: list[object] = []
    monkeypatch.setattr(ray, "kill", lambda actor, **_: killed.append(actor))
    trial = SimpleNamespace(
        trial_id="key",
        config=tune_config(experiment.trials[0]),
        status="RUNNING",
        temporary_state=SimpleNamespace(ray_actor="actor"),
        get_pickled_error=lambda: "node lost",
    )
    watchdog.on_trial_start(0, [trial], trial)
    time.sleep(0.01)
    watchdog.on_step_begin(0, [trial])
    watchdog.on_step_begin(0, [trial])
    assert (killed, watchdog.killed) == (["actor"], {"key"})
    watchdog.on_trial_start(0, [trial], trial)
    writer.on_trial_error(0, [trial], trial)
    (record,) = run_dir.records()
    assert record.error == "the worker died: node lost"
