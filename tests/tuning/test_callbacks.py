"""What the driver writes down of a trial that Ray ends."""

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.factories import a_result
from tune_ner.config.loading import parse_space
from tune_ner.results.run_dir import RunDir
from tune_ner.tuning.callbacks import RecordWriter, heard_interrupts
from tune_ner.tuning.events import RunEvents
from tune_ner.tuning.experiment import prepare


def test_epochs_that_are_trained_again_count_once(tmp_path: Path) -> None:
    """As they are after a GPU ran out of memory: the trial begins anew with smaller steps."""
    experiment = prepare(
        parse_space({"data": "synthetic:60", "model": "tiny:1x32", "learning_rate": 1e-3, "epochs": 5}, "test")
    )
    folder = RunDir.available(tmp_path, "run")
    folder.create(experiment.space.to_yaml())
    record_writer = RecordWriter(experiment, folder, RunEvents())
    (config,) = experiment.trials
    trial = SimpleNamespace(trial_id="ray's", config=experiment.point(config))
    one, two = a_result((0.1, 0.2)).epochs
    for figures in (one, two, one, two):
        record_writer.on_trial_result(0, [], trial, {"figures": asdict(figures)})
    record_writer.on_trial_complete(0, [], trial)
    (record,) = folder.records()
    assert (record.status, record.curve) == ("pruned", (one, two))


def test_a_trial_whose_worker_died_before_it_began_is_tried_anew_while_there_are_tries(tmp_path: Path) -> None:
    """Tune tries trials again that ran, and gives up those for which it was making a used worker ready."""
    experiment = prepare(
        parse_space({"data": "synthetic:60", "model": "tiny:1x32", "learning_rate": [1e-3, 2e-3]}, "t")
    )
    folder = RunDir.available(tmp_path, "run")
    folder.create(experiment.space.to_yaml())
    record_writer = RecordWriter(experiment, folder, RunEvents())
    begun, waiting = (
        SimpleNamespace(trial_id=f"ray's {n}", config=experiment.point(trial), get_pickled_error=lambda: None)
        for n, trial in enumerate(experiment.trials)
    )
    record_writer.tries_left = 1
    record_writer.on_trial_start(0, [], begun)
    for trial in (begun, waiting):
        record_writer.on_trial_error(0, [], trial)
    assert [record.config for record in folder.records()] == [experiment.trials[0]]
    assert record_writer.never_begun() == [experiment.trials[1]]
    assert record_writer.never_begun() == []
    record_writer.tries_left = 0
    record_writer.on_trial_error(0, [], waiting)
    assert record_writer.never_begun() == []
    assert [record.status for record in folder.records()] == ["failed", "failed"]


def test_an_interrupt_that_nobody_heard_is_raised_once_more() -> None:
    before = signal.getsignal(signal.SIGINT)
    with heard_interrupts() as interrupts:
        interrupts.on_step_begin(0, [])
        with suppress(KeyboardInterrupt):  # as Python does in a destructor
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupts.on_step_begin(1, [])
    assert signal.getsignal(signal.SIGINT) is before


def test_a_grid_in_a_thread_leaves_interrupts_to_the_main_one() -> None:
    before = signal.getsignal(signal.SIGINT)

    def handler() -> object:
        with heard_interrupts():
            return signal.getsignal(signal.SIGINT)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(handler).result() is before
