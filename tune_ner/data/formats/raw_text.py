"""Texts without annotation, one after the other as they are read: plain lines and JSONL."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from tune_ner.errors import TextError

LONGEST_TEXT = 10_000_000
"""Characters; a longer text is refused, for it takes more memory than a machine can be expected to have."""

_LONGEST_LINE = 4 * LONGEST_TEXT
"""Bytes; no character has more than four."""


@dataclass(frozen=True)
class TextRow:
    """A text and where it came from; `fields` are the keys of its JSON object, if it came in one."""

    text: str
    place: str
    fields: Mapping[str, Any] = field(default_factory=dict)


def check_text(text: str, place: str) -> str:
    """The text itself.

    Raises:
        TextError: it holds half a surrogate pair, or is longer than `LONGEST_TEXT`.
    """
    if len(text) > LONGEST_TEXT:
        raise TextError(
            f"{place}: {len(text):,} characters; expected at most {LONGEST_TEXT:,} in a text: divide it, for "
            "instance at its paragraphs"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TextError(
            f"{place}: half a surrogate pair (U+{ord(text[error.start]):04X}) at offset {error.start}, which is no "
            "character; expected UTF-8 text, or both halves of an escape"
        ) from error
    return text


def check_file(path: Path) -> Path:
    """The path itself.

    Raises:
        TextError: it is no file that can be read, or its ending tells no format.
    """
    if path.suffix.lower() not in (".txt", ".jsonl"):
        raise TextError(f"{path}: unknown ending {path.suffix!r}; expected .txt (one text a line) or .jsonl")
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise TextError(f"{path}: cannot be read: {error.strerror or error}; expected a .txt or .jsonl file") from error


def read_texts(path: Path) -> Iterator[TextRow]:
    """The texts of a file, read as they are asked for: `.jsonl` has one object a line, any other one text a line.

    Raises:
        TextError: the file cannot be read, is empty, not UTF-8, or faulty at a line that is named.
    """
    try:
        with path.open("rb") as stream:
            yield from texts_of(stream, str(path), is_jsonl=path.suffix.lower() == ".jsonl")
    except OSError as error:
        raise TextError(f"{path}: cannot be read: {error.strerror or error}") from error


def texts_of(stream: BinaryIO, name: str, *, is_jsonl: bool | None = None) -> Iterator[TextRow]:
    """The texts of a stream, read as they are asked for.

    Args:
        stream: bytes in UTF-8; only line feeds, and carriage returns before them, end a line.
        name: what it is called in messages.
        is_jsonl: whether each line is a JSON object with a `text`, or is a text; None to tell by whether the first line
            is an object.

    Raises:
        TextError: it is empty, not UTF-8, or faulty at a line that is named.
    """
    number = 0
    for number, line in enumerate(_lines(stream, name), start=1):
        place = f"{name}:{number}"
        if is_jsonl is None:
            is_jsonl = _is_row(line)
        if not is_jsonl:
            yield TextRow(check_text(line, place), place)
        elif line.strip():
            yield _row(line, place)
    if not number:
        raise TextError(f"{name}: empty; expected one text a line, or JSONL with `text`")


def _lines(stream: BinaryIO, name: str) -> Iterator[str]:
    number, offset = 1, 0
    while raw := stream.readline(_LONGEST_LINE + 1):
        if len(raw) > _LONGEST_LINE:
            raise TextError(
                f"{name}:{number}: a line of more than {_LONGEST_LINE:,} bytes; expected one text a line: divide it"
            )
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise TextError(
                f"{name}:{number}: not UTF-8: byte 0x{raw[error.start]:02X} at offset {offset + error.start}; save it "
                "as UTF-8"
            ) from error
        yield (line.removeprefix("\ufeff") if number == 1 else line).removesuffix("\n").removesuffix("\r")
        number, offset = number + 1, offset + len(raw)


def _is_row(line: str) -> bool:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict)


def _row(line: str, place: str) -> TextRow:
    try:
        row = json.loads(line)
    # ValueError: besides faulty JSON also a number of more digits than Python reads
    except (ValueError, RecursionError) as error:
        raise TextError(f"{place}: not JSON ({error}); expected one object with `text` on each line") from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        found = f"the keys {', '.join(row) or '(none)'}" if isinstance(row, dict) else type(row).__name__
        if isinstance(row, dict) and "text" in row:
            found = f"a `text` of {json.dumps(row['text'])[:60]}"
        raise TextError(f"{place}: found {found[:200]}; expected an object with a string `text`")
    return TextRow(check_text(row["text"], place), place, row)
