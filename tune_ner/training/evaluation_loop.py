"""Predictions of a model for a split: windows sorted by length, in large batches, without gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import cross_entropy

from tune_ner.tagging.alignment import IGNORED, ragged
from tune_ner.training.dataset import Windows
from tune_ner.training.padding_free.collator import Batch, Collator, labelled_logits, model_inputs

TOKENS_PER_BATCH = 4096


def logits_of(model: Any, batch: Batch) -> torch.Tensor:
    """Return the logits of a batch without labels, in fp32 and without gradient."""
    with torch.no_grad():
        logits: torch.Tensor = model(**model_inputs(batch)).logits.float()
    return logits


@dataclass(frozen=True)
class SplitOutput:
    """The output of a model for the labelled subwords of a split.

    Attributes:
        output: label ids, shape (subwords,), or label scores, shape (subwords, labels), over all windows; zero for
            subwords without a label.
        losses: for each window the sum of the cross-entropy over its labels, shape (windows,).
        labelled: for each window the number of its labels, shape (windows,).
    """

    output: npt.NDArray[Any]
    losses: npt.NDArray[np.float64]
    labelled: npt.NDArray[np.int64]

    def loss(self, batch_size: int) -> float:
        """Return the evaluation loss of the HF `Trainer`: the mean over windows of the mean over labels of their batch.

        The batches are `batch_size` windows in order, whatever batches computed this output. A batch without labels
        has loss 0.
        """
        starts = np.arange(0, len(self.losses), batch_size)
        sums, labels = (np.add.reduceat(values, starts) for values in (self.losses, self.labelled))
        sizes = np.diff(np.append(starts, len(self.losses)))
        means = np.divide(sums, labels, out=np.zeros(len(sums)), where=labels > 0)
        return float((means * sizes).sum() / len(self.losses))


def predict(
    model: Any,
    windows: Windows,
    collate: Collator,
    *,
    with_scores: bool = False,
    tokens_per_batch: int = TOKENS_PER_BATCH,
    forward: Callable[[Batch], torch.Tensor] | None = None,
) -> SplitOutput:
    """Predict all windows; the model is left in evaluation mode.

    Args:
        model: a token classification model, on the device that computes.
        windows: the windows of a split.
        collate: makes the batches.
        with_scores: whether the output has label scores instead of the ids of the best labels.
        tokens_per_batch: approximate number of tokens of a batch.
        forward: computes the logits of a batch without labels, such as a `GraphedStep`; by default `logits_of`.
    """
    forward = forward or partial(logits_of, model)
    lengths, size = windows.lengths, len(windows.ids)
    output = np.zeros((size, model.config.num_labels), np.float32) if with_scores else np.zeros(size, np.int64)
    losses, labelled = np.zeros(len(windows)), np.zeros(len(windows), dtype=np.int64)
    model.eval()
    for indices in _batches(lengths, tokens_per_batch, collate.rows):
        batch = collate(windows.take(indices))
        labels = batch.pop("labels")
        logits = forward({name: value.to(model.device) for name, value in batch.items()})
        gold, logits = labelled_logits(labels, logits.cpu())  # small; further kernels would wait for those of others
        subwords, window = ragged(windows.starts[indices], lengths[indices]), np.repeat(indices, lengths[indices])
        has_label = windows.labels[subwords] != IGNORED
        output[subwords[has_label]] = (logits if with_scores else logits.argmax(dim=-1)).numpy()
        np.add.at(losses, window[has_label], cross_entropy(logits, gold, reduction="none").numpy())
        np.add.at(labelled, window[has_label], 1)
    return SplitOutput(output, losses, labelled)


def _batches(lengths: npt.NDArray[Any], tokens: int, rows: int | None) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the indices of windows, longest first, so that a batch that does not fit fails at once.

    Each batch has `rows` windows, or if that is None at most `tokens` tokens, padding included.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = rows or max(1, tokens // int(lengths[order[start]]))
        yield order[start : start + size]
        start += size
