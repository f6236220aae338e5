"""Time, memory and disk usage of a command, and the rate of matrix products on this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
INTERVAL = 0.5
_LINGERING = 20.0
_ERROR = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit)\b")


@dataclass(frozen=True)
class Measurement:
    """Resources of a command, from the start of its process to the end, in seconds and bytes.

    Attributes:
        seconds: wall time.
        peak_memory: largest sum of the resident memory of the process and its descendants; shared pages count for each.
        written: bytes that the kernel counts as sent to the disk, including deleted files; None if unavailable.
        most_on_disk: largest size of the files in the command's folder.
        left_on_disk: their size at the end.
    """

    seconds: float
    peak_memory: int
    written: int | None
    most_on_disk: int
    left_on_disk: int


class CommandError(Exception):
    """A command failed; the message is the first line of its error."""


class _Tree:
    """A process and its descendants, sampled periodically."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._root = psutil.Process(pid)
        self._folder = folder
        self._written: dict[psutil.Process, int] = {self._root: 0}
        self._countable = hasattr(psutil.Process, "io_counters")
        self.peak_memory = 0
        self.most_on_disk = 0

    def watch(self, ended: threading.Event) -> None:
        """Sample every half second until the command has ended."""
        while not ended.wait(INTERVAL):
            self.look()

    def look(self) -> None:
        """Sample new processes, memory, written bytes and the folder."""
        try:
            for child in self._root.children(recursive=True):
                self._written.setdefault(child, 0)
        except psutil.Error:
            pass
        self.peak_memory = max(self.peak_memory, sum(map(self._memory_of, self._written)))
        self.most_on_disk = max(self.most_on_disk, bytes_in(self._folder))

    def _memory_of(self, process: psutil.Process) -> int:
        try:
            if self._countable:
                # The counter includes children that the process has waited for. With these commands, only Ray's
                # daemons are such children, and they write little.
                self._written[process] = process.io_counters().write_bytes
            return process.memory_info().rss
        except psutil.AccessDenied:
            self._countable = False
        except psutil.Error:  # the process has ended; its last count remains
            pass
        return 0

    @property
    def written(self) -> int | None:
        """Return the bytes that all processes have sent to the disk, or None if unavailable."""
        return sum(self._written.values()) if self._countable else None

    def end_descendants(self) -> None:
        """Wait for processes that outlive the command, and kill those that remain."""
        descendants = [process for process in self._written if process != self._root]
        _, alive = psutil.wait_procs(descendants, timeout=_LINGERING)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def measure(command: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str]) -> Measurement:
    """Run a command in the repository root and measure it.

    Args:
        command: the program and its arguments.
        folder: the folder in which it writes its files.
        log: file for its output, outside `folder`, so that it is not measured.
        environment: the complete environment of the command.

    Raises:
        CommandError: the command failed.
    """
    ended = threading.Event()
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        tree = _Tree(process.pid, folder)
        watcher = threading.Thread(target=tree.watch, args=(ended,), daemon=True)
        watcher.start()
        try:
            # without reaping it, so that its counters remain readable
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            seconds = time.perf_counter() - started
        except BaseException:
            process.terminate()
            raise
        finally:
            ended.set()
            watcher.join()
            tree.look()
            code = process.wait()
            tree.end_descendants()
    if code:
        raise CommandError(first_error_line(log.read_text(encoding="utf-8", errors="replace"), code))
    return Measurement(seconds, tree.peak_memory, tree.written, tree.most_on_disk, bytes_in(folder))


def bytes_in(folder: Path) -> int:
    """Return the size of all files in a folder and its subfolders; files deleted in the meantime do not count."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(path) / name).lstat().st_size
            except OSError:
                continue
    return total


def first_error_line(log: str, code: int) -> str:
    """Return the line of a command's output that names the last error, else its last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    named = [line for line in lines if _ERROR.match(line)]
    return (named or lines or [f"exit status {code}"])[-1][:300]


def matmul_rates(rows: int, inner: int, columns: int, cores: int) -> tuple[float, float]:
    """Return operations per second of a matrix product: of one single-threaded process per core, and of one process
    with all threads.
    """
    return sum(_rates(rows, inner, columns, [1] * cores)), sum(_rates(rows, inner, columns, [cores]))


def _rates(rows: int, inner: int, columns: int, threads: Sequence[int]) -> list[float]:
    script = str(ROOT / "benchmarks" / "matmul_rate.py")
    sizes = [str(size) for size in (rows, inner, columns)]
    processes = [
        subprocess.Popen(
            [sys.executable, script, *sizes, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for count in threads
    ]
    for process in processes:
        assert process.stdout
        process.stdout.readline()
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    return [float(process.communicate()[0]) for process in processes]
