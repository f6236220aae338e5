"""Sender of a run folder: a program of its own, sent as text to a cluster's head node and run by its Python.

A job server returns nothing but a job's log, so the files are sent through the log: a line for each file, then their
contents in pieces, and at the end a checksum of the file lines. Other lines may be in between.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

PREFIX = "tune_ner:"
FILE, DATA, END, NOTHING = "file", "data", "end", "nothing"

# Ray's log stream allows 4 MiB per message, which contains one such line.
_PIECE_BYTES = 768 * 1024
_WAIT_SECONDS = 600


def lines(folder: Path, offset: int, excluded: Sequence[str]) -> Iterator[str]:
    """Yield the lines to print: the prefix, the kind of line, and its content.

    Args:
        folder: the run folder.
        offset: bytes of the contents that the receiver has already.
        excluded: files and folders directly in the run folder that are not sent.
    """
    if not folder.is_dir():
        yield PREFIX + NOTHING
        return
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    files = [path for path in files if path.relative_to(folder).parts[0] not in excluded]
    announced = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        announcement = json.dumps([path.relative_to(folder).as_posix(), path.stat().st_size, digest])
        announced.update(announcement.encode())
        yield f"{PREFIX}{FILE} {announcement}"
    for path in files:
        size = path.stat().st_size
        if offset < size:
            with path.open("rb") as stream:
                stream.seek(offset)
                while piece := stream.read(_PIECE_BYTES):
                    yield f"{PREFIX}{DATA} {base64.b64encode(piece).decode()}"
        offset = max(0, offset - size)
    yield f"{PREFIX}{END} {announced.hexdigest()}"


def _empty_log(*_: object) -> None:
    """Empty the log, which contains the entire run and which Ray keeps as long as the cluster runs."""
    os.ftruncate(sys.stdout.fileno(), 0)
    sys.exit()


def main() -> None:
    """Print the folder of the first argument from the offset of the second on; the others are excluded."""
    signal.signal(signal.SIGTERM, _empty_log)
    for line in lines(Path(sys.argv[1]).expanduser(), int(sys.argv[2]), sys.argv[3:]):
        sys.stdout.write(line + "\n")
    sys.stdout.flush()
    time.sleep(_WAIT_SECONDS)  # the receiver stops this job when it has everything
    _empty_log()


if __name__ == "__main__":
    main()
