"""Records → where a run's time went: seconds by stage, speed of training, memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from tune_ner.results.records import TrialRecord
from tune_ner.training.result import TrialProfile

STAGES = ("start", "load", "encode", "train", "evaluate", "save")
"""The stages of a trial whose time its record holds; what is left of its wall time is `other`."""

# The hyperparameters that decide what a trial costs, as far as they differ between the trials.
_COST_AXES = ("batch_size", "max_length", "stride", "word_tokenizer", "decoding", "epochs")
_RESULT_AXES = {"Device": "device", "Threads": "threads", "Precision Used": "precision_used"}


@dataclass(frozen=True)
class RunSpan:
    """A run as a whole: seconds from the first start of a trial to the last end, and the sum over its trials.

    `wall` is None where no trial says when it ended.
    """

    wall: float | None
    trials: float

    @property
    def at_once(self) -> float | None:
        """How many trials ran side by side on average; None where the run took no time."""
        return self.trials / self.wall if self.wall else None


@dataclass(frozen=True)
class _Times:
    """Seconds of one trial by stage, None where the record has none, and in whole."""

    stages: dict[str, float | None]
    whole: float

    @classmethod
    def of(cls, record: TrialRecord) -> _Times:
        """The times of a finished trial; stages that add up to more than its wall time are the whole."""
        assert record.result
        stages = {stage: _measured(record.result.seconds.get(stage)) for stage in STAGES}
        return cls(stages, max(_measured(record.seconds) or 0.0, _sum(stages.values())))


def run_span(records: Sequence[TrialRecord]) -> RunSpan:
    """How long the run took, failed and stopped trials included."""
    times = [(end, _measured(record.seconds) or 0.0) for record in records if (end := _ended(record)) is not None]
    trials = math.fsum(_measured(record.seconds) or 0.0 for record in records)
    if not times:
        return RunSpan(None, trials)
    return RunSpan(max(end for end, _ in times) - min(end - seconds for end, seconds in times), trials)


def timings_table(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """One row for each encoder and way of batching: means over its finished trials.

    Trials that differ in another hyperparameter that decides the cost, in device, threads or precision have
    rows of their own. Columns: what was run, `Trials`; for each stage and for `Other` the mean seconds and the
    share of `Seconds`, the mean wall time; subwords trained on a second of training, without and with their
    padding; the highest peak of memory; `Without Cost`, trials whose record has no such values. The last three
    columns are of the complete run. Values that no record has are missing.
    """
    groups: dict[tuple[Any, ...], list[TrialRecord]] = {}
    done = [record for record in records if record.result]
    varied = cost_axes(done)
    for record in done:
        groups.setdefault(tuple(_group(record, varied).values()), []).append(record)
    span = run_span(records)
    whole = {"Run Wall Seconds": span.wall, "Run Trial Seconds": span.trials, "Trials at Once": span.at_once}
    rows = [{**_group(group[0], varied), **_row(group), **whole} for group in groups.values()]
    columns = ["Model", "Batching", *varied, *_RESULT_AXES, *_row([]), *whole]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(["Model", "Batching", *varied, *_RESULT_AXES], ignore_index=True)


def cost_axes(records: Iterable[TrialRecord]) -> list[str]:
    """The hyperparameters besides the encoder that decide a trial's cost and differ between the trials."""
    configs = [record.config for record in records]
    return [name for name in _COST_AXES if len({getattr(config, name) for config in configs}) > 1]


def older_stages(records: Iterable[TrialRecord]) -> list[str]:
    """The stages that records of an older version name and that no column shows."""
    named = (stage for record in records if record.result for stage in record.result.seconds)
    return [stage for stage in dict.fromkeys(named) if stage not in STAGES]


def _group(record: TrialRecord, varied: Sequence[str]) -> dict[str, Any]:
    assert record.result
    return {
        "Model": record.config.model,
        "Batching": record.result.batching_used,
        **{name: getattr(record.config, name) for name in varied},
        **{title: getattr(record.result, name) for title, name in _RESULT_AXES.items()},
    }


def _row(group: Sequence[TrialRecord]) -> dict[str, Any]:
    """The figures of trials that cost the same but for chance; of no trial all that is missing."""
    times = [_Times.of(record) for record in group]
    whole = math.fsum(time.whole for time in times)
    totals: dict[str, float | None] = {stage: _total(times, stage) for stage in STAGES}
    totals["other"] = max(0.0, whole - _sum(totals.values()))
    row: dict[str, Any] = {"Trials": len(group)}
    for stage, total in totals.items():
        row[f"{stage.title()} Seconds"] = None if total is None else _ratio(total, len(group))
        row[f"{stage.title()} Share"] = None if total is None else _ratio(total, whole)
    return {**row, "Seconds": _ratio(whole, len(group)), **_cost_row(group)}


def _cost_row(group: Sequence[TrialRecord]) -> dict[str, Any]:
    costs = [cost for record in group if (cost := _cost(record))]
    seconds = math.fsum(train for _, train in costs)
    return {
        "Tokens per Second": _ratio(sum(cost.tokens for cost, _ in costs), seconds),
        "Computed Tokens per Second": _ratio(sum(cost.computed_tokens for cost, _ in costs), seconds),
        "Peak Memory Bytes": max((cost.peak_memory_bytes for cost, _ in costs), default=None),
        "Without Cost": len(group) - len(costs),
    }


def _cost(record: TrialRecord) -> tuple[TrialProfile, float] | None:
    """What training took, and its seconds; None for a record that lacks one of them."""
    assert record.result
    train = _measured(record.result.seconds.get("train"))
    return (record.result.profile, train) if record.result.profile and train else None


def _total(times: Sequence[_Times], stage: str) -> float | None:
    known = [seconds for time in times if (seconds := time.stages[stage]) is not None]
    return math.fsum(known) if known else None


def _ended(record: TrialRecord) -> float | None:
    """When a trial ended, in seconds since 1970; None for a time that is none."""
    try:
        time = datetime.fromisoformat(record.finished_at)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _measured(seconds: float | None) -> float | None:
    """A figure that can have been measured: neither missing nor infinite, no NaN, not below zero."""
    return seconds if seconds is not None and math.isfinite(seconds) and seconds >= 0 else None


def _sum(values: Iterable[float | None]) -> float:
    return math.fsum(value for value in values if value is not None)


def _ratio(split_name: float, whole: float) -> float | None:
    """`part / whole`; None of nothing, or of so little that the quotient is no number."""
    return _measured(split_name / whole) if whole else None
