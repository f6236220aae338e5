"""Time and memory of a run: seconds per stage, training speed, peak memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from tune_ner.results.records import TrialRecord
from tune_ner.utils.text import format_duration

STAGES = ("start", "load", "encode", "train", "evaluate", "save")
"""The stages of a trial whose time its record holds; the rest of its wall time is `other`."""

_COST_HYPERPARAMETERS = ("batch_size", "max_length", "stride", "word_tokenizer", "decoding", "epochs")
_ENVIRONMENT = ("device", "threads", "precision_used")


@dataclass(frozen=True)
class RunTime:
    """Duration of a run.

    Attributes:
        wall_seconds: from the first start of a trial to the last end; None if no record has a valid end.
        trial_seconds: sum over all trials.
    """

    wall_seconds: float | None
    trial_seconds: float

    @property
    def mean_concurrent_trials(self) -> float | None:
        """Number of trials that ran at the same time on average; None if the run took no time."""
        return self.trial_seconds / self.wall_seconds if self.wall_seconds else None

    @property
    def sentence(self) -> str:
        """Description in one sentence; empty if the wall time is unknown."""
        if self.wall_seconds is None or self.mean_concurrent_trials is None:
            return ""
        return (
            f"The run took {format_duration(self.wall_seconds)} from the first trial start to the last trial end. Its "
            f"trials took {format_duration(self.trial_seconds)} in total; {self.mean_concurrent_trials:.1f} ran at the "
            "same time on average."
        )


def run_time(records: Sequence[TrialRecord]) -> RunTime:
    """Return the duration of a run, including failed and pruned trials."""
    seconds = [_valid(record.seconds) or 0.0 for record in records]
    ends = [_end(record) for record in records]
    known = [(end, length) for end, length in zip(ends, seconds, strict=True) if end is not None]
    wall = max(end for end, _ in known) - min(end - length for end, length in known) if known else None
    return RunTime(wall, math.fsum(seconds))


def timings_table(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """Return one row per encoder and batching with means over its completed final trials.

    Trials that differ in another hyperparameter that affects the cost, in device, threads or precision have separate
    rows. Columns: the encoder and these settings; `n_trials`; for each stage and for `other` the mean seconds and the
    share of the mean wall time `seconds`; subwords trained per second without padding (`tokens_per_second`) and with
    it; the highest peak memory in bytes; and three columns about the whole run (see `RunTime`).
    """
    done = [record for record in records if record.result]
    keys = ["model", "batching", *cost_hyperparameters(done), *_ENVIRONMENT]
    groups: dict[tuple[Any, ...], list[TrialRecord]] = {}
    for record in done:
        groups.setdefault(tuple(_setting(record, key) for key in keys), []).append(record)
    time = run_time(records)
    run = {
        "run_wall_seconds": time.wall_seconds,
        "run_trial_seconds": time.trial_seconds,
        "mean_concurrent_trials": time.mean_concurrent_trials,
    }
    rows = [{**dict(zip(keys, values, strict=True)), **_means(group), **run} for values, group in groups.items()]
    return pd.DataFrame(rows, columns=[*keys, *_means([]), *run]).sort_values(keys, ignore_index=True)


def cost_hyperparameters(records: Iterable[TrialRecord]) -> list[str]:
    """Return the hyperparameters, other than the encoder, that affect a trial's cost and differ between the trials."""
    configs = [record.config for record in records]
    return [name for name in _COST_HYPERPARAMETERS if len({getattr(config, name) for config in configs}) > 1]


def _setting(record: TrialRecord, key: str) -> Any:
    assert record.result
    if key == "batching":
        return record.result.batching_used
    return getattr(record.result if key in _ENVIRONMENT else record.config, key)


def _means(group: Sequence[TrialRecord]) -> dict[str, Any]:
    """Return the means over trials of equal cost; values that no record has are missing."""
    stages = [
        {stage: _valid(record.result.seconds.get(stage)) for stage in STAGES} for record in group if record.result
    ]
    # recorded stages that exceed the wall time replace it
    walls = [max(_valid(r.seconds) or 0.0, _sum(s.values())) for r, s in zip(group, stages, strict=True)]
    total = math.fsum(walls)
    sums: dict[str, float | None] = {stage: _sum_or_none(times[stage] for times in stages) for stage in STAGES}
    sums["other"] = max(0.0, total - _sum(sums.values()))
    row: dict[str, Any] = {"n_trials": len(group)}
    for stage, seconds in sums.items():
        row[f"{stage}_seconds"] = None if seconds is None else _ratio(seconds, len(group))
        row[f"{stage}_share"] = None if seconds is None else _ratio(seconds, total)
    return {**row, "seconds": _ratio(total, len(group)), **_speed(group)}


def _speed(group: Sequence[TrialRecord]) -> dict[str, Any]:
    profiles = [
        (record.result.profile, seconds)
        for record in group
        if record.result and record.result.profile and (seconds := _valid(record.result.seconds.get("train")))
    ]
    seconds = math.fsum(train for _, train in profiles)
    return {
        "tokens_per_second": _ratio(sum(profile.tokens for profile, _ in profiles), seconds),
        "computed_tokens_per_second": _ratio(sum(profile.computed_tokens for profile, _ in profiles), seconds),
        "peak_memory_bytes": max((profile.peak_memory_bytes for profile, _ in profiles), default=None),
    }


def _end(record: TrialRecord) -> float | None:
    """Return the end of a trial in seconds since 1970; None for an invalid time."""
    try:
        time = datetime.fromisoformat(record.finished_at)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _valid(value: float | None) -> float | None:
    """Return a measured value; None if it is missing, negative or not finite."""
    return value if value is not None and math.isfinite(value) and value >= 0 else None


def _sum(values: Iterable[float | None]) -> float:
    return math.fsum(value for value in values if value is not None)


def _sum_or_none(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if known else None


def _ratio(numerator: float, denominator: float) -> float | None:
    return _valid(numerator / denominator) if denominator else None
