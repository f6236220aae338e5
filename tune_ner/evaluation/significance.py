"""Test parts drawn anew, and models trained anew: resampling over documents, variance between replicates.

Documents, not sentences or entities, are what is drawn, because the entities of one document are right or
wrong together. Both methods need no more than two sums a document and replicate, the numerator `2 tp` and the
denominator `2 tp + fp + fn` of F1, so that a draw is one row of a matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.integer[Any]]
Replicates = Counts | Sequence[Counts]
Groups = npt.ArrayLike | Sequence[npt.ArrayLike] | None

_CELLS = 2**20  # numbers of one matrix that are held at a time, 8 MiB


@dataclass(frozen=True)
class Sample:
    """The replicates of one configuration, added up by document.

    `sums` has the shape `(replicates, documents, 2)`: numerator and denominator of F1. A document that a
    replicate was not tested on is a row of zeros. `entities` is the number of gold entities, each counted
    once however many replicates were tested on it. `strata` tells for each replicate, shape `(replicates,)`,
    which of the arrays of counts it came from.
    """

    sums: Floats
    entities: int
    strata: npt.NDArray[np.intp]

    @property
    def documents(self) -> int:
        """Number of documents."""
        return int(self.sums.shape[1])

    @property
    def figures(self) -> Floats:
        """The micro F1 of each replicate, shape `(replicates,)`; 0.0 where nothing is gold or predicted."""
        totals = self.sums.sum(axis=1)
        return _f1(totals, np.zeros(len(totals)))

    @property
    def estimate(self) -> float:
        """The mean of `figures`, which is the figure of the configuration."""
        return float(self.figures.mean())


def read_sample(replicates: Replicates, groups: Groups = None) -> Sample:
    """Add the counts of each document up.

    Args:
        replicates: an array `(replicates, sentences, 3)` of true positives, false positives and false
            negatives (or `(sentences, 3)` for one replicate), all of the same sentences; or, where the
            sentences differ, as between folds, or hyperparameters do, a list of such arrays. What replicates
            of one array differ by is chance alone.
        groups: an id of its document for each sentence; for a list of arrays a list of id arrays, in which
            an id means the same document everywhere. By default each sentence is its own document.

    Raises:
        ValueError: there is no replicate or no sentence, a shape is not as above, or a count is negative.
    """
    parts = [np.asarray(replicates)] if isinstance(replicates, np.ndarray) else [np.asarray(r) for r in replicates]
    parts = [part[np.newaxis] if part.ndim == 2 else part for part in parts]
    for part in parts:
        if part.ndim != 3 or part.shape[2] != 3 or 0 in part.shape:
            raise ValueError(f"counts must have the shape (replicates, sentences, 3), none of them 0: {part.shape}")
        if part.min() < 0:
            raise ValueError(f"counts must not be negative, but one is {part.min()}")
    if not parts:
        raise ValueError("there is no replicate")
    documents, names = _documents(parts, groups, listed=not isinstance(replicates, np.ndarray))
    sums, gold = [], np.zeros(documents)
    strata = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    for part, rows in zip(parts, names, strict=True):
        right, wrong, missed = np.moveaxis(part.astype(np.float64), 2, 0)
        for replicate in np.stack([2 * right, 2 * right + wrong + missed, right + missed], axis=2):
            total = np.zeros((documents, 3))
            np.add.at(total, rows, replicate)
            sums.append(total[:, :2])
            gold = np.maximum(gold, total[:, 2])
    return Sample(np.stack(sums), int(gold.sum()), strata)


@dataclass(frozen=True)
class Retraining:
    """Variance of a figure (or of a difference of two) over other seeds; 0.0 where there is one replicate."""

    variance: float
    freedom: float

    def draws(self, size: int, random: np.random.Generator) -> Floats:
        """Chance deviations of the figure: Student's t, scaled, shape `(size,)`."""
        if self.variance == 0.0:
            return np.zeros(size)
        return np.asarray(np.sqrt(self.variance) * random.standard_t(self.freedom, size))


def retraining(sample: Sample) -> Retraining:
    """What the figure of `sample` owes to its seeds, beyond what its documents explain.

    Replicates of one array of counts differ by seed alone; where no array has two, as with one seed in each
    fold, all are compared. Their variance is that of seeds and, because each model errs on documents of its
    own, part of that of documents, which the bootstrap has already: it is estimated from the influence of each
    document on F1 (Hampel 1974) and taken off.
    """
    groups = _strata(sample) if _repeated(sample) else [np.arange(len(sample.figures))]
    freedom = sum(len(group) - 1 for group in groups)
    if freedom == 0:
        return Retraining(0.0, 0.0)
    variance = _within(sample.figures, groups) / freedom - _by_documents(_influence(sample), groups, freedom)
    return Retraining(max(0.0, variance) / len(sample.figures), freedom)


