"""Runs on a real MLflow tracking server; `MLFLOW_SERVER` names the `mlflow` command that starts it."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.two_nodes import free_ports
from tests.factories import a_config, a_failed_trial, a_pruned_trial, a_record, a_run, an_audit
from tests.tracking.sending import no_note, send, title
from tune_ner.errors import OutputError
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.results.table_files import write_tables
from tune_ner.tracking.mlflow import URI_VARIABLE, MlflowTracker

pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A tracking server with its files in a folder."""
    command = os.environ.get("MLFLOW_SERVER")
    if not command:
        pytest.skip("MLFLOW_SERVER does not name the mlflow command of an environment that has all of MLflow")
    folder.mkdir(exist_ok=True)
    store = [
        "--backend-store-uri",
        f"sqlite:///{folder / 'store.db'}",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    place = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (folder / "log").open("ab") as log:
        server = subprocess.Popen(
            [command, "server", *store, *place], cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait(server, f"http://127.0.0.1:{port}/health", folder / "log")
        yield server
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def _wait(server: subprocess.Popen[bytes], page: str, log: Path) -> None:
    for _ in range(480):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(page, timeout=1).close()
        except OSError:
            time.sleep(0.25)
        else:
            return
    raise AssertionError(log.read_text())


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """A free port, set as the server's."""
    (found,) = free_ports(1)
    monkeypatch.setenv(URI_VARIABLE, f"http://127.0.0.1:{found}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return found


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file store in place of a server: the only store that the client has without the rest of MLflow."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv(URI_VARIABLE, (tmp_path / "store").as_uri())


def nested(run: RunDir) -> tuple[Any, dict[str, list[Any]]]:
    """The MLflow run, and its nested runs by trial."""
    from mlflow import MlflowClient

    client = MlflowClient()
    experiment = client.get_experiment_by_name("tune_ner")
    assert experiment
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [found for found in runs if "tune_ner.trial" not in found.data.tags]
    children = [found for found in runs if found.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert parent.data.tags["tune_ner.run"] == run.name
    by_trial: dict[str, list[Any]] = {}
    for found in children:
        by_trial.setdefault(found.data.tags["tune_ner.trial"], []).append(found)
    return parent, by_trial


def statuses(trials: dict[str, list[Any]]) -> dict[str, list[str]]:
    return {trial: sorted(found.info.status for found in runs) for trial, runs in trials.items()}


@pytest.mark.parametrize(
    ("uri", "expected"),
    [(None, URI_VARIABLE), ("http://127.0.0.1:1", "cannot be used"), ("nonsense://x", "cannot be used")],
)
def test_unreachable_server_is_an_error_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str | None, expected: str
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    if uri:
        monkeypatch.setenv(URI_VARIABLE, uri)
    with pytest.raises(OutputError, match=expected):
        MlflowTracker(RunDir(tmp_path), title, no_note)


@pytest.mark.usefixtures("store")
def test_each_end_of_a_trial_is_sent_once_over_several_sessions(tmp_path: Path) -> None:
    killed, retried = (a_record((0.5, 0.6), seed=seed, epochs=2) for seed in (1, 2))
    stopped = a_pruned_trial(seed=3, epochs=3)
    folder = a_run(tmp_path, [killed, retried, stopped])
    first = MlflowTracker(folder, title, no_note)
    send(first, a_failed_trial(seed=2, epochs=2))
    for trial in (killed.config, stopped.config):
        first.on_trial_start(trial)
    first._queue.shutdown()
    second = MlflowTracker(folder, title, no_note)
    send(second, killed, retried)
    second._queue.shutdown()
    for _ in range(2):
        runs = MlflowTracker(folder, title, no_note)
        send(runs)
        runs.finish(Results(folder), is_interrupted=False)
    _, trials = nested(folder)
    assert statuses(trials) == {
        killed.trial_id: ["FINISHED", "KILLED"],
        retried.trial_id: ["FAILED", "FINISHED"],
        stopped.trial_id: ["KILLED", "KILLED"],
    }


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("content", ["", "[]", '{"run": []}', '{"run": "../x"}', "[" * 100_000])
def test_corrupt_id_file_starts_a_new_run(tmp_path: Path, content: str) -> None:
    record = a_record()
    folder = a_run(tmp_path, [record])
    (folder.path / "mlflow.json").write_text(content)
    runs = MlflowTracker(folder, title, no_note)
    send(runs, record)
    runs.finish(Results(folder), is_interrupted=False)
    parent, trials = nested(folder)
    assert json.loads((folder.path / "mlflow.json").read_text()) == {"run": parent.info.run_id}
    assert statuses(trials) == {record.trial_id: ["FINISHED"]}


@pytest.mark.usefixtures("store")
def test_interrupted_trials_are_ended_with_the_run(tmp_path: Path) -> None:
    record, cut_off = a_record(seed=1), a_config(seed=2)
    folder = a_run(tmp_path, [record])
    runs = MlflowTracker(folder, title, no_note)
    send(runs, record)
    runs.on_trial_start(cut_off)
    runs.finish(Results(folder), is_interrupted=True)
    _, trials = nested(folder)
    assert statuses(trials) == {record.trial_id: ["FINISHED"], cut_off.trial_id: ["KILLED"]}


@pytest.mark.long
@pytest.mark.slow
def test_server_has_the_run_its_trials_and_its_results(tmp_path: Path, port: int) -> None:
    from mlflow import MlflowClient

    records = [
        a_record((0.5, 0.6), test=0.55, seed=1, epochs=2),
        a_pruned_trial(seed=2, epochs=3),
        a_failed_trial(seed=3, epochs=2),
    ]
    folder = a_run(tmp_path, records, audits={None: an_audit()})
    write_tables(Results(folder))
    (folder.path / "best").mkdir()
    (folder.path / "best" / "config.json").write_text("{}")
    with mlflow_server(tmp_path / "server", port):
        runs = MlflowTracker(folder, title, no_note)
        send(runs, *records)
        runs.finish(Results(folder), is_interrupted=False)
        parent, trials = nested(folder)
        client = MlflowClient()
        (first,) = trials[records[0].trial_id]
        curve = client.get_metric_history(first.info.run_id, "validation_seqeval_f1")
        files = {file.path for file in client.list_artifacts(parent.info.run_id)}
        model = {file.path for file in client.list_artifacts(parent.info.run_id, "best")}
    assert parent.info.status == "FINISHED"
    assert {"leaderboard.csv", "trials.jsonl", "best"} <= files
    assert "best/config.json" in model
    assert [statuses(trials)[record.trial_id] for record in records] == [["FINISHED"], ["KILLED"], ["FAILED"]]
    assert [(metric.step, metric.value) for metric in curve] == [(1, 0.5), (2, 0.6)]
    assert first.data.params["learning_rate"] == "0.001"
    assert first.data.metrics["test_span_f1"] == 0.55
    assert parent.data.metrics["best_test_span_f1"] == pytest.approx(0, abs=1)
    assert trials[records[2].trial_id][0].data.tags["tune_ner.error"].startswith("model 'x'")


@pytest.mark.long
@pytest.mark.slow
def test_later_session_sends_what_a_lost_server_missed(tmp_path: Path, port: int) -> None:
    records = [a_record((0.5, 0.6), seed=seed, epochs=2) for seed in (1, 2)]
    folder = a_run(tmp_path, records)
    notes: list[str] = []
    with mlflow_server(tmp_path / "server", port):
        runs = MlflowTracker(folder, title, notes.append)
        send(runs, records[0])
        runs.on_trial_start(a_config(seed=2, epochs=2))
        runs._queue.submit(lambda: None).result()
    send(runs, records[1])
    runs.finish(Results(folder), is_interrupted=True)
    assert len([note for note in notes if "server lost" in note]) >= 1
    with mlflow_server(tmp_path / "server", port):
        again = MlflowTracker(folder, title, no_note)
        send(again)
        again.finish(Results(folder), is_interrupted=False)
        parent, trials = nested(folder)
    assert parent.info.status == "FINISHED"
    assert statuses(trials) == {records[0].trial_id: ["FINISHED"], records[1].trial_id: ["FINISHED", "KILLED"]}


@pytest.mark.long
@pytest.mark.slow
def test_command_line_grid_is_tracked_with_its_model(tmp_path: Path, port: int) -> None:
    from mlflow import MlflowClient

    data = ["demo", "--data", "synthetic:150", "--model", "tiny:1x32", "--epochs", "2", "--lr", "3e-3", "--lr", "1e-3"]
    place = ["--name", "run", "--results-dir", str(tmp_path), "--no-dashboard", "--quiet"]
    command = [sys.executable, "-m", "tune_ner.grid", *data, "--scheme", "BIO", *place, "--track", "mlflow"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "HF_HUB_OFFLINE": "1"}
    with mlflow_server(tmp_path / "server", port):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        folder = RunDir(tmp_path / "run")
        parent, trials = nested(folder)
        client = MlflowClient()
        curves = {
            trial: [metric.value for metric in client.get_metric_history(runs[0].info.run_id, "validation_seqeval_f1")]
            for trial, runs in trials.items()
        }
        page = Path(client.download_artifacts(parent.info.run_id, "report.html", str(tmp_path)))
        model = {file.path for file in client.list_artifacts(parent.info.run_id, "best")}
    assert parent.info.status == "FINISHED"
    assert curves == {
        record.trial_id: [epoch.validation_seqeval_f1 for epoch in record.curve] for record in folder.records()
    }
    assert page.read_bytes() == (folder.path / "report.html").read_bytes()
    assert {"best/model.safetensors", "best/config.json", "best/README.md"} <= model
