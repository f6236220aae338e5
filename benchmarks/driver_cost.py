# Run, from the repository root (about five minutes on two cores):
#   python -m benchmarks.driver_cost
"""What the driver itself costs: a grid whose trials return at once, with the record of a real trial.

Printed are seconds and the growth of the driver's resident memory for each trial. The records, predicted spans, gauges
and progress are all as in a real run; what is left out is the training.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from ray import tune

from tune_ner.config.loading import parse_space
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.training.encoders import resolve_encoder
from tune_ner.training.trial import run_trial
from tune_ner.tuning import tuner
from tune_ner.tuning.events import RunEvents
from tune_ner.tuning.experiment import prepare
from tune_ner.tuning.grid_run import run_grid
from tune_ner.tuning.resources import ResourceRequest, TrialResources
from tune_ner.tuning.schedulers import FAILED, LAST

_SEEDS = 10


def _with(record: str) -> Callable[..., None]:
    """What stands in for a worker's `train`: it reports this record, of the trial that it is given, at once."""

    # the worker gives these names
    def train(config: dict[str, Any], reference: Any, threads: int, measure_test: bool, place: Any) -> None:  # noqa: ARG001
        template = TrialRecord.model_validate_json(record)
        trial = template.config.model_copy(update=config)
        mine = template.model_copy(update={"config": trial, "trial_id": trial.trial_id})
        tune.report(
            {"epoch": 1, "validation_span_f1": 0.5, FAILED: False, LAST: True, "record": mine.model_dump_json()}
        )

    return train


class Memory(RunEvents):
    """The driver's resident memory and the time, when Ray is up and after each trial."""

    def __init__(self) -> None:
        self._process = psutil.Process(os.getpid())
        self.seen: list[tuple[float, int]] = []

    def run_started(self, resources: TrialResources, dashboard: str) -> None:
        """Ray is up."""
        self._look()

    def trial_ended(self, record: TrialRecord) -> None:
        """Another one."""
        self._look()

    def _look(self) -> None:
        self.seen.append((time.perf_counter(), self._process.memory_info().rss))


def main() -> None:
    """Run the trials and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    trials = parser.parse_args().trials
    rates = [round(1e-4 * (1 + place), 8) for place in range(trials // _SEEDS)]
    space = parse_space(
        {
            "data": "synthetic:200",
            "model": "tiny:1x32",
            "tagging_scheme": "BIO",
            "learning_rate": rates,
            "seed": list(range(_SEEDS)),
            "epochs": 1,
            "word_tokenizer": "punctuation",
        },
        "driver cost",
    )
    experiment = prepare(space)
    first = experiment.trials[0]
    (split,) = experiment.splits.values()
    result = run_trial(first, resolve_encoder(first.model), experiment.corpus, split, threads=1)
    record = TrialRecord.completed(first, result, 1.0).model_dump_json()

    vars(tuner)["train"] = _with(record)
    memory = Memory()
    with tempfile.TemporaryDirectory(prefix="tune-ner-driver-") as folder:
        run_grid(experiment, RunDir.available(Path(folder), "run"), ResourceRequest(), memory)
    _tell(memory.seen)


def _tell(seen: list[tuple[float, int]]) -> None:
    count = len(seen) - 1
    quarter = max(1, count // 4)
    print(f"{count} instant trials, driver's resident memory {seen[0][1] / 1e6:.0f} → {seen[-1][1] / 1e6:.0f} MB")
    for name, (begin, end) in {
        "all": (0, count),
        "first quarter": (0, quarter),
        "last quarter": (count - quarter, count),
    }.items():
        seconds = (seen[end][0] - seen[begin][0]) / (end - begin)
        grown = (seen[end][1] - seen[begin][1]) / (end - begin)
        print(f"  {name:<14} {1000 * seconds:6.1f} ms and {grown / 1000:6.1f} kB a trial")


if __name__ == "__main__":
    main()
