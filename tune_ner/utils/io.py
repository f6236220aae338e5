"""Files that are written whole or not at all."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tune_ner.errors import RunFolderError


def write_text(path: Path, text: str) -> Path:
    """Write a text; a lone surrogate, which has no UTF-8 form, becomes an escape. Gives the file.

    Raises:
        RunFolderError: it cannot be written; it is then as it was before.
    """
    return write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file; see `write_text`."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise RunFolderError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path