def retraining_of_differences(reference: Sample, others: Sequence[Sample]) -> list[Retraining]:
    """What the figure of `reference` less that of each of `others` owes to the seeds of both.

    As `retraining`, from replicates that differ by seed alone where there are any: the variance of each
    configuration, moderated by those of all others (`moderated`), since two or three seeds say little on their
    own. Else, as with one seed in each fold or for each learning rate, from the differences between matched
    replicates. Samples must have the same replicates.

    Of what documents explain only half is taken off: all of it makes the estimate zero too often, and equal
    configurations are then told apart in up to 8 % of cases, none in hardly any (`benchmarks/calibration.py`).
    """
    size = len(reference.figures)
    if size == 1:
        return [Retraining(0.0, 0.0)] * len(others)
    if not _repeated(reference):
        every = [np.arange(size)]
        unmatched = [
            (_within(reference.figures - other.figures, every) / (size - 1))
            - _by_documents(_influence(reference) - _influence(other), every, size - 1) / 2
            for other in others
        ]
        return [Retraining(max(0.0, variance) / size, size - 1) for variance in unmatched]
    groups = _strata(reference)
    freedom = sum(len(group) - 1 for group in groups)
    samples = (reference, *others)
    raw, total = moderated(np.array([_within(sample.figures, groups) / freedom for sample in samples]), freedom)
    by_documents = [_by_documents(_influence(sample), groups, freedom) / 2 for sample in samples]
    own, *theirs = np.maximum(0.0, raw - by_documents)
    return [Retraining(float(own + variance) / size, total) for variance in theirs]


def moderated(variances: Floats, freedom: float) -> tuple[Floats, float]:
    """Variances of several groups drawn together as far as they look alike (Smyth 2004, "Linear models and
    empirical Bayes methods", section 6.2), and their degrees of freedom.

    Variances that scatter no more than samples of one variance would become that one, with the degrees of
    freedom of all; the more they scatter, the more each remains its own.

    Args:
        variances: of the groups, shape `(groups,)`.
        freedom: degrees of freedom of each of them, the same for all.
    """
    count = len(variances)
    if count < 2 or not variances.any():
        return variances, freedom
    # the logarithm of a variance that is zero by rounding must not outweigh all others
    least = max(1e-5 * float(np.median(variances[variances > 0])), np.finfo(np.float64).tiny)
    logs = np.log(np.maximum(variances, least))
    logs += np.log(freedom / 2) - special.digamma(freedom / 2)
    excess = float(logs.var(ddof=1) - special.polygamma(1, freedom / 2))
    if excess <= 0:
        return np.full(count, variances.mean()), freedom * count
    prior = 2 * float(optimize.brentq(lambda x: special.polygamma(1, x) - excess, 1e-8, 1e8))
    common = np.exp(logs.mean() + special.digamma(prior / 2) - np.log(prior / 2))
    return (prior * common + freedom * variances) / (prior + freedom), min(prior + freedom, freedom * count)


def bootstrap(samples: Sequence[Sample], resamples: int, seed: int) -> Floats:
    """Figures of `samples` on documents drawn with replacement (Efron and Tibshirani 1993), one draw for all.

    The samples must be of the same documents. A replicate of which a draw has nothing keeps its figure.

    Returns:
        An array of shape `(resamples, samples)`.
    """
    random = np.random.default_rng(seed)
    documents = samples[0].documents
    columns = np.concatenate([_columns(sample) for sample in samples], axis=1)
    drawn = []
    for size in _chunks(resamples, columns.shape):
        # as many counts of how often each document is drawn, through one count over all draws at once
        draws = random.integers(documents, size=(size, documents)) + np.arange(size)[:, np.newaxis] * documents
        weights = np.bincount(draws.ravel(), minlength=size * documents).reshape(size, documents)
        drawn.append(_figures(weights.astype(np.float64) @ columns, samples))
    return np.concatenate(drawn)


