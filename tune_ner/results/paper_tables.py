"""Tables for documents: Markdown and LaTeX."""

from __future__ import annotations

import io

import pandas as pd
from rich.console import Console

from tune_ner.utils.renderers import MarkdownLayout, Sheet
from tune_ner.utils.text import visible


def markdown_of(sheet: Sheet) -> str:
    """The table as GitHub's Markdown has it."""
    text = io.StringIO()
    MarkdownLayout(Console(file=text)).table(sheet)
    return text.getvalue().strip() + "\n"


def latex_of(sheet: Sheet) -> str:
    r"""The table as a LaTeX `table`, for a document with `\usepackage{booktabs}`; special characters are escaped."""
    frame = pd.DataFrame(
        [[visible(cell) for cell in row] for row in sheet.rows],
        columns=[visible(column.heading) for column in sheet.columns],
    )
    style = frame.style.hide(axis="index").format(escape="latex").format_index(axis="columns", escape="latex")
    return style.to_latex(
        hrules=True,
        column_format="".join("r" if column.right else "l" for column in sheet.columns),
        caption=visible(sheet.title),
        position_float="centering",
    )
