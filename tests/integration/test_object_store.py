"""Runs whose results are in an object store: a real S3 server on loopback, and commands in their own processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import fsspec
import psutil
import pytest
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

import tune_ner
from tune_ner.cli.app import app

pytestmark = pytest.mark.slow

RUNS = "s3://results/runs"
GRID = ["grid", "demo", "--data", "synthetic:150", "--epochs", "40", "--model", "tiny:1x32", "--scheme", "BIO"]
GRID += ["--no-dashboard", "--max-concurrent", "1"]  # three trials, one after the other


class Server:
    """An S3 server that keeps its content when it is stopped."""

    def __init__(self) -> None:
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        self.port = self.server.get_host_and_port()[1]

    def stop(self) -> None:
        self.server.stop()

    def restart(self) -> None:
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self.server.start()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    made = Server()
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{made.port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    # fsspec keeps the file system of an earlier test, whose server has ended
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    urlopen(Request(f"http://127.0.0.1:{made.port}/moto-api/reset", method="POST")).close()
    store().mkdir("results")
    yield made
    made.stop()


def store() -> Any:
    return fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)


def lines(name: str) -> list[str]:
    file = f"results/runs/{name}/trials.jsonl"
    return store().cat_file(file).decode().splitlines() if store().exists(file) else []


def start(*arguments: str, log: Any = subprocess.PIPE, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tune_ner", *arguments],
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        start_new_session=True,
    )


def told(*arguments: str, code: int = 0) -> str:
    """Return what a command prints that runs in this process."""
    outcome = CliRunner().invoke(app, list(arguments))
    assert outcome.exit_code == code, outcome.output
    return outcome.output


def output_of(process: subprocess.Popen[str], code: int = 0) -> str:
    output = process.communicate(timeout=600)[0]
    assert process.returncode == code, output
    return output


def wait_for(condition: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 600
    while not condition():
        if time.monotonic() > deadline or process.poll() is not None:
            process.kill()
            pytest.fail(process.communicate(timeout=600)[0])
        time.sleep(0.5)


def kill(process: subprocess.Popen[str]) -> None:
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for child in children:
        with suppress(psutil.NoSuchProcess):  # Ray's processes end with it
            child.kill()
    process.communicate(timeout=600)


@pytest.mark.long
@pytest.mark.usefixtures("server")
def test_a_killed_run_is_completed_on_another_machine(tmp_path: Path) -> None:
    command = [*GRID, "--results-dir", RUNS, "--name", "x"]
    first = start(*command)
    wait_for(lambda: len(lines("x")) >= 1, first)
    assert json.loads(store().cat_file("results/runs/x/lock.json"))["process"] == first.pid
    kill(first)
    before = lines("x")
    shutil.rmtree(tmp_path / "cache")  # another machine
    output = output_of(start(*command))
    assert "Results: s3://results/runs/x" in " ".join(output.split())
    after = lines("x")
    assert after[: len(before)] == before
    assert len({json.loads(line)["trial_id"] for line in after}) == len(after) == 3
    files = {name.removeprefix("results/runs/x/") for name in store().find("results/runs/x")}
    assert {"report.html", "space.yaml", "leaderboard.csv", "best/model.safetensors"} <= files
    assert not any(name.startswith(("checkpoints/", "lock")) for name in files)
    shutil.rmtree(tmp_path / "cache")
    spans = json.loads(told("predict", f"{RUNS}/x", "Ta ibuprofen mot feber.").splitlines()[-1])["spans"]
    assert all(span["text"] in "Ta ibuprofen mot feber." for span in spans)


@pytest.mark.usefixtures("server")
def test_a_run_of_another_machine_is_refused() -> None:
    has_ended = threading.Event()

    def work() -> None:
        beat = 0
        while not has_ended.wait(1):
            beat += 1
            lock = {"id": "other", "host": "far-away", "process": 7, "beat": beat}
            store().pipe_file("results/runs/u/lock.json", json.dumps(lock).encode())

    other = threading.Thread(target=work)
    other.start()
    try:
        while not store().exists("results/runs/u/lock.json"):
            time.sleep(0.1)
        output = output_of(start(*GRID, "--results-dir", RUNS, "--name", "u"), 2)
    finally:
        has_ended.set()
        other.join()
    assert "s3://results/runs/u: in use by another process (process 7 on far-away)" in " ".join(output.split())
    assert store().find("results/runs/u") == ["results/runs/u/lock.json"]


@pytest.mark.long
def test_a_run_continues_while_the_store_is_away(server: Server, tmp_path: Path) -> None:
    log = tmp_path / "output"
    with log.open("w") as file:
        process = start(*GRID, "--results-dir", RUNS, "--name", "z", log=file)
        wait_for(lambda: len(lines("z")) >= 1, process)
        server.stop()
        wait_for(lambda: "s3://results/runs/z: not reached" in log.read_text(), process)
        server.restart()
        assert process.wait(timeout=600) == 0
    assert "s3://results/runs/z: reached again" in log.read_text()
    assert len(lines("z")) == 3


@pytest.mark.usefixtures("server")
def test_a_bucket_that_does_not_exist_is_refused_before_anything_is_trained() -> None:
    output = told(*GRID, "--results-dir", "s3://missing/runs", "--name", "x", code=2)
    assert "error: s3://missing/runs/x: cannot be" in output
    assert "Traceback" not in output


@pytest.mark.ray
@pytest.mark.usefixtures("server")
def test_an_interrupted_run_is_in_the_store_and_read_on_another_machine(tmp_path: Path) -> None:
    process = start(*GRID, "--results-dir", RUNS, "--name", "c")
    wait_for(lambda: len(lines("c")) >= 1, process)
    process.send_signal(signal.SIGINT)
    assert "Traceback" not in output_of(process, 130)
    names = store().find("results/runs/c")
    assert "results/runs/c/leaderboard.csv" in names
    assert not any(name.endswith("lock.json") for name in names)

    before = lines("c")
    shutil.rmtree(tmp_path / "cache")
    store().rm_file("results/runs/c/report.html")
    assert "Ranked by validation span F1" in told("report", f"{RUNS}/c")
    assert store().exists("results/runs/c/report.html")
    assert lines("c") == before
    results = tune_ner.load_results(f"{RUNS}/c")
    assert 1 <= len(results.trials()) == len(before)
    assert "no run there" in told("report", f"{RUNS}/y", code=2)
