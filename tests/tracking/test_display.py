import io
from pathlib import Path

from rich.console import Console

from tests.factories import a_config, a_failure, a_record, a_run
from tune_ner.config.loading import load_space
from tune_ner.errors import RunFolderError
from tune_ner.report.html_report import write_report
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.tracking.display import QuietDisplay, TerminalDisplay
from tune_ner.tuning.events import RunStart
from tune_ner.tuning.experiment import prepare
from tune_ner.tuning.resources import TrialResources


def ignored(_: str) -> None:
    """A note that nobody asks for."""


def test_quiet_tells_the_end_alone_and_all_that_went_wrong(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=120)
    display = QuietDisplay(console)
    records = [a_record((0.5,), seed=1), a_failure("no [weights] here", seed=2)]
    records.append(TrialRecord.of(a_config(seed=3), "diverged", 1.0, epochs=(), error="the loss is nan"))
    with display.following(prepare(load_space("demo", {"data": "synthetic:100"}))) as events:
        events.on_run_start(RunStart(TrialResources(1, 0.0, 2), "http://127.0.0.1:8265", trials=2))
        events.on_note("a [model] is not exported")
        events.on_trial_start(a_config())
        events.on_trial_end(records[0])
    display.on_note("the server is lost")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""
    display.ended(Results(a_run(tmp_path, records)), 4, RunFolderError("report.html: a folder"), 3)
    *notes, failed, diverged, early, best, page, results = console.file.getvalue().splitlines()
    assert notes == ["note: a [model] is not exported", "note: the server is lost"]
    assert failed == "tiny:1x32 · BIO · 0.001 · seed 2 failed: no [weights] here"
    assert diverged == "tiny:1x32 · BIO · 0.001 · seed 3 diverged: the loss is nan"
    assert early == "interrupted: 3 of 4 trials ended. To resume the run, repeat the command with --name run."
    assert page == "note: report not written: report.html: a folder"
    assert best.startswith("Best configuration on the validation set: tiny:1x32 · BIO · 0.001, validation span F1")
    assert results == f"Results: {tmp_path / 'run'}"


def test_a_page_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [a_record((0.5,))])
    (folder.path / "report.html").mkdir()
    results = Results(folder)
    page = write_report(results, ignored)
    assert isinstance(page, RunFolderError)
    console = Console(file=io.StringIO(), width=120)
    TerminalDisplay(console).ended(results, 1, page, 0)
    assert isinstance(console.file, io.StringIO)
    assert f"Results: {folder.path}" in console.file.getvalue()
    assert f"report not written: {folder.path / 'report.html'}" in console.file.getvalue()


def test_a_page_that_is_written_is_named_and_its_figures_lie_beside_it(tmp_path: Path) -> None:
    results = Results(a_run(tmp_path, [a_record((0.5,))]))
    notes: list[str] = []
    page = write_report(results, notes.append)
    assert page == tmp_path / "run" / "report.html"
    assert page.exists()
    assert {file.suffix for file in (tmp_path / "run" / "figures").iterdir()} == {".svg", ".png"}
    assert notes == []


def test_figures_that_cannot_be_written_cost_a_note(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [a_record((0.5,))])
    (folder.path / "figures").write_text("no folder")
    notes: list[str] = []
    page = write_report(Results(folder), notes.append)
    assert page == folder.path / "report.html"
    assert notes == [f"charts not written: {folder.path / 'figures'}: cannot be created: File exists"]


def test_notes_are_printed_without_their_secrets() -> None:
    console = Console(file=io.StringIO(), width=120)
    TerminalDisplay(console).on_note("refused by https://me:pass-word@host")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "note: refused by https://me:***@host\n"


def test_notes_are_printed_as_they_are_without_control_characters() -> None:
    console = Console(file=io.StringIO(), width=120)
    TerminalDisplay(console).on_note("[the server] is \x1b[31mlost")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "note: [the server] is \\x1b[31mlost\n"
