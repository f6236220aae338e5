"""Checks before a run is resumed: the same configuration, and no other process."""

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
from tune_ner.utils.io import read_json

RunConfig = Mapping[str, Any]
"""Everything that the metrics of a run depend on: search space, data, encoders, library versions, scheduler."""

_LOCK = "driver.lock"
_DRIVER = "driver.json"
_MOST_SHOWN = 120


def config_differences(recorded: RunConfig, current: RunConfig) -> list[str]:
    """Return one line per key (`outer.inner` for nested ones) whose value differs."""
    old, new = _flatten(recorded), _flatten(current)
    return [
        f"{key}: {_shown(old, key)} in the run, {_shown(new, key)} now"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def check_run_config(file: Path, current: RunConfig) -> None:
    """Check that a run is resumed with the configuration that it was started with.

    Args:
        file: `run_config.json` of the run.
        current: the configuration of this session.

    Raises:
        RunFolderError: the file is missing or corrupt, or values differ; the message lists all differences.
    """
    if not file.exists():
        raise RunFolderError(f"{file}: missing; this run cannot be resumed, choose another --name")
    recorded = read_json(file)
    if differences := config_differences(recorded if isinstance(recorded, Mapping) else {}, current):
        lines = "\n".join(f"  {line}" for line in differences)
        raise RunFolderError(
            f"{file.parent}: this run was started with a different configuration, so its trials are not comparable; "
            f"choose another --name or restore:\n{lines}"
        )


@contextmanager
def lock_run(folder: Path) -> Iterator[None]:
    """Lock a run folder for this process; the operating system releases the lock if the process dies.

    Raises:
        RunFolderError: another process holds the lock, or the folder cannot be written.
    """
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunFolderError(
            f"{folder}: in use by another process{_driver(folder)}; wait until it ends, or choose another --name"
        ) from error
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot be locked: {error.strerror or error}") from error
    try:
        with suppress(OSError):  # only used in the message above; a full disk does not matter
            (folder / _DRIVER).write_text(json.dumps({"host": socket.gethostname(), "process": os.getpid()}))
        yield
    finally:
        # the lock file is not removed: another process could then lock a new file of the same name
        with suppress(OSError):
            (folder / _DRIVER).unlink()
        lock.release()


def _driver(folder: Path) -> str:
    with suppress(RunFolderError, ValueError, TypeError, KeyError):
        known = read_json(folder / _DRIVER)
        return f" (process {int(known['process'])} on {str(known['host'])[:80]})"
    return ""


def _flatten(content: RunConfig, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _shown(content: Mapping[str, Any], key: str) -> str:
    text = str(content.get(key, "missing"))
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"
