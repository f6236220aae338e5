"""The page of a run: its sections, its files, and what happens if they cannot be written."""

import re
import shutil
from pathlib import Path

import pytest

from tests.factories import a_failed_trial, a_finding, a_pruned_trial, a_record, a_run, an_audit
from tests.report.runs import GRID, a_grid, a_search
from tests.report.test_html_page import HOSTILE, Elements, island
from tune_ner.errors import RunFolderError
from tune_ner.report.html_report import comparison_page, run_page, write_report
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results


def page_of(run: RunDir) -> str:
    return run_page(Results(run)).html()


def sections_of(page: str) -> list[str]:
    return re.findall(r'<section id="(\w+)"', page)


def test_page_of_a_grid_has_all_sections_in_order(tmp_path: Path) -> None:
    page = page_of(a_grid(tmp_path))
    first = ["leaderboard", "hyperparameters", "curves", "entities", "errors", "audit"]
    assert sections_of(page) == [*first, "time", "run", "files"]
    assert 'href="trials.jsonl"' in page


def test_page_of_a_search_has_its_charts(tmp_path: Path) -> None:
    page = page_of(a_search(tmp_path))
    assert sections_of(page)[1:4] == ["hyperparameters", "search", "curves"]
    expected = {"optimization_history", "hyperparameter_importances", "hyperparameter_learning_rate"}
    assert expected <= island(page)["charts"].keys()


def test_markup_in_names_and_errors_is_text(tmp_path: Path) -> None:
    records = [a_record(model=HOSTILE), a_record(model="tiny:1x32"), a_failed_trial(HOSTILE, seed=2)]
    found = Elements(page_of(a_run(tmp_path, records, audits={None: an_audit(a_finding(HOSTILE))})))
    assert "img" not in found.names
    assert found.names.count("script") == 5  # the data, Vega and three of our own
    assert any(HOSTILE in text for text in found.text)


def test_pages_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = re.sub("<script>.*?</script>", "", page_of(a_run(tmp_path, [a_record()])), flags=re.DOTALL)
    assert re.findall(r'<(?:link|script|img|iframe)[^>]*\b(?:src|href)="([^"]*)"', page) == ["data:,"]
    assert "default-src 'none'" in page


@pytest.mark.parametrize("name", ["none", "failed", "pruned"])
def test_runs_without_a_completed_trial_have_a_page(tmp_path: Path, name: str) -> None:
    records = {"none": [], "failed": [a_failed_trial("no weights")], "pruned": [a_pruned_trial()]}[name]
    page = page_of(a_run(tmp_path, records, name))
    assert "leaderboard" in sections_of(page)
    assert "errors" not in sections_of(page)
    assert ("no weights" in page) == (name == "failed")
    assert ("curves" in sections_of(page)) == (name == "pruned")


def test_unfinished_runs_show_the_number_of_trials(tmp_path: Path) -> None:
    assert "1 of 8 trials" in page_of(a_run(tmp_path, [a_record()], space=GRID))


def test_subtitle_has_data_trials_and_time(tmp_path: Path) -> None:
    record = a_record().model_copy(update={"finished_at": "2026-11-25T19:33:10.123+00:00"})
    space = "data: synthetic:50\nmodel: tiny:1x32\nlearning_rate: 1.0e-3\n"
    page = run_page(Results(a_run(tmp_path, [record], space=space)))
    assert page.subtitle == "synthetic:50, markup keep · 1 trial · 2026-11-25 19:33 UTC"


def test_audit_errors_are_shown_below_the_title(tmp_path: Path) -> None:
    audit = an_audit(a_finding("a <b>leak</b>", "error"), a_finding("few entities"))
    page = page_of(a_run(tmp_path, [a_record((0.5,), test=0.5)], audits={None: audit}))
    alert = page.index('<p class="alert error" role="alert">')
    assert page.index("<h1>") < alert < page.index("<section")
    assert "audit error: a &lt;b&gt;leak" in page[alert : page.index("</p>", alert)]
    assert "audit error" not in page_of(a_run(tmp_path / "other", [a_record()]))


def test_exported_models_are_linked(tmp_path: Path) -> None:
    run = a_run(tmp_path, [a_record()])
    assert 'href="best/"' not in page_of(run)
    (run.path / "best").mkdir()
    assert 'href="best/"' in page_of(run)


def test_report_is_written_with_its_charts(tmp_path: Path) -> None:
    run = a_grid(tmp_path)
    assert write_report(Results(run), pytest.fail) == run.path / "report.html"
    names = {file.name for file in (run.path / "figures").iterdir()}
    assert {"leaderboard.svg", "leaderboard.png", "learning_curves.svg", "hyperparameter_effects.png"} <= names


def test_report_that_cannot_be_written_is_returned_as_an_error(tmp_path: Path) -> None:
    run = a_run(tmp_path, [a_record()])
    (run.path / "report.html").mkdir()
    assert isinstance(write_report(Results(run), pytest.fail), RunFolderError)
    assert not list(run.path.glob("*.unfinished"))


def test_charts_that_cannot_be_written_are_noted(tmp_path: Path) -> None:
    run = a_run(tmp_path, [a_record()])
    (run.path / "figures").write_text("a file")
    notes: list[str] = []
    assert write_report(Results(run), notes.append) == run.path / "report.html"
    (note,) = notes
    assert str(run.path / "figures") in note


def test_page_needs_the_predicted_spans(tmp_path: Path) -> None:
    run = a_run(tmp_path, [a_record()])
    shutil.rmtree(run.predictions)
    with pytest.raises(RunFolderError):
        run_page(Results(run))


def test_comparison_links_the_page_of_each_run(tmp_path: Path) -> None:
    runs = {name: Results(a_grid(tmp_path, name)) for name in ("one", "two")}
    page = comparison_page(runs, tmp_path / "comparison.html").html()
    assert re.findall(r'href="(\w+/report\.html)"', page) == ["one/report.html", "two/report.html"]
