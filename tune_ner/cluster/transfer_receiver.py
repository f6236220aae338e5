"""The other end of `hand_out`: a run folder put together from what a job prints, checked file by file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tune_ner.cluster.transfer_sender import DATA, END, FILE, MARK, NOTHING
from tune_ner.errors import RunFolderError

_LONGEST_NOTE = 500


@dataclass(frozen=True)
class _File:
    name: str
    size: int
    sha256: str


class Receiver:
    """Writes a run folder while it comes.

    Args:
        folder: where to; it is made with the first file.

    Attributes:
        position: how many bytes of the files, end to end, are written: where to go on after a connection broke.
        complete: whether all is there.
        nothing: whether there is no run folder at the other end.
        note: the end of what else the job printed, such as its error.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[_File] = []
        self._announced: list[_File] = []
        self._places: set[PurePosixPath] = set()
        self._announcements = hashlib.sha256()
        self._line = ""
        self._current = 0
        self._written = 0
        self._hash = hashlib.sha256()
        self.position = 0
        self.complete = self.nothing = False
        self.note = ""

    def begin(self) -> None:
        """A job begins to print, from `position` on."""
        self._line = self.note = ""
        self._announced = []
        self._places = set()
        self._announcements = hashlib.sha256()

    def feed(self, text: str) -> None:
        """Take in what a job printed next; a line may come in parts.

        Raises:
            RunFolderError: what comes is damaged, has changed meanwhile, or would be written elsewhere.
            OSError: it cannot be written.
        """
        *whole, self._line = (self._line + text).split("\n")
        for line in whole:
            if line.startswith(MARK):
                word, _, rest = line.removeprefix(MARK).partition(" ")
                self._take(word, rest)
            else:
                self.note = f"{self.note}\n{line}"[-_LONGEST_NOTE:]

    def _take(self, word: str, rest: str) -> None:
        takers: dict[str, Callable[[str], None]] = {FILE: self._announce, DATA: self._write, END: self._end}
        if word in takers:
            takers[word](rest)
        self.nothing |= word == NOTHING

    def _announce(self, rest: str) -> None:
        try:
            name, size, sha256 = json.loads(rest)
            file = _File(str(name), int(size), str(sha256))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise self._damaged("a line that names a file") from error
        place = PurePosixPath(file.name)
        if place.is_absolute() or ".." in place.parts or not place.parts or "\0" in file.name:
            raise RunFolderError(f"found the file {file.name[:100]!r} in the run, expected files within its folder")
        if file.size < 0 or place in self._places:
            raise self._damaged(f"the size or name of {file.name}")
        self._places.add(place)
        self._announced.append(file)
        self._announcements.update(rest.encode())

    def _write(self, rest: str) -> None:
        self._agree()
        try:
            data = base64.b64decode(rest, validate=True)
        except ValueError as error:
            raise self._damaged("a piece") from error
        while data:
            self._finish_whole_files()
            if self._current == len(self._files):
                raise self._damaged("more than was announced")
            file = self._files[self._current]
            piece, data = data[: file.size - self._written], data[file.size - self._written :]
            self._append(file, piece)
            self._hash.update(piece)
            self._written += len(piece)
            self.position += len(piece)

    def _end(self, rest: str) -> None:
        if rest != self._announcements.hexdigest():
            raise self._damaged("the list of files")
        self._agree()
        self._finish_whole_files()
        if self._current < len(self._files):
            raise self._damaged(self._files[self._current].name)
        self.complete = True

    def _agree(self) -> None:
        """What another job announces before it goes on must be what the first one did."""
        if not self._files:
            self._files = self._announced
        elif self._announced != self._files:
            raise RunFolderError("the run changed while it was fetched; fetch it again when nothing works on it")

    def _finish_whole_files(self) -> None:
        while self._current < len(self._files) and self._written == self._files[self._current].size:
            file = self._files[self._current]
            if self._hash.hexdigest() != file.sha256:
                raise self._damaged(file.name)
            self._append(file, b"")  # makes one without content too
            self._current, self._written, self._hash = self._current + 1, 0, hashlib.sha256()

    def _append(self, file: _File, piece: bytes) -> None:
        path = self._folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.write(piece)

    def _damaged(self, what: str) -> RunFolderError:
        return RunFolderError(f"{what[:100]} came damaged; fetch it again with the same command")
