"""`run.log`: output of the libraries used by a run, kept off the terminal."""

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

from tune_ner.utils.text import redact

LOGGER = logging.getLogger("tune_ner")
"""The package's logger. At level INFO, which `RunLog` sets, Ray passes on the output of its workers."""

_STDERR = 2
_LAST_LINES = 40
_ENCODING = ("utf-8", "backslashreplace")
_COLOR = re.compile(r"\x1b\[[\d;]*m")


class RunLog:
    """Redirection of standard output, standard error and `LOGGER` to a file.

    Lines written by Python are redacted and get the time; output of native code to descriptor 2 is unchanged. The file
    is appended to once its folder exists; earlier output is buffered. If an error ends the run before that, the last
    lines are printed to standard error. On a full disk, lines are lost and the run continues.

    Args:
        path: the file; its folder need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._early: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
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
        self._redirect_native()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._stream.end_line()
            with suppress(OSError):
                self._open_file()
            self._ended = True
            if self._native is not None:
                os.dup2(self._native, _STDERR)
                os.close(self._native)
        self._exits.close()
        if self._file is None and isinstance(error, Exception):
            self._print_buffered()
        for file in (self._early, self._file):
            if file:
                file.close()

    def line(self, text: str) -> None:
        """Write a line, redacted; ignored after the log has ended."""
        with self._lock:
            if self._ended:
                return
            line = f"{datetime.now():%Y-%m-%d %H:%M:%S} {redact(_COLOR.sub('', text))}\n"
            with suppress(OSError):
                self._open_file()
                os.write((self._file or self._early).fileno(), line.encode(*_ENCODING))

    def _redirect_native(self) -> None:
        """Redirect the output of the native code of Ray and torch; a process may have no standard error."""
        try:
            self._native = os.dup(_STDERR)
        except OSError:
            return
        os.dup2(self._early.fileno(), _STDERR)

    def _open_file(self) -> None:
        """Switch to the file as soon as its folder exists."""
        if self._file is not None or not self._path.parent.is_dir():
            return
        self._file = self._path.open("ab", buffering=0)
        self._file.write(redact(self._buffered()).encode(*_ENCODING))
        if self._native is not None:
            os.dup2(self._file.fileno(), _STDERR)

    def _buffered(self) -> str:
        self._early.seek(0)
        return self._early.read().decode("utf-8", "replace")

    def _print_buffered(self) -> None:
        if lines := redact(self._buffered()).splitlines()[-_LAST_LINES:]:
            print(*lines, sep="\n", file=sys.stderr)  # noqa: T201 - there is no log file


class _LineStream(io.TextIOBase):
    """A stream that logs complete lines; of a line overwritten by carriage returns, its last state."""

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._pending = ""

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Write the text and return its length, as streams do."""
        with self._lock:
            *lines, self._pending = (self._pending + text).split("\n")
        for line in lines:
            if shown := line.rstrip("\r").rpartition("\r")[2]:
                self._log.line(shown)
        return len(text)

    def end_line(self) -> None:
        """Write a last line without a line feed."""
        if self._pending:
            self.write("\n")
