# Run, from the repository root (about an hour on two cores):
#   python -m benchmarks.soak
"""One run of many small trials whose workers are killed at random: what is lost, and the memory of each process.

Prints, for every tenth of the trials, the resident memory of the driver and the largest worker, and at the end the
number of kills, of trials without metrics and of trials with more than one record.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.chaos import SPACE, Grid, workers_of

_POLL_SECONDS = 1.0


class Soak:
    """A grid of `trials` seeds, of which a worker is killed every `seconds` on average.

    Attributes:
        kills: killed workers.
        rows: completed trials, and memory of driver and largest worker in MiB, for every tenth of the trials.
    """

    def __init__(self, folder: Path, trials: int, seconds: float) -> None:
        space = folder / "space.yaml"
        seeds = ", ".join(map(str, range(1, trials + 1)))
        text = SPACE.replace("[tiny:1x32, tiny:2x32]", "tiny:1x32").replace("[BIO, BIOES]", "BIO")
        text = text.replace("[1.0e-3, 3.0e-3, 5.0e-3]", "3.0e-3").replace("seed: 42", f"seed: [{seeds}]")
        space.write_text(text, encoding="utf-8")
        self.grid = Grid(folder, space)
        self.kills = 0
        self.rows: list[tuple[int, float, float]] = []
        self._trials = trials
        self._seconds = seconds

    def run(self) -> None:
        """Run the grid to its end, whatever is killed."""
        process = self.grid.start("--max-failures", "20", quiet=True)
        next_kill = time.monotonic() + random.expovariate(1 / self._seconds)
        while process.poll() is None:
            time.sleep(_POLL_SECONDS)
            workers = workers_of(process)
            self._measure(process.pid, workers)
            if workers and time.monotonic() > next_kill:
                random.choice(workers).kill()
                self.kills += 1
                next_kill = time.monotonic() + random.expovariate(1 / self._seconds)
        self.grid.exits.append(process.returncode)

    def _measure(self, driver: int, workers: list[psutil.Process]) -> None:
        done = len(self.grid.lines())
        if done < len(self.rows) * self._trials / 10:
            return
        try:
            sizes = [process.memory_info().rss / 2**20 for process in (psutil.Process(driver), *workers)]
        except psutil.NoSuchProcess:
            return
        self.rows.append((done, sizes[0], max(sizes[1:], default=0.0)))
        print(
            f"{done} trials, {self.kills} kills: driver {sizes[0]:.0f} MiB, worker {self.rows[-1][2]:.0f} MiB",
            flush=True,
        )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=25.0, help="mean time between two kills")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="tune-ner-soak-") as folder:
        soak = Soak(Path(folder), arguments.trials, arguments.seconds)
        began = time.monotonic()
        soak.run()
        ids = [record["trial_id"] for record in soak.grid.lines()]
        found = soak.grid.metrics()
        print(
            f"{time.monotonic() - began:.0f} s, exit code {soak.grid.exits[0]}, {soak.kills} kills; "
            f"of {arguments.trials} trials {arguments.trials - len(found)} are lost and "
            f"{len(ids) - len(set(ids))} repeated"
        )


if __name__ == "__main__":
    main()
