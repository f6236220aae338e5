import errno
import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.factories import CORPUS, SPLIT, a_failed_trial, a_pruned_trial, a_record
from tune_ner.errors import RunFolderError, Terminated
from tune_ner.results.resume import lock_run
from tune_ner.results.run_dir import RunDir


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    made = RunDir.new(tmp_path / "results", "run-1")
    made.create("model: [x]\n")
    return made


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a/b", "a\\b", "-x", "å", "a b", "x" * 101, "a\n"])
def test_invalid_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunFolderError, match="expected letters, digits"):
        RunDir.new(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_new_run_folder_is_not_created_yet(tmp_path: Path) -> None:
    RunDir.new(tmp_path / "results", "run-1")
    assert list(tmp_path.iterdir()) == []


def test_existing_run_is_not_overwritten(run_dir: RunDir) -> None:
    with pytest.raises(RunFolderError, match="exists"):
        RunDir.new(run_dir.path.parent, "run-1")


@pytest.mark.parametrize("results_dir", ["~nobody-of-this-name/results", "x" * 300])
def test_impossible_results_folder_is_refused(results_dir: str) -> None:
    with pytest.raises(RunFolderError, match="cannot be read"):
        RunDir.new(results_dir, "run-1", resume=True)


def test_results_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(RunFolderError, match="cannot be written to"):
        RunDir.new(tmp_path / "results", "run-1")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_results_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunFolderError, match="cannot be written to"):
        RunDir.new(tmp_path / "results", "run-1")


def test_records_are_read_as_they_were_written(run_dir: RunDir) -> None:
    written = [a_record((0.2, 0.5), seed=1), a_failed_trial(seed=2), a_pruned_trial(seed=3)]
    for record in written:
        run_dir.append(record, CORPUS, SPLIT)
    read = run_dir.records()
    without: Any = {"result": {"predicted_spans", "epoch_counts", "probabilities"}}
    assert [record.model_dump(exclude=without) for record in read] == [
        record.model_dump(exclude=without) for record in written
    ]


def test_record_is_one_line_without_predicted_spans(run_dir: RunDir) -> None:
    run_dir.append(a_record(), CORPUS, SPLIT)
    lines = run_dir.trials_file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1
    assert not {"predicted_spans", "epoch_counts", "probabilities"} & set(json.loads(lines[0])["result"])


def test_predictions_are_written_with_gold_spans_and_text(run_dir: RunDir) -> None:
    record = a_record()
    run_dir.append(record, CORPUS, SPLIT)
    rows = [json.loads(line) for line in (run_dir.predictions / f"{record.trial_id}.jsonl").open(encoding="utf-8")]
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


def test_validation_rows_have_the_counts_of_each_epoch(run_dir: RunDir) -> None:
    record = a_record()
    assert record.result
    result = replace(record.result, epoch_counts=(((0, 1, 1),), ((1, 0, 0),)))
    run_dir.append(record.model_copy(update={"result": result}), CORPUS, SPLIT)
    assert run_dir.predictions_of(record.trial_id, "validation").epochs == [[(0, 1, 1), (1, 0, 0)]]
    assert run_dir.predictions_of(record.trial_id, "test").epochs == [[]]


def test_failed_trial_has_no_predictions(run_dir: RunDir) -> None:
    run_dir.append(a_failed_trial(), CORPUS, SPLIT)
    assert list(run_dir.predictions.iterdir()) == []


def test_pruned_trial_has_epochs_and_is_not_in_the_test_set_log(run_dir: RunDir) -> None:
    run_dir.append(a_pruned_trial((0.1, 0.2)), CORPUS, SPLIT)
    (record,) = run_dir.records()
    assert [epoch.validation_seqeval_f1 for epoch in record.curve] == [0.1, 0.2]
    assert list(run_dir.predictions.iterdir()) == []
    assert not (run_dir.path / "test_set_log.jsonl").exists()


def test_invalid_record_is_an_error_with_its_line(run_dir: RunDir) -> None:
    run_dir.append(a_record(), CORPUS, SPLIT)
    with run_dir.trials_file.open("a") as file:
        file.write('{"trial_id": "torn\n')
    with pytest.raises(RunFolderError, match=r"trials\.jsonl:2: invalid record"):
        run_dir.records()


def test_folder_without_records_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="not a run folder"):
        RunDir(tmp_path).records()


