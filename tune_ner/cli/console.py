"""Code that the commands share: error messages, exit codes, and the start of a run."""

from __future__ import annotations

import errno
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from tune_ner.cli.options import GroupedCommand
from tune_ner.errors import OutputError, Terminated, TuneNerError, interrupt_code
from tune_ner.utils.console import discard_output, new_console, print_line
from tune_ner.utils.text import redact

if TYPE_CHECKING:
    from tune_ner.cli.options import OutputOptions
    from tune_ner.config.search_space import SearchSpace
    from tune_ner.tracking.display import Display
    from tune_ner.tuning.options import SearchSettings

EXIT_MISTAKE = 2
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)


@contextmanager
def reported_errors() -> Iterator[Console]:
    """Yield a console; print errors that a user can cause on standard error and exit with their code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # not if it was replaced, as in a notebook
            stream.reconfigure(errors="backslashreplace")  # texts may have characters that a terminal has not
    console = new_console()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    try:
        yield console
        sys.stdout.flush()
    except TuneNerError as error:
        print_line(new_console(sys.stderr), redact(str(error)), "error", "bold red")
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:  # the reader closed the pipe
        discard_output(sys.stdout)
        raise typer.Exit from None
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        discard_output(sys.stdout)
        place = error.filename or "standard output or a file"
        print_line(new_console(sys.stderr), f"{place}: {error.strerror}; check the disk", "error", "bold red")
        raise typer.Exit(EXIT_MISTAKE) from None
    except KeyboardInterrupt as error:
        raise typer.Exit(interrupt_code(error)) from None


def quiet_transformers() -> None:
    """Suppress progress bars and warnings of transformers, for commands that load a model."""
    import transformers  # takes seconds

    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()


def start_run(
    console: Console,
    space: SearchSpace,
    output: OutputOptions,
    arguments: Mapping[str, Any],
    *,
    name: str,
    search: SearchSettings | None = None,
) -> None:
    """Run a grid or, with `search`, a search as the options say; output of libraries goes to the run's log.

    Raises:
        typer.Exit: trials failed.
        TuneNerError: see `Tuner`.
    """
    from tune_ner.api import Tuner, exit_code
    from tune_ner.results.run_log import RunLog

    tuner = Tuner(None, space, name, display=_display(console, name, output), **arguments)
    with RunLog(tuner.run_dir.log_file):
        if output.dry_run:
            tuner.show_plan(search)
            return
        results = tuner.run(search)
    raise typer.Exit(exit_code(results.records))


def _display(console: Console, run: str, output: OutputOptions) -> Display:
    from tune_ner.tracking.display import ConsoleDisplay, QuietDisplay
    from tune_ner.tracking.json_lines import JsonDisplay

    if output.quiet and output.as_json:
        raise OutputError("--quiet with --json: expected only one of them; the last line of --json has the outcome")
    if output.as_json:
        return JsonDisplay(console.file, run)
    return QuietDisplay(console) if output.quiet else ConsoleDisplay(console)


def new_app(**settings: Any) -> typer.Typer:
    """Return an app with plain-text help."""
    return typer.Typer(rich_markup_mode=None, **settings)


def run_alone(command: Callable[..., None], **settings: Any) -> None:
    """Run a single command as a program; `settings` are those of `typer.Typer.command`."""
    app = new_app(add_completion=False)
    app.command(cls=GroupedCommand, **settings)(command)
    app()


def _terminate(*_: object) -> None:
    raise Terminated


def run_name(space: str) -> str:
    """Return a run's name from its search space and the time: `demo-20261123-181500`."""
    return f"{Path(space).stem}-{datetime.now():%Y%m%d-%H%M%S}"
