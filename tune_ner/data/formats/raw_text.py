"""Streaming of texts without annotation, from plain lines or JSONL."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from tune_ner.errors import TextError

LONGEST_TEXT = 10_000_000
"""Maximal number of characters; longer texts need more memory than most machines have."""

_LONGEST_LINE = 4 * LONGEST_TEXT
"""Bytes; a character has at most four."""


@dataclass(frozen=True)
class TextRow:
    """A text and where it is from.

    Attributes:
        text: the text.
        place: its origin for messages (`file:line`).
        fields: its JSON object, if it is from JSONL.
        file: the file; empty for arguments and standard input.
        line: its line from 1; 0 for arguments.
        offset: number of characters before it in the file; None in JSONL.
    """

    text: str
    place: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    line: int = 0
    offset: int | None = None

    @property
    def origin(self) -> dict[str, str | int]:
        """File, line and offset, as far as they are known."""
        values = {"file": self.file or None, "line": self.line or None, "offset": self.offset}
        return {name: value for name, value in values.items() if value is not None}


def check_text(text: str, place: str) -> str:
    """Return the text if it is valid.

    Raises:
        TextError: it contains half a surrogate pair, or is longer than `LONGEST_TEXT`.
    """
    if len(text) > LONGEST_TEXT:
        raise TextError(
            f"{place}: {len(text):,} characters; expected at most {LONGEST_TEXT:,} in a text; split it, for "
            "instance into paragraphs"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TextError(
            f"{place}: half a surrogate pair (U+{ord(text[error.start]):04X}) at offset {error.start} instead "
            "of a character; expected UTF-8 text, or both halves of an escape"
        ) from error
    return text


def check_file(path: Path) -> Path:
    """Return the path if it is a readable file.

    Raises:
        TextError: the file is unreadable, or its ending is unknown.
    """
    if path.suffix.lower() not in (".txt", ".jsonl"):
        raise TextError(f"{path}: unknown ending {path.suffix!r}; expected .txt (one text per line) or .jsonl")
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise TextError(
            f"{path}: cannot read file: {error.strerror or error}; expected a .txt or .jsonl file"
        ) from error


def read_whole(path: Path) -> Iterator[TextRow]:
    """Yield a file as one text.

    Raises:
        TextError: the file is not `.txt`, unreadable, blank, not UTF-8, or too long.
    """
    if path.suffix.lower() != ".txt":
        raise TextError(f"{path}: found the ending {path.suffix!r}; expected .txt with --whole-files")
    try:
        text = path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except OSError as error:
        raise TextError(f"{path}: cannot read file: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise TextError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    if not text.strip():
        raise TextError(f"{path}: empty; expected a text")
    yield TextRow(check_text(text, str(path)), str(path), file=str(path), line=1, offset=0)


def read_texts(path: Path) -> Iterator[TextRow]:
    """Yield the texts of a file while reading it: one JSON object per line in `.jsonl`, else one text per line.

    Raises:
        TextError: the file is unreadable, empty, not UTF-8, or invalid at a line that the message names.
    """
    try:
        with path.open("rb") as stream:
            yield from texts_of(stream, str(path), is_jsonl=path.suffix.lower() == ".jsonl", file=str(path))
    except OSError as error:
        raise TextError(f"{path}: cannot read file: {error.strerror or error}") from error


def texts_of(stream: BinaryIO, name: str, *, is_jsonl: bool | None = None, file: str = "") -> Iterator[TextRow]:
    """Yield the texts of a stream while reading it.

    Args:
        stream: UTF-8 bytes; only line feeds, and carriage returns before them, end a line.
        name: name of the stream in messages.
        is_jsonl: whether each line is a JSON object with a `text`, or a text; None decides by the first line.
        file: the file that it is read from, if any.

    Raises:
        TextError: the stream is empty, not UTF-8, or invalid at a line that the message names.
    """
    number = 0
    for number, (line, offset) in enumerate(_lines(stream, name), start=1):
        place = f"{name}:{number}"
        if is_jsonl is None:
            is_jsonl = _is_row(line)
        if not is_jsonl:
            yield TextRow(check_text(line, place), place, file=file, line=number, offset=offset)
        elif line.strip():
            yield replace(_row(line, place), file=file, line=number)
    if not number:
        raise TextError(f"{name}: empty; expected one text per line, or JSONL with `text`")


def _lines(stream: BinaryIO, name: str) -> Iterator[tuple[str, int]]:
    """Yield lines without their ends, each with the number of characters before it."""
    number, offset, characters = 1, 0, 0
    while raw := stream.readline(_LONGEST_LINE + 1):
        if len(raw) > _LONGEST_LINE:
            raise TextError(f"{name}:{number}: a line of more than {_LONGEST_LINE:,} bytes; expected one text per line")
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise TextError(
                f"{name}:{number}: not UTF-8: byte 0x{raw[error.start]:02X} at offset {offset + error.start}; save it "
                "as UTF-8"
            ) from error
        if number == 1:
            line = line.removeprefix("\ufeff")
        yield line.removesuffix("\n").removesuffix("\r"), characters
        number, offset, characters = number + 1, offset + len(raw), characters + len(line)


def _is_row(line: str) -> bool:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict)


def _row(line: str, place: str) -> TextRow:
    try:
        row = json.loads(line)
    # ValueError: invalid JSON, or a number with more digits than Python reads
    except (ValueError, RecursionError) as error:
        raise TextError(f"{place}: not JSON ({error}); expected one object with `text` on each line") from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        found = f"the keys {', '.join(row) or '(none)'}" if isinstance(row, dict) else type(row).__name__
        if isinstance(row, dict) and "text" in row:
            found = f"a `text` of {json.dumps(row['text'])[:60]}"
        raise TextError(f"{place}: found {found[:200]}; expected an object with a string `text`")
    return TextRow(check_text(row["text"], place), place, row)
