"""What a reader of a ranking should know before believing it: ties, too little data, nothing learnt, simple rules."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np

from tune_ner.results.leaderboard import MOST_COMPARED, LeaderboardEntry, RunResults

_SIGNIFICANT = 0.05


def cautions(results: RunResults) -> list[str]:
    """Sentences about a run that has a ranking; those that do not hold are left out."""
    found = results.leaderboard_entries
    told = (
        _tie(found),
        _few_replicates(found),
        _too_small(results, found[:MOST_COMPARED]),
        _nothing_found(found),
        _baseline(results),
    )
    return [sentence for sentence in told if sentence]


def _tie(found: Sequence[LeaderboardEntry]) -> str:
    best = found[0].ranked
    tied = sum(
        item.ranked.mean_score == best.mean_score and bool(item.ranked.pruned) == bool(best.pruned) for item in found
    )
    if tied < 2:
        return ""
    return (
        f"{tied} configurations share the highest validation F1, {best.mean_score:.3f}: validation does not choose "
        "between them, and the first is the one with the lowest validation loss."
    )


def _few_replicates(found: Sequence[LeaderboardEntry]) -> str:
    own, most = len(found[0].records), max(len(entry.records) for entry in found)
    if own == most:
        return ""
    return (
        f"The best configuration has {own} finished {'replicate' if own == 1 else 'replicates'} and others up to "
        f"{most}: it was compared on its own alone, and what other seeds or folds would make of it is less known."
    )


def _too_small(results: RunResults, found: Sequence[LeaderboardEntry]) -> str:
    """Of a randomisation test over n sentences on which anything is to be exchanged, no p-value is below 2 / 2^n."""
    if len(found) < 2 or any(entry.tied is False for entry in found):
        return ""
    sentences = _sentences_with_entities(results, found)
    if 2.0 ** (1 - sentences) * comb(len(found), 2) <= _SIGNIFICANT:
        return ""
    return (
        f"The validation part has {sentences} sentences with entities, gold or predicted: too few for any two of "
        f"{len(found)} configurations to be told apart, whatever their figures."
    )


def _sentences_with_entities(results: RunResults, found: Sequence[LeaderboardEntry]) -> int:
    """Validation sentences, of all folds, about which any of the configurations can be right or wrong."""
    concerned: set[int] = set()
    for entry in found:
        for counts, ids in zip(*results.evidence.replicates(entry.records, "validation"), strict=True):
            concerned |= set(ids[np.any(counts, axis=(0, 2))].tolist())
    return len(concerned)


def _nothing_found(found: Sequence[LeaderboardEntry]) -> str:
    trials = [record for entry in found for record in entry.records if record.result]
    empty = sum(not any(epoch.validation_seqeval_f1 for epoch in record.curve) for record in trials)
    if not empty:
        return ""
    return (
        f"{empty} of {len(trials)} trials found no entity of validation in any epoch: they have learnt nothing yet, "
        "and need more epochs or a larger learning rate."
    )


def _baseline(results: RunResults) -> str:
    baseline, best = results.evidence.baseline_f1, results.leaderboard_entries[0].test.estimate
    if baseline is None:
        return ""
    beside = f"{abs(best - baseline):.3f} {'above' if best > baseline else 'below'} it"
    return f"The best rule without a model reaches a test F1 of {baseline:.3f}; the best configuration is {beside}."
