"""What a model says of a part: sentences sorted by length, many at a time, without gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import cross_entropy

from tune_ner.tagging.alignment import IGNORED, ragged
from tune_ner.training.dataset import Windows
from tune_ner.training.padding_free.collator import Collator, labelled_logits

TOKENS_PER_BATCH = 4096


@dataclass(frozen=True)
class SplitOutput:
    """What a model says of the labelled subwords of a part.

    `output` has label ids, shape (subwords,), or with `scores` label scores, shape (subwords, labels), over all windows
    end to end; zero for subwords without a label. `losses` is the sum of the cross entropies of each window's labels,
    and `labelled` their number, both of shape (windows,).
    """

    output: npt.NDArray[Any]
    losses: npt.NDArray[np.float64]
    labelled: npt.NDArray[np.int64]

    def loss(self, batch_size: int) -> float:
        """The loss as the HF `Trainer` evaluates it: the mean over sentences of their batch's mean over labels.

        Batches are those of `batch_size` windows in order, however this output was computed. A batch without a
        label counts as nothing.
        """
        starts = np.arange(0, len(self.losses), batch_size)
        sums, labels = (np.add.reduceat(values, starts) for values in (self.losses, self.labelled))
        sizes = np.diff(np.append(starts, len(self.losses)))
        means = np.divide(sums, labels, out=np.zeros(len(sums)), where=labels > 0)
        return float((means * sizes).sum() / len(self.losses))


def predict(
    model: Any,
    split_name: Windows,
    collate: Collator,
    *,
    scores: bool = False,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    tokens_per_batch: int = TOKENS_PER_BATCH,
) -> SplitOutput:
    """Labels or label scores, and losses, for all windows of a part; the model is left in evaluation mode.

    Args:
        model: a token classification model, on the device where it is to run.
        part: the windows.
        collate: makes the batches, packed or padded.
        scores: whether label scores are asked for rather than the best labels.
        autocast: the context of mixed precision.
        tokens_per_batch: about how many tokens are computed at once.
    """
    subwords, lengths = len(split_name.ids), split_name.lengths
    output = np.zeros((subwords, model.config.num_labels) if scores else subwords, np.float32 if scores else np.int64)
    losses, labelled = np.zeros(len(split_name)), np.zeros(len(split_name), dtype=np.int64)
    model.eval()
    for indices in _batches(lengths, tokens_per_batch):
        inputs = {name: value.to(model.device) for name, value in collate(split_name.take(indices)).items()}
        labels_of_batch = inputs.pop("labels")
        with torch.no_grad(), autocast():
            logits = model(**inputs).logits
        gold, logits = labelled_logits(labels_of_batch, logits.float())
        places, window = ragged(split_name.starts[indices], lengths[indices]), np.repeat(indices, lengths[indices])
        carries = split_name.labels[places] != IGNORED
        output[places[carries]] = (logits if scores else logits.argmax(dim=-1)).cpu().numpy()
        np.add.at(losses, window[carries], cross_entropy(logits, gold, reduction="none").cpu().numpy())
        np.add.at(labelled, window[carries], 1)
    return SplitOutput(output, losses, labelled)


def _batches(lengths: npt.NDArray[Any], tokens: int) -> Iterator[npt.NDArray[np.int64]]:
    """Indices of windows, longest first, so that a batch that does not fit shows at once; padded within `tokens`."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, tokens // int(lengths[order[start]]))
        yield order[start : start + size]
        start += size
