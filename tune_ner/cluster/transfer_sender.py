"""What hands out a run folder on a cluster's head: a program of its own, sent there as text and run by its Python.

A job server gives nothing of a job but its log, so that the files go through it: first a line for each file, then their
content end to end, in pieces that no reader has to hold together, at last a checksum of the files' lines. Lines of
anything else may stand between.
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

MARK = "tune_ner:"
FILE, DATA, END, NOTHING = "file", "data", "end", "nothing"

# a message of Ray's log stream holds one such line, and may have 4 MiB
_PIECE_BYTES = 768 * 1024
_KEPT_SECONDS = 600


def lines(folder: Path, offset: int, left_out: Sequence[str]) -> Iterator[str]:
    """The lines to print, each beginning with the mark and a word that says what it is.

    Args:
        folder: the run folder.
        offset: how many bytes of the content are there already.
        left_out: files and folders directly within it that stay where they are.
    """
    if not folder.is_dir():
        yield MARK + NOTHING
        return
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    files = [path for path in files if path.relative_to(folder).parts[0] not in left_out]
    announced = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        name = path.relative_to(folder).as_posix()
        announcement = json.dumps([name, path.stat().st_size, digest])
        announced.update(announcement.encode())
        yield f"{MARK}{FILE} {announcement}"
    for path in files:
        size = path.stat().st_size
        if offset < size:
            with path.open("rb") as stream:
                stream.seek(offset)
                while piece := stream.read(_PIECE_BYTES):
                    yield f"{MARK}{DATA} {base64.b64encode(piece).decode()}"
        offset = max(0, offset - size)
    yield f"{MARK}{END} {announced.hexdigest()}"


def _empty_log(*_: object) -> None:
    """The log has the whole run in it, and Ray keeps logs as long as the cluster runs."""
    os.ftruncate(sys.stdout.fileno(), 0)
    sys.exit()


def main() -> None:
    """Print the folder of the first argument from the offset of the second on, without the names of the others."""
    signal.signal(signal.SIGTERM, _empty_log)
    for line in lines(Path(sys.argv[1]).expanduser(), int(sys.argv[2]), sys.argv[3:]):
        sys.stdout.write(line + "\n")
    sys.stdout.flush()
    # who fetches ends this job once all is there
    time.sleep(_KEPT_SECONDS)
    _empty_log()


if __name__ == "__main__":
    main()
