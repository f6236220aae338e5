"""What each way of the speed benchmark found, in one form, and the arithmetic of the comparison."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results

OPERATIONS = 6
"""For each token and parameter: two forward, four backward (Kaplan et al. 2020, section 2.1)."""

Configuration = tuple[str, float]
"""Tagging scheme and learning rate."""


@dataclass(frozen=True)
class Trial:
    """One trial: seqeval's micro F1 on validation at its best epoch and on test, None where it has none.

    `seconds` of the trial alone and its `threads` are None where the way does not tell.
    """

    scheme: str
    learning_rate: float
    seed: int
    validation_f1: float | None
    test_f1: float | None
    epochs: int
    seconds: float | None = None
    threads: int | None = None

    @property
    def configuration(self) -> Configuration:
        """What its replicates share."""
        return self.scheme, self.learning_rate

    @property
    def point(self) -> tuple[str, float, int]:
        """Its place in the grid."""
        return self.scheme, self.learning_rate, self.seed


@dataclass(frozen=True)
class LeaderboardEntry:
    """The package's own first place: mean F1 of exact spans over the seeds, with 95 % intervals."""

    scheme: str
    learning_rate: float
    validation: tuple[float, float, float]
    test: tuple[float, float, float]


def loop_trials(output: Path) -> list[Trial]:
    """The trials of `notebook_loop.py`."""
    return [
        Trial(
            row["scheme"],
            row["learning_rate"],
            row["seed"],
            max(epoch["f1"] for epoch in row["epochs"]),
            row["test"]["f1"],
            len(row["epochs"]),
            row["seconds"],
        )
        for row in json.loads(output.read_text(encoding="utf-8"))
    ]


def search_trials(output: Path, epochs: int) -> list[Trial]:
    """The trials of `hf_search.py`, which has no scheduler: all ran all epochs."""
    return [Trial(**row, epochs=epochs) for row in json.loads(output.read_text(encoding="utf-8"))]


def grid_trials(folder: Path) -> list[Trial]:
    """The trials of a run folder; read as plain JSON, since one that was stopped early may leave no result."""
    lines = (folder / "trials.jsonl").read_text(encoding="utf-8").split("\n")
    return [_grid_trial(json.loads(line)) for line in lines if line]


def _grid_trial(record: Mapping[str, Any]) -> Trial:
    config, result = record["config"], record.get("result") or {}
    metrics = result.get("metrics", {})
    return Trial(
        config["tagging_scheme"],
        config["learning_rate"],
        config["seed"],
        metrics["validation"]["seqeval"]["f1"] if metrics else None,
        metrics["test"]["seqeval"]["f1"] if metrics else None,
        # what a scheduler stopped has no result, but the epochs that it trained
        len(result.get("epochs") or record.get("epochs", ())),
        record["seconds"],
        result.get("threads"),
    )


def grid_standing(folder: Path) -> LeaderboardEntry | None:
    """The first row of a run's leaderboard; None where no trial came to its end.

    It is by exact spans, so another row may be first by seqeval's figures where words do not end where spans do.
    """
    rows = Results(RunDir(folder)).leaderboard()
    if rows.empty:
        return None
    first = rows.iloc[0]

    def interval(split_name: str) -> tuple[float, float, float]:
        mean, low, high = (float(first[f"{split_name}_span_f1{end}"]) for end in ("", "_low", "_high"))
        return mean, low, high

    return LeaderboardEntry(
        str(first["tagging_scheme"]), float(first["learning_rate"]), interval("validation"), interval("test")
    )


def mean_f1(trials: Iterable[Trial], figure: Callable[[Trial], float | None]) -> dict[Configuration, float]:
    """The mean of a figure over the seeds of each configuration that has it."""
    found: dict[Configuration, list[float]] = {}
    for trial in trials:
        value = figure(trial)
        if value is not None:
            found.setdefault(trial.configuration, []).append(value)
    return {configuration: fmean(values) for configuration, values in found.items()}


def chosen(trials: Sequence[Trial]) -> list[Configuration]:
    """The configurations with the best mean validation F1 over their seeds: one, or several that tie.

    One of whose trials a scheduler stopped counts only where it did so to all: the mean of the rest flatters.
    """
    stopped = {trial.configuration for trial in trials if trial.validation_f1 is None}
    whole = [trial for trial in trials if trial.configuration not in stopped]
    means = mean_f1(whole or trials, lambda trial: trial.validation_f1)
    best = max(means.values(), default=0.0)
    return sorted(configuration for configuration, mean in means.items() if mean == best)


def largest_differences(one: Sequence[Trial], other: Sequence[Trial]) -> dict[str, float]:
    """The largest absolute difference of validation and of test F1 over the trials that both have."""
    by_point = {trial.point: trial for trial in other}
    pairs = [(trial, by_point[trial.point]) for trial in one if trial.point in by_point]
    differences = {}
    for name in ("validation_f1", "test_f1"):
        values = [(getattr(a, name), getattr(b, name)) for a, b in pairs]
        differences[name] = max((abs(a - b) for a, b in values if None not in (a, b)), default=float("nan"))
    return differences


def ratios(seconds: Mapping[tuple[int, str], float], way: str, base: str) -> list[float]:
    """Seconds of a way over those of another, for each repeat that has both: only these ran side by side."""
    repeats = sorted(repeat for repeat, name in seconds if name == way and (repeat, base) in seconds)
    return [seconds[repeat, way] / seconds[repeat, base] for repeat in repeats]


def with_spread(values: Sequence[float]) -> str:
    """Median, minimum and maximum."""
    return f"{median(values):.2f} ({min(values):.2f}–{max(values):.2f})" if values else "–"


def floor_seconds(tokens: int, parameters: int, rate: float) -> float:
    """Seconds that the matrix products of so many tokens take at a rate of operations a second, and nothing else."""
    return OPERATIONS * tokens * parameters / rate


def seconds_outside_trials(wall: float, trials: Sequence[Trial], cores: int) -> float:
    """Wall seconds less the trials' own, shared out over the slots in which they ran side by side.

    What is left is start-up, Ray, the audit, the tables, and slots that stood empty at the end.
    """
    threads = max((trial.threads or 1 for trial in trials), default=1)
    slots = max(1, min(cores // threads, len(trials)))
    return wall - sum(trial.seconds or 0.0 for trial in trials) / slots
