"""Consoles, and the lines and tables printed on them."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tune_ner.utils.tables import column_texts, is_right_aligned
from tune_ner.utils.text import visible, visible_lines

_PIPED_WIDTH = 120
_WRAP_WIDTH = 18
_HEADING_WIDTH = 8
_KEPT_COLUMNS = 2


class _PipeConsole(Console):
    """A console that stops printing when the reader closes the pipe, as `| head` does."""

    def on_broken_pipe(self) -> None:
        """Discard all further output."""
        self.quiet = True
        discard_output(self.file)


def new_console(file: IO[str] | None = None, **settings: Any) -> Console:
    """Return a console that writes to `file`, by default to the current standard output.

    All consoles of the package are made here. In a notebook they write plain lines to `file`: by default, rich would
    display its output in the cell instead, and Jupyter's standard output claims to be a terminal, which would get a
    line for each refresh of a live view. `settings` are those of `rich.console.Console`.
    """
    if Console().is_jupyter:
        settings.setdefault("force_terminal", False)
    console = _PipeConsole(file=file or sys.stdout, force_jupyter=False, **settings)
    if not console.is_terminal and "width" not in settings:
        console.width = max(console.width, _PIPED_WIDTH)
    return console


def discard_output(stream: IO[str]) -> None:
    """Redirect a closed pipe to the null device: Python flushes it at exit, which would raise again."""
    with suppress(OSError), Path(os.devnull).open("w") as null:  # streams without a descriptor need no redirection
        os.dup2(null.fileno(), stream.fileno())


def print_line(console: Console, text: str, label: str = "", style: str = "", indent: int = 0) -> None:
    """Print a text, after a label in the given style if there is one.

    A terminal wraps it between words; a file or pipe gets it on one line. Markup in it is not interpreted, and
    unprintable characters become escapes.
    """
    shown = visible_lines(text)
    line = Text.assemble((f"{visible(label)}: ", style), shown) if label else Text(shown, style=style)
    if console.is_terminal:
        console.print(Padding(line, (0, 0, 0, indent), expand=False))
    else:
        for piece in line.split(allow_blank=True):
            console.print(Text(" " * indent) + piece, soft_wrap=True)


def print_text(console: Console, text: str) -> None:
    """Print a text unchanged, without wrapping."""
    console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)


def print_table(console: Console, frame: pd.DataFrame, title: str = "", hide_first: Sequence[str] = ()) -> None:
    """Print a DataFrame without its index, under its title.

    If it is wider than the console, columns are hidden and named below it: those of `hide_first` in that order, then
    from the right. The first two always remain.
    """
    columns = {str(name): [visible(cell) for cell in column_texts(frame[name])] for name in frame.columns}
    order = [*hide_first, *reversed(list(columns)[_KEPT_COLUMNS:])]
    shown = dict(columns)
    while order and sum(_least_width(name, cells) + 1 for name, cells in shown.items()) > console.width:
        shown.pop(order.pop(0), None)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=0)
    for name, cells in shown.items():
        is_number, width = is_right_aligned(cells), min(_least_width(name, cells), console.width)
        heading = "\n".join(textwrap.wrap(visible(name), max(1, width), break_long_words=False))
        table.add_column(
            Text(heading),
            justify="right" if is_number else "left",
            no_wrap=is_number,
            overflow="fold",
            min_width=width,
            vertical="top",
        )
    for row in zip(*shown.values(), strict=True):
        table.add_row(*map(Text, row))
    if title:
        print_line(console, title, style="bold")
    console.print(table)
    if hidden := [name for name in columns if name not in shown]:
        print_line(console, ", ".join(hidden), "columns hidden (terminal too narrow)", "dim")


def _least_width(name: str, cells: Sequence[str]) -> int:
    """Return the width of a column whose heading and long texts are wrapped; numbers are not."""
    longest = max(map(cell_len, cells), default=0)
    if not is_right_aligned(cells):
        longest = min(longest, _WRAP_WIDTH)
    heading = visible(name)
    return max(longest, min(cell_len(heading), _HEADING_WIDTH), *map(cell_len, heading.split(" ")))
