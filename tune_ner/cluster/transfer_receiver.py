"""Receiver of a run folder: rebuilds it from the log of `transfer_sender`, and verifies every file."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tune_ner.cluster.transfer_sender import DATA, END, FILE, NOTHING, PREFIX
from tune_ner.errors import RunFolderError

_MAX_OUTPUT = 500


@dataclass(frozen=True)
class _File:
    name: str
    size: int
    sha256: str


class Receiver:
    """Writes a run folder while it is received.

    Args:
        folder: target folder, created with the first file.

    Attributes:
        position: bytes of the files' contents that are written; the transfer resumes there.
        is_complete: whether everything was received.
        is_missing: whether the sender has no run folder.
        output: the end of the job's other output, such as its error.
    """

    def __init__(self, folder: Path) -> None:
        self.position = 0
        self.is_complete = self.is_missing = False
        self._folder = folder
        self._files: list[_File] = []
        self._current = 0
        self._written = 0
        self._hash = hashlib.sha256()
        self.begin()

    def begin(self) -> None:
        """Prepare for the log of a new job, which starts at `position`."""
        self.output = self._line = ""
        self._announced: list[_File] = []
        self._places: set[PurePosixPath] = set()
        self._announcements = hashlib.sha256()

    def feed(self, text: str) -> None:
        """Process the next text of the log; a line may be split.

        Raises:
            RunFolderError: the data is corrupt, has changed since the last job, or names a file outside of the folder.
            OSError: a file cannot be written.
        """
        *complete, self._line = (self._line + text).split("\n")
        for line in complete:
            if line.startswith(PREFIX):
                kind, _, content = line.removeprefix(PREFIX).partition(" ")
                self._process(kind, content)
            else:
                self.output = f"{self.output}\n{line}"[-_MAX_OUTPUT:]

    def _process(self, kind: str, content: str) -> None:
        if kind == FILE:
            self._announce(content)
        elif kind == DATA:
            self._write(content)
        elif kind == END:
            self._end(content)
        self.is_missing |= kind == NOTHING

    def _announce(self, content: str) -> None:
        try:
            name, size, sha256 = json.loads(content)
            file = _File(str(name), int(size), str(sha256))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise _corrupt("a line that names a file") from error
        place = PurePosixPath(file.name)
        if place.is_absolute() or ".." in place.parts or not place.parts or "\0" in file.name:
            raise RunFolderError(f"found the file {file.name[:100]!r} in the run, expected a path within its folder")
        if file.size < 0 or place in self._places:
            raise _corrupt(f"the size or name of {file.name}")
        self._places.add(place)
        self._announced.append(file)
        self._announcements.update(content.encode())

    def _write(self, content: str) -> None:
        self._check_unchanged()
        try:
            data = base64.b64decode(content, validate=True)
        except ValueError as error:
            raise _corrupt("a piece of a file") from error
        while data:
            self._finish_files()
            if self._current == len(self._files):
                raise _corrupt("data beyond the announced files")
            file = self._files[self._current]
            piece, data = data[: file.size - self._written], data[file.size - self._written :]
            self._append(file, piece)
            self._hash.update(piece)
            self._written += len(piece)
            self.position += len(piece)

    def _end(self, checksum: str) -> None:
        if checksum != self._announcements.hexdigest():
            raise _corrupt("the list of files")
        self._check_unchanged()
        self._finish_files()
        if self._current < len(self._files):
            raise _corrupt(self._files[self._current].name)
        self.is_complete = True

    def _check_unchanged(self) -> None:
        """Check that this job announced the same files as the first one."""
        if not self._files:
            self._files = self._announced
        elif self._announced != self._files:
            raise RunFolderError("the run changed during the transfer; fetch it again when no process uses it")

    def _finish_files(self) -> None:
        """Verify the files whose last byte is written, and create empty ones."""
        while self._current < len(self._files) and self._written == self._files[self._current].size:
            file = self._files[self._current]
            if self._hash.hexdigest() != file.sha256:
                raise _corrupt(file.name)
            self._append(file, b"")
            self._current, self._written, self._hash = self._current + 1, 0, hashlib.sha256()

    def _append(self, file: _File, piece: bytes) -> None:
        path = self._folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.write(piece)


def _corrupt(what: str) -> RunFolderError:
    return RunFolderError(f"{what[:100]} is corrupt; fetch the run again with the same command")
