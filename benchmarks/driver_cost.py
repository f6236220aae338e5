# Run, from the repository root (about five minutes on two cores):
#   python -m benchmarks.driver_cost
"""Cost of the driver: a grid whose trials return immediately, with the record of a real trial.

Prints, per trial, seconds, seconds of CPU time of the driver, which otherwise waits for workers, and growth of its
resident memory. Records, predicted spans, Prometheus metrics and
events are those of a real run; only the training is left out.
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
from tune_ner.training.trial import TrialOptions, run_trial
from tune_ner.tuning import tuner
from tune_ner.tuning.events import RunEvents, RunStart
from tune_ner.tuning.experiment import Experiment, prepare
from tune_ner.tuning.trainable import FAILED, IS_LAST, trial_of

_SEEDS = 10


def _with(record: str) -> Callable[..., None]:
    """Return a replacement of a worker's `train` that reports this record, for its own trial, immediately."""

    def train(config: dict[str, Any], context: Any) -> None:  # noqa: ARG001 - the name is given
        template, trial = TrialRecord.model_validate_json(record), trial_of(config)
        mine = template.model_copy(update={"config": trial, "trial_id": trial.trial_id})
        tune.report(
            {"epoch": 1, "validation_span_f1": 0.5, FAILED: False, IS_LAST: True, "record": mine.model_dump_json()}
        )

    return train


class Memory(RunEvents):
    """Measures time and the driver's resident memory, when Ray is ready and after each trial."""

    def __init__(self) -> None:
        self._process = psutil.Process(os.getpid())
        self.seen: list[tuple[float, float, int]] = []

    def on_run_start(self, start: RunStart) -> None:
        """Measure when Ray is ready."""
        self._measure()

    def on_trial_end(self, record: TrialRecord) -> None:
        """Measure after a trial."""
        self._measure()

    def _measure(self) -> None:
        self.seen.append((time.perf_counter(), time.process_time(), self._process.memory_info().rss))


def instant_experiment(trials: int) -> tuple[Experiment, str]:
    """Return an experiment with so many trials, and the record of one of them as JSON."""
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
    result = run_trial(first, resolve_encoder(first.model), experiment.corpus, split, TrialOptions(threads=1))
    return experiment, TrialRecord.completed(first, result, 1.0).model_dump_json()


def main() -> None:
    """Run the trials and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    experiment, record = instant_experiment(parser.parse_args().trials)
    vars(tuner)["train"] = _with(record)
    memory = Memory()
    with tempfile.TemporaryDirectory(prefix="tune-ner-driver-") as folder:
        tuner.run_experiment(experiment, RunDir.new(Path(folder), "run"), events=memory)
    _print(memory.seen)


def _print(seen: list[tuple[float, float, int]]) -> None:
    count = len(seen) - 1
    quarter = max(1, count // 4)
    print(f"{count} instant trials, driver's resident memory {seen[0][2] / 1e6:.0f} → {seen[-1][2] / 1e6:.0f} MB")
    for name, (begin, end) in {
        "all": (0, count),
        "first quarter": (0, quarter),
        "last quarter": (count - quarter, count),
    }.items():
        seconds, busy, grown = ((seen[end][i] - seen[begin][i]) / (end - begin) for i in range(3))
        print(f"  {name:<14} {1000 * seconds:6.1f} ms, {1000 * busy:6.1f} ms CPU and {grown / 1000:6.1f} kB a trial")


if __name__ == "__main__":
    main()
