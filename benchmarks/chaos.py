# Run, from the repository root (about three quarters of an hour on two cores), or `make chaos`:
#   python -m benchmarks.chaos
# One fault, once:
#   python -m benchmarks.chaos --times 1 --only worker-killed
# The faults of disks and of memory need root; slow and read-only disks also need FUSE (Debian and Ubuntu:
# apt install fuse3).
"""Faults injected into a grid of twelve trials: the table of `docs/reliability.md`.

Each fault is injected at a random moment of a run. If it ends the run, the command is repeated. The table counts trials
without metrics at the end and trials with more than one record, and reports whether every trial's metrics equal those
of an undisturbed run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.faulty_disk import faulty_disk
from benchmarks.measuring import ROOT
from benchmarks.two_nodes import two_nodes

TRIALS = 12
SPACE = """\
data: synthetic:300
model: [tiny:1x32, tiny:2x32]
tagging_scheme: [BIO, BIOES]
learning_rate: [1.0e-3, 3.0e-3, 5.0e-3]
epochs: 10
word_tokenizer: punctuation
seed: 42
"""
_TIMEOUT = 300
_FULL_DISK = "16m"
_KILLS = 4
# Python runs this file at its start. Ray's own processes, which crash with libfaketime, keep the right time.
_CLOCK = """\
import pathlib, time
jump, now, now_ns = pathlib.Path({file!r}), time.time, time.time_ns
def seconds():
    try:
        return float(jump.read_text() or 0)
    except OSError:
        return 0.0
