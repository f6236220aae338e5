"""Batches without padding: a batch's sentences laid end to end through every layer but attention.

In a padded batch every layer works on as many tokens as the longest sentence has, for each sentence. Here the
linear layers see the real tokens alone, as one row; only inside attention, where a sentence must meet itself
and nothing else, its tokens are spread into a padded block and gathered again. The mathematics are those of
the padded batch: positions start anew with each sentence, and the loss is the mean over the same labels. Only
dropout draws other masks.

The attention is registered with transformers' `AttentionInterface` and so runs under every encoder that asks
there for its attention; `tune_ner.training.encoders.PACKABLE` names those that were tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch.nn.functional import pad, scaled_dot_product_attention

from tune_ner.tagging.subwords import IGNORED
from tune_ner.training.encoders import PACKABLE

TOLERANCE = 1e-4
"""Largest difference of packed from padded logits that is rounding, as a share of the largest logit."""

_COUNTED_FROM_PADDING = frozenset({"roberta", "xlm-roberta", "camembert"})
_ATTENTION = "tune_ner_packed"

Row = Mapping[str, Sequence[int]]
Batch = dict[str, Any]


@dataclass(frozen=True)
class Packing:
    """Where the tokens of a packed batch lie in a block of shape (sentences, longest).

    `cells` has the cell of each token, shape (tokens,), and `mask` is true where a cell has a token, shape
    (sentences, 1, 1, longest); it is None where all have one.
    """

    cells: torch.Tensor
    mask: torch.Tensor | None
    sentences: int
    longest: int

    @classmethod
    def of(cls, lengths: torch.Tensor) -> Packing:
        """The packing of sentences of these lengths, shape (sentences,)."""
        sentences, longest = len(lengths), int(lengths.max())
        filled = torch.arange(longest) < lengths[:, None]
        mask = None if bool(filled.all()) else filled[:, None, None, :]
        return cls(filled.flatten().nonzero().squeeze(1), mask, sentences, longest)

    def to(self, device: Any, non_blocking: bool = False) -> Packing:
        """The packing on another device; accelerate moves whatever has this method."""
        cells = self.cells.to(device, non_blocking=non_blocking)
        mask = None if self.mask is None else self.mask.to(device, non_blocking=non_blocking)
        return Packing(cells, mask, self.sentences, self.longest)

    def spread(self, states: torch.Tensor) -> torch.Tensor:
        """States (1, heads, tokens, size) as a block (sentences, heads, longest, size), zero where no token is."""
        rows = _Spread.apply(states[0].transpose(0, 1), self.cells, self.sentences * self.longest)  # type: ignore[no-untyped-call]
        block: torch.Tensor = rows.unflatten(0, (self.sentences, self.longest)).transpose(1, 2)
        return block

    def gather(self, block: torch.Tensor) -> torch.Tensor:
        """A block (sentences, heads, longest, size) as states (1, tokens, heads, size)."""
        states: torch.Tensor = _Gather.apply(block.transpose(1, 2).flatten(0, 1), self.cells)  # type: ignore[no-untyped-call]
        return states.unsqueeze(0)


class _Spread(torch.autograd.Function):
    """Rows into the cells of an empty block; torch's own backward of an index would add up cell by cell."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, cells: torch.Tensor, size: int) -> torch.Tensor:
        ctx.save_for_backward(cells)
        return rows.new_zeros((size, *rows.shape[1:])).index_copy_(0, cells, rows)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (cells,) = ctx.saved_tensors
        return gradient.index_select(0, cells), None, None


class _Gather(torch.autograd.Function):
    """The rows of some cells of a block: `_Spread` the other way."""

    @staticmethod
    def forward(ctx: Any, block: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cells)
        ctx.size = len(block)
        return block.index_select(0, cells)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (cells,) = ctx.saved_tensors
        return gradient.new_zeros((ctx.size, *gradient.shape[1:])).index_copy_(0, cells, gradient), None


def _packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001 - of a padded batch; the packing has what stands in for it
    dropout: float = 0.0,
    scaling: float | None = None,
    packing: Packing | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention within each sentence of a packed batch, as transformers' `AttentionInterface` calls it."""
    if packing is None:
        raise ValueError(f"{type(module).__name__} was given a packed batch without its packing")
    query, key, value = (packing.spread(states) for states in (query, key, value))
    attended = scaled_dot_product_attention(query, key, value, attn_mask=packing.mask, dropout_p=dropout, scale=scaling)
    return packing.gather(attended), None


