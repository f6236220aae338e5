"""What a run must have in common with an earlier start of it, and the lock that keeps two drivers apart."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tune_ner.errors import RunFolderError

Protocol = Mapping[str, Any]
"""What figures of a run depend on, as plain data: its space, data, encoders, libraries and scheduling."""

_LOCK = "driver.lock"
_DRIVER = "driver.json"
_MOST_SHOWN = 120


def differences(there: Protocol, here: Protocol) -> list[str]:
    """One line for each key, `outer.inner` for one within another, whose value is not the same."""
    old, new = _flat(there), _flat(here)
    return [
        f"{key}: {_shown(old, key)} there, {_shown(new, key)} here"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def check_same(file: Path, here: Protocol) -> None:
    """That a run is gone on with as it began.

    Args:
        file: what the run's first start wrote.
        here: what this start would write.

    Raises:
        RunFolderError: the file is missing or faulty, or they differ; with every difference.
    """
    try:
        there = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise RunFolderError(
            f"{file}: not there, so that this run cannot be gone on with: an older version of tune_ner began it; "
            "choose another --name"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise RunFolderError(f"{file}: cannot be read: {error}; expected what the run's first start wrote") from error
    found = differences(there if isinstance(there, Mapping) else {}, here)
    if found:
        raise RunFolderError(
            "\n".join(
                [
                    f"{file.parent}: this run began differently, and its trials would not be comparable; choose "
                    "another --name, or go back to what it began with:",
                    *(f"  {line}" for line in found),
                ]
            )
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder for this process alone; the operating system opens the lock of a process that dies.

    Raises:
        RunFolderError: another process has it, or it cannot be written.
    """
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunFolderError(
            f"{folder}: another process works on this run{_driver(folder)}; wait for its end, or choose another --name"
        ) from error
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot be locked: {error.strerror or error}") from error
    try:
        # only for the message above, which does without where the disk is full
        with suppress(OSError):
            (folder / _DRIVER).write_text(json.dumps({"host": socket.gethostname(), "process": os.getpid()}))
        yield
    finally:
        # the lock's own file stays: were it removed, a third process could lock another of the same name
        (folder / _DRIVER).unlink(missing_ok=True)
        lock.release()


def _driver(folder: Path) -> str:
    try:
        known = json.loads((folder / _DRIVER).read_bytes())
        return f" (process {int(known['process'])} on {str(known['host'])[:80]})"
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return ""


def _flat(content: Protocol, before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = value
    return flat


def _shown(content: Mapping[str, Any], key: str) -> str:
    text = str(content.get(key, "nothing"))
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"
