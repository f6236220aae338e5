"""Samplers without starting Ray."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from tests.factories import a_result
from tune_ner.config.loading import parse_space
from tune_ner.errors import StudyError
from tune_ner.results.records import TrialRecord
from tune_ner.tuning import samplers
from tune_ner.tuning.experiment import Experiment, prepare
from tune_ner.tuning.options import SAMPLERS, SearchSettings
from tune_ner.tuning.samplers import GridSampler, StudySampler
from tune_ner.tuning.trainable import FAILED, trial_of

SPACE: dict[str, Any] = {
    "data": "synthetic:60",
    "model": "tiny:1x32",
    "tagging_scheme": ["BIO", "BIOES"],
    "learning_rate": {"loguniform": [1e-4, 1e-2]},
    "batch_size": {"int": [4, 8]},
    "epochs": 2,
    "seed": 7,
    "initial_points": {"learning_rate": ["1e-3", 2e-3], "batch_size": 4},
}


def experiment(**changes: Any) -> Experiment:
    return prepare(parse_space({**SPACE, **changes}, "here"))


def study(folder: Path | None, run: str = "run", sampler: str = "tpe", seed: int = 0, **changes: Any) -> StudySampler:
    """Open a study, shared by all runs in the folder; without a folder, in memory."""
    settings = SearchSettings(sampler=sampler, sampler_seed=seed, study="name")
    storage = f"sqlite:///{folder / 'study.db'}" if folder else "sqlite://"
    return StudySampler(experiment(**changes), settings, storage, run)


def a_session(folder: Path | None = None, **options: Any) -> StudySampler:
    """Open a study for a session without earlier trials."""
    sampler = study(folder, **options)
    sampler.resume([])
    return sampler


def point(sampler: StudySampler, key: object) -> dict[str, Any]:
    """Return the next trial's values of the searched hyperparameters."""
    trial = sampler.next_trial(str(key))
    assert trial
    return {name: getattr(trial, name) for name in sampler.distributions}


def record_of(sampler: StudySampler, params: dict[str, Any], *scores: float) -> TrialRecord:
    return TrialRecord.searched(sampler.config(params), a_result(scores).epochs, 1.0)


def test_a_grid_returns_its_trials_in_order() -> None:
    trials = prepare(parse_space({**SPACE, "learning_rate": [1e-3, 2e-3], "batch_size": 4}, "here")).trials
    sampler = GridSampler(trials)
    suggested = [sampler.suggest(str(number)) for number in range(len(trials))]
    assert [trial_of(config) for config in suggested if config] == trials
    last: Any = sampler.suggest("another")
    assert last == "FINISHED"


def test_hyperparameters_with_several_values_are_searched() -> None:
    assert study(None).distributions == {
        "tagging_scheme": CategoricalDistribution(["BIO", "BIOES"]),
        "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "batch_size": IntDistribution(4, 8),
    }


def test_initial_points_are_tried_first() -> None:
    sampler = a_session()
    trials = [sampler.next_trial(str(number)) for number in range(2)]
    assert [(trial.learning_rate, trial.batch_size) for trial in trials if trial] == [(1e-3, 4), (2e-3, 4)]
    assert all(trial and trial.seed == 7 and trial.epochs == 2 for trial in trials)


@pytest.mark.parametrize("name", SAMPLERS)
def test_equal_seeds_give_equal_suggestions(name: str) -> None:
    def points(seed: int) -> list[Any]:
        sampler = a_session(sampler=name, seed=seed)
        found = []
        for number in range(12):
            found.append(point(sampler, number))
            sampler.on_trial_complete(str(number), {"validation_span_f1": found[-1]["learning_rate"] * 50})
        return found

    assert points(1) == points(1) != points(2)


def test_no_trial_is_suggested_twice_and_a_small_space_is_exhausted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune_ner.tuning.samplers._MAX_DUPLICATES", 50)
    sampler = a_session(sampler="random", learning_rate=1e-3, initial_points={})
    suggested: list[Any] = []
    while trial := sampler.next_trial(str(len(suggested))):
        sampler.on_trial_complete(str(len(suggested)), {"validation_span_f1": 0.5})
        suggested.append(trial)
    assert len({(trial.tagging_scheme, trial.batch_size) for trial in suggested}) == len(suggested) == 10


def test_a_failed_trial_has_no_score_in_the_study() -> None:
    sampler = a_session()
    for key in "abc":
        point(sampler, key)
    sampler.on_trial_complete("a", {"validation_span_f1": 0.0, FAILED: True})
    sampler.on_trial_complete("b", error=True)
    sampler.on_trial_complete("c", {"validation_span_f1": 0.0, FAILED: False})
    found = [(trial.state, trial.value) for trial in sampler.study.trials]
    assert found == [(TrialState.FAIL, None), (TrialState.FAIL, None), (TrialState.COMPLETE, 0.0)]


