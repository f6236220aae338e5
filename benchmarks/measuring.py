"""A command run under measurement, and the rate that a machine's matrix products reach."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
INTERVAL = 0.5
_LINGERING = 20.0
_ERROR = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit)\b")


@dataclass(frozen=True)
class Measurement:
    """What a command took, from its start as a process to its end, in seconds and bytes.

    `peak_memory` is the largest sum of the resident memory of the process and all that came from it (pages that
    they share count for each). `written` is what the kernel counts of them as sent towards the disk, whether or
    not the file was deleted later; None where it does not tell. `most_on_disk` and `left_on_disk` are the files
    in the command's folder, at most and in the end.
    """

    seconds: float
    peak_memory: int
    written: int | None
    most_on_disk: int
    left_on_disk: int


class CommandError(Exception):
    """The command failed; the message is the first line of its error."""


class _Tree:
    """A process and all that came from it, looked at from time to time."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._root = psutil.Process(pid)
        self._folder = folder
        self._written: dict[psutil.Process, int] = {self._root: 0}
        self._countable = hasattr(psutil.Process, "io_counters")
        self.peak_memory = 0
        self.most_on_disk = 0

    def watch(self, ended: threading.Event) -> None:
        """Look every half second until it has ended."""
        while not ended.wait(INTERVAL):
            self.look()

    def look(self) -> None:
        """Take in new processes, memory, what was written and the folder."""
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
                # A counter also holds those of the children that the process has waited for. Among these
                # commands only Ray's daemons are such children, and they write little.
                self._written[process] = process.io_counters().write_bytes
            return process.memory_info().rss
        except psutil.AccessDenied:
            self._countable = False
        except psutil.Error:  # it has gone; its last count stands
            pass
        return 0

    @property
    def written(self) -> int | None:
        """Bytes that all of them have sent towards the disk, or None where the kernel does not tell."""
        return sum(self._written.values()) if self._countable else None

    def see_off(self) -> None:
        """Wait for what outlived the command, and end it if it stays."""
        descendants = [process for process in self._written if process != self._root]
        _, alive = psutil.wait_procs(descendants, timeout=_LINGERING)
        for process in alive:
            process.kill()


def measure(command: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str]) -> Measurement:
    """Run a command from the repository root to its end.

    Args:
        command: the program and its arguments.
        folder: where it puts its files.
        log: file for all that it prints; outside `folder`, or it would count as the command's own.
        environment: the whole environment of the command.

    Raises:
        CommandError: it failed.
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
            # Without reaping it: the counters of a process can be read until it is reaped.
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
            tree.see_off()
    if code:
        raise CommandError(first_error_line(log.read_text(encoding="utf-8", errors="replace"), code))
    return Measurement(seconds, tree.peak_memory, tree.written, tree.most_on_disk, bytes_in(folder))


def bytes_in(folder: Path) -> int:
    """Size of all files in a folder and those below it; files that vanish meanwhile count nothing."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(path) / name).lstat().st_size
            except OSError:
                continue
    return total


def first_error_line(log: str, code: int) -> str:
    """The line that names the last error in what a command printed, else its last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    named = [line for line in lines if _ERROR.match(line)]
    return (named or lines or [f"exit status {code}"])[-1][:300]


def matmul_rates(rows: int, inner: int, columns: int, cores: int) -> tuple[float, float]:
    """Operations a second of a matrix product: one process of one thread on each core, and one with all threads."""
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
