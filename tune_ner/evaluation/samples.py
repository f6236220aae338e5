"""Counts of true positives, false positives and false negatives by document, and their bootstrap.

Counts are an array of shape `(runs, sentences, 3)` as `span_metrics.sentence_counts` returns it, one run per seed. Runs
on different sentences (folds) or with different hyperparameters are passed as a list of such arrays. The F1 of a
configuration is the mean of the micro F1 of its runs.

Documents are the unit of resampling, because errors in the same document are correlated. Only two sums per document and
run are needed, the numerator `2 tp` and the denominator `2 tp + fp + fn` of F1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Counts = npt.NDArray[np.integer[Any]]
RunCounts = Counts | Sequence[Counts]
Groups = npt.ArrayLike | Sequence[npt.ArrayLike] | None

BOOTSTRAP_RESAMPLES = 2_000
_BATCH_CELLS = 2**20  # size limit of a matrix of resamples: 8 MiB


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

    def run_f1(self, totals: Floats) -> Floats:
        """Return the F1 of each run, `(draws, runs)`, for totals `(draws, runs * 2)` of resamples.

        A run without counts keeps its F1.
        """
        return _f1(totals.reshape(len(totals), -1, 2), self.f1_scores)

    def resampled_f1(self, totals: Floats) -> Floats:
        """Return the mean of `run_f1` over the runs, shape `(draws,)`."""
        return np.asarray(self.run_f1(totals).mean(axis=1))


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
    return np.concatenate(
        [
            np.stack([sample.resampled_f1(weights @ sample.columns) for sample in samples], axis=1)
            for weights in draw_weights(samples, resamples, seed)
        ]
    )


def draw_weights(samples: Sequence[Sample], resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each document is drawn, in batches of shape `(resamples, documents)`."""
    random = np.random.default_rng(seed)
    documents = samples[0].documents
    for size in batches(resamples, documents, sum(2 * len(sample.sums) for sample in samples)):
        # one bincount for all resamples of the batch
        draws = random.integers(documents, size=(size, documents)) + np.arange(size)[:, np.newaxis] * documents
        yield np.bincount(draws.ravel(), minlength=size * documents).reshape(size, documents).astype(np.float64)


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
