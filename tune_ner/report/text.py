"""Sections of a report on the console and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from tune_ner.report.sections import Item, Section, Sentence, Table, Tone
from tune_ner.utils.console import print_line, print_table
from tune_ner.utils.tables import escape_markdown, markdown_table
from tune_ner.utils.text import visible

_STYLES: dict[Tone, str] = {"plain": "", "good": "green", "warning": "yellow", "error": "bold red", "quiet": "dim"}


def print_sections(console: Console, sections: Iterable[Section]) -> None:
    """Print sections: a run's title as a rule, other titles in bold, then their content."""
    is_titled = False
    for section in sections:
        if section.title or is_titled:
            console.print()
        is_titled = bool(section.title)
        if section.is_run:
            console.rule(Text(visible(section.title), style="bold"), align="left", characters="━")
        elif section.title:
            print_line(console, section.title, style="bold")
        for item in section.content:
            _print_item(console, item, indent=2 if section.title else 0)


def _print_item(console: Console, item: Item, indent: int) -> None:
    if isinstance(item, Sentence):
        print_line(console, item.text, item.label, _STYLES[item.tone], indent)
    elif isinstance(item, Table):
        print_table(console, item.frame, item.title, item.hide_first)
    else:
        grid = Grid.grid(padding=(0, 2))
        for name, value in item.items():
            grid.add_row(Text(visible(name), style="dim"), Text(visible(value)))
        console.print(grid)


def markdown_of(sections: Iterable[Section]) -> str:
    """Return sections as GitHub's Markdown; every sentence is an item of a list."""
    blocks: list[str] = []
    for section in sections:
        if section.title:
            blocks += ["", f"{'##' if section.is_run else '###'} {escape_markdown(section.title)}"]
        previous: type | None = None
        for item in section.content:
            if isinstance(item, Table):
                title = [f"**{escape_markdown(item.title)}**", ""] if item.title else []
                blocks += ["", *title, markdown_table(item.frame)]
            else:
                pairs = [(item.label, item.text)] if isinstance(item, Sentence) else item.items()
                blocks += [""] * (previous in (None, Table)) + [_list_item(label, text) for label, text in pairs]
            previous = Table if isinstance(item, Table) else list
    return "\n".join(blocks).strip() + "\n"


def _list_item(label: str, text: str) -> str:
    return f"- **{escape_markdown(label)}:** {escape_markdown(text)}" if label else f"- {escape_markdown(text)}"
