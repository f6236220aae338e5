"""The measurements of the speed benchmark, and what is printed of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from pydantic import TypeAdapter

from benchmarks.measuring import Measurement
from benchmarks.outcomes import (
    Configuration,
    LeaderboardEntry,
    Trial,
    chosen,
    floor_seconds,
    largest_differences,
    mean_f1,
    ratios,
    seconds_outside_trials,
    with_spread,
)

NAMES = {
    "a": "plain loop, one process, fp32",
    "b": "HF hyperparameter_search on Ray, fp32",
    "c": "this grid, padded, fp32",
    "d": "this grid, padding-free, fp32",
    "e": "this grid, padding-free, fp32, ASHA",
    "f": "plain loop, one process, bf16",
    "g": "this grid, padding-free, bf16",
    "h": "this grid, padding-free, bf16, ASHA",
}


@dataclass(frozen=True)
class Workload:
    """What one epoch of one trial has to compute.

    `tokens_per_epoch` are the subwords of the training sentences, special ones included and padding not;
    `linear_parameters` the weights of all linear layers, `parameters` those and the embeddings.
    """

    tokens_per_epoch: int
    sentences: int
    linear_parameters: int
    parameters: int
    hidden: int
    intermediate: int


@dataclass(frozen=True)
class Run:
    """One way, run once; `load` is the machine's load average of a minute before it began."""

    way: str
    repeat: int
    started: str
    load: float
    measurement: Measurement
    trials: list[Trial]
    entry: LeaderboardEntry | None

    @property
    def epochs(self) -> int:
        """Epochs of all its trials."""
        return sum(trial.epochs for trial in self.trials)


@dataclass(frozen=True)
class Results:
    """All measurements: the work, the rates of a matrix product (side by side, all threads), and the runs."""

    workload: Workload
    rates: tuple[float, float]
    runs: list[Run]

    @classmethod
    def load(cls, content: Mapping[str, Any]) -> Results:
        """The results from plain data."""
        return TypeAdapter(cls).validate_python({name: content[name] for name in ("workload", "rates", "runs")})

    def of(self, way: str) -> list[Run]:
        """The runs of a way, by repeat."""
        return sorted((run for run in self.runs if run.way == way), key=lambda run: run.repeat)

    @property
    def ways(self) -> list[str]:
        """The ways that have run."""
        return sorted({run.way for run in self.runs})


def report(results: Results, cores: int, failed: Mapping[str, str]) -> list[str]:
    """All that is printed, line by line."""
    lines = [*_costs(results), *(f"  {way} failed: {error}" for way, error in sorted(failed.items())), ""]
    lines += [*_floor(results, cores), "", *_outside_trials(results, cores), ""]
    return [*lines, *_choices(results), "", *_differences(results)]


def _costs(results: Results) -> Iterator[str]:
    seconds = {(run.repeat, run.way): run.measurement.seconds for run in results.runs}
    yield "Whole processes, start-up included; medians; ratio: seconds over those of (a) in the same repeat (min–max)"
    yield f"  {'':35} runs  seconds  {'ratio to a':18} peak MB  written MB  most on disk MB  left MB"
    for way in results.ways:
        measured = [run.measurement for run in results.of(way)]
        written = [one.written for one in measured if one.written is not None]
        yield (
            f"  {way} {NAMES[way]:33} {len(measured):4}  {median(one.seconds for one in measured):7.1f}  "
            f"{with_spread(ratios(seconds, way, 'a')):18} {_megabytes([one.peak_memory for one in measured]):7}  "
            f"{_megabytes(written):10}  {_megabytes([one.most_on_disk for one in measured]):15}  "
            f"{_megabytes([one.left_on_disk for one in measured])}"
        )
    yield "  peak: resident memory of all processes, half-second samples, shared pages counted for each"
    yield "  written: the kernel's count for all processes (/proc/PID/io write_bytes), deleted files included;"
    yield "  on disk: sizes of the files in the way's own folder, at most and in the end"
    loads = [run.load for run in results.runs]
    if loads:
        yield f"  load average before the runs: {min(loads):.1f} to {max(loads):.1f}"