def test_the_study_has_the_scores_of_all_epochs_and_the_best_as_the_value_of_a_pruned_trial() -> None:
    sampler = a_session(initial_points={})
    point(sampler, "a")
    sampler.on_trial_result("a", {"epoch": 1, "validation_span_f1": 0.5})
    sampler.on_trial_complete("a", {"epoch": 2, "validation_span_f1": 0.25})
    (trial,) = sampler.study.trials
    assert (trial.value, trial.intermediate_values) == (0.5, {1: 0.5})


def test_after_a_crash_recorded_trials_are_completed_and_others_suggested_again(tmp_path: Path) -> None:
    first = a_session(tmp_path)
    done, lost, recorded = (point(first, number) for number in range(3))
    first.on_trial_complete("0", {"validation_span_f1": 0.25})
    records = [record_of(first, done, 0.25), record_of(first, recorded, 0.5, 0.75)]
    study(tmp_path, run="another").reconcile(records)
    assert [trial.state for trial in first.study.trials].count(TrialState.RUNNING) == 2
    again = study(tmp_path)
    again.resume(records)
    states = [(trial.state, trial.value) for trial in again.study.trials]
    assert states == [
        (TrialState.COMPLETE, 0.25),
        (TrialState.FAIL, None),
        (TrialState.COMPLETE, 0.75),
        (TrialState.WAITING, None),
    ]
    assert point(again, 0) == lost


def test_failed_trials_are_repeated_before_new_ones(tmp_path: Path) -> None:
    first = a_session(tmp_path, initial_points={})
    failed = point(first, 0)
    first.on_trial_complete("0", error=True)
    again = study(tmp_path, initial_points={})
    again.resume([], [TrialRecord.of(first.config(failed), "failed", 1.0, error="why")])
    assert point(again, 0) == failed


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"learning_rate": {"loguniform": [1e-4, 1e-1]}}, r"  learning_rate: .*0\.01.* in the study, .*0\.1.* here"),
        ({"data": "synthetic:70"}, r"  data: \w+ in the study, \w+ here"),
        ({"epochs": 3}, r"  epochs: \[2\] in the study, \[3\] here"),
    ],
)
def test_a_study_with_another_search_space_is_refused_with_the_differences(
    tmp_path: Path, changes: dict[str, Any], line: str
) -> None:
    study(tmp_path)
    with pytest.raises(StudyError, match="study 'name' .*--study:\n" + line):
        study(tmp_path, **changes)


def test_a_study_of_another_program_is_refused(tmp_path: Path) -> None:
    import optuna

    url = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(storage=url, study_name="name").optimize(lambda trial: trial.suggest_float("x", 0, 1), 1)
    with pytest.raises(StudyError, match="nothing in the study"):
        study(tmp_path)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////no/such/folder/study.db", "sqlite:////no/such/folder/study.db"),
        ("nonsense", "nonsense"),
        ("postgresql://me:secret@localhost:1/db", r"postgresql://me:\*\*\*@localhost:1/db"),
        ("oracle99://x", "oracle99://x"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_reported_without_its_password(url: str, shown: str) -> None:
    with pytest.raises(StudyError, match=f"study storage {shown}: ") as caught:
        StudySampler(experiment(), SearchSettings(), url, "run")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_lock_of_another_process_is_waited_for(tmp_path: Path) -> None:
    sampler = a_session(tmp_path)
    blocker = sqlite3.connect(tmp_path / "study.db", isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    is_released = Event()

    def unlock() -> None:
        is_released.set()
        blocker.rollback()

    release = Timer(6.5, unlock)  # SQLite's own limit is five seconds
    release.start()
    assert sampler.next_trial("1") is not None
    assert is_released.is_set()
    release.join()
    blocker.close()


def test_a_lock_that_is_not_released_is_an_error_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers, "_LOCK_SECONDS", 1)
    sampler = a_session(tmp_path)
    trial = sampler.next_trial("1")
    blocker = sqlite3.connect(tmp_path / "study.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    calls: list[Callable[[], object]] = [
        lambda: sampler.next_trial("2"),
        lambda: sampler.on_trial_complete("1", {"validation_span_f1": 0.5}),
    ]
    assert trial
    for call in calls:
        with pytest.raises(StudyError, match=r"locked.*--name run"):
            call()
    blocker.rollback()
    blocker.close()
