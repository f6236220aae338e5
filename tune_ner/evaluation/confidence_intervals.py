"""Confidence intervals of F1, from true positives, false positives and false negatives of each sentence.

The documents of a split are a sample, and so are the models that a configuration produces with different seeds. The
intervals cover both. Counts have the form that `tune_ner.evaluation.samples` describes.

`benchmarks/calibration.py` measures how often the intervals contain the true F1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, sqrt

from scipy import stats

from tune_ner.evaluation.samples import (
    BOOTSTRAP_RESAMPLES,
    Floats,
    Groups,
    RunCounts,
    Sample,
    bootstrap,
    check_level,
    read_counts,
)
from tune_ner.evaluation.seed_variance import NO_SEED_VARIANCE, SeedVariance, seed_variance


@dataclass(frozen=True)
class Interval:
    """An estimate with the limits of its confidence interval, all between 0 and 1."""

    low: float
    high: float
    estimate: float


def f1_interval(
    runs: RunCounts,
    *,
    groups: Groups = None,
    level: float = 0.95,
    seeds: SeedVariance | None = None,
    resamples: int = BOOTSTRAP_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Compute the confidence interval of the mean F1 of a configuration.

    The interval over documents is Wilson's score interval (Wilson 1927) for the effective sample size `F1 (1 - F1) /
    variance` (Korn and Graubard 1998; Dean and Pagano 2015), with the variance of a bootstrap over documents. The
    variance between seeds is added to each side (Zou and Donner 2008). Both use Student's t for the degrees of freedom
    of both sources (Satterthwaite 1946). Unlike the percentile, BCa, studentized and logit bootstraps, Wilson's
    interval keeps its coverage in splits with a handful of errors.

    If all resamples have the same F1 (all correct, all wrong, or a single document), the sample size is the number of
    gold entities, as if they were independent. Without gold entities the interval is `[0, 1]`.

    Args:
        runs: counts as described in the module.
        groups: document id of each sentence; by default each sentence is a document.
        level: confidence level.
        seeds: variance of the mean F1 between seeds; by default estimated from the runs.
        resamples: number of bootstrap resamples.
        seed: random seed of the bootstrap.

    Raises:
        ValueError: the counts or groups are malformed, or level or resamples are out of range.
    """
    check_level(level, resamples)
    sample = read_counts(runs, groups)
    variance = seed_variance(sample) if seeds is None else seeds
    return interval_of(sample, bootstrap([sample], resamples, seed)[:, 0], level, variance)


def interval_of(sample: Sample, resampled: Floats, level: float, seeds: SeedVariance = NO_SEED_VARIANCE) -> Interval:
    """Compute the interval of `f1_interval` from the F1 scores of bootstrap resamples, shape `(resamples,)`."""
    estimate = sample.mean_f1
    if sample.gold_entities == 0:
        return Interval(0.0, 1.0, estimate)
    freedom = max(sample.documents - 1, 1)
    # a bootstrap of n documents underestimates the variance by the factor (n - 1) / n
    variance = float(resampled.var()) * sample.documents / freedom
    total = variance + seeds.variance
    if total < 1e-12:
        quantile = _normal_quantile(level)
    else:
        combined = total**2 / (variance**2 / freedom + seeds.squared_error)
        quantile = float(stats.t.ppf((1 + level) / 2, combined))
    size = float(sample.gold_entities)
    if variance >= 1e-12:
        # at most the size if all gold and predicted spans were independent
        size = min(estimate * (1 - estimate) / variance, float(sample.sums[..., 1].sum()))
    low, high = _wilson(estimate, size, quantile)
    of_seeds = quantile * sqrt(seeds.variance)
    below, above = (hypot(max(0.0, distance), of_seeds) for distance in (estimate - low, high - estimate))
    return Interval(max(0.0, estimate - below), min(1.0, estimate + above), estimate)


def share_interval(count: int, total: int, level: float = 0.95) -> Interval:
    """Compute Wilson's interval (Wilson 1927) of a share such as recall; `[0, 1]` if the total is 0.

    Raises:
        ValueError: `level` is out of range.
    """
    check_level(level)
    if not total:
        return Interval(0.0, 1.0, 0.0)
    low, high = _wilson(count / total, total, _normal_quantile(level))
    return Interval(max(0.0, low), min(1.0, high), count / total)


def half_width(entities: int, f1: float = 0.8, level: float = 0.95) -> float:
    """Predict half the width of the confidence interval on a split with this many gold entities.

    The width is that of Wilson's interval (Wilson 1927), `z / (1 + z²/n) sqrt(f (1 - f) / n + z²/(4 n²))`, for
    independent entities. Correlated errors within documents make the interval wider; entities that are missed rather
    than confused make it slightly narrower. Without entities the result is 1.0.

    Raises:
        ValueError: `entities` is negative, or `f1` or `level` are out of range.
    """
    check_level(level)
    if entities < 0 or not 0 <= f1 <= 1:
        raise ValueError(f"expected entities >= 0 and 0 <= f1 <= 1, but got entities={entities}, f1={f1}")
    if entities == 0:
        return 1.0
    low, high = _wilson(f1, entities, _normal_quantile(level))
    return (high - low) / 2


def _wilson(share: float, size: float, quantile: float) -> tuple[float, float]:
    square = quantile**2 / size
    middle = (share + square / 2) / (1 + square)
    half = quantile / (1 + square) * sqrt(share * (1 - share) / size + square / (4 * size))
    return middle - half, middle + half


def _normal_quantile(level: float) -> float:
    return float(stats.norm.ppf((1 + level) / 2))
