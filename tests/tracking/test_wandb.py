"""Runs tracked by the real client of Weights & Biases, in offline mode, and read from the files that it writes."""

import json
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.factories import a_failed_trial, a_pruned_trial, a_record, a_run
from tests.tracking.sending import no_note, send, title
from tune_ner.errors import OutputError
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.tracking.wandb import WandbTracker

pytest.importorskip("wandb", reason="the extra `wandb` is not installed")
pytestmark = pytest.mark.slow  # starts the client's process

BLOCK, FULL, LAST = 2**15, 1, 4


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")


def records_in(file: Path) -> Iterator[Any]:
    """Yield the records of a `.wandb` file, which has LevelDB's log format after a header of seven bytes."""
    from wandb.proto import wandb_internal_pb2 as messages

    content, place, parts = file.read_bytes(), 7, b""
    while place + 7 <= len(content):
        if BLOCK - place % BLOCK < 7:
            place += BLOCK - place % BLOCK
        _, length, kind = struct.unpack_from("<IHB", content, place)
        if place + 7 + length > len(content):  # being written
            return
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (FULL, LAST):
            record = messages.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def wait_until_written(files: Sequence[Path]) -> None:
    """Wait for the exit code in each file: W&B's process completes them after `finish` has returned."""
    deadline = time.monotonic() + 600
    while not all(any(record.HasField("exit") for record in records_in(file)) for file in files):
        assert time.monotonic() < deadline, "no exit code was written"
        time.sleep(0.1)


def tracked(run: RunDir) -> dict[str, dict[str, Any]]:
    """Return name, group, config, history, summary and exit code of each W&B run by its id."""
    found: dict[str, dict[str, Any]] = {}
    files = sorted(run.path.glob("wandb/offline-run-*/*.wandb"))
    wait_until_written(files)
    for file in files:
        one: dict[str, Any] = {"history": [], "summary": {}, "config": {}}
        for record in records_in(file):
            if record.HasField("run"):
                one |= {"id": record.run.run_id, "name": record.run.display_name, "group": record.run.run_group}
                one["config"] |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
            elif record.HasField("history"):
                row = {
                    item.key or item.nested_key[0]: json.loads(item.value_json)
                    for item in record.history.item
                    if item.value_json
                }
                one["history"].append(row)
            elif record.HasField("summary"):
                one["summary"] |= {
                    item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.summary.update
                }
            elif record.HasField("exit"):
                one["exit"] = record.exit.exit_code
        found[one["id"]] = one
    return found


@pytest.mark.usefixtures("offline")
def test_trials_are_runs_of_one_group_with_their_metrics(tmp_path: Path) -> None:
    records = [
        a_record((0.5, 0.6), test=0.55, seed=1, epochs=2),
        a_pruned_trial(seed=2, epochs=3),
        a_failed_trial(seed=3, epochs=2),
    ]
    folder = a_run(tmp_path, records)
    tracker = WandbTracker(folder, title, no_note)
    send(tracker, *records)
    tracker.finish(Results(folder), is_interrupted=False)
    runs = tracked(folder)
    completed, pruned, failed = (runs[f"run-{record.trial_id}"] for record in records)
    assert {run["group"] for run in runs.values()} == {"run"}
    assert completed["name"] == title(records[0].config)
    assert completed["config"]["learning_rate"] == 1e-3
    curve = [(row["_step"], row["validation_span_f1"]) for row in completed["history"]]
    assert curve == [(1, 0.5), (2, 0.6)]
    assert completed["summary"]["test_span_f1"] == 0.55
    assert [run["summary"]["status"] for run in (completed, pruned, failed)] == ["completed", "pruned", "failed"]
    assert [run["exit"] for run in (completed, pruned, failed)] == [0, 0, 1]
    assert "no weights" in failed["summary"]["error"]
    outcome = runs["run-results"]
    assert outcome["summary"]["best_test_span_f1"] == pytest.approx(Results(folder).entries[0].test.estimate)
    tables = list(folder.path.glob("wandb/*results/files/media/table/*.json"))
    assert json.loads(tables[0].read_text())["columns"][0] == "rank"


@pytest.mark.usefixtures("offline")
def test_no_text_of_the_corpus_is_sent(tmp_path: Path) -> None:
    record = a_record()
    folder = a_run(tmp_path, [record])
    tracker = WandbTracker(folder, title, no_note)
    send(tracker, record)
    tracker.finish(Results(folder), is_interrupted=False)
    wait_until_written(list(folder.path.glob("wandb/offline-run-*/*.wandb")))
    for file in folder.path.glob("wandb/**/*"):
        with suppress(FileNotFoundError, IsADirectoryError):  # W&B's process is still at work
            assert b"medicin" not in file.read_bytes()


@pytest.mark.usefixtures("offline")
def test_a_later_session_sends_what_is_missing_and_nothing_twice(tmp_path: Path) -> None:
    first, second = a_record(seed=1), a_record(seed=2)
    folder = a_run(tmp_path, [first, second])
    tracker = WandbTracker(folder, title, no_note)
    send(tracker, first)
    tracker._queue.shutdown()
    tracker = WandbTracker(folder, title, no_note)
    tracker.finish(Results(folder), is_interrupted=False)
    names = sorted(file.name.rpartition("-run-")[2] for file in folder.path.glob("wandb/offline-run-*"))
    assert names == sorted([first.trial_id, second.trial_id, "results"])


@pytest.mark.usefixtures("offline")
def test_trials_that_an_interrupt_ended_end_as_failed(tmp_path: Path) -> None:
    record, cut_off = a_record(seed=1), a_record(seed=2)
    folder = a_run(tmp_path, [record])
    tracker = WandbTracker(folder, title, no_note)
    send(tracker, record)
    tracker.on_trial_start(cut_off.config)
    tracker.finish(Results(folder), is_interrupted=True)
    runs = tracked(folder)
    assert [runs[f"run-{each}"]["exit"] for each in (record.trial_id, cut_off.trial_id, "results")] == [0, 1, 1]


@pytest.mark.usefixtures("offline")
def test_an_error_of_the_client_does_not_stop_the_run(tmp_path: Path) -> None:
    record, notes = a_record(), list[str]()
    folder = a_run(tmp_path, [record])
    (folder.path / "wandb.json").mkdir()
    tracker = WandbTracker(folder, title, notes.append)
    send(tracker, record)
    tracker.finish(Results(folder), is_interrupted=False)
    assert any("Weights & Biases lost: " in note and "its records are complete" in note for note in notes)


def test_without_a_key_it_is_an_error_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(OutputError, match="no API key; run `wandb login`"):
        WandbTracker(RunDir(tmp_path), title, no_note)
