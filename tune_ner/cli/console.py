"""What the commands share: how errors are told, what is shown, exit codes, and the folder and name of a run."""

from __future__ import annotations

import errno
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from tune_ner.cli.options import GroupedCommand
from tune_ner.errors import ModelError, OutputError, Terminated, TuneNerError
from tune_ner.utils.console import discard_output, new_console, print_line
from tune_ner.utils.redaction import redact

if TYPE_CHECKING:
    from tune_ner.config.trial_config import TrialConfig
    from tune_ner.results.leaderboard import RunResults
    from tune_ner.results.records import TrialRecord
    from tune_ner.results.run_dir import RunDir
    from tune_ner.tracking.display import Display
    from tune_ner.tracking.mlflow import MlflowRuns

EXIT_MISTAKE = 2
EXIT_FAILED_TRIALS = 3
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


@contextmanager
def told_errors() -> Iterator[Console]:
    """A console to print to; a user's mistake is told on standard error, and its exit code is the command's."""
    console = new_console()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    try:
        yield console
        sys.stdout.flush()
    except TuneNerError as error:
        print_line(new_console(sys.stderr), redact(str(error)), "error", "bold red")
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:  # the reader has what it wanted
        discard_output(sys.stdout)
        raise typer.Exit from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        discard_output(sys.stdout)
        print_line(new_console(sys.stderr), f"cannot be written: {error.strerror}: make room", "error", "bold red")
        raise typer.Exit(EXIT_MISTAKE) from None
    except KeyboardInterrupt as error:
        raise typer.Exit(code_of(error)) from None


def trackers_of(
    track: str | None, folder: RunDir, title: Callable[[TrialConfig], str], noted: Callable[[str], None]
) -> list[MlflowRuns]:
    """Who follows a run besides its display; `title` names a trial, `noted` is told of a server that is lost.

    Raises:
        OutputError: see `MlflowRuns`.
    """
    if track is None:
        return []
    from tune_ner.tracking.mlflow import MlflowRuns

    return [MlflowRuns(folder, title, noted)]


def finish(
    display: Display,
    trackers: Sequence[MlflowRuns],
    results: RunResults,
    trials: int,
    interrupt: KeyboardInterrupt | None,
) -> int:
    """Write the tables, the figures and the page of a run of `trials` trials, and tell everyone; gives the exit code.

    Raises:
        RunFolderError: a table cannot be written.
    """
    from tune_ner.report.html_report import write_report
    from tune_ner.results.tables import write_tables

    try:
        write_tables(results)
    except ModelError as error:  # of the card, which is written last
        display.on_note(f"the model has no card: {error}")
    page = write_report(results, display.on_note)
    for tracker in trackers:
        tracker.ended(results, interrupt is not None)
    code = exit_code(results.records, interrupt)
    display.ended(results, trials, page, code)
    return code


def new_app(**settings: Any) -> typer.Typer:
    """Return an app with plain-text help."""
    return typer.Typer(rich_markup_mode=None, **settings)


def run_alone(command: Callable[..., None], **settings: Any) -> None:
    """Run a command as its own program, as `python -m` does; `settings` are those of `typer.Typer.command`."""
    app = new_app(add_completion=False)
    app.command(cls=GroupedCommand, **settings)(command)
    app()


def code_of(interrupt: KeyboardInterrupt) -> int:
    """130 for Ctrl-C, 143 for SIGTERM."""
    return EXIT_TERMINATED if isinstance(interrupt, Terminated) else EXIT_INTERRUPTED


def _terminate(*_: object) -> None:
    raise Terminated


@contextmanager
def logged_folder(results_dir: Path, name: str) -> Iterator[RunDir]:
    """The folder of a run, new or to be gone on with; what libraries print meanwhile goes to its `run.log`.

    Raises:
        RunFolderError: see `RunFolder.available`.
    """
    from tune_ner.results.run_dir import RunDir
    from tune_ner.results.run_log import RunLog

    folder = RunDir.available(results_dir, name, may_go_on=True)
    with RunLog(folder.log_file):
        yield folder


def display_of(console: Console, run: str, quiet: bool, as_json: bool) -> Display:
    """What shows a run, as the options say.

    Raises:
        OutputError: they contradict each other.
    """
    from tune_ner.tracking.display import QuietDisplay, TerminalDisplay
    from tune_ner.tracking.json_lines import JsonDisplay

    if quiet and as_json:
        raise OutputError("--quiet with --json: expected one of them; --json has the outcome in its last line")
    if as_json:
        return JsonDisplay(console.file, run)
    return QuietDisplay(console) if quiet else TerminalDisplay(console)


def run_name(space: str) -> str:
    """A run's name from its space and the time: `demo-20261123-181500`."""
    return f"{Path(space).stem}-{datetime.now():%Y%m%d-%H%M%S}"


def exit_code(records: Sequence[TrialRecord], interrupt: KeyboardInterrupt | None) -> int:
    """0, or 3 when a trial failed, or 130 or 143 when the run was interrupted."""
    if interrupt:
        return code_of(interrupt)
    return EXIT_FAILED_TRIALS if any(record.status == "failed" for record in records) else 0
