"""A vocabulary without the rows that a corpus never uses.

A pretrained encoder knows tens of thousands of subwords, and a small corpus has a few thousand. The other rows
of the embedding get no gradient: they change nothing that the model says, but are zeroed, clipped and updated
at every step. Left out, they leave every prediction as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch


@dataclass(frozen=True)
class Vocabulary:
    """The subwords that are kept: `ids`, ascending, shape (kept,), are their ids in the whole vocabulary."""

    ids: npt.NDArray[np.int64]

    @classmethod
    def of(cls, parts: Iterable[npt.NDArray[Any]], pad_id: int) -> Vocabulary:
        """What these input ids use. All ids up to the padding's are kept, so that its own does not change."""
        return cls(np.unique(np.concatenate([*map(np.unique, parts), np.arange(pad_id + 1)])))

    def renumbered(self, ids: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Input ids of the whole vocabulary as ids of this one."""
        return np.searchsorted(self.ids, ids)

    def trim(self, model: Any) -> None:
        """Leave the model the embeddings of these subwords alone."""
        whole = model.get_input_embeddings()
        kept = torch.nn.Embedding(len(self.ids), whole.embedding_dim, padding_idx=whole.padding_idx)
        with torch.no_grad():
            kept.weight = torch.nn.Parameter(whole.weight[torch.from_numpy(self.ids)].clone())
        model.set_input_embeddings(kept)

    def restored(self, trimmed: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
        """Embeddings of all subwords: those that were kept as they are in `trimmed`, the others as in `whole`."""
        return whole.detach().index_copy(0, torch.from_numpy(self.ids), trimmed)


def can_trim(model: Any) -> bool:
    """Whether the model looks its subwords up in one plain table."""
    table = model.get_input_embeddings()
    return type(table) is torch.nn.Embedding
