"""Simulation of a grid on clusters of many GPUs: makespan against the ideal.

    python -m benchmarks.makespan --out docs/images/makespan.svg

A discrete-event simulation, fed with measured values: seconds per trial and per start of a worker from
`results/reference/gpu/h200-graph-grid.jsonl`, seconds of the driver per trial from `benchmarks.driver_cost`. A worker
that dies is started again, and its trial resumes from its last epoch.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import simpy
import vl_convert

MEASURED = Path(__file__).resolve().parents[1] / "results/reference/gpu/h200-graph-grid.jsonl"
GPUS = (1, 8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class Costs:
    """Measured seconds.

    Attributes:
        trials: of trials in a worker that is already running.
        starts: of a worker's start.
        driver: of the driver for each trial that ends; it handles one at a time.
        before: from the command to the first start of a worker.
        epochs: per trial, the steps at which a lost trial can resume.
    """

    trials: tuple[float, ...]
    starts: tuple[float, ...]
    driver: float
    before: float
    epochs: int = 5

    @classmethod
    def read(cls, driver: float, before: float) -> Costs:
        """Return the costs of the measured grids with four trials at once, without MPS."""
        lines = map(json.loads, MEASURED.read_text(encoding="utf-8").splitlines())
        rows = [trial for line in lines if line["part"] == "grid" and "mps" not in line for trial in line["trials"]]
        # in a worker that has just started, the first trial also loads CUDA's kernels
        trials = [row["wall_seconds"] for row in rows if row["seconds"]["start"] < 1]
        starts = [row["wall_seconds"] - min(trials) for row in rows if row["seconds"]["start"] >= 1]
        return cls(tuple(trials), tuple(starts), driver, before)


@dataclass
class Grid:
    """A simulated grid.

    Attributes:
        work: the seconds of the trials, without any repeated epoch: slots that are always busy need work / slots.
        makespan: the seconds until the last record is written.
    """

    costs: Costs
    failures: float
    random: random.Random
    work: float = 0.0
    makespan: float = 0.0

    def run(self, trials: int, slots: int) -> Grid:
        """Simulate the grid to its end."""
        environment = simpy.Environment(self.costs.before)
        driver, left = simpy.Resource(environment, 1), [self.random.choice(self.costs.trials) for _ in range(trials)]
        self.work = sum(left)
        for _ in range(min(slots, trials)):
            environment.process(self._slot(environment, driver, left))
        environment.run()
        self.makespan = environment.now
        return self

    def _slot(self, environment: Any, driver: Any, left: list[float]) -> Generator[Any, Any, None]:
        is_running = False
        while left:
            epochs, seconds = self.costs.epochs, left.pop()
            while epochs:
                if not is_running:
                    yield environment.timeout(self.random.choice(self.costs.starts))
                    is_running = True
                done = epochs
                if self.random.random() < self.failures * epochs / self.costs.epochs:
                    done, is_running = self.random.randrange(epochs), False
                # the epoch in which a worker dies is lost, on average half of it
                yield environment.timeout(seconds / self.costs.epochs * (done + (0 if is_running else 0.5)))
                epochs -= done
            with driver.request() as turn:
                yield turn
                yield environment.timeout(self.costs.driver)


def main() -> None:
    """Simulate each cluster, print a table and write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--per-gpu", type=int, default=4)
    parser.add_argument("--failures", type=float, default=0.02, help="share of trials whose worker dies")
    parser.add_argument("--driver", type=float, default=0.016, help="seconds of the driver per trial")
    parser.add_argument("--scale", type=float, default=1.0, help="factor of the measured seconds of a trial")
    parser.add_argument("--before", type=float, default=8.0, help="seconds before the first worker starts")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    costs = Costs.read(options.driver, options.before)
    costs = replace(costs, trials=tuple(options.scale * seconds for seconds in costs.trials))
    rows = []
    for gpus in GPUS:
        slots = gpus * options.per_gpu
        grid = Grid(costs, options.failures, random.Random(0)).run(options.trials, slots)
        ideal = grid.work / slots
        rows.append({"GPUs": gpus, "ideal": ideal, "makespan": grid.makespan, "efficiency": ideal / grid.makespan})
    table = pd.DataFrame(rows)
    print(table.round({"ideal": 1, "makespan": 1, "efficiency": 2}).to_string(index=False))
    if options.out:
        options.out.write_text(figure(table), encoding="utf-8")


def figure(table: pd.DataFrame) -> str:
    """Return the chart of the table as SVG."""
    long = table.melt("GPUs", ["ideal", "makespan"], "line", "seconds")
    chart = (
        alt.Chart(long)
        .mark_line(point=True)
        .encode(
            x=alt.X("GPUs:Q", scale=alt.Scale(type="log", base=2)),
            y=alt.Y("seconds:Q", scale=alt.Scale(type="log")),
            color=alt.Color("line:N", title=None),
            strokeDash=alt.StrokeDash("line:N", title=None),
        )
    )
    return vl_convert.vegalite_to_svg(chart.properties(width=420, height=260).to_dict())


if __name__ == "__main__":
    main()
