"""Trials, learning curves and the leaderboard as data frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pandas as pd

from tune_ner.config.hyperparameters import HYPERPARAMETERS
from tune_ner.results.audits import best_baseline
from tune_ner.results.leaderboard import LeaderboardEntry
from tune_ner.results.prediction_cache import Novelty, PredictionCache
from tune_ner.results.records import TrialRecord
from tune_ner.results.selection import MAIN_HYPERPARAMETERS, varied_hyperparameters
from tune_ner.training.result import SplitMetrics, TrialResult
from tune_ner.utils.text import format_duration

NOTEBOOK_COLUMNS = ["Model", "Tagging Scheme", "Learning Rate", "Precision", "Recall", "F1"]
"""The six columns of the notebook's table. Precision, recall and F1 are seqeval's on the test split."""

EPOCH_METRICS = (
    *("validation_seqeval_precision", "validation_seqeval_recall", "validation_seqeval_f1", "validation_accuracy"),
    *("validation_span_precision", "validation_span_recall", "validation_span_f1"),
)
"""Validation metrics of an epoch, as `EpochMetrics` names them."""

_TRIAL_METRICS = (
    "test_accuracy",
    *EPOCH_METRICS,
    *("test_span_precision", "test_span_recall", "test_span_f1", "test_span_f1_macro"),
    *("test_partial_f1", "test_type_f1", "test_strict_seqeval_f1", "test_seen_recall", "test_unseen_recall"),
    *("test_invalid_transitions", "best_epoch"),
)
_TRIAL_ENDING = (
    *("seed", "fold", "epochs", "epochs_run", "seconds", "precision_used", "status", "phase", "error", "trial_id"),
)


def trials_table(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """Return one row per trial: the notebook's six columns, then metrics, hyperparameters, time and status.

    Rows are sorted by model, tagging scheme, learning rate, the other hyperparameters that vary, seed and fold. Trials
    of a search have validation metrics only; failed and pruned trials have no metrics (the epochs of pruned trials are
    in `curves_table`).
    """
    varied = [name for name in varied_hyperparameters(records) if name != "epochs"]
    columns = [*NOTEBOOK_COLUMNS, *_TRIAL_METRICS, *varied, *_TRIAL_ENDING]
    table = with_integers(pd.DataFrame([_trial_row(record, varied) for record in records], columns=columns))
    table = table.astype(dict.fromkeys(["best_epoch", "epochs_run"], "Int64"))
    return table.sort_values([*NOTEBOOK_COLUMNS[:3], *varied, "seed", "fold", "epochs"], ignore_index=True)


def with_integers(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose columns of integer hyperparameters and folds have integers, also where some are missing."""
    integers = ["fold", *(name for name, each in HYPERPARAMETERS.items() if each.base_type is int)]
    missing = [name for name in integers if name in table.columns and table[name].isna().any()]
    return table.astype(dict.fromkeys(missing, "Int64"))


def _trial_row(record: TrialRecord, varied: Sequence[str]) -> dict[str, Any]:
    config, result = record.config, record.result
    row: dict[str, Any] = {
        "Model": config.model,
        "Tagging Scheme": config.effective("tagging_scheme"),
        "Learning Rate": config.effective("learning_rate"),
        **{name: config.effective(name) for name in (*varied, "seed", "fold", "epochs")},
        "epochs_run": len(record.curve) or None,
        "seconds": round(record.seconds, 3),
        "status": record.status,
        "phase": record.phase,
        "error": record.error,
        "trial_id": record.trial_id,
    }
    if result:
        validation = result.metrics["validation"]
        row |= _test_metrics(result.metrics["test"])
        row |= {f"validation_seqeval_{name}": getattr(validation.seqeval, name) for name in _PRF}
        row |= {f"validation_span_{name}": getattr(validation.spans, name) for name in _PRF}
        row |= {"validation_accuracy": validation.seqeval.accuracy, "best_epoch": result.best_epoch}
        row |= {"precision_used": result.precision_used}
    elif record.phase == "search" and record.is_trained and record.curve:
        best = max(record.curve, key=lambda epoch: epoch.score(config.selection_metric))
        row |= {name: getattr(best, name) for name in EPOCH_METRICS} | {"best_epoch": best.epoch}
    return row


_PRF = ("precision", "recall", "f1")


def _test_metrics(test: SplitMetrics) -> dict[str, Any]:
    return {
        **{name.title() if name != "f1" else "F1": getattr(test.seqeval, name) for name in _PRF},
        "test_accuracy": test.seqeval.accuracy,
        **{f"test_span_{name}": getattr(test.spans, name) for name in _PRF},
        "test_span_f1_macro": test.spans.macro_f1,
        "test_partial_f1": test.spans.matches["partial"].f1,
        "test_type_f1": test.spans.matches["type"].f1,
        "test_strict_seqeval_f1": test.strict_seqeval.f1 if test.strict_seqeval else None,
        "test_seen_recall": test.seen.recall,
        "test_unseen_recall": test.unseen.recall,
        "test_invalid_transitions": test.invalid_transitions,
    }


