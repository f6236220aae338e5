"""How far figures can be believed: intervals, paired tests, and which configurations cannot be told apart.

Counts come in as `(replicates, sentences, 3)`: true positives, false positives and false negatives of each
sentence (`tune_ner.evaluation.sentence_counts`), one replicate a seed; where replicates have sentences of
their own, as folds have, as a list of such arrays (`tune_ner.evaluation.resampling.read_sample`). The figure
of a configuration is the mean of its replicates' micro F1.

The test part is a sample of documents, and a trained model one of those that other seeds would have given:
intervals and tests take both in where there are replicates to tell. With a single one they are about that
model on other documents, and what another seed would give is unknown.

`benchmarks/calibration.py` measures how often the intervals hold and how often the tests cry wolf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb, hypot, sqrt

import numpy as np
from scipy import stats

from tune_ner.evaluation.significance import (
    Floats,
    Groups,
    Replicates,
    Retraining,
    Sample,
    bootstrap,
    randomisation_p_values,
    read_sample,
    retraining,
    retraining_of_differences,
)

_BOOTSTRAP_DRAWS = 2_000
_MOST_DRAWS = 200_000
_ONE_MODEL = Retraining(0.0, 0)


@dataclass(frozen=True)
class Interval:
    """A figure with the limits of its confidence interval, all between 0 and 1."""

    low: float
    high: float
    estimate: float


@dataclass(frozen=True)
class Difference:
    """The figure of one configuration less that of another, the limits of its interval, and the p-value."""

    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (with `n - 1`) of the replicates' F1; None for a single replicate."""

    mean: float
    std: float | None


def replicate_spread(replicates: Replicates) -> Spread:
    """How much the seeds (and folds) of a configuration differ.

    Raises:
        ValueError: the counts are not as the module describes.
    """
    figures = read_sample(replicates).figures
    return Spread(float(figures.mean()), float(figures.std(ddof=1)) if len(figures) > 1 else None)


def f1_interval(
    replicates: Replicates,
    *,
    groups: Groups = None,
    level: float = 0.95,
    resamples: int = _BOOTSTRAP_DRAWS,
    seed: int = 0,
) -> Interval:
    """Confidence interval of the figure of a configuration.

    Wilson's score interval (Wilson 1927) for as many independent entities as would make F1 vary as it does
    in a bootstrap over documents and between replicates (`tune_ner.evaluation.resampling.retraining`),
    `F1 (1 - F1) / variance`: the effective sample size of Korn and Graubard (1998) and Dean and Pagano (2015),
    with Student's t for the degrees of freedom of both sources (Satterthwaite 1946). It holds where the
    percentile, BCa, studentised and logit bootstraps fall short, in parts with a handful of errors.

    Where the bootstrap says nothing because every draw gives the same figure (all right, all wrong, a single
    document), the interval is Wilson's for the number of gold entities, as if they were independent. Without
    gold entities it is `[0, 1]`.

    Args:
        replicates: counts as the module describes.
        groups: an id of its document for each sentence; by default each sentence is its own document.
        level: confidence level.
        resamples: number of bootstrap draws.
        seed: of the draws.

    Raises:
        ValueError: the counts or groups are not as described, or level or resamples are out of range.
    """
    _check(level, resamples)
    sample = read_sample(replicates, groups)
    return _interval(sample, bootstrap([sample], resamples, seed)[:, 0], level, retraining(sample))


