import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from tests.factories import a_failure, a_finding, a_record, a_run, a_stopped_trial, an_audit
from tune_ner.report.sections import Section, Sentence, audit_section, outcome_sections, overview_section
from tune_ner.report.text import print_sections
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results


def printed(sections: Sequence[Section]) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_sections(console, sections)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def outcome(folder: Path, records: Sequence[TrialRecord], trials: int = 2) -> str:
    """Return the text printed at the end of a run with these records."""
    return printed(outcome_sections(Results(a_run(folder, records)), trials))


def test_outcome_has_the_leaderboard_and_errors(tmp_path: Path) -> None:
    text = outcome(tmp_path, [a_record((0.5,)), a_failure("model 'x': no weights [here]", seed=2)])
    assert "Leaderboard" in text
    assert "model 'x': no weights [here]" in text
    assert "interrupted" not in text


def test_outcome_counts_pruned_trials(tmp_path: Path) -> None:
    records = [a_record(seed=1), a_stopped_trial((0.1,), seed=2), a_stopped_trial((0.1, 0.2), seed=3)]
    text = outcome(tmp_path, records, 3)
    assert "1 of 3" in text
    assert "2 of 3 trials were pruned after 1 to 2 epochs" in text
    assert " failed:" not in text


def test_outcome_of_an_interrupted_run_counts_its_trials(tmp_path: Path) -> None:
    assert "interrupted: 1 of 12 trials" in outcome(tmp_path, [a_record()], trials=12)


def test_run_without_completed_trials_has_no_leaderboard(tmp_path: Path) -> None:
    assert "Leaderboard" not in outcome(tmp_path, [a_failure()])


def test_overview_reports_a_missing_search_space(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path, [a_record()])
    run_dir.space_file.unlink()
    assert "space.yaml" in printed([overview_section(Results(run_dir))])


@pytest.mark.parametrize("count", [2, 10])
def test_findings_have_a_label_and_share_a_remedy(count: int) -> None:
    findings = [a_finding("a", suggestion="fix", total=2), a_finding("b", suggestion="fix", count=count)]
    _, *content = audit_section({None: an_audit(*findings)}).content
    assert content == [
        Sentence("a", "warning", "warning"),
        Sentence("b" if count == 10 else "b (2 of 10)", "warning", "warning"),
        Sentence("fix", "suggestion", "quiet"),
    ]


def test_missing_audit_is_stated() -> None:
    assert len(audit_section({}).content) == 1
