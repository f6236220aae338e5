# Needs FUSE (Debian and Ubuntu: apt install fuse3). By hand, from the repository root:
#   python -m benchmarks.faulty_disk SOURCE MOUNTED STATE
# and `echo read-only > STATE`, `echo slow > STATE`, `echo ok > STATE`.
"""A file system in user space that shows a folder, and that becomes slow, read-only or defective on request."""

from __future__ import annotations

import errno
import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mfusepy import FUSE, FuseOSError, Operations  # type: ignore[import-untyped]

from benchmarks.measuring import ROOT

_SLOW_SECONDS = 0.05
_DEADLINE = 20.0
_CHANGING = ("chmod", "create", "mkdir", "rename", "rmdir", "truncate", "unlink", "utimens", "write")
_OPERATIONS = (*_CHANGING, "getattr", "readdir", "open", "read", "release", "fsync", "statfs")


class FaultyDisk(Operations):
    """Shows the folder `source`; each operation behaves as the file `state` says: ok, slow, read-only or defective."""

    use_ns = True

    def __init__(self, source: Path, state: Path) -> None:
        self._source = source
        self._state = state
        for name in _OPERATIONS:
            setattr(self, name, self._disturbed(getattr(self, name)))

    def _disturbed(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        name = operation.__name__

        @functools.wraps(operation)
        def run(*arguments: Any) -> Any:
            state = self._state.read_text(encoding="utf-8").strip()
            writes = name in _CHANGING or (name == "open" and arguments[1] & (os.O_WRONLY | os.O_RDWR))
            if state == "slow":
                time.sleep(_SLOW_SECONDS)
            elif state == "read-only" and writes:
                raise FuseOSError(errno.EROFS)
            elif state == "defective" and (writes or name in ("read", "fsync")):
                raise FuseOSError(errno.EIO)
            try:
                return operation(*arguments)
            except OSError as error:
                raise FuseOSError(error.errno or errno.EIO) from error

        return run

    def _at(self, path: str) -> Path:
        return Path(f"{self._source}{path}")

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """Return what `os.lstat` does."""
        found = os.lstat(self._at(path)) if fh is None else os.fstat(fh)
        names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino", "st_blocks")
        times = {f"st_{name}time": getattr(found, f"st_{name}time_ns") for name in "amc"}
        return {name: getattr(found, name) for name in names} | times

    def readdir(self, path: str, fh: int) -> list[str]:
        """Return the names in a folder."""
        return [".", "..", *(child.name for child in self._at(path).iterdir())]

    def open(self, path: str, flags: int) -> int:
        """Open a file."""
        return os.open(self._at(path), flags & ~os.O_APPEND)

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        """Create a file."""
        return os.open(self._at(path), os.O_RDWR | os.O_CREAT, mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Read a part of a file."""
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """Write a part of a file."""
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        """Set the length of a file."""
        os.truncate(self._at(path) if fh is None else fh, length)
        return 0

    def release(self, path: str, fh: int) -> int:
        """Close a file."""
        os.close(fh)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        """Write a file to the disk."""
        os.fsync(fh)
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        """Return the size and free space."""
        found = os.statvfs(self._at(path))
        names = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_frsize")
        return {name: getattr(found, name) for name in names}

    def rename(self, old: str, new: str) -> int:
        """Rename a file."""
        self._at(old).replace(self._at(new))
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        """Create a folder."""
        self._at(path).mkdir(mode)
        return 0

    def rmdir(self, path: str) -> int:
        """Delete a folder."""
        self._at(path).rmdir()
        return 0

    def unlink(self, path: str) -> int:
        """Delete a file."""
        self._at(path).unlink()
        return 0

    def chmod(self, path: str, mode: int) -> int:
        """Change the permissions of a file."""
        self._at(path).chmod(mode)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        """Change the times of a file."""
        os.utime(self._at(path), ns=times or (time.time_ns(), time.time_ns()))
        return 0


@contextmanager
def faulty_disk(mounted: Path) -> Iterator[Callable[[str], object]]:
    """Mount a disk at an empty folder; yield a function that sets its state."""
    with tempfile.TemporaryDirectory(prefix="tune-ner-disk-") as folder:
        source, state = Path(folder) / "source", Path(folder) / "state"
        source.mkdir()
        state.write_text("ok", encoding="utf-8")
        command = [sys.executable, "-m", "benchmarks.faulty_disk", str(source), str(mounted), str(state)]
        process = subprocess.Popen(command, cwd=ROOT)
        try:
            deadline = time.monotonic() + _DEADLINE
            while not os.path.ismount(mounted):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise OSError(f"{mounted}: cannot be mounted: {' '.join(command)}")
                time.sleep(0.05)
            yield lambda text: _replace(state, text)
        finally:
            subprocess.run(["umount", "-l", str(mounted)], check=False)
            process.kill()  # files that are still open keep it running
            process.wait()


def _replace(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(file)


if __name__ == "__main__":
    FUSE(FaultyDisk(Path(sys.argv[1]), Path(sys.argv[3])), sys.argv[2], foreground=True, max_threads=8)
