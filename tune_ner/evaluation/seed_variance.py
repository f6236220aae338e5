"""Variance of F1 between the models that a configuration produces with different seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import optimize, special, stats

from tune_ner.evaluation.samples import Floats, Indices, Sample

ASSUMED_DEVIATION = 0.02
"""Standard deviation of F1 between seeds that is assumed if no run on the same data has several seeds."""

_KNOWN = 1e6  # degrees of freedom of a variance that is given


@dataclass(frozen=True)
class SeedVariance:
    """Variance of a mean F1 (or of a difference) between seeds; 0.0 if it cannot be estimated.

    `raw` is the variance between runs with that part of the variance of documents which `variance` is without. Its
    degrees of freedom are `degrees_of_freedom`.
    """

    variance: float
    degrees_of_freedom: float
    raw: float = 0.0

    @property
    def squared_error(self) -> float:
        """Half the squared standard error of `variance`, as Satterthwaite's formula needs it."""
        return max(self.raw, self.variance) ** 2 / max(self.degrees_of_freedom, 1.0)

    @classmethod
    def known(cls, variance: float) -> SeedVariance:
        """Return a variance that is given, not estimated."""
        return cls(variance, _KNOWN if variance else 0.0)

    def draw(self, size: int, random: np.random.Generator) -> Floats:
        """Draw random deviations from a scaled Student's t distribution, shape `(size,)`."""
        if self.variance == 0.0:
            return np.zeros(size)
        return np.asarray(np.sqrt(self.variance) * random.standard_t(self.degrees_of_freedom, size))

    def half_width(self, level: float) -> float:
        """Return half the width of the confidence interval that seeds cause."""
        if self.variance == 0.0:
            return 0.0
        return float(stats.t.ppf((1 + level) / 2, self.degrees_of_freedom)) * sqrt(self.variance)


NO_SEED_VARIANCE = SeedVariance(0.0, 0.0)


def seed_variance(sample: Sample) -> SeedVariance:
    """Estimate the variance of the mean F1 between seeds, beyond the variance that documents explain.

    Runs of one array of counts differ only in the seed; if no array has two runs, as with one seed per fold, all runs
    are compared. Each model errs on different documents, so the variance between runs includes a part of the document
    variance, which the bootstrap already covers. It is estimated from the influence of the documents and subtracted.
    """
    groups = sample.seed_groups if sample.has_repeated_seeds else (np.arange(len(sample.sums)),)
    freedom = degrees_of_freedom(groups)
    if freedom == 0:
        return NO_SEED_VARIANCE
    raw, runs = pooled_variance(sample.f1_scores, groups), len(sample.sums)
    variance = raw - document_variance(sample.influence, groups)
    return SeedVariance(max(0.0, variance) / runs, freedom, raw / runs)


def pooled_seed_variances(samples: Sequence[Sample]) -> list[SeedVariance]:
    """Estimate the variance of `seed_variance` for each of several configurations, moderated by all of them.

    Two or three seeds give a poor estimate, so the configurations share information (`moderate_variances`). Those
    without repeated seeds have the variance that the others have in common, and 0.0 if there are no others.
    """
    repeated = [number for number, sample in enumerate(samples) if sample.has_repeated_seeds]
    if not repeated:
        return [seed_variance(sample) for sample in samples]
    raw = np.array([pooled_variance(samples[n].f1_scores, samples[n].seed_groups) for n in repeated])
    freedom = np.array([float(degrees_of_freedom(samples[n].seed_groups)) for n in repeated])
    by_documents = [document_variance(samples[n].influence, samples[n].seed_groups) for n in repeated]
    moderated, total = moderate_variances(raw, freedom)
    excess = np.maximum(0.0, moderated - by_documents)
    found = dict(zip(repeated, zip(excess, total, moderated, strict=True), strict=True))
    others = np.median(excess), freedom.sum(), np.median(moderated)
    variances = []
    for number, sample in enumerate(samples):
        variance, degrees, raw_variance = (float(value) for value in found.get(number, others))
        runs = len(sample.sums)
        variances.append(SeedVariance(variance / runs, degrees, raw_variance / runs))
    return variances


def degrees_of_freedom(groups: Sequence[Indices]) -> int:
    """Return the degrees of freedom of a variance pooled over groups of runs."""
    return sum(len(group) - 1 for group in groups)


def pooled_variance(values: Floats, groups: Sequence[Indices]) -> float:
    """Compute the variance of values (or rows) around the mean of their group, pooled over the groups."""
    squares = (float(np.square(values[group] - values[group].mean(axis=0)).sum()) for group in groups)
    return sum(squares) / degrees_of_freedom(groups)


def document_variance(influence: Floats, groups: Sequence[Indices]) -> float:
    """Compute the part of `pooled_variance` of F1 that is due to documents, from their influence."""
    documents = influence.shape[1]
    return float(pooled_variance(influence, groups) * documents / max(documents - 1, 1))


def seed_variances_of_differences(
    reference: Sample, others: Sequence[Sample], assumed_deviation: float = 0.0
) -> list[SeedVariance]:
    """Estimate the variance between seeds of the F1 difference of `reference` and each of `others`.

    If some runs differ only in the seed, the variance of each configuration is moderated by the others
    (`moderate_variances`), because two or three seeds give a poor estimate. Otherwise, as with one seed per fold, it is
    estimated from the differences between matched runs. With a single run, `assumed_deviation` is the standard
    deviation of F1 between seeds. All samples must have the same runs.

    Only half of the document variance is subtracted. Subtracting all of it makes the estimate zero too often: up to
    8 % of equal configurations are then reported as different, and almost none without subtraction
    (`benchmarks/calibration.py`).
    """
    runs = len(reference.sums)
    if runs == 1:
        return [SeedVariance.known(2 * assumed_deviation**2)] * len(others)
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
    moderated, freedom = moderate_variances(raw, np.full(len(raw), float(degrees_of_freedom(groups))))
    by_documents = [document_variance(sample.influence, groups) / 2 for sample in samples]
    own, *theirs = np.maximum(0.0, moderated - by_documents)
    return [SeedVariance(float(own + variance) / runs, float(freedom.min())) for variance in theirs]


def moderate_variances(variances: Floats, freedom: Floats) -> tuple[Floats, Floats]:
    """Shrink variances towards a common value (Smyth 2004, "Linear models and empirical Bayes methods", section 6.2).

    Variances that scatter no more than samples of one variance are replaced by their mean, with the degrees of freedom
    of all; the more they scatter, the less they are shrunk.

    Args:
        variances: the variances, shape `(n,)`.
        freedom: the degrees of freedom of each, shape `(n,)`.

    Returns:
        The moderated variances and their degrees of freedom, both of shape `(n,)`.
    """
    count = len(variances)
    if count < 2 or not variances.any():
        return variances, freedom
    # variances that are zero by rounding would dominate on the logarithmic scale
    least = max(1e-5 * float(np.median(variances[variances > 0])), np.finfo(np.float64).tiny)
    logs = np.log(np.maximum(variances, least))
    logs += np.log(freedom / 2) - special.digamma(freedom / 2)
    excess = float(logs.var(ddof=1) - special.polygamma(1, freedom / 2).mean())
    if excess <= 0:
        return np.full(count, np.average(variances, weights=freedom)), np.full(count, freedom.sum())
    prior = 2 * float(optimize.brentq(lambda x: special.polygamma(1, x) - excess, 1e-8, 1e8))
    common = np.exp(logs.mean() + special.digamma(prior / 2) - np.log(prior / 2))
    return (prior * common + freedom * variances) / (prior + freedom), np.minimum(prior + freedom, freedom.sum())