def test_truncated_last_record_is_ignored_and_can_be_repaired(run_dir: RunDir) -> None:
    run_dir.append(a_record(), CORPUS, SPLIT)
    run_dir.append(a_failed_trial("ont i h\u00e4len", seed=2), CORPUS, SPLIT)
    whole = run_dir.trials_file.read_bytes()
    for end in (len(whole) - 2, whole.index("\u00e4".encode()) + 1):  # within a line, within a character
        run_dir.trials_file.write_bytes(whole[:end])
        assert run_dir.is_truncated
        assert [record.status for record in run_dir.records()] == ["completed"]
        assert run_dir.repair_last_line()
        assert not run_dir.is_truncated
        run_dir.append(a_failed_trial(seed=3), CORPUS, SPLIT)
        assert [record.config.seed for record in run_dir.records()] == [42, 3]


def test_last_record_without_a_line_feed_is_read(run_dir: RunDir) -> None:
    run_dir.append(a_failed_trial(), CORPUS, SPLIT)
    run_dir.trials_file.write_bytes(run_dir.trials_file.read_bytes().rstrip(b"\n"))
    assert len(run_dir.records()) == 1
    assert not run_dir.repair_last_line()
    run_dir.append(a_failed_trial(seed=2), CORPUS, SPLIT)
    assert len(run_dir.records()) == 2


def test_last_record_of_a_trial_counts(run_dir: RunDir) -> None:
    run_dir.append(a_failed_trial(seed=1), CORPUS, SPLIT)
    run_dir.append(a_failed_trial(seed=2), CORPUS, SPLIT)
    run_dir.append(a_record(seed=1), CORPUS, SPLIT)
    assert [(record.config.seed, record.status) for record in run_dir.records()] == [(2, "failed"), (1, "completed")]


def test_full_disk_leaves_no_partial_record(run_dir: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    run_dir.append(a_failed_trial(seed=1), CORPUS, SPLIT)
    before = run_dir.trials_file.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFolderError, match="cannot be written: No space left"):
        run_dir.append(a_failed_trial(seed=2), CORPUS, SPLIT)
    assert run_dir.trials_file.read_bytes() == before


def test_full_disk_leaves_no_partial_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFolderError, match=r"cannot be created: .*No space left"):
        RunDir.new(tmp_path, "other").create("model: x\n")
    assert list(tmp_path.iterdir()) == []


def test_record_of_another_format_is_refused(run_dir: RunDir) -> None:
    run_dir.append(a_failed_trial(), CORPUS, SPLIT)
    row = json.loads(run_dir.trials_file.read_text(encoding="utf-8")) | {"status": "paused"}
    for number, age in ((1, "older"), (3, "newer")):
        run_dir.trials_file.write_text(json.dumps({**row, "format": number}) + "\n", encoding="utf-8")
        with pytest.raises(RunFolderError, match=rf"trials\.jsonl:1: .*{age} version .*format {number}, expected 2"):
            run_dir.records()


def test_record_without_metrics_is_refused(run_dir: RunDir) -> None:
    run_dir.append(a_record(), CORPUS, SPLIT)
    row = json.loads(run_dir.trials_file.read_text(encoding="utf-8"))
    row["result"]["metrics"] = {}
    run_dir.trials_file.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"trials\.jsonl:1: .*result\.metrics lacks validation, test"):
        run_dir.records()


def test_record_with_infinite_loss_can_be_read(run_dir: RunDir) -> None:
    record = a_record()
    assert record.result
    diverged = record.model_copy(update={"result": replace(record.result, test_loss=math.nan, train_loss=math.inf)})
    run_dir.append(diverged, CORPUS, SPLIT)
    (read,) = run_dir.records()
    assert read.result
    assert str(read.result.test_loss) == "nan"
    assert read.result.train_loss == math.inf


def test_only_run_folders_can_be_opened(run_dir: RunDir, tmp_path: Path) -> None:
    assert RunDir.open(run_dir.path).name == "run-1"
    (tmp_path / "empty").mkdir()
    for path, expected in [
        (tmp_path / "nowhere", "no such folder"),
        (tmp_path / "empty", "is empty"),
        (run_dir.space_file, "a file; expected"),
        (tmp_path, "no trials.jsonl"),
        (run_dir.path.parent, "runs: run-1"),
        (tmp_path / ("x" * 5000), "cannot be read"),
        (Path("~nobody-of-this-name"), "cannot be read"),
    ]:
        with pytest.raises(RunFolderError, match=expected):
            RunDir.open(path)


