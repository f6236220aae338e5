"""What the driver writes down of a trial that Ray ends."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

from tests.factories import a_result
from tune_ner.runs import RunFolder
from tune_ner.tuning import RunEvents, parse_space, prepare
from tune_ner.tuning.grid_run import _point, _Recorder


def test_epochs_that_are_trained_again_count_once(tmp_path: Path) -> None:
    """As they are after a GPU ran out of memory: the trial begins anew with smaller steps."""
    experiment = prepare(
        parse_space({"data": "synthetic:60", "model": "tiny:1x32", "learning_rate": 1e-3, "epochs": 5}, "test")
    )
    folder = RunFolder.available(tmp_path, "run")
    folder.create(experiment.space.to_yaml())
    recorder = _Recorder(experiment, folder, RunEvents())
    (config,) = experiment.trials
    trial = SimpleNamespace(trial_id="ray's", config=_point(experiment, config))
    one, two = a_result((0.1, 0.2)).epochs
    for figures in (one, two, one, two):
        recorder.on_trial_result(0, [], trial, {"figures": asdict(figures)})
    recorder.on_trial_complete(0, [], trial)
    (record,) = folder.records()
    assert (record.status, record.curve) == ("stopped", (one, two))
