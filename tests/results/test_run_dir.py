import errno
import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.factories import CORPUS, SPLIT, a_failure, a_record, a_stopped_trial
from tune_ner.errors import RunFolderError
from tune_ner.results.run_dir import RunDir


@pytest.fixture
def folder(tmp_path: Path) -> RunDir:
    made = RunDir.available(tmp_path / "results", "run-1")
    made.create("model: [x]\n")
    return made


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a/b", "a\\b", "-x", "å", "a b", "x" * 101, "a\n"])
def test_a_name_that_could_leave_the_results_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunFolderError, match="expected letters, digits"):
        RunDir.available(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_asking_for_a_folder_creates_nothing(tmp_path: Path) -> None:
    RunDir.available(tmp_path / "results", "run-1")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_run_is_not_written_over(folder: RunDir) -> None:
    with pytest.raises(RunFolderError, match="exists; choose another --name"):
        RunDir.available(folder.path.parent, "run-1")


@pytest.mark.parametrize("results_dir", ["~nobody-of-this-name/results", "x" * 300])
def test_a_results_folder_that_cannot_be_is_refused(results_dir: str) -> None:
    with pytest.raises(RunFolderError, match="cannot be read"):
        RunDir.available(results_dir, "run-1", may_go_on=True)


def test_a_results_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(RunFolderError, match="cannot be written to"):
        RunDir.available(tmp_path / "results", "run-1")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_results_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunFolderError, match="cannot be written to"):
        RunDir.available(tmp_path / "results", "run-1")


def test_records_come_back_as_they_were_written(folder: RunDir) -> None:
    written = [a_record((0.2, 0.5), seed=1), a_failure(seed=2), a_stopped_trial(seed=3)]
    for record in written:
        folder.append(record, CORPUS, SPLIT)
    read = folder.records()
    assert [record.model_dump(exclude={"result": {"predicted_spans"}}) for record in read] == [
        record.model_dump(exclude={"result": {"predicted_spans"}}) for record in written
    ]


def test_a_record_is_one_line_without_its_predicted_spans(folder: RunDir) -> None:
    folder.append(a_record(), CORPUS, SPLIT)
    lines = folder.trials_file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1
    assert "spans" not in json.loads(lines[0])["result"]


def test_predictions_stand_beside_gold_and_text(folder: RunDir) -> None:
    record = a_record()
    folder.append(record, CORPUS, SPLIT)
    rows = [json.loads(line) for line in (folder.predictions / f"{record.trial_id}.jsonl").open(encoding="utf-8")]
    assert rows == [
        {
            "split": "validation",
            "index": 1,
            "id": "b",
            "text": CORPUS.sentences[1].text,
            "gold": [[10, 17, "DRUG"]],
            "predicted": [[10, 17, "DRUG"]],
        },
        {
            "split": "test",
            "index": 2,
            "id": "c",
            "text": CORPUS.sentences[2].text,
            "gold": [[9, 15, "BODY"]],
            "predicted": [],
        },
    ]


def test_a_failed_trial_leaves_no_predictions(folder: RunDir) -> None:
    folder.append(a_failure(), CORPUS, SPLIT)
    assert list(folder.predictions.iterdir()) == []


def test_a_stopped_trial_leaves_its_epochs_and_no_use_of_the_test_part(folder: RunDir) -> None:
    folder.append(a_stopped_trial((0.1, 0.2)), CORPUS, SPLIT)
    (record,) = folder.records()
    assert [epoch.validation_seqeval_f1 for epoch in record.curve] == [0.1, 0.2]
    assert list(folder.predictions.iterdir()) == []
    assert not (folder.path / "test_uses.jsonl").exists()


def test_a_line_that_is_no_record_is_named(folder: RunDir) -> None:
    folder.append(a_record(), CORPUS, SPLIT)
    with folder.trials_file.open("a") as file:
        file.write('{"trial_id": "torn\n')
    with pytest.raises(RunFolderError, match=r"trials\.jsonl:2: no trial record"):
        folder.records()


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no run"):
        RunDir(tmp_path).records()


def test_a_torn_last_line_is_dropped_and_others_can_follow(folder: RunDir) -> None:
    folder.append(a_record(), CORPUS, SPLIT)
    folder.append(a_failure("ont i h\u00e4len", seed=2), CORPUS, SPLIT)
    whole = folder.trials_file.read_bytes()
    for end in (len(whole) - 2, whole.index("\u00e4".encode()) + 1):  # within a line, within a character
        folder.trials_file.write_bytes(whole[:end])
        assert folder.torn
        assert [record.status for record in folder.records()] == ["completed"]
        assert folder.mend_last_line()
        assert not folder.torn
        folder.append(a_failure(seed=3), CORPUS, SPLIT)
        assert [record.config.seed for record in folder.records()] == [42, 3]