def _floor(results: Results, cores: int) -> Iterator[str]:
    work, (together, alone) = results.workload, results.rates
    epochs = max((run.epochs for run in results.runs), default=0)
    tokens = work.tokens_per_epoch * epochs
    columns = {f"{cores} processes of 1 thread": together, f"1 process of {cores} threads": alone}
    yield (
        f"Physical floor: {tokens:,} real tokens ({epochs} epochs of {work.tokens_per_epoch:,}) × 6 × parameters / rate"
    )
    yield f"  {'fp32 matrix product':40}" + "".join(f"  {name:>24}" for name in columns)
    yield f"  {'rate, GFLOP/s':40}" + "".join(f"  {rate / 1e9:24.1f}" for rate in columns.values())
    for name, parameters in (("linear", work.linear_parameters), ("all", work.parameters)):
        floors = [floor_seconds(tokens, parameters, rate) for rate in columns.values()]
        yield f"  {f'floor, {name} parameters ({parameters:,}), s':40}" + "".join(f"  {s:24.2f}" for s in floors)
    for way in results.ways:
        runs = results.of(way)
        yield f"  {f'share of the linear floor in {way}, %':40}" + "".join(
            f"  {100 * median(_share(run, work, rate) for run in runs):24.2f}" for rate in columns.values()
        )
    yield "  shares: of the tokens that the way itself trained on; a scheduler that stops trials trains on fewer"


def _share(run: Run, work: Workload, rate: float) -> float:
    floor = floor_seconds(run.epochs * work.tokens_per_epoch, work.linear_parameters, rate)
    return floor / run.measurement.seconds


def _outside_trials(results: Results, cores: int) -> Iterator[str]:
    yield "Wall time outside trials: start-up, Ray, audit, tables, slots empty at the end (medians)"
    for way in (way for way in results.ways if way != "b"):
        runs = results.of(way)
        # The loop has one trial at a time, with all the threads.
        outside = [
            seconds_outside_trials(run.measurement.seconds, run.trials, 1 if way in "af" else cores) for run in runs
        ]
        shares = [100 * one / run.measurement.seconds for one, run in zip(outside, runs, strict=True)]
        yield f"  {way} {median(outside):7.1f} s  {median(shares):5.1f} % of the wall"


def _choices(results: Results) -> Iterator[str]:
    yield "Choice by validation F1 (seqeval, micro), mean over the seeds; test F1 of the chosen configuration"
    first: dict[str, list[Configuration]] = {}
    for way in results.ways:
        for run in results.of(way):
            picked = chosen(run.trials)
            first.setdefault(way, picked)
            yield f"  {way} repeat {run.repeat + 1}: {_described(run.trials, picked)}"
            if run.entry:
                yield f"    by exact spans: {_standing(run.entry)}"
    if len(first) > 1:
        same = len({tuple(picked) for picked in first.values()}) == 1
        yield f"  {'all ways choose the same' if same else 'THE WAYS DO NOT ALL CHOOSE THE SAME'}"


def _described(trials: Sequence[Trial], picked: Sequence[Configuration]) -> str:
    validation = mean_f1(trials, lambda trial: trial.validation_f1)
    test = mean_f1(trials, lambda trial: trial.test_f1)
    return " or ".join(
        f"{scheme} {rate:g} (validation {validation[scheme, rate]:.4f}, "
        f"test {f'{test[scheme, rate]:.4f}' if (scheme, rate) in test else '–'})"
        for scheme, rate in picked
    )


def _standing(entry: LeaderboardEntry) -> str:
    parts = {"validation": entry.validation, "test": entry.test}
    figures = (f"{name} {mean:.4f} (95 %: {low:.3f} to {high:.3f})" for name, (mean, low, high) in parts.items())
    return f"{entry.scheme} {entry.learning_rate:g}: {', '.join(figures)}"


def _differences(results: Results) -> Iterator[str]:
    loops = {run.repeat: run for run in results.of("a")}
    yield "Largest difference of F1 to (a) over the trials, in the same repeat"
    for run in (run for way in results.ways if way != "a" for run in results.of(way) if run.repeat in loops):
        found = largest_differences(loops[run.repeat].trials, run.trials)
        yield (
            f"  {run.way} repeat {run.repeat + 1}: validation {found['validation_f1']:.4f}, test {found['test_f1']:.4f}"
        )


def _megabytes(values: Sequence[int]) -> str:
    return f"{median(values) / 1e6:,.1f}" if values else "not told"
