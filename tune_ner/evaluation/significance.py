"""Significance tests between configurations: paired differences and comparisons with the best of many.

Counts have the form that `tune_ner.evaluation.samples` describes. `benchmarks/calibration.py` measures
how often the tests report a difference between equal configurations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot, sqrt

import numpy as np
from scipy import stats

from tune_ner.evaluation.confidence_intervals import interval_of
from tune_ner.evaluation.samples import (
    BOOTSTRAP_RESAMPLES,
    Floats,
    Groups,
    RunCounts,
    Sample,
    batches,
    bootstrap,
    check_level,
    read_counts,
)
from tune_ner.evaluation.seed_variance import SeedVariance, seed_variances_of_differences

_MAX_RESAMPLES = 200_000


@dataclass(frozen=True)
class Difference:
    """Difference of two mean F1 scores, the limits of its confidence interval, and the p-value."""

    difference: float
    low: float
    high: float
    p_value: float


def paired_difference(
    a: RunCounts,
    b: RunCounts,
    *,
    groups: Groups = None,
    level: float = 0.95,
    assumed_deviation: float = 0.0,
    resamples: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Compare two configurations on the same sentences: mean F1 of `a` minus mean F1 of `b`.

    The p-value comes from `randomization_p_values`. The interval combines the intervals of `a` and `b` over documents
    and their correlation in the bootstrap (Newcombe 1998, method 10; Zou and Donner 2008), which keeps a width if both
    are all correct, with the variance between seeds. In close cases interval and p-value can disagree about zero.

    Args:
        a, b: counts of the same shape: the same runs on the same sentences.
        groups, level, seed: as in `f1_interval`.
        assumed_deviation: standard deviation of F1 between seeds, for configurations with a single run.
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
    seeds = seed_variances_of_differences(one, [other], assumed_deviation)[0].half_width(level)
    below = hypot(_combine(first.estimate - first.low, second.high - second.estimate, correlation), seeds)
    above = hypot(_combine(first.high - first.estimate, second.estimate - second.low, correlation), seeds)
    return Difference(
        difference=difference,
        low=max(-1.0, difference - below),
        high=min(1.0, difference + above),
        p_value=randomization_p_values(one, [other], resamples, seed, assumed_deviation)[0],
    )


def contrast(
    samples: Sequence[Sample],
    weights: Sequence[float],
    seeds: Sequence[SeedVariance],
    *,
    level: float = 0.95,
    resamples: int = BOOTSTRAP_RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Estimate a weighted sum of mean F1 scores, such as the difference between two differences.

    Its variance is that of the sum in a bootstrap over documents, plus that of each score between seeds; interval and
    p-value are those of Student's t with the degrees of freedom of both (Satterthwaite 1946).

    Args:
        samples: the configurations, on the same documents.
        weights: the weight of each mean F1.
        seeds: the variance of each mean F1 between seeds.
        level, resamples, seed: as in `f1_interval`.
    """
    check_level(level, resamples)
    factors = np.asarray(weights, dtype=np.float64)
    estimate = float(factors @ [sample.mean_f1 for sample in samples])
    total, freedom = _variance_of_sum(samples, factors, seeds, resamples, seed)
    if total < 1e-12:
        return Difference(estimate, estimate, estimate, 1.0 if abs(estimate) < 1e-9 else 0.0)
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * sqrt(total)
    p_value = float(2 * stats.t.sf(abs(estimate) / sqrt(total), freedom))
    return Difference(estimate, estimate - half, estimate + half, p_value)


def standard_error(one: Sample, other: Sample, seeds: Sequence[SeedVariance], seed: int = 0) -> float:
    """Return the standard error of the difference of two mean F1 scores, over documents and between seeds."""
    total, _ = _variance_of_sum([one, other], np.array([1.0, -1.0]), seeds, BOOTSTRAP_RESAMPLES, seed)
    return sqrt(total)


def detectable_difference(error: float, *, comparisons: int = 1, level: float = 0.95, power: float = 0.8) -> float:
    """Return the smallest difference that a test finds with a probability of `power`, from its standard error.

    `(z(1 - alpha / (2 m)) + z(power)) * error` for `m` comparisons with Bonferroni's correction (Cohen 1988, chapter
    2).
    """
    quantiles = stats.norm.ppf([1 - (1 - level) / (2 * comparisons), power])
    return float(quantiles.sum()) * error


def _variance_of_sum(
    samples: Sequence[Sample], weights: Floats, seeds: Sequence[SeedVariance], resamples: int, seed: int
) -> tuple[float, float]:
    """Return the variance of a weighted sum of mean F1 scores, and its degrees of freedom."""
    freedom = max(samples[0].documents - 1, 1)
    by_documents = float((bootstrap(samples, resamples, seed) @ weights).var()) * samples[0].documents / freedom
    by_seeds = [float(weight**2) * each.variance for weight, each in zip(weights, seeds, strict=True)]
    total = by_documents + sum(by_seeds)
    squares = by_documents**2 / freedom
    squares += sum(weight**4 * each.squared_error for weight, each in zip(weights, seeds, strict=True))
    return total, total**2 / squares if squares else 1.0


def not_significantly_worse(
    configurations: Mapping[str, RunCounts],
    best: str,
    *,
    groups: Groups = None,
    level: float = 0.95,
    resamples: int | None = None,
    seed: int = 0,
    assumed_deviation: float = 0.0,
    family: int | None = None,
) -> list[str]:
    """Return the configurations that are not significantly worse than `best`, including `best`, in the given order.

    `best` is usually the configuration with the highest F1 on the same counts. Holm's correction counts the
    comparisons with it, which keeps the truly best configuration among the returned ones (multiple comparisons with
    the best, Hsu 1996, chapter 4). It does not keep every configuration that is equal to the best one.

    Args:
        configurations: counts of the same shape: the same runs on the same sentences.
        best: name of one of the configurations.
        groups, seed: as in `f1_interval`.
        level: one minus the family-wise error rate.
        resamples: number of permutations, by default 10,000 to 200,000, enough for the smallest p-value of about 100
            configurations; of more, compare the leading ones.
        assumed_deviation: standard deviation of F1 between seeds, for configurations with a single run.
        family: number of comparisons to correct for, if more are made than these.

    Raises:
        ValueError: `best` is unknown, the counts or groups are malformed, or level or resamples are out of range.
    """
    if best not in configurations:
        raise ValueError(f"unknown configuration {best!r}; expected one of {', '.join(configurations)}")
    comparisons = max(len(configurations) - 1, family or 0)
    # four times the number that can resolve the smallest p-value
    resamples = resamples or min(_MAX_RESAMPLES, max(10_000, int(4 * comparisons / (1 - level))))
    check_level(level, resamples)
    samples = _read_all(configurations, groups)
    others = [name for name in samples if name != best]
    p_values = randomization_p_values(
        samples[best], [samples[name] for name in others], resamples, seed, assumed_deviation
    )
    adjusted = dict(zip(others, holm(p_values, family=comparisons), strict=True))
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


def randomization_p_values(
    reference: Sample, others: Sequence[Sample], resamples: int, seed: int, assumed_deviation: float = 0.0
) -> list[float]:
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
    seeds = seed_variances_of_differences(reference, others, assumed_deviation)
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
