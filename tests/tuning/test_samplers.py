"""The Optuna study of a search, without a Ray that runs."""

from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from tests.factories import a_result
from tune_ner.config.loading import parse_space
from tune_ner.errors import StudyError
from tune_ner.results.records import TrialRecord
from tune_ner.tuning.experiment import Experiment, prepare
from tune_ner.tuning.samplers import SAMPLERS, Study, StudySearch, value_of
from tune_ner.tuning.schedulers import FAILED

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


def study(folder: Path, run: str = "run", **changes: Any) -> Study:
    return Study(experiment(**changes), f"sqlite:///{folder / 'study.db'}", "name", run)


def _suggested(search: StudySearch, number: int) -> Any:
    return search.suggest(str(number))


def record_of(study: Study, params: dict[str, Any], *f1: float) -> TrialRecord:
    return TrialRecord.searched(study.config(params), a_result(f1).epochs, 1.0)


def test_search_covers_hyperparameters_with_several_values() -> None:
    assert experiment().space.search_distributions == {
        "tagging_scheme": CategoricalDistribution(["BIO", "BIOES"]),
        "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "batch_size": IntDistribution(4, 8),
    }


def test_what_the_space_names_first_is_tried_first(tmp_path: Path) -> None:
    search = StudySearch(study(tmp_path), "tpe", 0)
    tried = [search.suggest(str(number)) for number in range(2)]
    assert [(point["learning_rate"], point["batch_size"]) for point in tried if point] == [(1e-3, 4), (2e-3, 4)]
    assert all(point and point["seed"] == 7 and point["epochs"] == 2 for point in tried)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_equal_seeds_suggest_alike_and_others_do_not(tmp_path: Path, sampler: str) -> None:
    def points(name: str, seed: int) -> list[Any]:
        (tmp_path / name).mkdir()
        search = StudySearch(study(tmp_path / name), sampler, seed)
        found = []
        for number in range(14):
            point = search.suggest(str(number))
            assert point
            found.append(point)
            search.on_trial_complete(str(number), {"validation_span_f1": point["learning_rate"] * 50})
        return found

    assert points("a", 1) == points("b", 1) != points("c", 2)


def test_no_point_is_suggested_twice_and_a_small_space_comes_to_its_end(tmp_path: Path) -> None:
    small = study(tmp_path, learning_rate=1e-3, initial_points={})
    search = StudySearch(small, "random", 0)
    suggested: list[Any] = []
    while (point := _suggested(search, len(suggested))) != "FINISHED":
        suggested.append(point)
        search.on_trial_complete(str(len(suggested) - 1), {"validation_span_f1": 0.5})
    points = {(point["tagging_scheme"], point["batch_size"]) for point in suggested if point}
    assert len(points) == len(suggested) == 10


def test_a_failed_trial_has_no_figure_in_the_study(tmp_path: Path) -> None:
    mine = study(tmp_path)
    search = StudySearch(mine, "tpe", 0)
    search.suggest("a")
    search.on_trial_complete("a", {"validation_span_f1": 0.0, FAILED: True})
    search.suggest("b")
    search.on_trial_complete("b", error=True)
    search.suggest("c")
    search.on_trial_complete("c", {"validation_span_f1": 0.0, FAILED: False})
    found = [(trial.state, trial.value) for trial in mine.study.trials]
    assert found == [(TrialState.FAIL, None), (TrialState.FAIL, None), (TrialState.COMPLETE, 0.0)]


def test_after_a_death_unfinished_trials_are_told_or_tried_again(tmp_path: Path) -> None:
    first = study(tmp_path)
    search = StudySearch(first, "tpe", 0)
    points = [search.suggest(str(number)) for number in range(3)]
    done, lost, recorded = ({name: point[name] for name in first.axes} for point in points if point)
    search.on_trial_complete("0", {"validation_span_f1": 0.25})
    records = [record_of(first, done, 0.25), record_of(first, recorded, 0.5, 0.75)]
    study(tmp_path, run="another").reconcile(records)
    assert [trial.state for trial in first.study.trials].count(TrialState.RUNNING) == 2
    again = study(tmp_path)
    again.reconcile(records)
    states = [(trial.state, trial.value) for trial in again.study.trials]
    assert states == [
        (TrialState.COMPLETE, 0.25),
        (TrialState.FAIL, None),
        (TrialState.COMPLETE, 0.75),
        (TrialState.WAITING, None),
    ]
    point = StudySearch(again, "tpe", 0, records).suggest("0")
    assert point
    assert {name: point[name] for name in again.axes} == lost


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"learning_rate": {"loguniform": [1e-4, 1e-1]}}, r"  learning_rate: .*0\.01.* there, .*0\.1.* here"),
        ({"data": "synthetic:70"}, r"  data: \w+ there, \w+ here"),
        ({"epochs": 3}, r"  epochs: \[2\] there, \[3\] here"),
    ],
)
def test_a_study_of_another_search_is_refused_with_the_differences(
    tmp_path: Path, changes: dict[str, Any], line: str
) -> None:
    study(tmp_path)
    with pytest.raises(
        StudyError, match="study 'name' is of another search; choose another --name or --storage:\\n" + line
    ):
        study(tmp_path, **changes)


def test_a_study_that_somebody_else_made_is_refused(tmp_path: Path) -> None:
    import optuna

    url = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(storage=url, study_name="name").optimize(lambda trial: trial.suggest_float("x", 0, 1), 1)
    with pytest.raises(StudyError, match="nothing there"):
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
def test_a_storage_that_cannot_be_opened_is_told_without_its_password(url: str, shown: str) -> None:
    with pytest.raises(StudyError, match=f"study storage {shown}: cannot be opened: ") as caught:
        Study(experiment(), url, "name", "run")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_trial_s_value_is_its_best_epoch_s_and_that_of_a_failed_one_is_none(tmp_path: Path) -> None:
    mine = study(tmp_path)
    config = mine.config({"tagging_scheme": "BIO", "learning_rate": 1e-3, "batch_size": 4})
    assert value_of(TrialRecord.searched(config, a_result((0.2, 0.6, 0.4)).epochs, 1.0)) == 0.6
    assert value_of(TrialRecord.of(config, "failed", 1.0, error="why")) is None
