"""Resumed runs, as far as they need no Ray; tests/integration has the rest."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.factories import a_result
from tune_ner.config.loading import parse_space
from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import RunFolderError
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.tuning import tuner
from tune_ner.tuning.experiment import Experiment, prepare
from tune_ner.tuning.options import FailureConfig, RunOptions, SchedulerConfig, SearchSettings
from tune_ner.tuning.tuner import run_experiment

RETRY = RunOptions(failures=FailureConfig(retry_failed=True))


class RayStartedError(Exception):
    """Raised instead of starting Ray."""


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def start(*_: Any) -> Iterator[str]:
        raise RayStartedError
        yield ""

    monkeypatch.setattr(tuner, "ray_session", start)


def prepared(**changes: Any) -> Experiment:
    space = {"data": "synthetic:60", "model": "tiny:1x32", "learning_rate": [1e-3, 2e-3], "epochs": 2, "seed": 7}
    return prepare(parse_space({**space, **changes}, "test"))


def a_run(folder: Path, experiment: Experiment, records: Sequence[TrialRecord]) -> RunDir:
    run_dir = RunDir.new(folder, "run")
    run_dir.create(experiment.space.to_yaml(), experiment.run_config(SchedulerConfig()))
    for record in records:
        run_dir.append(record, experiment.corpus, experiment.splits[None])
    return run_dir


def ended(trial: TrialConfig, phase: Any = "final", score: float = 0.5) -> TrialRecord:
    """Return a record without predicted spans."""
    if phase == "search":
        return TrialRecord.searched(trial, a_result((0.1, score)).epochs, 1.0)
    return TrialRecord.of(trial, "failed", 1.0, error="why")


def test_a_completed_grid_returns_its_records_in_the_order_of_the_grid(tmp_path: Path) -> None:
    experiment = prepared()
    run_dir = a_run(tmp_path, experiment, [ended(trial) for trial in reversed(experiment.trials)])
    assert [record.config for record in run_experiment(experiment, run_dir)] == experiment.trials


def test_missing_and_failed_trials_are_run(tmp_path: Path) -> None:
    experiment = prepared()
    run_dir = a_run(tmp_path, experiment, [ended(experiment.trials[0])])
    with pytest.raises(RayStartedError):
        run_experiment(experiment, run_dir)
    run_dir.append(ended(experiment.trials[1]), experiment.corpus, experiment.splits[None])
    run_experiment(experiment, run_dir)
    with pytest.raises(RayStartedError):
        run_experiment(experiment, run_dir, options=RETRY)


def test_a_truncated_record_is_removed_and_its_trial_run_again(tmp_path: Path) -> None:
    experiment = prepared()
    run_dir = a_run(tmp_path, experiment, [ended(trial) for trial in experiment.trials])
    complete = run_dir.trials_file.read_text()
    run_dir.trials_file.write_text(complete[:-20])
    with pytest.raises(RayStartedError):
        run_experiment(experiment, run_dir)
    assert run_dir.trials_file.read_text() == complete.splitlines(keepends=True)[0]


@pytest.mark.parametrize("changes", [{"epochs": 3}, {"data": "synthetic:61"}])
def test_a_run_with_another_search_space_is_not_resumed(tmp_path: Path, changes: dict[str, Any]) -> None:
    run_dir = a_run(tmp_path, prepared(), [])
    with pytest.raises(RunFolderError):
        run_experiment(prepared(**changes), run_dir)


SEARCH = SearchSettings(trials=3, confirm=2, confirm_seeds=2)


def test_a_search_is_complete_when_its_best_configurations_are_confirmed(tmp_path: Path) -> None:
    experiment = prepared(learning_rate={"loguniform": [1e-4, 1e-2]}, seed=2)
    trials = [experiment.largest_trial("tiny:1x32", learning_rate=rate) for rate in (1e-3, 2e-3, 3e-3)]
    searched = [ended(trial, "search", score) for trial, score in zip(trials, (0.5, 0.3, 0.7), strict=True)]
    run_dir = a_run(tmp_path, experiment, searched)
    # the best two, with the first seeds that the search did not use
    confirmations = [trials[place].model_copy(update={"seed": seed}) for place in (2, 0) for seed in (1, 3)]
    for trial in confirmations:
        with pytest.raises(RayStartedError):
            run_experiment(experiment, run_dir, SEARCH)
        run_dir.append(ended(trial), experiment.corpus, experiment.splits[None])
    records = run_experiment(experiment, run_dir, SEARCH)
    assert [record.config for record in records] == [*trials, *confirmations]
    with pytest.raises(RayStartedError):
        run_experiment(experiment, run_dir, SearchSettings(trials=4, confirm=2, confirm_seeds=2))


def test_a_search_that_reached_its_target_is_complete_before_its_last_trial(tmp_path: Path) -> None:
    experiment = prepared(learning_rate={"loguniform": [1e-4, 1e-2]}, seed=2)
    trial = experiment.largest_trial("tiny:1x32", learning_rate=1e-3)
    run_dir = a_run(tmp_path, experiment, [ended(trial, "search", 0.7)])
    run_dir.append(ended(trial.model_copy(update={"seed": 1})), experiment.corpus, experiment.splits[None])
    run_experiment(experiment, run_dir, SearchSettings(target_f1=0.7, confirm_seeds=1))
    with pytest.raises(RayStartedError):
        run_experiment(experiment, run_dir, SearchSettings(target_f1=0.8, confirm_seeds=1))
