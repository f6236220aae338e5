"""Test parts drawn anew: the bootstrap and the randomisation test over documents.

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
    once however many replicates were tested on it.
    """

    sums: Floats
    entities: int

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
            sentences differ, as between folds, a list of such arrays, one for each set of sentences.
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
    for part, rows in zip(parts, names, strict=True):
        right, wrong, missed = np.moveaxis(part.astype(np.float64), 2, 0)
        for replicate in np.stack([2 * right, 2 * right + wrong + missed, right + missed], axis=2):
            total = np.zeros((documents, 3))
            np.add.at(total, rows, replicate)
            sums.append(total[:, :2])
            gold = np.maximum(gold, total[:, 2])
    return Sample(np.stack(sums), int(gold.sum()))


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
    """P-values of approximate randomisation, two-sided, of each of `others` against `reference`.

    Under the null hypothesis it does not matter which of two systems said what of a document; so for each
    document a coin decides whether their outputs, those of all replicates, change places (Noreen 1989; Yeh,
    "More accurate tests for the statistical significance of result differences", 2000). The p-value is
    `(1 + draws with at least the observed difference) / (1 + draws)`. Samples must be of the same documents
    and equally many replicates.
    """
    random = np.random.default_rng(seed)
    columns = np.concatenate([_columns(sample) for sample in (reference, *others)], axis=1)
    width = columns.shape[1] // (1 + len(others))
    totals = columns.sum(axis=0)
    # sums that are equal but for rounding must count as equal: ties are common in small parts
    observed = [abs(reference.estimate - other.estimate) - 1e-9 for other in others]
    extreme = [0] * len(others)
    for size in _chunks(resamples, columns.shape):
        coins = random.integers(2, size=(size, reference.documents), dtype=np.int8)
        signed = (2.0 * coins - 1.0) @ columns
        for index, other in enumerate(others):
            mine, theirs = slice(0, width), slice((index + 1) * width, (index + 2) * width)
            middle, swing = (totals[mine] + totals[theirs]) / 2, (signed[:, mine] - signed[:, theirs]) / 2
            changed = _figures(middle + swing, [reference]) - _figures(middle - swing, [other])
            extreme[index] += int((np.abs(changed) >= observed[index]).sum())
    return [(1 + count) / (1 + resamples) for count in extreme]


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
