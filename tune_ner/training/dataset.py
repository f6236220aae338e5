"""Windows of subwords with their labels, stored contiguously; the dataset from which batches are taken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tune_ner.tagging.alignment import IGNORED, ragged

Ints = npt.NDArray[np.signedinteger[Any]]


if TYPE_CHECKING:
    import torch

    _Dataset = torch.utils.data.Dataset["Windows"]
else:
    _Dataset = object  # importing torch takes seconds, and its data loader takes any object with these methods


class Windows(_Dataset):
    """Several windows. A batch of them is taken at once, without a loop.

    Args:
        ids: input ids, shape (subwords,).
        labels: label ids, `IGNORED` for a subword without a label, shape (subwords,).
        starts: start of each window and the end of the last one, shape (windows + 1,).
    """

    def __init__(self, ids: Ints, labels: Ints, starts: Ints) -> None:
        self.ids = ids
        self.labels = labels
        self.starts = starts

    @classmethod
    def of(cls, rows: Iterable[tuple[Sequence[int], Sequence[int]]]) -> Windows:
        """Build windows from pairs of input ids and label ids."""
        every = list(rows)
        ids, labels = ([number for row in every for number in row[side]] for side in (0, 1))
        return cls(np.array(ids), np.array(labels), np.cumsum([0, *(len(ids) for ids, _ in every)]))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Windows:
        return self.take([index])

    def __getitems__(self, indices: Sequence[int]) -> Windows:
        """Return a batch; torch's data loader calls this method if a dataset has it."""
        return self.take(indices)

    def take(self, indices: Sequence[int] | Ints) -> Windows:
        """Return some of the windows, in the given order."""
        chosen = np.asarray(indices, dtype=np.int64)
        lengths = self.lengths[chosen]
        subwords = ragged(self.starts[chosen], lengths)
        return Windows(self.ids[subwords], self.labels[subwords], np.append(0, np.cumsum(lengths)))

    @property
    def has_unlabelled(self) -> bool:
        """Whether some window has no label, as one of a text without words."""
        labels_before = np.append(0, np.cumsum(self.labels != IGNORED))
        return bool((np.diff(labels_before[self.starts]) == 0).any())

    @property
    def lengths(self) -> Ints:
        """Return the number of subwords of each window, shape (windows,)."""
        return np.diff(self.starts)


def max_positions(model: Any) -> int | None:
    """Return the highest number of subwords of a window; None for a model with relative positions."""
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    if table is None:
        return None
    # RoBERTa and similar start counting after the position of padding
    return int(table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1))