transformers.AttentionInterface.register(_ATTENTION, _packed_attention)


class Collator:
    """Rows of input ids and labels → a batch, packed or padded; counts what the model has to compute.

    Args:
        model: the model that batches are for.
        pad_id: id of the padding token.
        packed: how batches are laid out. The model's attention is set to fit.

    `computed_tokens` are the tokens of all batches made so far, padding included.
    """

    def __init__(self, model: Any, pad_id: int, *, packed: bool) -> None:
        self.packed = packed
        self.computed_tokens = 0
        self._pad_id = pad_id
        # RoBERTa and its kin count positions from behind the padding's
        self._first_position = pad_id + 1 if model.config.model_type in _COUNTED_FROM_PADDING else 0
        model.set_attn_implementation(_ATTENTION if packed else "sdpa")

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """The batch of `rows`, each with `input_ids` and `labels`."""
        ids = [torch.as_tensor(row["input_ids"], dtype=torch.long) for row in rows]
        labels = [torch.as_tensor(row["labels"], dtype=torch.long) for row in rows]
        lengths = torch.tensor([len(row) for row in ids])
        batch = self._pack(ids, labels, lengths) if self.packed else self._pad(ids, labels, lengths)
        self.computed_tokens += batch["input_ids"].numel()
        return batch

    def _pack(self, ids: list[torch.Tensor], labels: list[torch.Tensor], lengths: torch.Tensor) -> Batch:
        starts = torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
        positions = torch.arange(len(starts)) - starts + self._first_position
        return {
            "input_ids": torch.cat(ids).unsqueeze(0),
            "labels": torch.cat(labels).unsqueeze(0),
            "position_ids": positions.unsqueeze(0),
            "packing": Packing.of(lengths),
        }

    def _pad(self, ids: list[torch.Tensor], labels: list[torch.Tensor], lengths: torch.Tensor) -> Batch:
        longest = int(lengths.max())
        return {
            "input_ids": torch.stack([pad(row, (0, longest - len(row)), value=self._pad_id) for row in ids]),
            "labels": torch.stack([pad(row, (0, longest - len(row)), value=IGNORED) for row in labels]),
            "attention_mask": (torch.arange(longest) < lengths[:, None]).long(),
        }


def logits_of_tokens(batch: Batch, logits: torch.Tensor) -> torch.Tensor:
    """Logits (tokens, labels) of the real tokens of a batch, sentence after sentence, from those of the model."""
    flat = logits.flatten(0, 1)
    return flat if "packing" in batch else flat[batch["attention_mask"].flatten().bool()]


def collator_for(model: Any, pad_id: int, *, packed: bool, sample: Sequence[Row]) -> tuple[Collator, str]:
    """A collator for the model, and why it is padded although packed was wanted (empty if it is not).

    Args:
        model: on any device, in any mode.
        pad_id: id of the padding token.
        packed: whether batches are to be packed.
        sample: rows that both ways are compared on, in evaluation mode, before the packed one is trusted.
    """
    if not packed:
        return Collator(model, pad_id, packed=False), ""
    if model.config.model_type not in PACKABLE:
        reason = f"packed batches are not made for the architecture {model.config.model_type!r}"
    else:
        difference, largest = _difference(model, pad_id, sample)
        if difference <= TOLERANCE * max(1.0, largest):
            return Collator(model, pad_id, packed=True), ""
        reason = f"packed logits differ from padded ones by {difference:.2g}"
    return Collator(model, pad_id, packed=False), f"{reason}; batches were padded"


def _difference(model: Any, pad_id: int, sample: Sequence[Row]) -> tuple[float, float]:
    """The largest difference of packed from padded logits, and the largest padded logit."""
    training = model.training
    model.eval()
    found = []
    for packed in (False, True):
        batch = Collator(model, pad_id, packed=packed)(sample)
        inputs = {name: value.to(model.device) for name, value in batch.items() if name != "labels"}
        with torch.no_grad():
            found.append(logits_of_tokens(inputs, model(**inputs).logits).float())
    model.train(training)
    return float((found[0] - found[1]).abs().max()), float(found[0].abs().max())
