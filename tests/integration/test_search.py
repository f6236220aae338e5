"""The search command, from its arguments to its files; the slow tests start Ray."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
import ray
from typer.testing import CliRunner

from tune_ner.cli.app import app
from tune_ner.errors import SchedulingError
from tune_ner.tuning.options import parse_time

SMALL = ["search", "--data", "synthetic:150", "--model", "tiny:1x32", "--no-dashboard", "--max-concurrent", "1"]
CONFIRM = ["--no-dashboard", "--max-concurrent", "1", "--confirm", "2", "--confirm-seeds", "2"]
SPACE = """\
data: synthetic:150
model: tiny:1x32
tagging_scheme: [BIO, BIOES]
learning_rate: {loguniform: [1.0e-4, 1.0e-2]}
batch_size: {int: [4, 16]}
word_tokenizer: punctuation
epochs: 2
initial_points: {learning_rate: 5.0e-3, batch_size: 8}
"""


def refused(tmp_path: Path, *arguments: str) -> str:
    """Return the error that the command prints; it must create no files and not start Ray."""
    results = tmp_path / "results"
    outcome = CliRunner().invoke(app, ["search", *arguments, "--results-dir", str(results)])
    assert outcome.exit_code == 2, outcome.output
    assert "Traceback" not in outcome.output
    assert not results.exists()
    assert not ray.is_initialized()
    return " ".join(outcome.output.split())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["demo"], "distribution"),
        (["--trials", "0"], "--trials 0:"),
        (["--time", "30"], "--time 30:"),
        (["--time", "0m"], "--time 0s:"),
        (["--target-f1", "1.5"], "--target-f1 1.5:"),
        (["--confirm", "0"], "--confirm 0 with --confirm-seeds 3"),
        (["--confirm-seeds", "0"], "--confirm 3 with --confirm-seeds 0"),
        (["--sampler", "tpee"], "'tpe'"),
        (["--scheduler", "hyperband"], "--scheduler hyperband:"),
        (["--data", "synthetic:60", "--storage", "nonsense"], "study storage nonsense:"),
        (["--data", "synthetic:60", "--storage", "sqlite:////no/such/study.db"], "/no/such/study.db:"),
        (["--name", "../out"], "'../out'"),
    ],
)
def test_errors_are_reported_and_no_files_created(tmp_path: Path, arguments: list[str], expected: str) -> None:
    assert expected in refused(tmp_path, *arguments)


def test_all_problems_of_a_search_space_are_reported_together(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    lines = ("learning_rate: 1.0e-3", "seed: [1, 2]", "split: {folds: 3}", "initial_points: {epochs: 4}")
    space.write_text("\n".join(["model: tiny:1x32", *lines]) + "\n")
    output = refused(tmp_path, str(space))
    for expected in ("distribution", "seed: found 2", "split.folds:", "initial_points.epochs: 4"):
        assert expected in output


def test_a_grid_of_a_distribution_is_refused() -> None:
    outcome = CliRunner().invoke(app, ["grid", "search"])
    assert outcome.exit_code == 2
    assert "{loguniform: [0.0001, 0.01]}" in " ".join(outcome.output.split())


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    outcome = CliRunner().invoke(app, ["search", "--name", "mine", "--results-dir", str(tmp_path)])
    assert outcome.exit_code == 2
    assert str(tmp_path / "mine") in "".join(outcome.output.split())
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2d", 172_800), (" 5m ", 300)]
)
def test_times_have_units(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5m", "5", "5 minutes", "1e3s", "5m30s"])
def test_an_invalid_time_is_refused(text: str) -> None:
    with pytest.raises(SchedulingError, match="--time"):
        parse_time(text)


# ---- with Ray


def started(space: Path, results: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tune_ner.search", str(space), *CONFIRM, *arguments, "--results-dir", str(results)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )


def ended(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    return output


def records_of(folder: Path) -> list[dict[str, Any]]:
    file = folder / "trials.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def best_score(record: dict[str, Any]) -> float:
    """Return the best validation score of a record's epochs."""
    return max((float(epoch["validation_span_f1"]) for epoch in record["epochs"]), default=0.0)


def of_phase(records: list[dict[str, Any]], phase: str) -> list[dict[str, Any]]:
    return [record for record in records if record["phase"] == phase]


@pytest.fixture
def space(tmp_path: Path) -> Path:
    file = tmp_path / "space.yaml"
    file.write_text(SPACE)
    return file