time.time = lambda: now() + seconds()
time.time_ns = lambda: now_ns() + int(seconds() * 1e9)
"""
_SMALL_SHARED_MEMORY = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"', "sh")


@dataclass(frozen=True)
class Outcome:
    """Outcome of a run.

    Attributes:
        injected: details of the fault.
        lost: trials without metrics at the end.
        repeated: trials with more than one record.
        equal: whether all metrics equal those of an undisturbed run.
        exits: exit codes of the commands, in their order.
    """

    injected: str
    lost: int
    repeated: int
    equal: bool
    exits: tuple[int, ...]


class Grid:
    """A run of the grid.

    Args:
        folder: the results folder.
        space: the file of the search space.
    """

    def __init__(self, folder: Path, space: Path) -> None:
        self.run = folder / "run"
        self._command = [
            *(sys.executable, "-m", "tune_ner.grid", str(space), "--name", "run", "--results-dir", str(folder)),
            *("--max-concurrent", "2", "--no-dashboard"),
        ]
        self.always: tuple[str, ...] = ()
        self.before: tuple[str, ...] = ()
        self.leave_out = ""
        self.seconds = 0.0
        self.set_disk: Callable[[str], object] | None = None
        self.exits: list[int] = []
        self.output = ""

    def start(self, *options: str, quiet: bool = False, **environment: str) -> subprocess.Popen[str]:
        """Start the command; its output is kept, or dropped with `quiet`."""
        return subprocess.Popen(
            [*self.before, *self._command, *self.always, *options],
            cwd=ROOT,
            stdout=subprocess.DEVNULL if quiet else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        )

    def end(self, process: subprocess.Popen[str]) -> str:
        """Wait for the end of a command; return its output."""
        output, _ = process.communicate(timeout=_TIMEOUT)
        self.exits.append(process.returncode)
        self.output += output
        return output

    def finish(self) -> None:
        """Repeat the command until the run is complete, at most three times."""
        for _ in range(3):
            if len(self.records()) >= TRIALS:
                return
            self.end(self.start())

    def wait(self, count: int, process: subprocess.Popen[str]) -> None:
        """Wait until `count` trials have ended, and a random moment longer."""
        deadline = time.monotonic() + _TIMEOUT
        while len(self.records()) < count and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(random.uniform(0, 1.5))

    def lines(self) -> list[dict[str, Any]]:
        """Return the complete lines of the records."""
        file = self.run / "trials.jsonl"
        lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
        found = [json.loads(line) for line in lines if line]
        return [record for record in found if record["status"] != self.leave_out]

    def records(self) -> dict[str, dict[str, Any]]:
        """Return the last record of every trial."""
        return {record["trial_id"]: record for record in self.lines()}

    def metrics(self) -> dict[str, Any]:
        """Return everything that must not depend on faults, by trial: metrics, losses and predicted spans."""
        return {name: _metrics(self.run, record) for name, record in self.records().items() if record["result"]}


def _metrics(run: Path, record: Mapping[str, Any]) -> Any:
    result = record["result"]
    keys = ("epochs", "best_epoch", "metrics", "test_loss", "training_log", "train_loss")
    return {
        **{key: result[key] for key in keys},
        "spans": (run / "predictions" / f"{record['trial_id']}.jsonl").read_text(),
    }


Fault = Callable[[Grid, int], str]


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes that run or prepare trials."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if child.name().startswith(("ray::tune_ner", "ray::Implicit")):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def worker_killed(grid: Grid, after: int) -> str:
    """SIGKILL one of the two workers."""
    process = grid.start()
    grid.wait(after, process)
    for worker in workers_of(process)[:1]:
        worker.kill()
    grid.end(process)
    return f"after {after} trials"


def driver_killed(grid: Grid, after: int) -> str:
    """SIGKILL the driver, then repeat the command."""
    process = grid.start()
    grid.wait(after, process)
    process.kill()
    grid.end(process)
    return f"after {after} trials"


def driver_killed_while_saving(grid: Grid, after: int) -> str:
    """SIGKILL the driver of a grid with `--checkpoint-every 1`, then repeat the command."""
    grid.always = ("--checkpoint-every", "1")
    return driver_killed(grid, after)


def interrupted(grid: Grid, after: int) -> str:
    """Ctrl-C, then repeat the command."""
    return _signalled(grid, after, signal.SIGINT)


def terminated(grid: Grid, after: int) -> str:
    """SIGTERM, then repeat the command."""
    return _signalled(grid, after, signal.SIGTERM)


def _signalled(grid: Grid, after: int, number: int) -> str:
    process = grid.start()
    grid.wait(after, process)
    process.send_signal(number)
    grid.end(process)
    return f"after {after} trials"


def record_truncated(grid: Grid, after: int) -> str:
    """SIGKILL the driver and truncate the last record, then repeat the command."""
    driver_killed(grid, after)
    file = grid.run / "trials.jsonl"
    content = file.read_bytes()
    last = content[:-1].rfind(b"\n") + 1
    cut = random.randrange(last + 1, len(content) - 1)
    file.write_bytes(content[:cut])
    return f"{cut - last} of {len(content) - last} bytes left"


def two_drivers(grid: Grid, after: int) -> str:
    """Start the command a second time while it runs: it is refused."""
    after = min(after, 3)  # enough trials must be left while the second one starts
    process = grid.start()
    grid.wait(after, process)
    output = grid.end(grid.start())
    if grid.exits != [2]:
        raise AssertionError(output)
    grid.end(process)
    return f"after {after} trials"


def disk_full(grid: Grid, after: int) -> str:
    """Fill the file system of the run folder; then free it and repeat the command."""
    process = grid.start()
    grid.wait(after, process)
    ballast = grid.run.parent / "ballast"
    _fill(ballast)
    output = grid.end(process)
    ballast.unlink()
    if grid.exits != [2] or "No space left on device" not in output:
        raise AssertionError(output)
    return f"after {after} trials"


def _fill(file: Path) -> None:
    """Write a file until its file system is full."""
    with file.open("wb", buffering=0) as stream:
        for size in (65_536, 64):
            with suppress(OSError):
                while True:
                    stream.write(bytes(size))


def temporary_folder_full(grid: Grid, after: int) -> str:
    """Fill the file system of `TMPDIR`, with Ray's logs, and leave it full."""
    folder = grid.run.parent / "tmp"
    folder.mkdir()
    with _mounted(folder, _FULL_DISK):
        process = grid.start(TMPDIR=str(folder))
        grid.wait(after, process)
        _fill(folder / "ballast")
        grid.end(process)
    return f"after {after} trials"