def test_a_last_line_that_lacks_its_end_alone_is_read(folder: RunDir) -> None:
    folder.append(a_failure(), CORPUS, SPLIT)
    folder.trials_file.write_bytes(folder.trials_file.read_bytes().rstrip(b"\n"))
    assert len(folder.records()) == 1
    assert not folder.mend_last_line()
    folder.append(a_failure(seed=2), CORPUS, SPLIT)
    assert len(folder.records()) == 2


def test_the_last_record_of_a_trial_counts(folder: RunDir) -> None:
    folder.append(a_failure(seed=1), CORPUS, SPLIT)
    folder.append(a_failure(seed=2), CORPUS, SPLIT)
    folder.append(a_record(seed=1), CORPUS, SPLIT)
    assert [(record.config.seed, record.status) for record in folder.records()] == [(2, "failed"), (1, "completed")]


def test_a_record_that_does_not_fit_the_disk_leaves_no_half_line(
    folder: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.append(a_failure(seed=1), CORPUS, SPLIT)
    before = folder.trials_file.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tune_ner.results.run_dir.os.fsync", full)
    with pytest.raises(RunFolderError, match="cannot be written: No space left"):
        folder.append(a_failure(seed=2), CORPUS, SPLIT)
    assert folder.trials_file.read_bytes() == before


def test_a_folder_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tune_ner.results.run_dir.os.fsync", full)
    with pytest.raises(RunFolderError, match="cannot be created: No space left"):
        RunDir.available(tmp_path, "other").create("model: x\n")
    assert list(tmp_path.iterdir()) == []


def test_a_record_of_a_newer_format_is_told(folder: RunDir) -> None:
    folder.append(a_failure(), CORPUS, SPLIT)
    row = json.loads(folder.trials_file.read_text(encoding="utf-8")) | {"format": 3, "status": "paused"}
    folder.trials_file.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"trials\.jsonl:1: .*newer version .*format 3, expected 2"):
        folder.records()


def test_a_record_without_scores_of_spans_is_told(folder: RunDir) -> None:
    folder.append(a_record(), CORPUS, SPLIT)
    row = json.loads(folder.trials_file.read_text(encoding="utf-8"))
    row["result"]["metrics"] = {}
    folder.trials_file.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"trials\.jsonl:1: .*result\.metrics lacks validation, test"):
        folder.records()


def test_a_trial_that_diverged_leaves_a_record_that_can_be_read(folder: RunDir) -> None:
    record = a_record()
    assert record.result
    diverged = record.model_copy(update={"result": replace(record.result, test_loss=math.nan, train_loss=math.inf)})
    folder.append(diverged, CORPUS, SPLIT)
    (read,) = folder.records()
    assert read.result
    assert math.isnan(read.result.test_loss)
    assert read.result.train_loss == math.inf


def test_only_what_a_run_left_is_an_existing_run(folder: RunDir, tmp_path: Path) -> None:
    assert RunDir.existing(folder.path).name == "run-1"
    (tmp_path / "empty").mkdir()
    for path, expected in [
        (tmp_path / "nowhere", "no such folder"),
        (tmp_path / "empty", "it is empty"),
        (folder.space_file, "no run folder but a file"),
        (tmp_path, "no trials.jsonl in it"),
        (folder.path.parent, "it holds runs: run-1; name one of them"),
        (tmp_path / ("x" * 5000), "cannot be read"),
        (Path("~nobody-of-this-name"), "cannot be read"),
    ]:
        with pytest.raises(RunFolderError, match=expected):
            RunDir.existing(path)


@pytest.mark.parametrize("content", ["{", "3", "[3]", '[{"fold": null}]', '{"fold": {}}'])
def test_a_faulty_audit_is_told(folder: RunDir, content: str) -> None:
    folder.audit_file.write_text(content, encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"audit\.json: no audit"):
        folder.audits()


@pytest.mark.parametrize("odd", ["A\u2028B", "A\u0085B", "A\u2029B"])
def test_line_ends_other_than_line_feeds_do_not_tear_a_record(folder: RunDir, odd: str) -> None:
    folder.append(a_failure(f"the model {odd} is gone"), CORPUS, SPLIT)
    assert [record.error for record in folder.records()] == [f"the model {odd} is gone"]


def test_a_record_that_cannot_be_written_is_told(folder: RunDir) -> None:
    shutil.rmtree(folder.path)
    with pytest.raises(RunFolderError, match="cannot be written"):
        folder.append(a_record(), CORPUS, SPLIT)