@pytest.mark.parametrize("odd", ["A\u2028B", "A\u0085B", "A\u2029B"])
def test_other_line_separators_do_not_split_a_record(run_dir: RunDir, odd: str) -> None:
    run_dir.append(a_failed_trial(f"the model {odd} is gone"), CORPUS, SPLIT)
    assert [record.error for record in run_dir.records()] == [f"the model {odd} is gone"]


def test_record_in_a_missing_folder_is_an_error(run_dir: RunDir) -> None:
    shutil.rmtree(run_dir.path)
    with pytest.raises(RunFolderError, match="cannot be written"):
        run_dir.append(a_record(), CORPUS, SPLIT)


def test_run_of_an_older_version_is_refused(run_dir: RunDir) -> None:
    (run_dir.path / "protocol.json").touch()
    with pytest.raises(RunFolderError, match="older version"):
        RunDir.open(run_dir.path)


FIRST, SECOND = b'{"trial": 1}\n', b'{"trial": 2}\n'


def a_state(folder: Path, records: bytes, run_config: bytes = b"{}", **models: bytes) -> RunDir:
    """Return a run folder with these records and these files in its `best/`."""
    folder.mkdir(parents=True)
    (folder / "trials.jsonl").write_bytes(records)
    (folder / "run_config.json").write_bytes(run_config)
    for name, content in models.items():
        (folder / "best").mkdir(exist_ok=True)
        (folder / "best" / name).write_bytes(content)
    return RunDir(folder)


def files(run_dir: RunDir) -> dict[str, bytes]:
    """Return every file below a run folder except the lock."""
    found = (path for path in run_dir.path.rglob("*") if path.is_file() and path.name != "driver.lock")
    return {path.relative_to(run_dir.path).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize(
    "earlier", [b"", FIRST, FIRST + SECOND, FIRST + b'{"tri'], ids=["none", "one", "all", "truncated"]
)
def test_earlier_state_is_replaced(tmp_path: Path, earlier: bytes) -> None:
    run_dir = a_state(tmp_path / "run", earlier)
    later = a_state(tmp_path / "work" / "later", FIRST + SECOND, model=b"new")
    expected = files(later)
    run_dir.replace_with(later)
    assert files(run_dir) == expected


@pytest.mark.parametrize(
    ("records", "run_config"), [(SECOND, b"{}"), (FIRST + SECOND + FIRST, b"{}"), (FIRST, b'{"data": "other"}')]
)
def test_state_with_other_trials_is_not_replaced(tmp_path: Path, records: bytes, run_config: bytes) -> None:
    run_dir = a_state(tmp_path / "run", records, run_config)
    before = files(run_dir)
    with pytest.raises(RunFolderError, match="--results-dir"):
        run_dir.replace_with(a_state(tmp_path / "work" / "later", FIRST + SECOND))
    assert files(run_dir) == before


def test_locked_run_is_not_replaced(tmp_path: Path) -> None:
    run_dir = a_state(tmp_path / "run", FIRST)
    with lock_run(run_dir.path), pytest.raises(RunFolderError, match="another process"):
        run_dir.replace_with(a_state(tmp_path / "work" / "later", FIRST + SECOND))
    assert files(run_dir)["trials.jsonl"] == FIRST


@pytest.mark.parametrize(("later_model", "expected"), [({}, b"old"), ({"model": b"new"}, b"new")])
def test_model_is_kept_if_the_later_state_has_none(
    tmp_path: Path, later_model: dict[str, bytes], expected: bytes
) -> None:
    run_dir = a_state(tmp_path / "run", FIRST, model=b"old")
    run_dir.replace_with(a_state(tmp_path / "work" / "later", FIRST, **later_model))
    assert files(run_dir)["best/model"] == expected


@pytest.mark.parametrize("interruption", [Terminated, OSError])
def test_interrupted_replacement_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    run_dir = a_state(tmp_path / "run", FIRST)
    later = a_state(tmp_path / "work" / "later", FIRST + SECOND)
    before, rename = files(run_dir), Path.rename

    def interrupted(path: Path, to: Path) -> Path:
        if path == later.path:
            raise interruption
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(interruption):
        run_dir.replace_with(later)
    assert files(run_dir) == before
