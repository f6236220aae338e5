"""The base class of trackers."""

from pathlib import Path
from typing import Any, cast

import pytest

from tests.factories import a_config
from tune_ner.errors import OutputError
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.tracking.tracker import Tracker, TrackerName, finite, new_tracker, tracker_file
from tune_ner.tuning.events import RunStart
from tune_ner.tuning.resources import TrialResources


class FailingTracker(Tracker):
    """Notes its calls; starting a trial fails."""

    service = "Server"

    def __init__(self, folder: Path) -> None:
        self.calls: list[str] = []
        self.notes: list[str] = []
        super().__init__(RunDir(folder), lambda trial: trial.title, self.notes.append)

    def _start_run(self) -> None:
        self.calls.append("start")

    def _start_trial(self, trial: Any) -> None:
        self.calls.append("trial")
        raise ConnectionError("token=hf_abcdefghijklmnopqrstuvwxyz\nline 2")

    def _end_run(self, results: Results, is_interrupted: bool) -> None:
        self.calls.append("end")


def test_after_an_error_only_the_end_of_the_run_is_sent(tmp_path: Path) -> None:
    tracker = FailingTracker(tmp_path)
    tracker.on_run_start(RunStart(TrialResources(1, 0.0, 1)))
    for seed in (1, 2):
        tracker.on_trial_start(a_config(seed=seed))
    tracker.finish(cast(Results, None), is_interrupted=False)
    assert tracker.calls == ["start", "trial", "end"]
    (note,) = tracker.notes
    assert note.startswith("Server lost: ")
    assert "abcdefghijklmnopqrstuvwxyz" not in note
    assert "\n" not in note


def test_values_that_json_cannot_represent_are_left_out() -> None:
    assert finite({"a": 1, "b": None, "c": float("nan"), "d": float("inf"), "e": 0.5}) == {"a": 1.0, "e": 0.5}


def test_unknown_trackers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="expected one of mlflow, wandb, trackio"):
        new_tracker(cast(TrackerName, "comet"), RunDir(tmp_path), str, print)


def test_files_of_trackers(tmp_path: Path) -> None:
    assert tracker_file(RunDir(tmp_path), "wandb") == tmp_path / "wandb.json"
