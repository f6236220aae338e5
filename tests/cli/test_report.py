"""The report command: what it prints and writes, and how it ends."""

import json
import os
import shutil
from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from tests.factories import a_cost, a_failure, a_finding, a_record, a_run, a_timed_record, an_audit
from tune_ner.cli.app import app
from tune_ner.results import leaderboard
from tune_ner.results.run_dir import RunDir

TABLES = ["curves.csv", "leaderboard.csv", "ner_results_with_lr.csv", "timings.csv"]


def report(*arguments: str | Path) -> Result:
    outcome = CliRunner().invoke(app, ["report", *map(str, arguments)])
    assert "Traceback" not in outcome.output
    return outcome


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    records = [
        a_timed_record(cost=a_cost(), validation=(f1,), learning_rate=rate) for f1, rate in ((0.5, 1e-3), (0.6, 2e-3))
    ]
    return a_run(tmp_path, records, "made", "model: tiny:1x32\nlearning_rate: [1.0e-3, 2.0e-3]\n")


def files(folder: RunDir) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


def test_a_report_tells_the_run_its_ranking_and_its_times_and_rebuilds_its_tables(run: RunDir) -> None:
    outcome = report(run.path)
    assert outcome.exit_code == 0
    sections = ("Run made", "Data audit", "Leaderboard", "learning rate", "Time and memory", "Results: ", "Report: ")
    places = [outcome.output.index(section) for section in sections]
    assert places == sorted(places)
    assert sorted(file.name for file in run.path.glob("*.csv")) == TABLES
    timings = pd.read_csv(run.path / "timings.csv")
    assert timings["n_trials"].tolist() == [2]
    assert timings["tokens_per_second"].tolist() == [100]
    assert "Comparison of runs" not in outcome.output


def test_reports_are_the_same_each_time(run: RunDir) -> None:
    first = report(run.path).output, files(run)
    (run.path / "leaderboard.csv").write_text("spoilt")
    assert (report(run.path).output, files(run)) == first


def test_several_runs_are_reported_then_compared_and_one_that_is_named_twice_counts_once(
    run: RunDir, tmp_path: Path
) -> None:
    other = a_run(tmp_path, [a_record()], "other", audits={None: an_audit(a_finding("a leak", "error"))})
    outcome = report(run.path, other.path, f"{run.path}/../made/")
    assert outcome.exit_code == 0
    assert [outcome.output.count(text) for text in ("Run made", "Run other", "Comparison of runs")] == [1, 1, 1]
    assert "error: a leak" in outcome.output


def test_a_report_draws_the_figures_and_writes_the_page(run: RunDir) -> None:
    report(run.path)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert '<a href="figures/">' in page
    drawn = {file.stem for file in (run.path / "figures").glob("*.svg")}
    assert {"ranking", "curves_f1", "curves_loss", "effects", "types", "forms", "time"} <= drawn
    for name in drawn:
        assert (run.path / "figures" / f"{name}.svg").read_text(encoding="utf-8").startswith("<svg")
        assert (run.path / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_several_runs_get_a_page_that_compares_them(run: RunDir, tmp_path: Path) -> None:
    other = a_run(tmp_path, [a_record()], "other")
    file = tmp_path / "side by side" / "comparison.html"
    missing = report(run.path, other.path, "--output", file)
    assert missing.exit_code == 2
    assert "does not exist" in missing.output
    file.parent.mkdir()
    outcome = report(run.path, other.path, "--output", file)
    assert outcome.exit_code == 0
    page = file.read_text(encoding="utf-8")
    for expected in ("Configurations that every run completed", "../made/report.html", "../other/report.html"):
        assert expected in page


def test_one_run_has_nothing_to_be_compared_with(run: RunDir, tmp_path: Path) -> None:
    outcome = report(run.path, "--output", tmp_path / "comparison.html")
    assert outcome.exit_code == 2
    assert "expected two runs or more" in outcome.output
    assert not (run.path / "report.html").exists()


def test_markdown_has_headings_and_pipe_tables_and_no_line_is_broken(run: RunDir) -> None:
    outcome = report(run.path, "--markdown")
    lines = outcome.output.splitlines()
    assert "## Run made" in lines
    assert "| tiny:1x32 | BIO" in outcome.output
    piped = [line for line in lines if line.startswith("|")]
    assert all(line.endswith("|") for line in piped)
    assert len([line for line in lines if set(line) <= set("|- :") and "---" in line]) == 3


@pytest.mark.parametrize("name", ["nowhere", "empty", "file", "newer", "lost", "audit"])
def test_bad_input_is_told_with_exit_code_2_and_nothing_is_written(run: RunDir, tmp_path: Path, name: str) -> None:
    bad = tmp_path / name
    if name == "empty":
        bad.mkdir()
    elif name == "file":
        bad.write_text("x")
    elif name != "nowhere":
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
    expected = {
        "nowhere": "no such folder",
        "empty": "is empty",
        "file": "a file; expected",
        "newer": "newer version",
        "lost": "damaged",
        "audit": "not an audit",
    }
    assert expected[name] in outcome.output
    assert "Run made" not in outcome.output
    assert files(run) == before
    assert not list(tmp_path.rglob("*.csv"))


def test_a_run_whose_last_record_is_torn_is_reported_without_it(run: RunDir) -> None:
    before = len(run.records())
    run.trials_file.write_bytes(run.trials_file.read_bytes()[:-20])
    outcome = report(run.path)
    assert outcome.exit_code in (0, 3)
    assert "the last record is truncated" in " ".join(outcome.output.split())
    assert len(pd.read_csv(run.path / "ner_results_with_lr.csv")) == before - 1


def test_nothing_finished_is_reported_as_far_as_it_goes(tmp_path: Path) -> None:
    failed = report(a_run(tmp_path, [a_failure("no weights")], "failed").path)
    none = report(a_run(tmp_path, [], "none").path)
    assert [failed.exit_code, none.exit_code] == [3, 3]
    assert "no weights" in failed.output
    assert "Leaderboard" not in failed.output + none.output


def test_a_failed_trial_among_others_ends_with_the_grid_s_exit_code(tmp_path: Path) -> None:
    outcome = report(a_run(tmp_path, [a_record(), a_failure(seed=2)]).path)
    assert outcome.exit_code == 3
    assert "Leaderboard" in outcome.output


def test_a_folder_that_cannot_be_written_is_reported_all_the_same(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr("tune_ner.utils.io.os.fsync", refuse)
    outcome = report(run.path)
    assert outcome.exit_code == 0
    for what in ("tables not written: ", "charts not written: ", "report not written: "):
        assert what in outcome.output
    assert "Permission denied" in outcome.output
    assert "Time and memory" in outcome.output
    assert not list(run.path.glob("*.csv*")) + list(run.path.glob("report*")) + list(run.path.glob("figures/*"))


def test_leaderboard_is_computed_once(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = Mock(wraps=leaderboard.leaderboard_entries)
    monkeypatch.setattr("tune_ner.results.run_results.leaderboard_entries", compute)
    report(run.path)
    assert compute.call_count == 1


def test_a_run_without_its_predicted_spans_is_told_what_to_do(run: RunDir) -> None:
    shutil.rmtree(run.path / "predictions")
    outcome = report(run.path)
    assert outcome.exit_code == 2
    assert "Copy the complete run folder" in outcome.output
