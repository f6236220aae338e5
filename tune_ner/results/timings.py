"""Time and memory of a run: seconds per stage, training speed, peak memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from tune_ner.results.records import TrialRecord
from tune_ner.training.result import TrialResult
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
        if not self.wall_seconds or not self.mean_concurrent_trials:
            return ""
        return (
            f"The run took {format_duration(self.wall_seconds)} from the first trial start to the last trial end. Its "
            f"trials took {format_duration(self.trial_seconds)} in total; {self.mean_concurrent_trials:.1f} ran at the "
            "same time on average."
        )


def run_time(records: Sequence[TrialRecord]) -> RunTime:
    """Return the duration of a run, including failed and pruned trials."""
    seconds = [_valid(record.seconds) or 0.0 for record in records]
    times = [(end, length) for record, length in zip(records, seconds, strict=True) if (end := _end(record))]
    wall = max(end for end, _ in times) - min(end - length for end, length in times) if times else None
    return RunTime(wall, math.fsum(seconds))


def timings_table(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """Return one row per encoder and batching with means over its completed final trials.

    Trials that differ in another hyperparameter that affects the cost, in device, threads or precision have separate
    rows. Columns: the encoder and these settings; `n_trials`; for each stage and for `other` the mean seconds and the
    share of the mean wall time `seconds`; subwords trained per second without padding (`tokens_per_second`) and with
    it; the highest peak memory in bytes; and three columns about the complete run (see `RunTime`).
    """
    done = [(record, record.result) for record in records if record.result]
    varied = [name for name in _COST_HYPERPARAMETERS if len({getattr(record.config, name) for record, _ in done}) > 1]
    keys = ["model", "batching", *varied, *_ENVIRONMENT]
    measured = pd.DataFrame([_measure(record, result) for record, result in done], columns=[*keys, *_MEASURED])
    measured = measured.astype(dict.fromkeys(_MEASURED, float))
    groups = measured.groupby(keys, dropna=False)
    sums = groups[list(_MEASURED)].sum(min_count=1)
    wall = sums["wall"]
    sums["other"] = (wall - sums[list(STAGES)].sum(axis=1)).clip(lower=0)
    table = pd.DataFrame({"n_trials": groups.size()})
    for stage in (*STAGES, "other"):
        table[f"{stage}_seconds"] = sums[stage] / table["n_trials"]
        table[f"{stage}_share"] = sums[stage] / wall
    time = run_time(records)
    table = table.assign(
        seconds=wall / table["n_trials"],
        tokens_per_second=sums["tokens"] / sums["profiled"],
        computed_tokens_per_second=sums["computed_tokens"] / sums["profiled"],
        peak_memory_bytes=groups["peak_memory_bytes"].max(),
        run_wall_seconds=time.wall_seconds,
        run_trial_seconds=time.trial_seconds,
        mean_concurrent_trials=time.mean_concurrent_trials,
    )
    return table.replace([np.inf, -np.inf], np.nan).reset_index()


_MEASURED = (*STAGES, "wall", "profiled", "tokens", "computed_tokens", "peak_memory_bytes")


def _measure(record: TrialRecord, result: TrialResult) -> dict[str, Any]:
    """Return the settings of a trial, its seconds per stage and in total, and its work while it trained."""
    stages = {stage: _valid(result.seconds.get(stage)) for stage in STAGES}
    measured: dict[str, Any] = {
        **record.config.model_dump(include={"model", *_COST_HYPERPARAMETERS}),
        "batching": result.batching_used,
        **{name: getattr(result, name) for name in _ENVIRONMENT},
        **stages,
        # recorded stages that exceed the wall time replace it
        "wall": max(_valid(record.seconds) or 0.0, math.fsum(seconds or 0.0 for seconds in stages.values())),
    }
    if result.profile and stages["train"]:
        work = {name: float(getattr(result.profile, name)) for name in ("tokens", "computed_tokens")}
        measured |= {"profiled": stages["train"], **work, "peak_memory_bytes": result.profile.peak_memory_bytes}
    return measured


def _end(record: TrialRecord) -> float | None:
    """Return the end of a trial in seconds since 1970; None for an invalid time."""
    try:
        time = datetime.fromisoformat(record.finished_at)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _valid(seconds: float | None) -> float | None:
    """Return measured seconds; None if they are missing, negative or not finite."""
    return seconds if seconds is not None and math.isfinite(seconds) and seconds >= 0 else None
