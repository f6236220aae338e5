"""Significance tests between configurations: paired differences and comparisons with the best of many.

Counts have the form that `tune_ner.evaluation.confidence_intervals` describes. `benchmarks/calibration.py` measures
how often the tests report a difference between equal configurations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb, hypot, sqrt

import numpy as np
from scipy import optimize, special

from tune_ner.evaluation.confidence_intervals import (
    BOOTSTRAP_RESAMPLES,
    Floats,
    Groups,
    RunCounts,
    Sample,
    SeedVariance,
    batches,
    bootstrap,
    check_level,
    degrees_of_freedom,
    document_variance,
    interval_of,
    pooled_variance,
    read_counts,
)

_MAX_RESAMPLES = 200_000


@dataclass(frozen=True)
class Difference:
    """Difference of two mean F1 scores, the limits of its confidence interval, and the p-value."""

    difference: float
    low: float
    high: float
    p_value: float


def paired_difference(
    a: RunCounts, b: RunCounts, *, groups: Groups = None, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Difference:
    """Compare two configurations on the same sentences: mean F1 of `a` minus mean F1 of `b`.

    The p-value comes from `randomization_p_values`. The interval combines the intervals of `a` and `b` over documents
    and their correlation in the bootstrap (Newcombe 1998, method 10; Zou and Donner 2008), which keeps a width if both
    are all correct, with the variance between seeds. In close cases interval and p-value can disagree about zero.

    Args:
        a, b: counts of the same shape: the same runs on the same sentences.
        groups, level, seed: as in `f1_interval`.
        resamples: number of permutations of the test; the bootstrap uses at most 2,000 resamples.

    Raises:
        ValueError: the counts or groups are malformed, or level or resamples are out of range.
    """
    check_level(level, resamples)
    one, other = _read_all({"a": a, "b": b}, groups).values()
    scores = bootstrap([one, other], min(resamples, BOOTSTRAP_RESAMPLES), seed)
    first, second = interval_of(one, scores[:, 0], level), interval_of(other, scores[:, 1], level)
    correlation = _correlation(scores)
    difference = first.estimate - second.estimate
    seeds = seed_variances_of_differences(one, [other])[0].half_width(level)
    below = hypot(_combine(first.estimate - first.low, second.high - second.estimate, correlation), seeds)
    above = hypot(_combine(first.high - first.estimate, second.estimate - second.low, correlation), seeds)
    return Difference(
        difference=difference,
        low=max(-1.0, difference - below),
        high=min(1.0, difference + above),
        p_value=randomization_p_values(one, [other], resamples, seed)[0],
    )


def not_significantly_worse(
    configurations: Mapping[str, RunCounts],
    best: str,
    *,
    groups: Groups = None,
    level: float = 0.95,
    resamples: int | None = None,
    seed: int = 0,
    family: int | None = None,
) -> list[str]:
    """Return the configurations that are not significantly worse than `best`, including `best`, in the given order.

    `best` is usually the configuration with the highest F1 on the same counts, and the highest of many differs from
    the lowest by chance. Holm's correction therefore counts all pairs of configurations, not only those with
    `best`.

    Args:
        configurations: counts of the same shape: the same runs on the same sentences.
        best: name of one of the configurations.
        groups, seed: as in `f1_interval`.
        level: one minus the family-wise error rate.
        resamples: number of permutations, by default 10,000 to 200,000, enough for the smallest p-value of about 100
            configurations; of more, compare the leading ones.
        family: number of pairs to correct for, if more are compared than these.

    Raises:
        ValueError: `best` is unknown, the counts or groups are malformed, or level or resamples are out of range.
    """
    if best not in configurations:
        raise ValueError(f"unknown configuration {best!r}; expected one of {', '.join(configurations)}")
    pairs = max(comb(len(configurations), 2), family or 0)
    # four times the number that can resolve the smallest p-value
    resamples = resamples or min(_MAX_RESAMPLES, max(10_000, int(4 * pairs / (1 - level))))
    check_level(level, resamples)
    samples = _read_all(configurations, groups)
    others = [name for name in samples if name != best]
    p_values = randomization_p_values(samples[best], [samples[name] for name in others], resamples, seed)
    adjusted = dict(zip(others, holm(p_values, family=pairs), strict=True))
    return [
        name
        for name, sample in samples.items()
        if name == best or sample.mean_f1 >= samples[best].mean_f1 or adjusted[name] > 1 - level
    ]


def holm(p_values: Sequence[float], *, family: int | None = None) -> list[float]:
    """Adjust p-values so that `p <= alpha` keeps the family-wise error rate at `alpha` (Holm 1979).

    `family` is the number of hypotheses, if there are more than these; the others count as not rejected.

    Raises:
        ValueError: the family is smaller than the number of p-values.
    """
    size = len(p_values) if family is None else family
    if size < len(p_values):
        raise ValueError(f"got {len(p_values)} p-values for a family of {size}; expected at most {size}")
    order = np.argsort(p_values, kind="stable")
    scaled = np.minimum(1.0, (size - np.arange(len(order))) * np.asarray(p_values, dtype=np.float64)[order])
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(scaled)
    return [float(p) for p in adjusted]


def randomization_p_values(reference: Sample, others: Sequence[Sample], resamples: int, seed: int) -> list[float]:
    """Compute two-sided p-values of each of `others` against `reference` by approximate randomization.

    Under the null hypothesis the outputs of both systems for a document are exchangeable; each permutation exchanges
    the outputs of all runs for a random half of the documents (Noreen 1989; Yeh, "More accurate tests for the
    statistical significance of result differences", 2000). The variance between seeds
    (`seed_variances_of_differences`) is added to the permuted difference. The p-value is
    `(1 + permutations with at least the observed difference) / (1 + permutations)`. All samples must have the same
    documents and runs.
    """
    random = np.random.default_rng(seed)
    samples = (reference, *others)
    columns = np.concatenate([sample.columns for sample in samples], axis=1)
    totals = np.split(columns.sum(axis=0), len(samples))
    # the tolerance counts sums that differ only by rounding as ties, which are common in small splits
    observed = [abs(reference.mean_f1 - other.mean_f1) - 1e-9 for other in others]
    seeds = seed_variances_of_differences(reference, others)
    extreme = [0] * len(others)
    for size in batches(resamples, *columns.shape):
        coins = random.integers(2, size=(size, reference.documents), dtype=np.int8)
        own, *theirs = np.split((2.0 * coins - 1.0) @ columns, len(samples), axis=1)
        for index, other in enumerate(others):
            middle, swing = (totals[0] + totals[index + 1]) / 2, (own - theirs[index]) / 2
            permuted = reference.resampled_f1(middle + swing) - other.resampled_f1(middle - swing)
            permuted += seeds[index].draw(size, random)
            extreme[index] += int((np.abs(permuted) >= observed[index]).sum())
    return [(1 + count) / (1 + resamples) for count in extreme]


def seed_variances_of_differences(reference: Sample, others: Sequence[Sample]) -> list[SeedVariance]:
    """Estimate the variance between seeds of the F1 difference of `reference` and each of `others`.

    If some runs differ only in the seed, the variance of each configuration is moderated by the others
    (`moderate_variances`), because two or three seeds give a poor estimate. Otherwise, as with one seed per fold, it is
    estimated from the differences between matched runs. All samples must have the same runs.

    Only half of the document variance is subtracted. Subtracting all of it makes the estimate zero too often: up to
    8 % of equal configurations are then reported as different, and almost none without subtraction
    (`benchmarks/calibration.py`).
    """
    runs = len(reference.sums)
    if runs == 1:
        return [SeedVariance(0.0, 0.0)] * len(others)
    if not reference.has_repeated_seeds:
        every = [np.arange(runs)]
        matched = [
            pooled_variance(reference.f1_scores - other.f1_scores, every)
            - document_variance(reference.influence - other.influence, every) / 2
            for other in others
        ]
        return [SeedVariance(max(0.0, variance) / runs, runs - 1) for variance in matched]
    groups, samples = reference.seed_groups, (reference, *others)
    raw = np.array([pooled_variance(sample.f1_scores, groups) for sample in samples])
    moderated, freedom = moderate_variances(raw, degrees_of_freedom(groups))
    by_documents = [document_variance(sample.influence, groups) / 2 for sample in samples]
    own, *theirs = np.maximum(0.0, moderated - by_documents)
    return [SeedVariance(float(own + variance) / runs, freedom) for variance in theirs]


def moderate_variances(variances: Floats, freedom: float) -> tuple[Floats, float]:
    """Shrink variances towards a common value (Smyth 2004, "Linear models and empirical Bayes methods", section 6.2).

    Variances that scatter no more than samples of one variance are replaced by their mean, with the degrees of freedom
    of all; the more they scatter, the less they are shrunk. `freedom` is the degrees of freedom of each variance; the
    result includes those of the moderated variances.
    """
    count = len(variances)
    if count < 2 or not variances.any():
        return variances, freedom
    # variances that are zero by rounding would dominate on the logarithmic scale
    least = max(1e-5 * float(np.median(variances[variances > 0])), np.finfo(np.float64).tiny)
    logs = np.log(np.maximum(variances, least))
    logs += np.log(freedom / 2) - special.digamma(freedom / 2)
    excess = float(logs.var(ddof=1) - special.polygamma(1, freedom / 2))
    if excess <= 0:
        return np.full(count, variances.mean()), freedom * count
    prior = 2 * float(optimize.brentq(lambda x: special.polygamma(1, x) - excess, 1e-8, 1e8))
    common = np.exp(logs.mean() + special.digamma(prior / 2) - np.log(prior / 2))
    return (prior * common + freedom * variances) / (prior + freedom), min(prior + freedom, freedom * count)


def _read_all(configurations: Mapping[str, RunCounts], groups: Groups) -> dict[str, Sample]:
    shapes = {
        name: [np.shape(array) for array in ([runs] if isinstance(runs, np.ndarray) else runs)]
        for name, runs in configurations.items()
    }
    first = next(iter(shapes))
    for name, shape in shapes.items():
        if shape != shapes[first]:
            raise ValueError(
                f"counts of {name} have the shape {shape} but those of {first} {shapes[first]}; expected the same runs "
                "on the same sentences"
            )
    return {name: read_counts(runs, groups) for name, runs in configurations.items()}


def _combine(one: float, other: float, correlation: float) -> float:
    return sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2))


def _correlation(scores: Floats) -> float:
    """Return the correlation of the two columns, 0.0 if one is constant."""
    if scores.std(axis=0).min() < 1e-6:
        return 0.0
    return float(np.clip(np.asarray(np.corrcoef(scores.T))[0, 1], -1.0, 1.0))
