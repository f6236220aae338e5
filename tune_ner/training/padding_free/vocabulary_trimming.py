"""Removal of the embeddings of subwords that do not occur in a corpus.

A pretrained encoder has tens of thousands of subwords, a small corpus a few thousand. The other embeddings get no
gradient and affect no prediction, but every step zeroes, clips and updates them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Vocabulary:
    """The remaining subwords: their ids in the complete vocabulary, ascending, shape (kept,)."""

    ids: npt.NDArray[np.int64]

    @classmethod
    def of(cls, input_ids: Iterable[npt.NDArray[Any]], pad_id: int) -> Vocabulary:
        """Return the vocabulary of these input ids. All ids up to `pad_id` are kept, so that it stays the same."""
        return cls(np.unique(np.concatenate([*map(np.unique, input_ids), np.arange(pad_id + 1)])))

    def renumbered(self, ids: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the ids in this vocabulary of ids in the complete one."""
        return np.searchsorted(self.ids, ids)

    def trim(self, model: Any) -> None:
        """Remove all other embeddings from the model."""
        import torch  # the driver of a run imports this module and does not need it

        complete = model.get_input_embeddings()
        kept = torch.nn.Embedding(len(self.ids), complete.embedding_dim, padding_idx=complete.padding_idx)
        with torch.no_grad():
            kept.weight = torch.nn.Parameter(complete.weight[torch.from_numpy(self.ids)].clone())
        model.set_input_embeddings(kept)

    def restored(self, trimmed: torch.Tensor, complete: torch.Tensor) -> torch.Tensor:
        """Return the complete embeddings, with those of this vocabulary replaced by `trimmed`."""
        import torch

        return complete.detach().index_copy(0, torch.from_numpy(self.ids), trimmed)


def can_trim(model: Any) -> bool:
    """Return whether the model's input embeddings are one plain table."""
    import torch

    return type(model.get_input_embeddings()) is torch.nn.Embedding