def shared_memory_small(grid: Grid, _: int) -> str:
    """Run with 64 MB of shared memory, as in a container."""
    grid.before = _SMALL_SHARED_MEMORY
    grid.end(grid.start())
    return "from the start"


def disk_read_only(grid: Grid, after: int) -> str:
    """Make the disk of the run folder read-only; then repair it and repeat the command."""
    return _with_faulty_disk(grid, after, "read-only", "Read-only file system")


def disk_defective(grid: Grid, after: int) -> str:
    """Let each access to the disk of the run folder fail; then repair it and repeat the command."""
    return _with_faulty_disk(grid, after, "defective", "Input/output error")


def _with_faulty_disk(grid: Grid, after: int, state: str, message: str) -> str:
    assert grid.set_disk
    process = grid.start()
    grid.wait(after, process)
    grid.set_disk(state)
    output = grid.end(process)
    grid.set_disk("ok")
    if grid.exits != [2] or message not in output or "Traceback" in output:
        raise AssertionError(output)
    return f"after {after} trials"


def disk_slow(grid: Grid, _: int) -> str:
    """Delay each access to the disk of the run folder by 50 ms."""
    assert grid.set_disk
    grid.set_disk("slow")
    grid.end(grid.start())
    return "from the start"


def clock_jumps(grid: Grid, after: int) -> str:
    """Set the clock of driver and workers (`time.time`) forward by a day, back by an hour, and right again."""
    folder = grid.run.parent / "clock"
    folder.mkdir()
    jump = folder / "jump"
    jump.write_text("0", encoding="utf-8")
    (folder / "sitecustomize.py").write_text(_CLOCK.format(file=str(jump)), encoding="utf-8")
    process = grid.start(PYTHONPATH=str(folder))
    for count, seconds in enumerate((86_400, -3600, 0)):
        grid.wait(min(after, TRIALS - 4) + count, process)
        jump.write_text(str(seconds), encoding="utf-8")
    grid.end(process)
    return f"after {after} trials"


def driver_killed_anywhere(grid: Grid, _: int) -> str:
    """SIGKILL the driver four times, each at a random moment from its start on, then repeat the command."""
    moments = [random.uniform(0.5, grid.seconds) for _ in range(_KILLS)]
    for moment in moments:
        process = grid.start()
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        process.kill()
        grid.end(process)
    grid.end(grid.start())
    return "after " + ", ".join(f"{moment:.0f} s" for moment in moments)


def node_lost(grid: Grid, after: int) -> str:
    """Stop one of two nodes of a cluster with token authentication."""
    with two_nodes() as cluster:
        process = grid.start("--address", cluster.address, **cluster.environment)  # type: ignore[arg-type]
        grid.wait(after, process)
        cluster.lose_node()
        grid.end(process)
    return f"after {after} trials"


def loss_is_nan(grid: Grid, _: int) -> str:
    """Add an encoder with NaN weights: its six trials diverge."""
    broken = _broken_encoder(grid.run.parent / "broken")
    models = [option for model in ("tiny:1x32", "tiny:2x32", broken) for option in ("--model", str(model))]
    process = grid.start(*models)
    grid.end(process)
    statuses = [record["status"] for record in grid.lines()]
    if statuses.count("diverged") != 6:
        raise AssertionError(grid.output)
    grid.leave_out = "diverged"
    return "from the first step"


def _broken_encoder(folder: Path) -> Path:
    import torch

    from tune_ner.data.synthetic.generator import synthetic_corpus
    from tune_ner.training.encoders import Encoder, load_model, load_tokenizer

    encoder = Encoder("tiny:1x32", "tiny", "1x32", "", "")
    tokenizer = load_tokenizer(encoder, [sentence.text for sentence in synthetic_corpus(300).sentences])
    model = load_model(encoder, ["O"], tokenizer, seed=0)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


