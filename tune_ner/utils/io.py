"""Reading JSON and writing files, with errors that name the file."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tune_ner.errors import RunFolderError


def atomic_write(path: Path, content: str | bytes) -> Path:
    """Write a file completely or not at all, and return its path.

    The content is on the disk on return. Lone surrogates, which have no UTF-8 form, are written as escapes.

    Raises:
        RunFolderError: the file cannot be written; an existing file is unchanged.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise RunFolderError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def append_line(path: Path, line: str) -> None:
    """Append a line to a file; it is on the disk on return.

    Raises:
        OSError: the line cannot be written; the file then has its former length.
    """
    data = (line + "\n").encode("utf-8", "backslashreplace")
    with path.open("ab", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        try:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(before)  # a partial line would become the start of the next one
            raise


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        RunFolderError: the file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # the latter from JSON nested without end
        raise RunFolderError(f"{path}: not valid JSON: {error}") from error


def first_problem(error: ValidationError) -> str:
    """Return the key of the first validation error and its message: `split.seed: Input should be …`."""
    first = error.errors(include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'content'}: {first['msg']}"
