"""`tune-ner serve`; the answers themselves are tested with the server."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.two_nodes import free_ports
from tests.model_folders import a_model_folder
from tune_ner.cli.app import app
from tune_ner.cli.serve import model_name


def test_the_folder_of_a_run_names_the_model() -> None:
    assert model_name("results/demo-1") == "demo-1"
    assert model_name("results/demo-1/best") == "demo-1"
    assert model_name("results/demo-1/onnx-int8") == "demo-1-onnx-int8"


def test_a_missing_model_or_package_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = CliRunner().invoke(app, ["serve", str(tmp_path / "none")])
    assert outcome.exit_code == 2
    assert "no such folder" in outcome.output
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    outcome = CliRunner().invoke(app, ["serve", str(tmp_path / "none")])
    assert outcome.exit_code == 2
    assert "needs the package uvicorn" in outcome.output


def answer_of(url: str, process: subprocess.Popen[str], content: object = None) -> Any:
    """Send a request until the server answers or has ended."""
    deadline = time.monotonic() + 600
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                process.kill()
                pytest.fail(f"no answer: {process.communicate()[0]}")
            time.sleep(0.2)


@pytest.mark.slow
def test_a_server_answers_until_it_is_stopped(tmp_path: Path) -> None:
    model = a_model_folder(tmp_path / "demo" / "best")
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "tune_ner", "serve", str(model), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            health = answer_of(f"http://127.0.0.1:{port}/health", process)
            assert (health["status"], health["model"]) == ("UP", "demo")
            found = answer_of(f"http://127.0.0.1:{port}/predict", process, {"texts": ["Ta ibuprofen mot feber."] * 3})
            assert len(found["entities"]) == 3
        finally:
            os.kill(process.pid, signal.SIGTERM)
            output, _ = process.communicate(timeout=300)
    assert f"Serving: http://127.0.0.1:{port}" in output
    assert "Traceback" not in output
