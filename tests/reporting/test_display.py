import io
from pathlib import Path

from rich.console import Console

from tests.factories import a_config, a_failure, a_record, a_run
from tune_ner.reporting import QuietDisplay, RunResults, TerminalDisplay, Workload
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
    display.ended(RunResults(a_run(tmp_path, records)), 2, 3)
    assert isinstance(console.file, io.StringIO)
    failed, best, results = console.file.getvalue().splitlines()
    assert failed == "failed: tiny:1x32 · BIO · 0.001 · seed 2: no [weights] here"
    assert best.startswith("Best by validation: tiny:1x32 · BIO · 0.001, validation F1")
    assert results == f"Results: {tmp_path / 'run'}"
    assert (tmp_path / "run" / "report.html").exists()


def test_a_page_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    for display in (QuietDisplay, TerminalDisplay):
        console = Console(file=io.StringIO(), width=120)
        folder = a_run(tmp_path, [a_record((0.5,))], display.__name__)
        (folder.path / "report.html").mkdir()
        display(console).ended(RunResults(folder), 1, 0)
        assert isinstance(console.file, io.StringIO)
        assert "Results: " in console.file.getvalue()
