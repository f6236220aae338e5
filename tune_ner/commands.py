"""What the commands share: how errors are told, exit codes, and the name of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape

from tune_ner.errors import TuneNerError

if TYPE_CHECKING:
    from tune_ner.runs import TrialRecord

EXIT_FAILED_TRIALS = 3
EXIT_INTERRUPTED = 130

_PIPED_WIDTH = 120


@contextmanager
def told_errors() -> Iterator[Console]:
    """A console to print to; a user's mistake is told on standard error, and its exit code is the command's."""
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, _PIPED_WIDTH)
    try:
        yield console
    except TuneNerError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {_plain(error)}", highlight=False, soft_wrap=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _plain(error: TuneNerError) -> str:
    return escape(str(error))


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that stand on the command line: those that are neither None nor an empty list."""
    return {key: value for key, value in options.items() if value is not None and value != []}


def run_name(space: str) -> str:
    """A run's name from its space and the time: `demo-20261123-181500`."""
    return f"{Path(space).stem}-{datetime.now():%Y%m%d-%H%M%S}"


def exit_code(records: Sequence[TrialRecord], interrupted: bool) -> int:
    """0, or 3 when a trial failed, or 130 when the run was interrupted."""
    if interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED_TRIALS if any(record.status == "failed" for record in records) else 0