def paired_difference(
    a: Replicates,
    b: Replicates,
    *,
    groups: Groups = None,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Difference:
    """The figure of `a` less that of `b` on the same sentences.

    The p-value is that of approximate randomisation over documents, widened by what other seeds would give
    (`tune_ner.evaluation.resampling.randomisation_p_values`). The interval is made of those of `a` and `b`
    over documents, of the correlation between them in the bootstrap (Newcombe 1998, method 10; Zou and Donner
    2008), which keeps a width where both are all right, and of the seeds' part, added in squares. The two need
    not agree about zero in close cases.

    Args:
        a: counts as the module describes.
        b: counts of the same shape: replicate by replicate on the same sentences.
        groups: an id of its document for each sentence; by default each sentence is its own document.
        level: confidence level of the interval.
        resamples: number of draws of the test; the bootstrap, of which only variances are asked, takes at
            most 2,000.
        seed: of the draws.

    Raises:
        ValueError: the counts or groups are not as described, or level or resamples are out of range.
    """
    _check(level, resamples)
    one, other = _same_documents({"a": a, "b": b}, groups).values()
    figures = bootstrap([one, other], min(resamples, _BOOTSTRAP_DRAWS), seed)
    first, second = _interval(one, figures[:, 0], level), _interval(other, figures[:, 1], level)
    rho = _correlation(figures)
    difference = first.estimate - second.estimate
    seeds = _margin(retraining_of_differences(one, [other])[0], level)
    below = hypot(_combined(first.estimate - first.low, second.high - second.estimate, rho), seeds)
    above = hypot(_combined(first.high - first.estimate, second.estimate - second.low, rho), seeds)
    return Difference(
        difference=difference,
        low=max(-1.0, difference - below),
        high=min(1.0, difference + above),
        p_value=randomisation_p_values(one, [other], resamples, seed)[0],
    )


def holm(p_values: Sequence[float], *, family: int | None = None) -> list[float]:
    """P-values adjusted so that `p <= alpha` keeps the family-wise error rate at `alpha` (Holm 1979).

    Args:
        p_values: in any order.
        family: number of hypotheses, where the given ones are only some of them; the others count as not
            rejected, which keeps the promise.

    Raises:
        ValueError: the family is smaller than the number of p-values.
    """
    size = len(p_values) if family is None else family
    if size < len(p_values):
        raise ValueError(f"a family of {size} cannot hold {len(p_values)} p-values")
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (size - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def indistinguishable(
    configurations: Mapping[str, Replicates],
    best: str,
    *,
    groups: Groups = None,
    level: float = 0.95,
    resamples: int | None = None,
    seed: int = 0,
    family: int | None = None,
) -> list[str]:
    """The configurations that are not significantly worse than `best`, `best` included, in the given order.

    `best` is commonly the one with the highest figure of these very counts, and the highest of many is far
    from the lowest by chance alone. Holm's correction therefore counts all pairs of configurations, of
    which `best` could have been the upper one, and not only the pairs that are looked at.

    Args:
        configurations: counts as the module describes, of the same shape: all on the same sentences.
        best: one of the configurations.
        groups: an id of its document for each sentence; by default each sentence is its own document.
        level: one less the family-wise error rate.
        resamples: number of draws of the randomisation test. By default at least 10,000, and with many
            configurations as many more as p-values that small need, but not above 200,000: beyond some 100
            configurations compare only the leading ones.
        seed: of the draws.
        family: pairs of configurations that are counted, where more are looked at than these.

    Raises:
        ValueError: `best` is not among the configurations, the counts or groups are not as described, or
            level or resamples are out of range.
    """
    if best not in configurations:
        raise ValueError(f"{best!r} is not among the configurations: {', '.join(configurations)}")
    pairs = max(comb(len(configurations), 2), family or 0)
    # four times as many draws as the smallest p-value that could still be significant asks for
    draws = resamples or min(_MOST_DRAWS, max(10_000, int(4 * pairs / (1 - level))))
    _check(level, draws)
    samples = _same_documents(configurations, groups)
    others = [name for name in samples if name != best]
    p_values = randomisation_p_values(samples[best], [samples[name] for name in others], draws, seed)
    adjusted = dict(zip(others, holm(p_values, family=pairs), strict=True))
    return [
        name
        for name, sample in samples.items()
        if name == best or sample.estimate >= samples[best].estimate or adjusted[name] > 1 - level
    ]


def half_width(entities: int, f1: float = 0.8, level: float = 0.95) -> float:
    """Half the width of the interval that a test part with so many gold entities can give, before any training.

    That of Wilson's interval (Wilson 1927), `z / (1 + z²/n) sqrt(f (1 - f) / n + z²/(4 n²))`, as if entities
    were independent: entities that are wrong together in a document make it wider, entities that are
    missed rather than confused somewhat narrower. Without entities it is 1.0.

    Raises:
        ValueError: `entities` is negative, or `f1` or `level` are out of range.
    """
    _check(level)
    if entities < 0 or not 0 <= f1 <= 1:
        raise ValueError(f"expected entities >= 0 and 0 <= f1 <= 1, but got entities={entities}, f1={f1}")
    if entities == 0:
        return 1.0
    low, high = _wilson(f1, entities, _normal_quantile(level))
    return (high - low) / 2


def _interval(sample: Sample, figures: Floats, level: float, seeds: Retraining = _ONE_MODEL) -> Interval:
    estimate = sample.estimate
    if sample.entities == 0:
        return Interval(0.0, 1.0, estimate)
    documents = sample.documents
    # a bootstrap of n documents has (n - 1) / n of the variance that it estimates
    variance = float(figures.var()) * documents / max(documents - 1, 1)
    total = variance + seeds.variance
    if total < 1e-12:
        effective, quantile = float(sample.entities), _normal_quantile(level)
    else:
        # no more can be learnt than from all that was gold or predicted, were it independent
        effective = min(estimate * (1 - estimate) / total, float(sample.sums[..., 1].sum()))
        freedom = total**2 / (variance**2 / max(documents - 1, 1) + seeds.variance**2 / max(seeds.freedom, 1))
        quantile = float(stats.t.ppf((1 + level) / 2, freedom))
    low, high = _wilson(estimate, effective, quantile)
    return Interval(max(0.0, min(low, estimate)), min(1.0, max(high, estimate)), estimate)


def _wilson(share: float, size: float, quantile: float) -> tuple[float, float]:
    square = quantile**2 / size
    middle = (share + square / 2) / (1 + square)
    half = quantile / (1 + square) * sqrt(share * (1 - share) / size + square / (4 * size))
    return middle - half, middle + half


def _margin(seeds: Retraining, level: float) -> float:
    """Half the width of the interval that the seeds alone would give."""
    return float(stats.t.ppf((1 + level) / 2, seeds.freedom)) * sqrt(seeds.variance) if seeds.variance else 0.0


def _combined(one: float, other: float, correlation: float) -> float:
    return sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2))


def _correlation(figures: Floats) -> float:
    """Of the two columns; 0.0 where one does not vary."""
    if figures.std(axis=0).min() < 1e-6:
        return 0.0
    return float(np.clip(np.asarray(np.corrcoef(figures.T))[0, 1], -1.0, 1.0))


def _same_documents(configurations: Mapping[str, Replicates], groups: Groups) -> dict[str, Sample]:
    shapes = {
        name: [np.shape(part) for part in ([counts] if isinstance(counts, np.ndarray) else counts)]
        for name, counts in configurations.items()
    }
    first = next(iter(shapes))
    for name, shape in shapes.items():
        if shape != shapes[first]:
            raise ValueError(
                f"{name} has counts of the shape {shape} and {first} of {shapes[first]}: expected the same "
                "replicates on the same sentences"
            )
    return {name: read_sample(counts, groups) for name, counts in configurations.items()}


def _normal_quantile(level: float) -> float:
    return float(stats.norm.ppf((1 + level) / 2))


def _check(level: float, resamples: int = 1) -> None:
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"expected 0 < level < 1 and resamples >= 1, but got level={level}, resamples={resamples}")
