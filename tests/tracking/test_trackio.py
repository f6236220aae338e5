"""Runs tracked by the real client of trackio, in its files and on its own server, and read with its own reader."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.two_nodes import free_ports
from tests.factories import a_failed_trial, a_pruned_trial, a_record, a_run
from tests.tracking.sending import no_note, send, title
from tune_ner.errors import OutputError
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.tracking.trackio import TrackioTracker

if importlib.util.find_spec("trackio") is None:
    pytest.skip("the extra `trackio` is not installed", allow_module_level=True)
pytestmark = pytest.mark.slow

Server = tuple[subprocess.Popen[str], str]


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A project for each test; `trackio` reads its folder when it is first imported, so that tests share it."""
    name: str = request.node.name
    monkeypatch.setenv("TRACKIO_PROJECT", name)
    if "trackio" not in sys.modules:
        monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    return name


def tracked(folder: RunDir, *sent: TrialRecord, is_interrupted: bool = False) -> None:
    tracker = TrackioTracker(folder, title, no_note)
    send(tracker, *sent)
    tracker.finish(Results(folder), is_interrupted)


def name_of(record: TrialRecord) -> str:
    return f"run: {title(record.config)} ({record.trial_id})"


def runs(project: str) -> dict[str, Any]:
    import trackio

    return {run.name: run for run in trackio.Api().runs(project)}


def curve(project: str, run: str, metric: str) -> list[tuple[int, Any]]:
    from trackio.sqlite_storage import SQLiteStorage

    return [(row["step"], row[metric]) for row in SQLiteStorage.get_logs(project, run) if metric in row]


def test_trials_are_runs_of_one_group_with_their_metrics(
    tmp_path: Path, project: str, capfd: pytest.CaptureFixture[str]
) -> None:
    records = [
        a_record((0.5, 0.6), test=0.55, seed=1, epochs=2),
        a_pruned_trial(seed=2, epochs=3),
        a_failed_trial(seed=3, epochs=2),
    ]
    tracked(a_run(tmp_path, records), *records)
    assert capfd.readouterr().out == ""  # standard output may be JSON events
    names, found = list(map(name_of, records)), runs(project)
    assert set(found) == {*names, "run: results"}
    assert {run.config["_Group"] for run in found.values()} == {"run"}
    assert [found[name].config["status"] for name in names] == ["completed", "pruned", "failed"]
    assert found[names[0]].config["learning_rate"] == 1e-3
    assert curve(project, names[0], "validation_span_f1") == [(1, 0.5), (2, 0.6)]
    assert curve(project, names[0], "final/test_span_f1") == [(3, 0.55)]
    assert [alert["title"] for alert in found[names[2]].alerts()] == ["failed"]
    assert "no weights" in found[names[2]].alerts()[0]["text"]
    ((_, table),) = curve(project, "run: results", "leaderboard")
    assert table["_value"][0]["rank"] == "1"


def test_trials_with_the_same_title_are_different_runs(tmp_path: Path, project: str) -> None:
    records = [a_record((0.5,), seed=1, learning_rate=rate) for rate in (1.2341e-5, 1.2344e-5)]
    assert title(records[0].config) == title(records[1].config)
    tracked(a_run(tmp_path, records), *records)
    assert len(runs(project)) == 3


def test_a_retried_trial_is_sent_once(tmp_path: Path, project: str) -> None:
    record = a_record((0.5, 0.6), seed=1, epochs=2)
    folder = a_run(tmp_path, [record])
    tracker = TrackioTracker(folder, title, no_note)
    tracker.on_trial_start(record.config)
    tracker.on_epoch_end(record.config, record.curve[0])  # then its worker dies
    send(tracker, record)
    tracker.finish(Results(folder), is_interrupted=False)
    assert curve(project, name_of(record), "validation_span_f1") == [(1, 0.5), (2, 0.6)]


def test_a_later_session_sends_the_missing_trials_once(tmp_path: Path, project: str) -> None:
    first, second = a_record((0.5, 0.6), seed=1), a_record((0.5, 0.6), seed=2)
    folder = a_run(tmp_path, [first, second])
    tracker = TrackioTracker(folder, title, no_note)
    send(tracker, first)
    tracker._queue.shutdown()  # the command was killed
    tracked(folder)
    for record in (first, second):
        assert curve(project, name_of(record), "validation_span_f1") == [(1, 0.5), (2, 0.6)]


def test_an_interrupted_run_has_that_status_and_only_trials_that_ended(tmp_path: Path, project: str) -> None:
    record, cut_off = a_record(seed=1), a_record(seed=2)
    folder = a_run(tmp_path, [record])
    tracker = TrackioTracker(folder, title, no_note)
    send(tracker, record)
    tracker.on_trial_start(cut_off.config)
    tracker.finish(Results(folder), is_interrupted=True)
    found = runs(project)
    assert set(found) == {name_of(record), "run: results"}
    assert found["run: results"].config["status"] == "interrupted"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """trackio's own server, and its address with the token that allows to write."""
    serve = "import time, trackio; trackio.show(open_browser=False, block_thread=False); time.sleep(600)"
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path / "server"), "PYTHONUNBUFFERED": "1"}
    environment["GRADIO_SERVER_PORT"] = str(free_ports(1)[0])
    command = [sys.executable, "-c", serve]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        found = (re.search(r"http\S+write_token=\S+", line) for line in process.stdout)
        yield process, next(each[0] for each in found if each)
        process.kill()


def test_a_run_is_logged_to_a_server(
    tmp_path: Path, project: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_SERVER_URL", server[1])
    record = a_record((0.5, 0.6), seed=1, epochs=2)
    tracked(a_run(tmp_path, [record]), record)
    server[0].kill()
    read = ["-m", "trackio.cli", "get", "run", "--project", project, "--run", name_of(record), "--json"]
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path / "server")}
    told = subprocess.run([sys.executable, *read], env=environment, capture_output=True, text=True, check=True)
    assert "validation_span_f1" in told.stdout


def test_a_server_that_is_gone_is_noted_and_its_trials_are_not_marked_as_sent(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_SERVER_URL", server[1])
    server[0].kill()
    server[0].wait()
    record, notes = a_record(), list[str]()
    folder = a_run(tmp_path, [record])
    tracker = TrackioTracker(folder, title, notes.append)
    send(tracker, record)
    tracker.finish(Results(folder), is_interrupted=False)
    assert any("trackio lost: 127.0.0.1 cannot be reached" in note for note in notes), notes
    assert not (folder.path / "trackio.json").exists()


def test_a_space_is_refused_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_SPACE_ID", "owner/space")
    with pytest.raises(OutputError, match="trackio sync"):
        TrackioTracker(RunDir(tmp_path), title, no_note)