def curves_table(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """Return one row per epoch of each trial: training loss, validation loss and validation metrics."""
    varied = varied_hyperparameters(records)
    keys = [*MAIN_HYPERPARAMETERS, *varied, "seed", "fold"]
    rows = [
        {
            **{name: record.config.effective(name) for name in keys},
            **{name: getattr(epoch, name) for name in ("epoch", "training_loss", "validation_loss", *EPOCH_METRICS)},
            "trial_id": record.trial_id,
        }
        for record in records
        for epoch in record.curve
    ]
    columns = [*keys, "epoch", "training_loss", "validation_loss", *EPOCH_METRICS, "trial_id"]
    table = with_integers(pd.DataFrame(rows, columns=columns))
    return table.sort_values([*keys, "epoch"], ignore_index=True)


_LEADERBOARD_METRICS = (
    *("n_completed", "n_failed", "n_pruned"),
    *("validation_span_f1", "validation_span_f1_sd", "validation_span_f1_low", "validation_span_f1_high", "tied"),
    *("best_probability", "rank_low", "rank_high"),
    *("test_span_f1", "test_span_f1_sd", "test_span_f1_low", "test_span_f1_high"),
    *("validation_seqeval_f1", "test_seqeval_f1"),
    *("test_seen_recall", "test_seen_recall_low", "test_seen_recall_high"),
    *("test_unseen_recall", "test_unseen_recall_low", "test_unseen_recall_high"),
    *("test_without_train_sentences_f1", "improvement_over_baseline"),
    *("improvement_over_baseline_low", "improvement_over_baseline_high", "best_epoch", "seconds"),
)


def leaderboard_table(
    entries: Sequence[LeaderboardEntry], cache: PredictionCache, records: Sequence[TrialRecord]
) -> pd.DataFrame:
    """Return one row per configuration, ranked by the mean validation score over its completed trials.

    The score is the run's selection metric (`validation_span_f1` or `validation_seqeval_f1`). Intervals (`_low` and
    `_high`, 95 %), standard deviations (`_sd`, over seeds and folds, ddof 1) and `tied` are those of exact spans, also
    if the selection metric is `seqeval_f1`. `tied` is missing for configurations that were not compared with the best.
    `best_probability`, `rank_low` and `rank_high` (95 %) are the uncertainty of the rank on validation.
    `test_seen_recall` and `test_unseen_recall` count test entities whose text is, or is not, an entity in train, with
    Wilson's intervals.
    `test_without_train_sentences_f1` leaves out test sentences that also occur in train; `improvement_over_baseline` is
    test span F1 minus that of the best baseline without an encoder. Test metrics do not affect the order.
    """
    varied = varied_hyperparameters(records)
    rows = [{"rank": place, **_leaderboard_row(entry, cache, varied)} for place, entry in enumerate(entries, start=1)]
    return with_integers(pd.DataFrame(rows, columns=["rank", *MAIN_HYPERPARAMETERS, *varied, *_LEADERBOARD_METRICS]))


def _leaderboard_row(entry: LeaderboardEntry, cache: PredictionCache, varied: Sequence[str]) -> dict[str, Any]:
    results = [record.result for record in entry.records if record.result]
    validation, test = ([result.metrics[split] for result in results] for split in ("validation", "test"))
    test_f1 = fmean(metrics.spans.f1 for metrics in test)
    baseline, improvement = best_baseline(cache.audits), cache.improvement(entry.records)
    return {
        **{name: entry.configuration.effective(name) for name in (*MAIN_HYPERPARAMETERS, *varied)},
        "n_completed": len(entry.records),
        "n_failed": len(entry.ranked.failed),
        "n_pruned": len(entry.ranked.pruned),
        "validation_span_f1": fmean(metrics.spans.f1 for metrics in validation),
        "validation_span_f1_sd": _deviation([metrics.spans.f1 for metrics in validation]),
        "validation_span_f1_low": entry.validation.low,
        "validation_span_f1_high": entry.validation.high,
        "tied": entry.tied,
        "best_probability": entry.rank and entry.rank.best_probability,
        "rank_low": entry.rank and entry.rank.low,
        "rank_high": entry.rank and entry.rank.high,
        "test_span_f1": test_f1,
        "test_span_f1_sd": _deviation([metrics.spans.f1 for metrics in test]),
        "test_span_f1_low": entry.test.low,
        "test_span_f1_high": entry.test.high,
        "validation_seqeval_f1": fmean(metrics.seqeval.f1 for metrics in validation),
        "test_seqeval_f1": fmean(metrics.seqeval.f1 for metrics in test),
        **_recalls(entry, cache),
        "test_without_train_sentences_f1": fmean(
            _f1_without_train_sentences(cache, record) for record in entry.records
        ),
        "improvement_over_baseline": None if baseline is None else test_f1 - baseline.f1,
        "improvement_over_baseline_low": improvement and improvement.low,
        "improvement_over_baseline_high": improvement and improvement.high,
        "best_epoch": fmean(result.best_epoch for result in results),
        "seconds": fmean(record.seconds for record in entry.records),
    }


def _recalls(entry: LeaderboardEntry, cache: PredictionCache) -> dict[str, Any]:
    """Return the recall of seen and unseen entities; the limits need the audit, which knows the train entities."""
    row: dict[str, Any] = {}
    novelties: tuple[Novelty, ...] = ("seen", "unseen")
    for novelty in novelties:
        name = f"test_{novelty}_recall"
        if cache.audits:
            interval = cache.recall(entry.records, "test", novelty)
            row |= {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
        else:
            recalls = (getattr(r.result.metrics["test"], novelty).recall for r in entry.records if r.result)
            row |= {name: fmean(recalls), f"{name}_low": None, f"{name}_high": None}
    return row


def _deviation(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def _f1_without_train_sentences(cache: PredictionCache, record: TrialRecord) -> float:
    audit = cache.audits.get(record.config.fold)
    in_train = {index for level in (audit.test_sentences_in_train.values() if audit else ()) for index in level}
    indices = cache.predictions(record.trial_id, "test").indices
    kept = [row for row, index in enumerate(indices) if index not in in_train]
    correct, spurious, missed = cache.counts(record, "test")[kept].sum(axis=0)
    return float(2 * correct / max(1, 2 * correct + spurious + missed))


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
