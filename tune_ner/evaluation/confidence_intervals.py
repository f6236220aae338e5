"""Confidence intervals of F1, from true positives, false positives and false negatives of each sentence.

Counts are an array of shape `(runs, sentences, 3)` as `span_metrics.sentence_counts` returns it, one run per seed. Runs
on different sentences (folds) or with different hyperparameters are passed as a list of such arrays. The F1 of a
configuration is the mean of the micro F1 of its runs.

The documents of a split are a sample, and so are the models that a configuration produces with different seeds. The
intervals cover both if there are several runs; with a single run they cover the documents only. Documents are the unit
of resampling, because errors in the same document are correlated. Only two sums per document and run are needed, the
numerator `2 tp` and the denominator `2 tp + fp + fn` of F1.

`benchmarks/calibration.py` measures how often the intervals contain the true F1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Counts = npt.NDArray[np.integer[Any]]
RunCounts = Counts | Sequence[Counts]
Groups = npt.ArrayLike | Sequence[npt.ArrayLike] | None

BOOTSTRAP_RESAMPLES = 2_000
_BATCH_CELLS = 2**20  # size limit of a matrix of resamples: 8 MiB


@dataclass(frozen=True)
class Interval:
    """An estimate with the limits of its confidence interval, all between 0 and 1."""

    low: float
    high: float
    estimate: float


@dataclass(frozen=True)
class Sample:
    """The counts of one configuration, summed by document.

    `sums` has the shape `(runs, documents, 2)`: numerator and denominator of F1, both 0 for documents that a run was
    not evaluated on. `gold_entities` counts each gold entity once, however many runs were evaluated on it.
    `seed_groups` holds the indices of the runs that differ only in the seed, one array per array of counts.
    """

    sums: Floats
    gold_entities: int
    seed_groups: tuple[Indices, ...]

    @property
    def documents(self) -> int:
        """Number of documents."""
        return int(self.sums.shape[1])

    @property
    def columns(self) -> Floats:
        """The sums as a matrix `(documents, runs * 2)`."""
        return np.moveaxis(self.sums, 1, 0).reshape(self.documents, -1)

    @property
    def f1_scores(self) -> Floats:
        """Micro F1 of each run, shape `(runs,)`; 0.0 without gold spans and predictions."""
        totals = self.sums.sum(axis=1)
        return _f1(totals, np.zeros(len(totals)))

    @property
    def mean_f1(self) -> float:
        """Mean of `f1_scores`."""
        return float(self.f1_scores.mean())

    @property
    def has_repeated_seeds(self) -> bool:
        """Whether some runs differ only in the seed."""
        return any(len(group) > 1 for group in self.seed_groups)

    @property
    def influence(self) -> Floats:
        """Influence of each document on the F1 of each run (Hampel 1974), shape `(runs, documents)`."""
        totals = self.sums[..., 1].sum(axis=1, keepdims=True)
        residuals = self.sums[..., 0] - self.f1_scores[:, np.newaxis] * self.sums[..., 1]
        return residuals / np.where(totals > 0, totals, 1.0)

    def resampled_f1(self, totals: Floats) -> Floats:
        """Return the mean F1 for totals `(draws, runs * 2)` of resamples; a run without counts keeps its F1."""
        return np.asarray(_f1(totals.reshape(len(totals), -1, 2), self.f1_scores).mean(axis=1))


@dataclass(frozen=True)
class SeedVariance:
    """Variance of a mean F1 (or of a difference) between seeds; 0.0 if it cannot be estimated."""

    variance: float
    degrees_of_freedom: float

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


def f1_interval(
    runs: RunCounts, *, groups: Groups = None, level: float = 0.95, resamples: int = BOOTSTRAP_RESAMPLES, seed: int = 0
) -> Interval:
    """Compute the confidence interval of the mean F1 of a configuration.

    The interval is Wilson's score interval (Wilson 1927) for the effective sample size `F1 (1 - F1) / variance` (Korn
    and Graubard 1998; Dean and Pagano 2015), with Student's t for the degrees of freedom of both sources of variance
    (Satterthwaite 1946): a bootstrap over documents, and the seeds (`seed_variance`). Unlike the percentile, BCa,
    studentized and logit bootstraps, it keeps its coverage in splits with a handful of errors.

    If all resamples have the same F1 (all correct, all wrong, or a single document), the sample size is the number of
    gold entities, as if they were independent. Without gold entities the interval is `[0, 1]`.

    Args:
        runs: counts as described in the module.
        groups: document id of each sentence; by default each sentence is a document.
        level: confidence level.
        resamples: number of bootstrap resamples.
        seed: random seed of the bootstrap.

    Raises:
        ValueError: the counts or groups are malformed, or level or resamples are out of range.
    """
    check_level(level, resamples)
    sample = read_counts(runs, groups)
    return interval_of(sample, bootstrap([sample], resamples, seed)[:, 0], level, seed_variance(sample))


def interval_of(
    sample: Sample, resampled: Floats, level: float, seeds: SeedVariance = SeedVariance(0.0, 0)
) -> Interval:
    """Compute the interval of `f1_interval` from the F1 scores of bootstrap resamples, shape `(resamples,)`."""
    estimate = sample.mean_f1
    if sample.gold_entities == 0:
        return Interval(0.0, 1.0, estimate)
    freedom = max(sample.documents - 1, 1)
    # a bootstrap of n documents underestimates the variance by the factor (n - 1) / n
    variance = float(resampled.var()) * sample.documents / freedom
    total = variance + seeds.variance
    if total < 1e-12:
        size, quantile = float(sample.gold_entities), _normal_quantile(level)
    else:
        # at most the size if all gold and predicted spans were independent
        size = min(estimate * (1 - estimate) / total, float(sample.sums[..., 1].sum()))
        combined = total**2 / (variance**2 / freedom + seeds.variance**2 / max(seeds.degrees_of_freedom, 1))
        quantile = float(stats.t.ppf((1 + level) / 2, combined))
    low, high = _wilson(estimate, size, quantile)
    return Interval(max(0.0, min(low, estimate)), min(1.0, max(high, estimate)), estimate)


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


def read_counts(runs: RunCounts, groups: Groups = None) -> Sample:
    """Validate counts and sum them by document.

    Args:
        runs: an array `(runs, sentences, 3)` of true positives, false positives and false negatives (`(sentences, 3)`
            for one run), or a list of such arrays. Runs in the same array differ only in the seed.
        groups: document id of each sentence; for a list of arrays, a list of id arrays in which the same id means the
            same document everywhere. By default each sentence is a document.

    Raises:
        ValueError: there are no runs or sentences, a shape is wrong, or a count is negative.
    """
    is_list = not isinstance(runs, np.ndarray)
    arrays = [np.asarray(array) for array in (runs if is_list else [runs])]
    arrays = [array[np.newaxis] if array.ndim == 2 else array for array in arrays]
    for array in arrays:
        if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
            raise ValueError(f"counts have the shape {array.shape}; expected (runs, sentences, 3) without a 0")
        if array.min() < 0:
            raise ValueError(f"counts include {array.min()}; expected no negative counts")
    if not arrays:
        raise ValueError("the list of runs is empty")
    documents, rows = _document_rows([array.shape[1] for array in arrays], groups, is_list)
    sums, gold = [], np.zeros(documents)
    for array, row in zip(arrays, rows, strict=True):
        tp, fp, fn = np.moveaxis(array.astype(np.float64), 2, 0)
        for run in np.stack([2 * tp, 2 * tp + fp + fn, tp + fn], axis=2):
            total = np.zeros((documents, 3))
            np.add.at(total, row, run)
            sums.append(total[:, :2])
            gold = np.maximum(gold, total[:, 2])
    seed_groups = np.split(np.arange(len(sums)), np.cumsum([len(array) for array in arrays])[:-1])
    return Sample(np.stack(sums), int(gold.sum()), tuple(seed_groups))


def bootstrap(samples: Sequence[Sample], resamples: int, seed: int) -> Floats:
    """Compute mean F1 scores on documents drawn with replacement (Efron and Tibshirani 1993).

    All samples must have the same documents and share the draws. The result has the shape `(resamples, samples)`.
    """
    random = np.random.default_rng(seed)
    documents = samples[0].documents
    scores = []
    for size in batches(resamples, documents, sum(2 * len(sample.sums) for sample in samples)):
        # count how often each document is drawn, with one bincount for all resamples of the batch
        draws = random.integers(documents, size=(size, documents)) + np.arange(size)[:, np.newaxis] * documents
        weights = np.bincount(draws.ravel(), minlength=size * documents).reshape(size, documents).astype(np.float64)
        scores.append(np.stack([sample.resampled_f1(weights @ sample.columns) for sample in samples], axis=1))
    return np.concatenate(scores)


def seed_variance(sample: Sample) -> SeedVariance:
    """Estimate the variance of the mean F1 between seeds, beyond the variance that documents explain.

    Runs of one array of counts differ only in the seed; if no array has two runs, as with one seed per fold, all runs
    are compared. Each model errs on different documents, so the variance between runs includes a part of the document
    variance, which the bootstrap already covers. It is estimated from the influence of the documents and subtracted.
    """
    groups = sample.seed_groups if sample.has_repeated_seeds else (np.arange(len(sample.sums)),)
    freedom = degrees_of_freedom(groups)
    if freedom == 0:
        return SeedVariance(0.0, 0.0)
    variance = pooled_variance(sample.f1_scores, groups) - document_variance(sample.influence, groups)
    return SeedVariance(max(0.0, variance) / len(sample.sums), freedom)


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


def batches(resamples: int, documents: int, columns: int) -> Iterator[int]:
    """Yield batch sizes that keep the matrices of resamples small."""
    size = max(1, _BATCH_CELLS // max(documents, columns))
    for start in range(0, resamples, size):
        yield min(size, resamples - start)


def check_level(level: float, resamples: int = 1) -> None:
    """Raise a `ValueError` for a confidence level or a number of resamples out of range."""
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"expected 0 < level < 1 and resamples >= 1, but got level={level}, resamples={resamples}")


def _document_rows(lengths: list[int], groups: Groups, is_list: bool) -> tuple[int, list[Indices]]:
    """Return the number of documents, and for each array of counts the document number of each sentence."""
    if groups is None:
        groups, is_list = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1]), True
    ids: list[npt.NDArray[Any]] = [np.asarray(array) for array in (groups if is_list else [groups])]  # type: ignore[union-attr]
    if [array.shape for array in ids] != [(length,) for length in lengths]:
        raise ValueError(f"groups have the shapes {[i.shape for i in ids]}; expected one id per sentence, {lengths}")
    unique, rows = np.unique(np.concatenate(ids), return_inverse=True)
    return len(unique), np.split(rows, np.cumsum(lengths)[:-1])


def _f1(sums: Floats, default: Floats) -> Floats:
    """Divide numerator by denominator along the last axis; `default` where the denominator is 0."""
    numerator, denominator = sums[..., 0], sums[..., 1]
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1.0), default)


def _wilson(share: float, size: float, quantile: float) -> tuple[float, float]:
    square = quantile**2 / size
    middle = (share + square / 2) / (1 + square)
    half = quantile / (1 + square) * sqrt(share * (1 - share) / size + square / (4 * size))
    return middle - half, middle + half


def _normal_quantile(level: float) -> float:
    return float(stats.norm.ppf((1 + level) / 2))
