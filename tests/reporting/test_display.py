import io
from pathlib import Path

from rich.console import Console

from tests.factories import a_config, a_failure, a_record, a_run
from tune_ner.errors import RunFolderError
from tune_ner.reporting import QuietDisplay, RunPage, RunResults, TerminalDisplay, Workload, written_page
from tune_ner.tuning import TrialResources


def test_quiet_tells_the_end_alone(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=120)
    display = QuietDisplay(console)
    records = [a_record((0.5,), seed=1), a_failure("no [weights] here", seed=2)]
    with display.following(Workload(2, lambda _: 1.0)) as events:
        events.run_started(TrialResources(1, 0.0, 2), "http://127.0.0.1:8265")
        events.noted("something")
        events.trial_started(a_config())
        events.trial_ended(records[0])
    display.ended(RunResults(a_run(tmp_path, records)), 2, Path("report.html"), 3)
    assert isinstance(console.file, io.StringIO)
    failed, best, results = console.file.getvalue().splitlines()
    assert failed == "failed: tiny:1x32 · BIO · 0.001 · seed 2: no [weights] here"
    assert best.startswith("Best by validation: tiny:1x32 · BIO · 0.001, validation F1")
    assert results == f"Results: {tmp_path / 'run'}"


def test_a_page_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [a_record((0.5,))])
    (folder.path / "report.html").mkdir()
    results = RunResults(folder)
    page = written_page(RunPage(results))
    assert isinstance(page, RunFolderError)
    console = Console(file=io.StringIO(), width=120)
    TerminalDisplay(console).ended(results, 1, page, 0)
    assert isinstance(console.file, io.StringIO)
    assert f"Results: {folder.path}" in console.file.getvalue()
    assert f"page not written: {folder.path / 'report.html'}" in console.file.getvalue()


def test_a_page_that_is_written_is_named(tmp_path: Path) -> None:
    results = RunResults(a_run(tmp_path, [a_record((0.5,))]))
    page = written_page(RunPage(results))
    assert page == tmp_path / "run" / "report.html"
    assert page.exists()


def test_notes_are_printed_without_their_secrets() -> None:
    console = Console(file=io.StringIO(), width=120)
    TerminalDisplay(console).noted("refused by https://me:pass-word@host")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "note: refused by https://me:***@host\n"


def test_notes_are_printed_as_they_are() -> None:
    console = Console(file=io.StringIO(), width=120)
    TerminalDisplay(console).noted("[the server] is lost")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "note: [the server] is lost\n"
