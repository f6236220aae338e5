"""DataFrames as text: cells, alignment, Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tune_ner.utils.text import MISSING, format_value, visible

_NUMERIC = re.compile(r"[+−-]?[\d.,]+")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CODE = re.compile(r"(`[^`]*`)")
_MARKUP = re.compile(r"([\\|<*\[\]])")


def column_texts(column: pd.Series[Any]) -> list[str]:
    """Return the cells of a column as texts: missing values as `–`, floats as short as `format_value` makes them."""
    return [MISSING if value is None or value is pd.NA or value != value else format_value(value) for value in column]


def is_right_aligned(cells: Sequence[str]) -> bool:
    """Return whether every cell that is not empty is missing or begins with a number."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(cell == MISSING or _NUMERIC.match(cell) for cell in filled)


def csv_table(frame: pd.DataFrame) -> str:
    """Return a DataFrame without its index as CSV.

    An apostrophe comes before texts that a spreadsheet would run as a formula (OWASP, "CSV Injection"), such as a name
    that begins with `=`.
    """

    def cell(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA else value

    return str(frame.map(cell).to_csv(index=False))


def markdown_table(frame: pd.DataFrame) -> str:
    """Return a DataFrame without its index as a Markdown table; markup in its cells is escaped."""
    columns = [column_texts(frame[name]) for name in frame.columns]
    escaped = pd.DataFrame(
        [list(map(escape_markdown, row)) for row in zip(*columns, strict=True)],
        columns=[escape_markdown(str(name)) for name in frame.columns],
    )
    alignment = ["right" if is_right_aligned(cells) else "left" for cells in columns]
    return escaped.to_markdown(index=False, disable_numparse=True, colalign=alignment)


def escape_markdown(text: str) -> str:
    """Return a text on one line in which only `code` between backticks has a meaning in Markdown."""
    pieces = _CODE.split(" ".join(map(visible, text.split("\n"))))
    return "".join(piece if place % 2 else _MARKUP.sub(r"\\\1", piece) for place, piece in enumerate(pieces))
