import io
from pathlib import Path

import pytest

from tests.factories import a_config, a_failed_trial, a_finding, a_pruned_trial, a_record, a_run, an_audit
from tests.report.runs import a_grid, a_search, anonymous, results_of
from tests.snapshot import assert_snapshot
from tune_ner.errors import RunFolderError
from tune_ner.report.sections import (
    Section,
    Sentence,
    Table,
    audit_section,
    brief_section,
    comparison_section,
    effects_section,
    files_section,
    leaderboard_section,
    markdown_of,
    notes_section,
    outcome_sections,
    overview_section,
    print_sections,
    run_sections,
    timings_section,
)
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.utils.console import new_console


def text_of(sections: list[Section], width: int = 120) -> str:
    file = io.StringIO()
    print_sections(new_console(file, width=width), sections)
    return file.getvalue()


def labels_of(section: Section | None) -> list[str]:
    return [item.label for item in section.content if isinstance(item, Sentence)] if section else []


def test_report_of_a_grid(tmp_path: Path) -> None:
    results = Results(a_grid(tmp_path))
    sections = [*run_sections(results), files_section(results, results.run_dir.path / "report.html")]
    assert_snapshot("report_grid.txt", anonymous(text_of(sections), tmp_path))
    assert_snapshot("report_grid.md", anonymous(markdown_of(sections), tmp_path))


def test_the_end_of_a_run_is_brief(tmp_path: Path) -> None:
    results = Results(a_grid(tmp_path))
    text = text_of(outcome_sections(results, results.planned_trials))
    assert_snapshot("outcome_grid.txt", anonymous(text, tmp_path))
    complete = text_of(outcome_sections(results, results.planned_trials, is_complete=True))
    assert len(text.split()) < len(complete.split())


def test_values_are_compared_in_a_table(tmp_path: Path) -> None:
    records = [a_record((0.5,), seed=seed, learning_rate=rate) for seed in (1, 2) for rate in (1e-3, 2e-3)]
    section = effects_section(results_of(tmp_path, records))
    assert section
    table, explained = section.content
    assert isinstance(table, Table)
    assert list(table.frame["values"]) == ["0.001 minus 0.002"]
    assert "at best settings" not in table.frame
    assert isinstance(explained, Sentence)
    assert "report page" in explained.text
    assert effects_section(results_of(tmp_path, records[:1], "one")) is None


def test_report_of_a_search(tmp_path: Path) -> None:
    assert_snapshot("report_search.txt", anonymous(text_of(run_sections(Results(a_search(tmp_path)))), tmp_path))


def test_comparison_of_runs(tmp_path: Path) -> None:
    runs = {name: Results(a_grid(tmp_path, name)) for name in ("first", "second")}
    assert_snapshot("comparison.txt", anonymous(text_of([comparison_section(runs)], width=160), tmp_path))


def test_runs_without_a_completed_trial_have_no_leaderboard(tmp_path: Path) -> None:
    none = results_of(tmp_path, [], "none")
    failed = results_of(tmp_path, [a_failed_trial("no weights")], "failed")
    assert [leaderboard_section(none), leaderboard_section(failed)] == [None, None]
    assert timings_section(none) is None
    assert notes_section(none, 0) is None
    assert "no weights" in text_of(run_sections(failed))


def test_notes_list_failures_pruned_trials_and_missing_trials(tmp_path: Path) -> None:
    results = results_of(tmp_path, [a_record(), a_failed_trial(seed=2), a_pruned_trial(seed=3)])
    assert labels_of(notes_section(results, 3)) == ["", "note"]
    assert labels_of(notes_section(results, 4)) == ["", "note", "interrupted"]


def test_brief_section_has_failures_and_the_best_configuration(tmp_path: Path) -> None:
    diverged = TrialRecord.of(a_config(seed=3), "diverged", 1.0, error="loss is nan")
    records = [a_record((0.5,), seed=1), a_failed_trial("no [weights] here", seed=2), diverged]
    caveat, *failures, unfinished, best = brief_section(results_of(tmp_path, records), 4).content
    assert isinstance(caveat, Sentence)
    assert caveat.label == "warning"
    assert [item.tone for item in failures if isinstance(item, Sentence)] == ["error", "error"]
    assert isinstance(unfinished, Sentence)
    assert "3 of 4 trials" in unfinished.text
    assert isinstance(best, Sentence)
    assert "tiny:1x32 · BIO · lr 0.001" in best.text


def test_overview_reports_a_missing_search_space(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path, [a_record()])
    run_dir.space_file.unlink()
    assert "space.yaml" in text_of([overview_section(Results(run_dir))])


@pytest.mark.parametrize("count", [2, 10])
def test_findings_share_a_suggestion(count: int) -> None:
    findings = [a_finding("a", suggestion="fix", total=2), a_finding("b", suggestion="fix", count=count)]
    assert list(audit_section({None: an_audit(*findings)}).content) == [
        Sentence("a", "warning", "warning"),
        Sentence("b" if count == 10 else "b (2 of 10)", "warning", "warning"),
        Sentence("fix", "suggestion", "quiet"),
    ]


@pytest.mark.parametrize("written", [True, False])
def test_files_are_named_or_the_reason_why_they_are_missing(tmp_path: Path, written: bool) -> None:
    results = results_of(tmp_path, [a_record()])
    section = files_section(results, tmp_path / "report.html" if written else RunFolderError("report.html: no room"))
    assert labels_of(section) == (["Results", "Report"] if written else ["note", "Results"])


def test_narrow_consoles_keep_the_test_score(tmp_path: Path) -> None:
    section = leaderboard_section(Results(a_grid(tmp_path)))
    assert section
    text = text_of([section], width=80)
    assert "columns hidden" in text
    assert max(len(line) for line in text.splitlines()[:10]) <= 80
    assert "0.400" in text


def test_markdown_tables_are_not_wrapped(tmp_path: Path) -> None:
    rows = [line for line in markdown_of(run_sections(Results(a_grid(tmp_path)))).splitlines() if line.startswith("|")]
    assert rows
    assert all(row.endswith("|") for row in rows)


def test_markup_in_names_is_text(tmp_path: Path) -> None:
    odd = "[bold]<b>x</b>[/nothing]\x1b[2J"
    results = Results(a_run(tmp_path, [a_record(model=odd), a_failed_trial(odd, seed=2)]))
    text, markdown = text_of(run_sections(results)), markdown_of(run_sections(results))
    assert "nothing" in text
    assert r"\<b>" in markdown
    assert "\x1b" not in text + markdown


def test_tables_hide_only_columns_that_they_have(tmp_path: Path) -> None:
    section = leaderboard_section(Results(a_grid(tmp_path)))
    assert section
    table = section.content[0]
    assert isinstance(table, Table)
    assert set(table.hide_first) <= set(table.frame.columns)
