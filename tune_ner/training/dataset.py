"""Windows of subwords with their labels, end to end: what batches are taken from, and what a batch is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tune_ner.tagging.alignment import ragged

Ints = npt.NDArray[np.signedinteger[Any]]


class Windows(torch.utils.data.Dataset["Windows"]):
    """Several windows; a data set of which several are taken at a time, without a loop over them.

    Args:
        ids: input ids, shape (subwords,).
        labels: label ids, `IGNORED` where a subword has none, shape (subwords,).
        starts: where each window begins, and where the last one ends, shape (windows + 1,).
    """

    def __init__(self, ids: Ints, labels: Ints, starts: Ints) -> None:
        self.ids = ids
        self.labels = labels
        self.starts = starts

    @classmethod
    def of(cls, rows: Iterable[tuple[Sequence[int], Sequence[int]]]) -> Windows:
        """The windows of which input ids and label ids are given."""
        every = list(rows)
        ids, labels = ([number for row in every for number in row[side]] for side in (0, 1))
        return cls(np.array(ids), np.array(labels), np.cumsum([0, *(len(ids) for ids, _ in every)]))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Windows:
        return self.take([index])

    def __getitems__(self, indices: Sequence[int]) -> Windows:
        """What torch's loader asks for where a data set has it."""
        return self.take(indices)

    def take(self, indices: Sequence[int] | Ints) -> Windows:
        """Some of the windows, in the order asked for."""
        chosen = np.asarray(indices, dtype=np.int64)
        lengths = self.lengths[chosen]
        cells = ragged(self.starts[chosen], lengths)
        return Windows(self.ids[cells], self.labels[cells], np.append(0, np.cumsum(lengths)))

    @property
    def lengths(self) -> Ints:
        """Subwords of each window, shape (windows,)."""
        return np.diff(self.starts)


def positions_of(model: Any) -> int | None:
    """How many subwords a window may have for the model; None where its positions are relative."""
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    if table is None:
        return None
    # RoBERTa and its kin count positions from behind the padding's
    return int(table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1))
