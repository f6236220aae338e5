"""How a report is laid out: the same headings, sentences and tables for a terminal or as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tune_ner.utils.text import visible, visible_lines

MISSING = "–"
"""What stands where a record has no figure."""


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, on which side its cells stand, and whether long ones are wrapped.

    Columns of one `group`, which stand side by side, have its name above their headings. Where a table is wider than a
    terminal, those with a number in `leaves` are left out, the lowest first.
    """

    heading: str
    right: bool = False
    wraps: bool = False
    min_width: int | None = None
    group: str = ""
    leaves: int | None = None


@dataclass(frozen=True)
class Sheet:
    """A table as it is shown, of cells that are text already; a line feed in one begins its second line."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]

    def without(self, place: int) -> Sheet:
        """The table without one of its columns."""
        after = place + 1
        rows = tuple(row[:place] + row[after:] for row in self.rows)
        return replace(self, columns=self.columns[:place] + self.columns[after:], rows=rows)


def value_text(value: object) -> str:
    """A value of an axis, as people write it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


class Layout(Protocol):
    """Where a report goes. Texts come as they are: what would be a mark of the medium is escaped here."""

    @property
    def width(self) -> int | None:
        """Characters in a line; None where a line has no end."""

    def title(self, text: str) -> None:
        """Begin a run or a comparison."""

    def heading(self, text: str) -> None:
        """Begin a section."""

    def facts(self, facts: Mapping[str, str]) -> None:
        """A short list of names and what they are."""

    def line(self, text: str, label: str = "", colour: str = "") -> None:
        """A sentence, with a coloured word before it."""

    def item(self, text: str, label: str = "", colour: str = "") -> None:
        """A sentence that belongs to the heading or line before it."""

    def table(self, sheet: Sheet) -> None:
        """A table under its title."""

    def gap(self) -> None:
        """Room between what belongs to a section and what comes after it."""


class TerminalLayout:
    """Colours and boxes of rich. A terminal gets lines broken between words, a file or pipe unbroken ones."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @property
    def width(self) -> int | None:
        """The terminal's width."""
        return self._console.width

    def title(self, text: str) -> None:
        """A rule with the text in it."""
        self._console.print()
        self._console.rule(Text(visible(text), style="bold"), align="left", characters="━")

    def heading(self, text: str) -> None:
        """A blank line, then the text in bold."""
        self._console.print()
        self._print(Text(visible(text), style="bold"), 0)

    def facts(self, facts: Mapping[str, str]) -> None:
        """Two columns."""
        grid = Table.grid(padding=(0, 2))
        for name, value in facts.items():
            grid.add_row(Text(visible(name), style="dim"), Text(visible(value)))
        self._console.print(grid)

    def line(self, text: str, label: str = "", colour: str = "") -> None:
        """A line from the left edge."""
        self._print(_labelled(text, label, colour), 0)

    def item(self, text: str, label: str = "", colour: str = "") -> None:
        """An indented line."""
        self._print(_labelled(text, label, colour), 2)

    def table(self, sheet: Sheet) -> None:
        """A table with a ruled head, without those columns that it has no room for and can do without."""
        sheet, left_out = _with_groups_merged(sheet), []
        while (place := _first_to_leave(sheet)) is not None and _least_width(sheet) > self._console.width:
            left_out.append(sheet.columns[place].heading)
            sheet = sheet.without(place)
        self._print(Text(visible(sheet.title), style="bold"), 0)
        self._console.print(_drawn(sheet))
        if left_out:
            self.line(f"{self.width} characters have no room for {', '.join(left_out)}", "not shown")

    def gap(self) -> None:
        """A blank line."""
        self._console.print()

    def _print(self, text: Text, indent: int) -> None:
        if self._console.is_terminal:
            self._console.print(Padding(text, (0, 0, 0, indent), expand=False))
        else:
            for line in text.split(allow_blank=True):
                self._console.print(Text(" " * indent) + line, soft_wrap=True)


