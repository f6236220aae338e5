"""What grid and search print and log, from the command line to a real Ray."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tune_ner.cli.app import app
from tune_ner.cli.console import reported_errors
from tune_ner.errors import OutputError

ONE = ["demo", "--data", "synthetic:150", "--model", "tiny:1x32", "--scheme", "BIO", "--lr", "3e-3", "--epochs", "2"]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("command", ["grid", "search"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--quiet", "--json"], "--quiet with --json"),
        (["--track", "comet"], "--track"),
        (["--dry-run", "--name", "../out", "--json"], "expected letters, digits"),
    ],
)
def test_a_mistake_is_told_on_standard_error_alone(
    tmp_path: Path, command: str, options: list[str], expected: str
) -> None:
    outcome = CliRunner().invoke(app, [command, *options, "--results-dir", str(tmp_path / "results")])
    assert outcome.exit_code == 2
    assert expected in outcome.stderr
    assert outcome.stdout == ""
    assert not (tmp_path / "results").exists()


def test_no_tracking_server_is_told_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    arguments = ["grid", *ONE, "--track", "mlflow", "--quiet", "--results-dir", str(tmp_path / "results")]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 2
    assert "error: --track mlflow: " in outcome.stderr
    assert outcome.stdout == ""
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("command", ["grid", "search"])
def test_a_plan_for_machines_is_json_alone_and_one_for_the_quiet_a_line(tmp_path: Path, command: str) -> None:
    arguments = [command, "--data", "synthetic:150", "--dry-run", "--results-dir", str(tmp_path)]
    arguments += ["demo", "--model", "tiny:1x32"] if command == "grid" else []
    outcome = CliRunner().invoke(app, [*arguments, "--json"])
    assert [json.loads(line)["event"] for line in outcome.stdout.splitlines()] == [
        *("data_loaded", "audit_completed", "run_planned")
    ]
    outcome = CliRunner().invoke(app, [*arguments, "--quiet"])
    assert re.fullmatch(r"(At most )?\d+ trials, \d+ at once, .*\.\n", outcome.stdout)


def test_an_error_is_told_without_a_password(tmp_path: Path) -> None:
    storage = "postgresql://me:secret@127.0.0.1:1/db"
    arguments = ["search", "--data", "synthetic:150", "--storage", storage]
    outcome = CliRunner().invoke(app, [*arguments, "--no-dashboard", "--results-dir", str(tmp_path / "results")])
    assert outcome.exit_code == 2
    assert "secret" not in outcome.output
    assert "cannot be opened" in outcome.stderr


def test_an_error_is_told_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), reported_errors():
        raise OutputError("\x1b[2Jwiped\nand a second line")
    assert capsys.readouterr().err == "error: \\x1b[2Jwiped\nand a second line\n"


@pytest.mark.parametrize("options", [[], pytest.param(["--json"], marks=pytest.mark.long)])
def test_a_reader_that_goes_away_is_done_without(tmp_path: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "tune_ner.grid", *ONE, "--dry-run", *options, "--results-dir", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        told = process.stderr.read().decode()
    assert (process.returncode, told) == (0, "")