FAULTS: dict[str, Fault] = {
    "worker-killed": worker_killed,
    "driver-killed": driver_killed,
    "driver-killed-while-saving": driver_killed_while_saving,
    "node-lost": node_lost,
    "disk-full": disk_full,
    "record-truncated": record_truncated,
    "loss-is-nan": loss_is_nan,
    "interrupted": interrupted,
    "terminated": terminated,
    "two-drivers": two_drivers,
    "temporary-folder-full": temporary_folder_full,
    "shared-memory-small": shared_memory_small,
    "disk-read-only": disk_read_only,
    "disk-defective": disk_defective,
    "disk-slow": disk_slow,
    "clock-jumps": clock_jumps,
    "driver-killed-anywhere": driver_killed_anywhere,
}
_ON_FAULTY_DISK = ("disk-read-only", "disk-defective", "disk-slow")


@contextmanager
def _mounted(folder: Path, size: str) -> Iterator[None]:
    """Mount a file system of this size, in memory, at a folder."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@contextmanager
def _grid(fault: str, space: Path) -> Iterator[Grid]:
    """Create a grid; its results folder is on a small or faulty file system if the fault needs one."""
    folder = Path(tempfile.mkdtemp(prefix="tune-ner-chaos-"))
    grid = Grid(folder, space)
    try:
        with ExitStack() as disks:
            if fault == "disk-full":
                disks.enter_context(_mounted(folder, _FULL_DISK))
            if fault in _ON_FAULTY_DISK:
                grid.set_disk = disks.enter_context(faulty_disk(folder))
            yield grid
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_with_fault(name: str, space: Path, expected: Mapping[str, Any], seconds: float) -> Outcome:
    """Run the grid once, with a fault at a random moment; an undisturbed run takes `seconds`."""
    with _grid(name, space) as grid:
        grid.seconds = seconds
        injected = FAULTS[name](grid, random.randint(1, TRIALS - 3))
        grid.finish()
        found = grid.metrics()
        ids = [record["trial_id"] for record in grid.lines()]
        return Outcome(
            injected,
            lost=len(expected.keys() - found.keys()),
            repeated=len(ids) - len(set(ids)),
            equal=found == expected,
            exits=tuple(grid.exits),
        )


def table(outcomes: Mapping[str, list[Outcome]]) -> str:
    """Return the outcomes as a Markdown table with one row per fault."""
    rows = [
        "| fault | runs | trials lost | trials repeated | metrics equal | exit codes |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in outcomes.items():
        what = (FAULTS[name].__doc__ or name).splitlines()[0].rstrip(".")
        codes = ", ".join(sorted({" → ".join(map(str, outcome.exits)) for outcome in found}))
        rows.append(
            f"| {what} | {len(found)} | {sum(each.lost for each in found)} | {sum(each.repeated for each in found)} | "
            f"{sum(each.equal for each in found)} of {len(found)} | {codes} |"
        )
    return "\n".join(rows)


def main() -> None:
    """Run every fault and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--only", choices=list(FAULTS), action="append")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    outcomes: dict[str, list[Outcome]] = {}
    with tempfile.TemporaryDirectory(prefix="tune-ner-chaos-") as folder:
        space = Path(folder) / "space.yaml"
        space.write_text(SPACE, encoding="utf-8")
        undisturbed = Grid(Path(folder), space)
        began = time.monotonic()
        undisturbed.finish()
        seconds = time.monotonic() - began
        expected = undisturbed.metrics()
        if len(expected) != TRIALS:
            sys.exit(f"the undisturbed run has {len(expected)} trials:\n{undisturbed.output}")
        for name in arguments.only or FAULTS:
            for _ in range(arguments.times):
                outcome = run_with_fault(name, space, expected, seconds)
                outcomes.setdefault(name, []).append(outcome)
                print(f"{name}: {outcome}", flush=True)
    print(f"\n{table(outcomes)}")
    if any(outcome.lost or not outcome.equal for found in outcomes.values() for outcome in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
