"""Warnings about a leaderboard: ties, too little data, untrained models, baselines."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np

from tune_ner.results.audits import baseline_f1
from tune_ner.results.effects import SIGNIFICANT
from tune_ner.results.leaderboard import MOST_COMPARED, LeaderboardEntry
from tune_ner.results.prediction_cache import PredictionCache
from tune_ner.utils.text import plural


def leaderboard_warnings(entries: Sequence[LeaderboardEntry], cache: PredictionCache) -> list[str]:
    """Return sentences on how far the leaderboard can be trusted; empty without a completed trial."""
    if not entries:
        return []
    warnings = (
        _selection_metric(entries),
        _shared_first_place(entries),
        _fewer_trials(entries),
        _validation_too_small(entries[:MOST_COMPARED], cache),
        _untrained(entries),
        _baseline(entries, cache),
    )
    return [sentence for sentence in warnings if sentence]


def _selection_metric(entries: Sequence[LeaderboardEntry]) -> str:
    metric = entries[0].configuration.selection_metric
    if metric == "span_f1":
        return ""
    return f"Configurations are ranked by validation_{metric}; intervals and ties are those of exact spans (span_f1)."


def _shared_first_place(entries: Sequence[LeaderboardEntry]) -> str:
    best = entries[0].ranked
    tied = sum(
        item.ranked.mean_score == best.mean_score and bool(item.ranked.pruned) == bool(best.pruned) for item in entries
    )
    if tied < 2:
        return ""
    return (
        f"{tied} configurations share the highest validation F1, {best.mean_score:.3f}; the one with the lowest "
        "validation loss is ranked first."
    )


def _fewer_trials(entries: Sequence[LeaderboardEntry]) -> str:
    own, most = len(entries[0].records), max(len(entry.records) for entry in entries)
    if own == most:
        return ""
    return (
        f"The best configuration has {plural(own, 'completed trial')} and others have up to {most}, so its score with "
        "other seeds or folds is less certain."
    )


def _validation_too_small(entries: Sequence[LeaderboardEntry], cache: PredictionCache) -> str:
    """With n sentences that can be exchanged, no p-value of a randomization test is below 2 / 2^n."""
    if len(entries) < 2 or any(entry.tied is False for entry in entries):
        return ""
    sentences = _sentences_with_entities(entries, cache)
    if 2.0 ** (1 - sentences) * comb(len(entries), 2) <= SIGNIFICANT:
        return ""
    return (
        f"The validation set has {plural(sentences, 'sentence')} with gold or predicted entities, too few to find a "
        f"significant difference between any two of {len(entries)} configurations."
    )


def _sentences_with_entities(entries: Sequence[LeaderboardEntry], cache: PredictionCache) -> int:
    """Return the number of validation sentences, of all folds, with a gold or predicted entity."""
    found: set[int] = set()
    for entry in entries:
        for counts, ids in zip(*cache.replicate_counts(entry.records, "validation"), strict=True):
            found |= set(ids[np.any(counts, axis=(0, 2))].tolist())
    return len(found)


def _untrained(entries: Sequence[LeaderboardEntry]) -> str:
    records = [record for entry in entries for record in entry.records]
    empty = sum(not record.best_score for record in records)
    if not empty:
        return ""
    return (
        f"{empty} of {plural(len(records), 'trial')} found no entity in the validation set in any epoch; train longer "
        "or increase the learning rate."
    )


def _baseline(entries: Sequence[LeaderboardEntry], cache: PredictionCache) -> str:
    baseline, best = baseline_f1(cache.audits), entries[0].test.estimate
    if baseline is None:
        return ""
    side = "above" if best > baseline else "below"
    return (
        f"The best baseline without a model reaches test span F1 {baseline:.3f}; the best configuration is "
        f"{abs(best - baseline):.3f} {side} it."
    )
