"""Packer of a run folder: a program of its own, sent as text to a cluster's head node and run by its Python.

A job server returns no files, but its dashboard serves those in the log folder of the session. The run is packed there,
in parts of a few megabytes, so that a download that breaks off repeats only one of them.
"""

from __future__ import annotations

import hashlib
import json
import signal
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

PREFIX = "tune_ner:"
_PART_BYTES = 16 * 1024 * 1024
_WAIT_SECONDS = 6 * 3600


def pack(folder: Path, archive: Path, excluded: Sequence[str], size: int = _PART_BYTES) -> list[tuple[Path, str]]:
    """Pack a folder without the excluded files and folders directly in it; return the parts, each with its SHA-256."""
    with zipfile.ZipFile(archive, "w", strict_timestamps=False) as target:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.is_file() and not path.is_symlink() and inside.parts[0] not in excluded:
                target.write(path, inside)
    parts: list[tuple[Path, str]] = []
    with archive.open("rb") as stream:
        while content := stream.read(size):
            parts.append((Path(f"{archive}.{len(parts)}"), hashlib.sha256(content).hexdigest()))
            parts[-1][0].write_bytes(content)
    archive.unlink()
    return parts


def main() -> None:
    """Pack the folder of the first argument, print the parts, and wait to be stopped; the others are excluded."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    folder, log = Path(sys.argv[1]).expanduser(), Path(f"/proc/self/fd/{sys.stdout.fileno()}").readlink()
    archive = log.with_suffix(".zip")
    try:
        parts = pack(folder, archive, sys.argv[2:]) if folder.is_dir() else None
        print(PREFIX + json.dumps(parts and [(part.name, digest) for part, digest in parts]), flush=True)  # noqa: T201
        time.sleep(_WAIT_SECONDS)  # the receiver stops this job when it has everything
    finally:
        for part in archive.parent.glob(f"{archive.name}*"):
            part.unlink()


if __name__ == "__main__":
    main()
