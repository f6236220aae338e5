"""CSV and TSV files with one sentence per row: its text or tokens, and its tags or spans as a list."""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tune_ner.data.formats.options import ReadOptions, Role
from tune_ner.data.formats.rows import Placed
from tune_ner.errors import DataError

_TEXT_NAMES = ("tokens", "words", "text", "sentence", "sentence_text")
_LABEL_NAMES = ("ner_tags", "tags", "ner", "tag", "labels", "label", "spans", "entities")
_LISTS = ("[", "(", "{")
_SNIFFED_ROWS = 50
_LONGEST_CELL = 10_000_000


def sentence_rows(path: Path, lines: Sequence[str], options: ReadOptions) -> list[Placed] | None:
    """Return the rows of a file with one sentence per row; None for a file with one token per row.

    The header names the columns, or `columns` of the options does. Lists are written as in JSON or Python, or with
    spaces between the items.

    Raises:
        DataError: a row has another number of cells, or a cell is not a list.
    """
    delimiter = "\t" if "\t" in lines[0] else max(",;", key=lines[0].count)
    header = [name.strip() for name in next(csv.reader([lines[0]], delimiter=delimiter), [])]
    text, label = (_named(header, names, options, roles) for names, roles in _ROLES)
    if text is None or label is None or text == label:
        return None
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter)
    rows: list[tuple[int, list[str]]] = []
    try:
        next(reader)
        rows = [(reader.line_num, row) for row in reader if any(row)]
    except csv.Error:
        return None  # the reader of tokens names the line
    sniffed = [row[label].strip() for _, row in rows[:_SNIFFED_ROWS] if len(row) > label]
    lists = sum(cell.startswith(_LISTS) or len(cell.split()) > 1 for cell in sniffed)
    if not lists or 2 * lists < len(sniffed):
        return None
    return [(f"{path}:{line}", _row(f"{path}:{line}", header, row, (text, label), options)) for line, row in rows]


_ROLES = ((_TEXT_NAMES, ("tokens", "text")), (_LABEL_NAMES, ("tags", "spans")))


def _named(header: Sequence[str], names: Sequence[str], options: ReadOptions, roles: Sequence[str]) -> int | None:
    """Return the column that the options or its usual name give for one of the roles."""
    wanted = [name for role, name in options.columns.items() if role in roles]
    lower = [name.lower() for name in header]
    found = [header.index(name) for name in wanted if name in header]
    return next(iter(found or [lower.index(name) for name in names if name in lower]), None)


def _row(
    place: str, header: Sequence[str], row: Sequence[str], columns: tuple[int, int], options: ReadOptions
) -> dict[str, Any]:
    """Return a row of tokens and tags, or of a text and spans."""
    if len(row) != len(header):
        raise DataError(
            f"{place}: found {len(row)} cells; expected {len(header)}, as in the header {', '.join(header)}"
        )
    text, label = columns
    known = {name: cell for place, (name, cell) in enumerate(zip(header, row, strict=True)) if place not in columns}
    labels = _list(place, header[label], row[label])
    is_text = not row[text].strip().startswith(_LISTS)
    if (labels and isinstance(labels[0], dict | list | tuple)) or (is_text and not labels):
        return {**known, _key(options, "text"): row[text], _key(options, "spans"): labels}
    tokens = [str(token) for token in _list(place, header[text], row[text])]
    return {**known, _key(options, "tokens"): tokens, _key(options, "tags"): labels}


def _key(options: ReadOptions, role: Role) -> str:
    return options.columns.get(role, role)


def _list(place: str, name: str, cell: str) -> list[Any]:
    """Return the items of a cell."""
    content = cell.strip()
    if not content.startswith(_LISTS):
        return content.split()
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(content)
        # SyntaxError, ValueError, MemoryError and RecursionError: no literal
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(found, list | tuple):
            return list(found)
    raise DataError(
        f"{place}: `{name}` is {content[:60]!r}; expected a list as in JSON or Python, or items between spaces"
    )