class MarkdownLayout:
    """GitHub's Markdown, one line a paragraph."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._within_list = False

    @property
    def width(self) -> int | None:
        """None: a table is as wide as it is."""
        return None

    def title(self, text: str) -> None:
        """A heading of the second level."""
        self._block(f"## {_markdown(text)}")

    def heading(self, text: str) -> None:
        """A heading of the third level."""
        self._block(f"### {_markdown(text)}")

    def facts(self, facts: Mapping[str, str]) -> None:
        """A list."""
        for name, value in facts.items():
            self.item(value, name)

    def line(self, text: str, label: str = "", colour: str = "") -> None:
        """A paragraph."""
        self._block(_markdown_labelled(text, label))

    def item(self, text: str, label: str = "", colour: str = "") -> None:
        """A point of a list."""
        if not self._within_list:
            self._print("")
        self._within_list = True
        self._print(f"- {_markdown_labelled(text, label)}")

    def table(self, sheet: Sheet) -> None:
        """A pipe table."""
        if sheet.title:
            self._block(f"**{_markdown(sheet.title)}**")
        self._block(_row([f"{column.group} {column.heading}".strip() for column in sheet.columns]))
        self._print(f"|{'|'.join(' ---: ' if column.right else ' --- ' for column in sheet.columns)}|")
        for row in sheet.rows:
            self._print(_row(row))

    def gap(self) -> None:
        """Nothing: blocks stand apart already."""

    def _block(self, text: str) -> None:
        self._within_list = False
        self._print("")
        self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)


def _drawn(sheet: Sheet) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=0)
    for column in sheet.columns:
        table.add_column(
            _cell(column.heading),
            justify="right" if column.right else "left",
            no_wrap=not column.wraps,
            overflow="fold",
            min_width=column.min_width,
            vertical="top",
        )
    for row in sheet.rows:
        table.add_row(*map(_cell, row))
    return table


def _least_width(sheet: Sheet) -> int:
    """Characters of a line of the table where all cells that may be wrapped are."""
    return len(sheet.columns) + 1 + sum(map(_least_width_of, sheet.columns, zip(*sheet.rows, strict=True)))


def _least_width_of(column: Column, cells: Sequence[str]) -> int:
    if column.wraps and column.min_width:
        return column.min_width
    pieces = (
        piece for cell in (column.heading, *cells) for piece in (cell.split() if column.wraps else cell.split("\n"))
    )
    return max(map(cell_len, pieces), default=0)


def _first_to_leave(sheet: Sheet) -> int | None:
    """The place of the column that is missed least; None where all are needed."""
    places = [place for place, column in enumerate(sheet.columns) if column.leaves is not None]
    return min(places, key=lambda place: sheet.columns[place].leaves or 0, default=None)


def _with_groups_merged(sheet: Sheet) -> Sheet:
    """The table with one column for each group, since rich has no heading above several."""
    lines = [tuple(column.heading for column in sheet.columns), *sheet.rows]
    columns: list[Column] = []
    merged: list[list[str]] = []  # the cells of each column, its heading first
    for place, column in enumerate(sheet.columns):
        cells = [line[place] for line in lines]
        if column.group and columns and columns[-1].group == column.group:
            width = max(map(len, cells))
            merged[-1] = [f"{left} {cell:>{width}}" for left, cell in zip(merged[-1], cells, strict=True)]
        else:
            columns.append(column)
            merged.append([f"{cell:>{max(map(len, cells))}}" for cell in cells] if column.group else cells)
    headed = (
        replace(column, heading=f"{column.group}\n{cells[0]}", wraps=True, min_width=len(cells[0]), group="")
        if column.group
        else column
        for column, cells in zip(columns, merged, strict=True)
    )
    return Sheet(sheet.title, tuple(headed), tuple(zip(*(cells[1:] for cells in merged), strict=True)))


def _labelled(text: str, label: str, colour: str) -> Text:
    shown = visible_lines(text)
    return Text.assemble((f"{visible(label)}: ", colour), shown) if label else Text(shown, style=colour)


def _cell(text: str) -> Text:
    return Text(visible_lines(text))


def _markdown_labelled(text: str, label: str) -> str:
    return f"**{_markdown(label)}:** {_markdown(text)}" if label else _markdown(text)


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(map(_markdown, cells))} |"


_CODE = re.compile(r"(`[^`]*`)")
_MARKS = re.compile(r"([\\|<*\[\]])")


def _markdown(text: str) -> str:
    """A text in which nothing but its `code` is a mark."""
    pieces = _CODE.split(" ".join(map(visible, text.split("\n"))))
    return "".join(piece if place % 2 else _MARKS.sub(r"\\\1", piece) for place, piece in enumerate(pieces))
