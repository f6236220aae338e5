"""The report command: its output, its files and its exit codes."""

import json
import os
import shutil
from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from tests.factories import a_failed_trial, a_profile, a_record, a_run, a_timed_record
from tune_ner.cli.app import app
from tune_ner.results.leaderboard import leaderboard_entries
from tune_ner.results.run_dir import RunDir

TABLES = ["curves.csv", "expected_best.csv", "leaderboard.csv", "ner_results_with_lr.csv", "timings.csv"]


def report(*arguments: str | Path) -> Result:
    outcome = CliRunner().invoke(app, ["report", *map(str, arguments)])
    assert "Traceback" not in outcome.output
    return outcome


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    records = [
        a_timed_record(profile=a_profile(), validation=(f1,), learning_rate=rate)
        for f1, rate in ((0.5, 1e-3), (0.6, 2e-3))
    ]
    return a_run(tmp_path, records, "made", "model: tiny:1x32\nlearning_rate: [1.0e-3, 2.0e-3]\n")


def files(run: RunDir) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


def test_report_prints_all_sections_and_rewrites_the_files(run: RunDir) -> None:
    outcome = report(run.path)
    assert outcome.exit_code == 0
    sections = ("Run made", "Data audit", "Leaderboard", "learning rate", "Time and memory", "Results: ", "Report: ")
    places = [outcome.output.index(section) for section in sections]
    assert places == sorted(places)
    assert sorted(file.name for file in run.path.glob("*.csv")) == TABLES
    assert pd.read_csv(run.path / "timings.csv")["n_trials"].tolist() == [2]
    assert (run.path / "report.html").exists()
    assert (run.path / "figures" / "leaderboard.svg").exists()


def test_reports_are_the_same_each_time(run: RunDir) -> None:
    first = report(run.path).output, files(run)
    (run.path / "leaderboard.csv").write_text("spoilt")
    assert (report(run.path).output, files(run)) == first


def test_ensembles_are_evaluated_when_asked_for_and_shown_from_then_on(run: RunDir) -> None:
    assert "Ensemble" not in report(run.path).output
    for options in (["--ensemble", "2"], []):
        outcome = report(run.path, *options)
        assert outcome.exit_code == 0
        assert "Ensemble of 2 models, all of the 2 best configurations: test span F1 0.000" in outcome.output
    assert "Ensemble of 2 models" in (run.path / "report.html").read_text()
    assert "ensembles.csv" in (run.path / "report.html").read_text()
    outcome = report(run.path, "--ensemble", "3")
    assert outcome.exit_code == 2
    assert "an ensemble of 3 configurations; expected 1 to 2" in " ".join(outcome.output.split())


def test_runs_that_are_named_twice_are_reported_once_and_compared(run: RunDir, tmp_path: Path) -> None:
    other = a_run(tmp_path, [a_record()], "other")
    outcome = report(run.path, other.path, f"{run.path}/../made/")
    assert outcome.exit_code == 0
    assert [outcome.output.count(text) for text in ("Run made", "Run other", "Comparison of runs")] == [1, 1, 1]


def test_comparison_is_written_as_a_page(run: RunDir, tmp_path: Path) -> None:
    other = a_run(tmp_path, [a_record()], "other")
    file = tmp_path / "two runs" / "comparison.html"
    assert report(run.path, other.path, "--output", file).exit_code == 2
    file.parent.mkdir()
    assert report(run.path, other.path, "--output", file).exit_code == 0
    page = file.read_text(encoding="utf-8")
    assert "../made/report.html" in page
    assert "../other/report.html" in page


def test_comparison_of_one_run_is_an_error(run: RunDir, tmp_path: Path) -> None:
    outcome = report(run.path, "--output", tmp_path / "comparison.html")
    assert outcome.exit_code == 2
    assert "two runs" in outcome.output
    assert not (run.path / "report.html").exists()


def test_markdown_has_headings_and_tables(run: RunDir) -> None:
    lines = report(run.path, "--markdown").output.splitlines()
    assert "## Run made" in lines
    assert len([line for line in lines if set(line) <= set("|-:") and "---" in line]) == 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("missing", "missing"),
        ("empty", "empty"),
        ("file", "file"),
        ("newer", "newer version"),
        ("lost", "damaged"),
        ("audit", "audit.json"),
    ],
)
def test_unreadable_runs_are_errors_and_nothing_is_written(
    run: RunDir, tmp_path: Path, name: str, expected: str
) -> None:
    bad = tmp_path / name
    if name == "empty":
        bad.mkdir()
    elif name == "file":
        bad.write_text("x")
    elif name != "missing":
        shutil.copytree(run.path, bad)
    trials = bad / "trials.jsonl"
    if name == "newer":
        row = json.loads(trials.read_text(encoding="utf-8").splitlines()[0])
        trials.write_text(json.dumps({**row, "format": 99}) + "\n", encoding="utf-8")
    if name == "lost":
        for file in list((bad / "predictions").iterdir())[1:]:
            file.write_text("")
    if name == "audit":
        (bad / "audit.json").write_text('[{"fold": null}]')
    before = files(run)
    outcome = report(run.path, bad)
    assert outcome.exit_code == 2
    assert str(bad) in outcome.output
    assert expected in outcome.output
    assert "Run made" not in outcome.output
    assert files(run) == before
    assert not list(tmp_path.rglob("*.csv"))


def test_truncated_last_record_is_skipped(run: RunDir) -> None:
    before = len(run.records())
    run.trials_file.write_bytes(run.trials_file.read_bytes()[:-20])
    outcome = report(run.path)
    assert outcome.exit_code in (0, 3)
    assert "truncated" in outcome.output
    assert len(pd.read_csv(run.path / "ner_results_with_lr.csv")) == before - 1


def test_runs_without_a_completed_trial_exit_with_3(tmp_path: Path) -> None:
    failed = report(a_run(tmp_path, [a_failed_trial("no weights")], "failed").path)
    none = report(a_run(tmp_path, [], "none").path)
    assert [failed.exit_code, none.exit_code] == [3, 3]
    assert "no weights" in failed.output


def test_failed_trials_exit_with_3(tmp_path: Path) -> None:
    assert report(a_run(tmp_path, [a_record(), a_failed_trial(seed=2)]).path).exit_code == 3


def test_files_that_cannot_be_written_are_noted(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr("tune_ner.utils.io.os.fsync", refuse)
    outcome = report(run.path)
    assert outcome.exit_code == 0
    assert outcome.output.count("Permission denied") == 3  # tables, charts and page
    assert "Time and memory" in outcome.output
    assert not list(run.path.glob("*.csv*")) + list(run.path.glob("report*")) + list(run.path.glob("figures/*"))


def test_leaderboard_is_computed_once(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = Mock(wraps=leaderboard_entries)
    monkeypatch.setattr("tune_ner.results.run_results.leaderboard_entries", compute)
    report(run.path)
    assert compute.call_count == 1


def test_missing_predictions_are_an_error(run: RunDir) -> None:
    shutil.rmtree(run.path / "predictions")
    outcome = report(run.path)
    assert outcome.exit_code == 2
    assert "predictions" in outcome.output
