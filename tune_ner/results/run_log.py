"""`run.log`: what the libraries under a run say, kept from the terminal."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import tempfile
import threading
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from tune_ner.utils.redaction import redact

LOGGER = logging.getLogger("tune_ner")
"""The package's own logger. At level INFO, which a `RunLog` sets, Ray tells what its workers print."""

_STDERR = 2
_LAST_LINES = 40
_ENCODING = ("utf-8", "backslashreplace")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")


class RunLog:
    """What would go to standard output and standard error, in a file instead, with the records of `LOGGER`.

    Lines written by Python carry the time and are redacted (`redact`); output of native code to descriptor 2
    is taken as it comes. The file is opened for appending once its folder is there; what comes earlier waits for it.
    Should an error end the run before that, the last lines go to standard error. A full disk costs lines, not the run.

    Args:
        path: the file, in a folder that may be yet to be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._early: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed on leaving
        self._file: BinaryIO | None = None
        self._native: int | None = None
        self._ended = False
        self._exits = ExitStack()
        self._stream = _LineStream(self)

    def __enter__(self) -> RunLog:
        self._exits.enter_context(redirect_stdout(self._stream))
        self._exits.enter_context(redirect_stderr(self._stream))
        handler = logging.StreamHandler(self._stream)
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        level = LOGGER.level
        LOGGER.addHandler(handler)
        LOGGER.setLevel(logging.INFO)
        self._exits.callback(LOGGER.setLevel, level)
        self._exits.callback(LOGGER.removeHandler, handler)
        self._take_native()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._stream.end_line()
            with suppress(OSError):
                self._move()
            self._ended = True
            if self._native is not None:
                os.dup2(self._native, _STDERR)
                os.close(self._native)
        self._exits.close()
        if self._file is None and isinstance(error, Exception):
            self._tell()
        for file in (self._early, self._file):
            if file:
                file.close()

    def line(self, text: str) -> None:
        """Write a line, without its secrets; once the log has ended there is none to write to."""
        with self._lock:
            if self._ended:
                return
            told = f"{datetime.now():%Y-%m-%d %H:%M:%S} {redact(_COLOUR.sub('', text))}\n"
            with suppress(OSError):
                self._move()
                os.write((self._file or self._early).fileno(), told.encode(*_ENCODING))

    def _take_native(self) -> None:
        """Take what Ray's and torch's own code writes; a process may have no standard error at all."""
        try:
            self._native = os.dup(_STDERR)
        except OSError:
            return
        os.dup2(self._early.fileno(), _STDERR)

    def _move(self) -> None:
        """Go over to the file as soon as its folder is there."""
        if self._file is not None or not self._path.parent.is_dir():
            return
        self._file = self._path.open("ab", buffering=0)
        self._file.write(redact(self._waiting()).encode(*_ENCODING))
        if self._native is not None:
            os.dup2(self._file.fileno(), _STDERR)

    def _waiting(self) -> str:
        self._early.seek(0)
        return self._early.read().decode("utf-8", "replace")

    def _tell(self) -> None:
        lines = redact(self._waiting()).splitlines()[-_LAST_LINES:]
        if lines:
            print(*lines, sep="\n", file=sys.stderr)  # noqa: T201 - there is no other place left


class _LineStream(io.TextIOBase):
    """A stream whose whole lines go to the log; of one that carriage returns overwrote, its last state."""

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._pending = ""

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Take the text; gives its length, as streams do."""
        with self._lock:
            *lines, self._pending = (self._pending + text).split("\n")
        for line in lines:
            if shown := line.rstrip("\r").rpartition("\r")[2]:
                self._log.line(shown)
        return len(text)

    def end_line(self) -> None:
        """Write what was not ended by a line feed."""
        if self._pending:
            self.write("\n")