def test_a_dry_run_prints_the_plan_and_creates_no_files(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(SPACE)
    results = tmp_path / "results"
    arguments = ["search", str(file), "--trials", "7", "--time", "30m", "--confirm", "2", "--results-dir", str(results)]
    outcome = CliRunner().invoke(app, [*arguments, "--dry-run"])
    assert outcome.exit_code == 0, outcome.output
    output = " ".join(outcome.output.split())
    assert "learning_rate {loguniform: [0.0001, 0.01]}" in output
    assert "learning_rate 0.005, batch_size 8" in output
    assert "7 trials" in output
    assert "30 min 00 s" in output
    assert not results.exists()
    assert not ray.is_initialized()


@pytest.mark.ray
@pytest.mark.slow
def test_a_killed_search_is_meanwhile_locked_resumed_and_confirms_the_best(tmp_path: Path, space: Path) -> None:
    process = started(space, tmp_path, "--trials", "6", "--name", "run")
    deadline = time.monotonic() + 600
    written = tmp_path / "run" / "trials.jsonl"
    while not (written.exists() and written.read_bytes().count(b"\n") >= 2) and process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"no two records: {process.communicate(timeout=600)[0]}")
        time.sleep(0.1)
    process.send_signal(signal.SIGSTOP)  # it must not end before the second command has read its lock
    command = ["search", str(space), *CONFIRM, "--name", "run", "--results-dir", str(tmp_path), "--trials", "6"]
    second = CliRunner().invoke(app, command)
    assert second.exit_code == 2
    assert f"process {process.pid}" in " ".join(second.output.split())
    process.kill()
    process.communicate(timeout=600)
    before = records_of(tmp_path / "run")
    assert 2 <= len(before) < 6
    with (tmp_path / "run" / "trials.jsonl").open("a") as file:
        file.write('{"format": 1, "trial_id": "to')
    changed = CliRunner().invoke(app, [*command, "--epochs", "9"])
    assert changed.exit_code == 2
    assert "space.epochs: [" in changed.output
    assert "truncated" in ended(started(space, tmp_path, "--trials", "6", "--name", "run"))
    records = records_of(tmp_path / "run")
    assert records[: len(before)] == before
    assert len({record["trial_id"] for record in records}) == len(records) == 6 + 2 * 2
    searched, finished = of_phase(records, "search"), of_phase(records, "final")
    assert len(searched) == 6
    assert searched[0]["config"]["learning_rate"] == 5e-3
    assert {record["config"]["seed"] for record in searched} == {42}
    assert all(record["result"] is None and len(record["epochs"]) == 2 for record in searched)
    # the best two on validation, each with two seeds that the search did not use
    best = sorted(searched, key=lambda record: -best_score(record))[:2]
    rates = {record["config"]["learning_rate"] for record in best}
    assert {record["config"]["learning_rate"] for record in finished} == rates
    assert [record["config"]["seed"] for record in finished] == [1, 2, 1, 2]
    assert all(record["result"]["metrics"]["test"]["spans"]["support"] > 0 for record in finished)
    assert len(pd.read_csv(tmp_path / "run" / "leaderboard.csv")) == 2
    study = optuna.load_study(study_name="run", storage=f"sqlite:///{tmp_path / 'run' / 'study.db'}")
    complete = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    assert len(complete) == 6
    assert study.best_value == max(map(best_score, searched))
    # a completed search runs nothing and regenerates its tables
    (tmp_path / "run" / "leaderboard.csv").unlink()
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.output
    assert records_of(tmp_path / "run") == records
    assert len(pd.read_csv(tmp_path / "run" / "leaderboard.csv")) == 2
    assert (tmp_path / "run" / "run.log").read_text().count("Started a local Ray instance") == 2


@pytest.mark.long
@pytest.mark.slow
def test_a_search_ends_at_its_target_and_another_uses_its_study(tmp_path: Path, space: Path) -> None:
    storage = ["--storage", f"sqlite:///{tmp_path / 'all.db'}", "--study", "mine"]
    ended(started(space, tmp_path, "--trials", "50", "--target-f1", "0.01", "--name", "first", *storage))
    searched = of_phase(records_of(tmp_path / "first"), "search")
    assert 1 <= len(searched) < 50
    assert max(map(best_score, searched)) >= 0.01
    ended(started(space, tmp_path, "--trials", "2", "--name", "second", *storage))
    assert len(of_phase(records_of(tmp_path / "second"), "search")) == 2
    study = optuna.load_study(study_name="mine", storage=storage[1])
    assert len(study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))) == len(searched) + 2
    assert not (tmp_path / "second" / "study.db").exists()


@pytest.mark.long
@pytest.mark.slow
def test_a_search_whose_time_is_over_confirms_the_best(tmp_path: Path, space: Path) -> None:
    output = ended(started(space, tmp_path, "--trials", "5000", "--time", "20s", "--name", "run"))
    records = records_of(tmp_path / "run")
    searched, finished = of_phase(records, "search"), of_phase(records, "final")
    assert 1 <= len(searched) < 5000
    # trials that ran when the time was over have their epochs
    assert {record["status"] for record in records} <= {"completed", "pruned"}
    assert len(finished) == 2 * min(2, len(searched))
    assert len(pd.read_csv(tmp_path / "run" / "leaderboard.csv")) == min(2, len(searched))
    assert "5000 trials" in output
    # 5000 trials of a quarter of a second and more would take longer than twenty minutes
    assert all(int(minutes) < 20 for minutes in re.findall(r"about (\d+):\d\d left", output))
    assert " · batch_size " in output
