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

from tests.factories import a_failed_trial, a_pruned_trial, a_record, a_run
from tests.tracking.sending import no_note, send, title
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results

if importlib.util.find_spec("trackio") is None:
    pytest.skip("the extra `trackio` is not installed", allow_module_level=True)
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def files_of_trackio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder for what trackio writes; it reads the variable when it is first imported, which is in these tests."""
    assert "trackio" not in sys.modules
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKIO_DIR", str(tmp_path_factory.mktemp("trackio")))
        yield


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A project for each test."""
    name: str = request.node.name
    monkeypatch.setenv("TRACKIO_PROJECT", name)
    return name


def tracked(folder: RunDir, *sent: Any, is_interrupted: bool = False) -> None:
    from tune_ner.tracking.trackio import TrackioTracker

    tracker = TrackioTracker(folder, title, no_note)
    send(tracker, *sent)
    tracker.finish(Results(folder), is_interrupted)


def runs(project: str) -> dict[str, Any]:
    import trackio

    return {run.name: run for run in trackio.Api().runs(project)}


def curve(project: str, run: str, metric: str) -> list[tuple[int, float]]:
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
    names = [f"run: {title(record.config)}" for record in records]
    found = runs(project)
    assert set(found) == {*names, "run: results"}
    assert {run.config["_Group"] for run in found.values()} == {"run"}
    assert found[names[0]].config["learning_rate"] == 1e-3
    assert curve(project, names[0], "validation_span_f1")[:2] == [(1, 0.5), (2, 0.6)]
    assert [value for _, value in curve(project, names[0], "test_span_f1")] == [0.55]
    assert [alert["title"] for alert in found[names[2]].alerts()] == ["failed"]
    assert "no weights" in found[names[2]].alerts()[0]["text"]
    ((_, table),) = curve(project, "run: results", "leaderboard")
    assert table["_value"][0]["rank"] == "1"  # type: ignore[index] # a table


def test_a_later_session_sends_what_is_missing_and_nothing_twice(tmp_path: Path, project: str) -> None:
    first, second = a_record((0.5, 0.6), seed=1), a_record((0.5, 0.6), seed=2)
    folder = a_run(tmp_path, [first, second])
    tracked(a_run(tmp_path / "first", [first]), first)
    (folder.path / "trackio.json").write_bytes((tmp_path / "first" / "run" / "trackio.json").read_bytes())
    tracked(folder)
    for record in (first, second):
        found = curve(project, f"run: {title(record.config)}", "validation_span_f1")
        assert [step for step, _ in found if step in (1, 2)] == [1, 2]


def test_trials_that_an_interrupt_ended_have_an_alert(tmp_path: Path, project: str) -> None:
    from tune_ner.tracking.trackio import TrackioTracker

    record, cut_off = a_record(seed=1), a_record(seed=2)
    folder = a_run(tmp_path, [record])
    tracker = TrackioTracker(folder, title, no_note)
    send(tracker, record)
    tracker.on_trial_start(cut_off.config)
    tracker.finish(Results(folder), is_interrupted=True)
    found = runs(project)
    assert not found[f"run: {title(record.config)}"].alerts()
    assert [alert["title"] for alert in found["run: results"].alerts()] == ["interrupted"]


def test_a_run_is_logged_to_a_server(tmp_path: Path, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "server"
    serve = "import time, trackio; trackio.show(open_browser=False, block_thread=False); time.sleep(600)"
    environment = {**os.environ, "TRACKIO_DIR": str(place), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", serve]
    record = a_record((0.5, 0.6), seed=1, epochs=2)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            address = next(found[0] for line in server.stdout if (found := re.search(r"http\S+write_token=\S+", line)))
            monkeypatch.setenv("TRACKIO_SERVER_URL", address)
            tracked(a_run(tmp_path, [record]), record)
        finally:
            server.kill()
    read = ["-m", "trackio.cli", "get", "run", "--project", project, "--run", f"run: {title(record.config)}", "--json"]
    told = subprocess.run([sys.executable, *read], env=environment, capture_output=True, text=True, check=True)
    assert "validation_span_f1" in told.stdout


def test_a_server_without_a_token_does_not_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tune_ner.tracking.trackio import TrackioTracker

    monkeypatch.setenv("TRACKIO_SERVER_URL", "http://127.0.0.1:1")
    record, notes = a_record(), list[str]()
    folder = a_run(tmp_path, [record])
    tracker = TrackioTracker(folder, title, notes.append)
    send(tracker, record)
    tracker.finish(Results(folder), is_interrupted=False)
    assert any("trackio lost: " in note and "write token" in note for note in notes)