def randomisation_p_values(reference: Sample, others: Sequence[Sample], resamples: int, seed: int) -> list[float]:
    """P-values, two-sided, of each of `others` against `reference`: approximate randomisation over documents.

    Under the null hypothesis it does not matter which of two systems said what of a document; so for each
    document a coin decides whether their outputs, those of all replicates, change places (Noreen 1989; Yeh,
    "More accurate tests for the statistical significance of result differences", 2000). To the difference of
    such a draw comes what other seeds would have made of it (`retraining_of_differences`), where replicates tell.
    The p-value is `(1 + draws with at least the observed difference) / (1 + draws)`. Samples must be of the
    same documents and replicates.
    """
    random = np.random.default_rng(seed)
    columns = np.concatenate([_columns(sample) for sample in (reference, *others)], axis=1)
    width = columns.shape[1] // (1 + len(others))
    totals = columns.sum(axis=0)
    # sums that are equal but for rounding must count as equal: ties are common in small parts
    observed = [abs(reference.estimate - other.estimate) - 1e-9 for other in others]
    seeds = retraining_of_differences(reference, others)
    extreme = [0] * len(others)
    for size in _chunks(resamples, columns.shape):
        coins = random.integers(2, size=(size, reference.documents), dtype=np.int8)
        signed = (2.0 * coins - 1.0) @ columns
        for index, other in enumerate(others):
            mine, theirs = slice(0, width), slice((index + 1) * width, (index + 2) * width)
            middle, swing = (totals[mine] + totals[theirs]) / 2, (signed[:, mine] - signed[:, theirs]) / 2
            changed = (_figures(middle + swing, [reference]) - _figures(middle - swing, [other]))[:, 0]
            changed += seeds[index].draws(size, random)
            extreme[index] += int((np.abs(changed) >= observed[index]).sum())
    return [(1 + count) / (1 + resamples) for count in extreme]


def _strata(sample: Sample) -> list[npt.NDArray[np.intp]]:
    """Indices of the replicates of each stratum."""
    return [np.flatnonzero(sample.strata == stratum) for stratum in np.unique(sample.strata)]


def _repeated(sample: Sample) -> bool:
    """Whether some replicates differ by seed alone."""
    return len(np.unique(sample.strata)) < len(sample.strata)


def _within(values: Floats, groups: Sequence[npt.NDArray[np.intp]]) -> float:
    """Sum of squared deviations of rows from the mean row of their group."""
    return sum(float(np.square(values[group] - values[group].mean(axis=0)).sum()) for group in groups)


def _by_documents(influence: Floats, groups: Sequence[npt.NDArray[np.intp]], freedom: float) -> float:
    """Variance of figures of one group that is due to documents, from the influences `(replicates, documents)`."""
    documents = influence.shape[1]
    return float(_within(influence, groups) / freedom * documents / max(documents - 1, 1))


def _influence(sample: Sample) -> Floats:
    """How much each document moves the F1 of each replicate, shape `(replicates, documents)`."""
    totals = sample.sums[..., 1].sum(axis=1, keepdims=True)
    residuals = sample.sums[..., 0] - sample.figures[:, np.newaxis] * sample.sums[..., 1]
    return residuals / np.where(totals > 0, totals, 1.0)


def _documents(parts: list[Counts], groups: Groups, *, listed: bool) -> tuple[int, list[npt.NDArray[np.intp]]]:
    """Number of documents, and for each part the row of each sentence's document."""
    lengths = [part.shape[1] for part in parts]
    ids: list[npt.NDArray[Any]]
    if groups is None:
        ids = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])
    else:
        # a list of id arrays of different lengths is no array, so the kind of `replicates` tells how to read it
        ids = [np.asarray(part) for part in groups] if listed else [np.asarray(groups)]  # type: ignore[union-attr]
    if [part.shape for part in ids] != [(length,) for length in lengths]:
        raise ValueError(f"groups must have one id a sentence, {lengths}, but have the shapes {[i.shape for i in ids]}")
    known, rows = np.unique(np.concatenate(ids), return_inverse=True)
    return len(known), np.split(rows, np.cumsum(lengths)[:-1])


def _columns(sample: Sample) -> Floats:
    """Sums as a matrix `(documents, replicates * 2)`."""
    return np.moveaxis(sample.sums, 1, 0).reshape(sample.documents, -1)


def _figures(totals: Floats, samples: Sequence[Sample]) -> Floats:
    """Figures of samples from totals `(draws, samples * replicates * 2)`, shape `(draws, samples)`."""
    pairs = totals.reshape(len(totals), -1, 2)
    f1 = _f1(pairs, np.concatenate([sample.figures for sample in samples]))
    ends = np.cumsum([len(sample.sums) for sample in samples])[:-1]
    return np.stack([part.mean(axis=1) for part in np.split(f1, ends, axis=1)], axis=1)


def _f1(pairs: Floats, otherwise: Floats) -> Floats:
    """`numerator / denominator` along the last axis, `otherwise` where the denominator is zero."""
    numerator, denominator = pairs[..., 0], pairs[..., 1]
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1.0), otherwise)


def _chunks(resamples: int, shape: tuple[int, ...]) -> Iterator[int]:
    size = max(1, _CELLS // max(shape))
    for done in range(0, resamples, size):
        yield min(size, resamples - done)
