from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.factories import a_failed_trial, a_record, a_run
from tests.results.simulated import simulated_run, simulated_trial
from tune_ner.errors import ModelError, RunFolderError
from tune_ner.results.run_results import Results, load_results, load_trials

SPACE = "data: synthetic\nmodel: tiny:1x32\nlearning_rate: [1.0e-3, 2.0e-3]\n"


def test_results_of_a_run_folder(tmp_path: Path) -> None:
    a_run(tmp_path, [a_record((0.5,), seed=1), a_failed_trial(seed=2)], "first", SPACE)
    for path in (tmp_path / "first", str(tmp_path / "first")):
        results = load_results(path)
        assert (results.name, results.planned_trials, results.space_problem) == ("first", 2, "")
        assert results.trials()["status"].tolist() == ["completed", "failed"]
        assert len(results.leaderboard()) == len(results.entries) == 1
        assert len(results.curves()) == len(results.timings()) == 1
        assert results.failures
        assert results.search is None
        assert results.space
        assert results.space.learning_rate == [1e-3, 2e-3]


def test_unknown_search_space_has_a_reason(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path, [a_record()], space="model: []\n")
    assert Results(run_dir).space is None
    assert "model" in Results(run_dir).space_problem
    run_dir.space_file.unlink()
    assert "space.yaml" in Results(run_dir).space_problem
    assert Results(run_dir).planned_trials == 1


def test_records_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_dir = a_run(tmp_path, [a_record()])
    read = Mock(wraps=Path.read_bytes)
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path))
    results = Results(run_dir)
    assert len(results.records) == len(run_dir.records()) == len(Results(run_dir).records) == 1
    assert read.call_count == 1


def test_trials_of_a_folder_of_runs(tmp_path: Path) -> None:
    a_run(tmp_path, [a_record((0.5,), seed=1), a_failed_trial(seed=2)], "first")
    a_run(tmp_path, [a_record((0.7,), batch_size=size) for size in (8, 16)], "second")
    (tmp_path / "notes").mkdir()
    trials = load_trials(tmp_path)
    assert trials["run"].tolist() == ["first", "first", "second", "second"]
    assert trials["batch_size"].dropna().tolist() == [8, 16]
    assert list(trials.columns[:4]) == ["run", "Model", "Tagging Scheme", "Learning Rate"]


def test_missing_empty_and_corrupt_folders_are_errors(tmp_path: Path) -> None:
    for load in (load_results, load_trials):
        with pytest.raises(RunFolderError):
            load(tmp_path / "nowhere")
        with pytest.raises(RunFolderError):
            load(tmp_path)
    run_dir = a_run(tmp_path, [a_record((0.5,))])
    run_dir.trials_file.write_text("{}\n")
    with pytest.raises(RunFolderError, match=r"trials\.jsonl:1"):
        load_trials(tmp_path)
    with pytest.raises(RunFolderError, match=r"trials\.jsonl:1"):
        load_results(run_dir.path)


@pytest.mark.parametrize("path", ["~nobody-of-this-name/results", "x" * 300])
def test_impossible_path_is_an_error(path: str) -> None:
    for load in (load_results, load_trials):
        with pytest.raises(RunFolderError):
            load(path)


def test_run_without_a_model_has_no_best_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model"):
        _ = Results(a_run(tmp_path, [a_record()])).best_model


def test_a_run_of_other_library_versions_can_be_read(tmp_path: Path) -> None:
    records = [simulated_trial(share, learning_rate=rate) for share, rate in ((0.5, 1e-3), (0.8, 2e-3))]
    ids = ["0123456789ab", "ba9876543210"]
    records = [record.model_copy(update={"trial_id": key}) for record, key in zip(records, ids, strict=True)]
    results = simulated_run(tmp_path, records)
    assert [record.trial_id for entry in results.entries for record in entry.records] == ids[::-1]
    assert results.summary
    assert results.compared_effects
