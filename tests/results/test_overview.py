import io
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.factories import a_failure, a_finding, a_record, a_run, a_stopped_trial, an_audit
from tune_ner.results.leaderboard import RunResults
from tune_ner.results.overview import print_audit_section, print_overview, told_findings, trials_of, worst_of
from tune_ner.results.run_dir import RunDir
from tune_ner.utils.renderers import TerminalLayout

SPACE = "data: corpus.jsonl\nmarkup: strip\nmodel: [tiny:1x32, tiny:1x64]\nlearning_rate: [1.0e-3]\nseed: [1, 2]\n"


def overview(folder: RunDir) -> str:
    console = Console(file=io.StringIO(), width=100)
    print_overview(TerminalLayout(console), RunResults(folder))
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().split())


def audit_section(audits: dict[int | None, dict[str, Any]]) -> list[str]:
    console = Console(file=io.StringIO(), width=100)
    print_audit_section(TerminalLayout(console), audits)
    assert isinstance(console.file, io.StringIO)
    return [line.strip() for line in console.file.getvalue().splitlines() if line]


def test_a_run_s_head_tells_its_data_its_trials_and_its_space(tmp_path: Path) -> None:
    text = overview(a_run(tmp_path, [a_record(), a_failure(seed=2)], space=SPACE))
    for expected in (
        "data corpus.jsonl, markup strip",
        "split random: test 0.2, validation 0.1, seed 67",
        "trials 1 completed, 1 failed, 2 not run",
        "model tiny:1x32, tiny:1x64",
        "fixed tagging_scheme BIO, learning_rate 0.001, lr_schedule linear, warmup 0, epochs 5",
    ):
        assert expected in text


def test_a_search_is_told_with_its_distributions(tmp_path: Path) -> None:
    space = SPACE.replace("learning_rate: [1.0e-3]", "learning_rate: {loguniform: [1.0e-4, 1.0e-2]}")
    assert space != SPACE
    text = overview(a_run(tmp_path, [a_record(), a_failure(seed=2)], space=space))
    assert "learning_rate {loguniform: [0.0001, 0.01]}" in text
    assert "trials 1 completed, 1 failed model" in text


def test_stopped_trials_are_told_apart_from_failed_ones(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [a_record(), a_failure(seed=2), a_stopped_trial(seed=1)], space=SPACE)
    assert "trials 1 completed, 1 pruned, 1 failed, 1 not run" in overview(folder)


def test_folds_are_told(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [], space=f"{SPACE}split: {{method: grouped, folds: 3}}\n")
    assert "split 3 folds (grouped), seed 67 trials 12 not run" in overview(folder)


def test_a_space_that_is_not_there_or_faulty_leaves_what_the_records_tell(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [a_record(seed=1), a_record(seed=2)], space="model: []\n")
    text = overview(folder)
    assert "data not known trials 2 completed model tiny:1x32 tagging_scheme BIO learning_rate 0.001 seed 1, 2" in text
    assert "note: the space is not known: " in text
    folder.space_file.unlink()
    assert "there is no space.yaml in " in overview(folder)
    results = RunResults(folder)
    assert trials_of(results.space, results.records) == 2


def test_the_audit_gives_the_verdict_and_each_error_and_warning_with_its_remedy() -> None:
    findings = [a_finding("leak", "error", total=2), a_finding("twins"), a_finding("note", "info")]
    assert audit_section({None: an_audit(*findings)}) == [
        "Audit of the data",
        "audit: error: leak",
        "error: leak",
        "suggestion: mend leak",
        "warning: twins (2 of 10)",
        "suggestion: mend twins",
    ]


def test_a_run_without_an_audit_or_without_findings_says_so() -> None:
    assert audit_section({}) == ["Audit of the data", "not audited"]
    assert audit_section({None: an_audit()}) == ["Audit of the data", "audit: no errors or warnings"]


def test_findings_of_several_folds_are_told_once_and_say_of_which_folds() -> None:
    same, other = a_finding("small"), a_finding("twins", count=3)
    assert audit_section({0: an_audit(same, other), 1: an_audit(same), 2: an_audit(same, other)})[1:] == [
        "audit: warning: small",
        "warning: small (2 of 10)",
        "suggestion: mend small",
        "warning: folds 0, 2: twins (3 of 10)",
        "suggestion: mend twins",
    ]
    assert "fold 1: audit: no errors or warnings" in audit_section({0: an_audit(same), 1: an_audit()})


def test_findings_come_worst_first_and_a_shared_remedy_once() -> None:
    audits: dict[int | None, dict[str, Any]] = {
        0: an_audit(a_finding("a", suggestion="mend")),
        1: an_audit(a_finding("b", "error"), a_finding("c", suggestion="mend")),
    }
    assert [finding.title for finding in told_findings(audits)] == ["b", "a", "c"]
    assert audit_section(audits).count("suggestion: mend") == 1


def test_the_worst_of_all_folds_counts() -> None:
    assert worst_of({}) == "not audited"
    assert worst_of({0: an_audit()}) == "none"
    assert worst_of({0: an_audit(a_finding("a")), 1: an_audit(a_finding("b", "error"))}) == "error"
