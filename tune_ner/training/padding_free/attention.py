"""Attention within each sentence of a padding-free batch.

It is registered with transformers' `AttentionInterface` and works for every encoder that uses this interface;
`tune_ner.training.encoders.PADDING_FREE_ARCHITECTURES` lists those that are tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
import transformers
from torch.nn.functional import scaled_dot_product_attention

ATTENTION = "tune_ner_padding_free"

_SIMILAR = 0.7
# the module of a layer that first receives the output of attention together with the residual
_AFTER_ATTENTION = {"distilbert": "sa_layer_norm"}


@dataclass(frozen=True)
class Block:
    """Several sentences of a batch, padded to the longest of them.

    `mask` is True for a token, shape (sentences, 1, 1, longest), or None if there is no padding.
    """

    sentences: int
    longest: int
    mask: torch.Tensor | None


@dataclass(frozen=True)
class BatchLayout:
    """Positions of the tokens of a padding-free batch in the blocks of attention.

    Attributes:
        blocks: sentences of similar length, the longest first.
        offsets: for each token, the number of cells before its sentence in all blocks, shape (tokens,).
        positions: for each token, its position in its sentence, shape (tokens,).
        widths: for each token, the longest sentence of its block, shape (tokens,).
        labelled: the tokens that are computed after the last attention, shape (labelled,); None for all.
        masks: source of the dropout masks on a CPU.
    """

    blocks: tuple[Block, ...]
    offsets: torch.Tensor
    positions: torch.Tensor
    widths: torch.Tensor
    labelled: torch.Tensor | None = None
    masks: DropoutMasks | None = None
    _cells: dict[int, torch.Tensor] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        lengths: torch.Tensor,
        labelled: torch.Tensor | None = None,
        masks: DropoutMasks | None = None,
        similar: float = _SIMILAR,
    ) -> BatchLayout:
        """Divide sentences into blocks.

        Args:
            lengths: number of tokens of each sentence, shape (sentences,).
            labelled: see `BatchLayout`.
            masks: see `BatchLayout`.
            similar: a sentence shorter than this share of the longest of a block starts a new block; 0 for one block.
        """
        order = lengths.argsort(descending=True, stable=True)
        sizes = lengths[order].tolist()
        sentence_offsets, widths = torch.empty_like(lengths), torch.empty_like(lengths)
        blocks, cells, first = [], 0, 0
        while first < len(sizes):
            longest = sizes[first]
            end = next((at for at in range(first, len(sizes)) if sizes[at] < similar * longest), len(sizes))
            members = order[first:end]
            is_token = torch.arange(longest) < lengths[members, None]
            mask = None if sizes[end - 1] == longest else is_token[:, None, None, :]
            blocks.append(Block(len(members), longest, mask))
            sentence_offsets[members] = cells + longest * torch.arange(len(members))
            widths[members] = longest
            cells += len(members) * longest
            first = end
        offsets, widths = (values.repeat_interleave(lengths) for values in (sentence_offsets, widths))
        return cls(tuple(blocks), offsets, token_positions(lengths), widths, labelled, masks)

    def to(self, device: Any, non_blocking: bool = False) -> BatchLayout:
        """Move to another device; accelerate calls this method of any object in a batch."""

        def moved(tensor: Any) -> Any:
            return None if tensor is None else tensor.to(device, non_blocking=non_blocking)

        return replace(
            self,
            blocks=tuple(replace(block, mask=moved(block.mask)) for block in self.blocks),
            **{name: moved(getattr(self, name)) for name in ("offsets", "positions", "widths", "labelled")},
            _cells={},
        )

    def scatter(self, states: torch.Tensor) -> list[torch.Tensor]:
        """Copy states (1, heads, tokens, size) into blocks (sentences, heads, longest, size), zero at padding."""
        _, heads, _, size = states.shape
        rows = states[0].transpose(0, 1).reshape(-1, size)
        cells = [heads * block.sentences * block.longest for block in self.blocks]
        padded = rows.new_zeros((sum(cells), size)).index_copy(0, self.cells(heads), rows)
        return [
            rows.view(block.sentences, heads, block.longest, size)
            for rows, block in zip(torch.split(padded, cells), self.blocks, strict=True)
        ]

    def gather(self, blocks: Sequence[torch.Tensor]) -> torch.Tensor:
        """Copy blocks (sentences, heads, longest, size) into states (1, tokens, heads, size)."""
        heads, size = blocks[0].shape[1], blocks[0].shape[3]
        rows = torch.cat([block.reshape(-1, size) for block in blocks])
        gathered: torch.Tensor = _Gather.apply(rows, self.cells(heads))  # type: ignore[no-untyped-call]
        return gathered.view(1, -1, heads, size)

    def cells(self, heads: int) -> torch.Tensor:
        """Return the row of each head of each token in all blocks, shape (tokens · heads,)."""
        if heads not in self._cells:
            first_head = heads * self.offsets + self.positions
            head = torch.arange(heads, device=first_head.device) * self.widths[:, None]
            self._cells[heads] = (first_head[:, None] + head).flatten()
        return self._cells[heads]


@dataclass(frozen=True)
class Grid:
    """Sentences in rows of one length, the layout of a bucketed batch.

    `mask` is True for a token, shape (sentences, 1, 1, length); each row has at least one.
    """

    mask: torch.Tensor
    labelled: None = None


def token_positions(lengths: torch.Tensor) -> torch.Tensor:
    """Return the position of each token in its sentence, shape (tokens,)."""
    starts = (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
    return torch.arange(len(starts)) - starts


class _Gather(torch.autograd.Function):
    """Selection of cells; the backward pass of `index_select` would add up cell by cell."""

    @staticmethod
    def forward(ctx: Any, padded: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cells)
        ctx.size = len(padded)
        return padded.index_select(0, cells)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (cells,) = ctx.saved_tensors
        return gradient.new_zeros((ctx.size, *gradient.shape[1:])).index_copy_(0, cells, gradient), None


def _padding_free_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001 - of a padded batch; the layout replaces it
    dropout: float = 0.0,
    scaling: float | None = None,
    layout: BatchLayout | Grid | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Compute attention within each sentence, with the signature of transformers' `AttentionInterface`."""
    if layout is None:
        raise ValueError(f"{type(module).__name__} received a padding-free batch without its layout")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if isinstance(layout, Grid):
        states = scaled_dot_product_attention(query, key, value, attn_mask=layout.mask, dropout_p=dropout, scale=scale)
        return states.transpose(1, 2), None
    masks = layout.masks if query.device.type == "cpu" and dropout else None

    def attend(block: Block, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        if masks is None:
            return scaled_dot_product_attention(q, k, v, attn_mask=block.mask, dropout_p=dropout, scale=scale)
        # on a CPU, torch's attention with dropout is slower than this
        scores = (q * scale) @ k.transpose(-1, -2)
        if block.mask is not None:
            scores = scores.masked_fill_(~block.mask, float("-inf"))
        weights = scores.softmax(-1)
        return (weights * masks.draw(weights.shape, dropout, weights.dtype)) @ v

    return layout.gather(list(map(attend, layout.blocks, *map(layout.scatter, (query, key, value))))), None


transformers.AttentionInterface.register(ATTENTION, _padding_free_attention)


_prepared: WeakKeyDictionary[Any, DropoutMasks] = WeakKeyDictionary()


def prepare_model(model: Any, seed: int) -> DropoutMasks:
    """Prepare a model for padding-free batches, once; it still accepts padded ones.

    Returns:
        The source of its dropout masks, seeded with `seed` when the model was first prepared.
    """
    if model not in _prepared:
        masks = _prepared[model] = DropoutMasks(seed)
        replace_dropout(model, masks)
        _reduce_last_layer(model)
    return _prepared[model]


def _reduce_last_layer(model: Any) -> None:
    """Let the last layer, after its attention, compute only the labelled tokens of a padding-free batch."""
    encoder = getattr(model.base_model, "encoder", None) or model.base_model.transformer
    last = encoder.layer[-1]
    labelled: list[torch.Tensor | None] = [None]

    def enter(_layer: Any, _arguments: Any, named: dict[str, Any]) -> None:
        layout: BatchLayout | Grid | None = named.get("layout")
        labelled[0] = layout.labelled if layout else None

    def select(_module: Any, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        tokens = labelled[0]
        return None if tokens is None else tuple(states.index_select(1, tokens) for states in arguments)

    last.register_forward_pre_hook(enter, with_kwargs=True)
    after_attention = _AFTER_ATTENTION.get(model.config.model_type, "attention.output")
    last.get_submodule(after_attention).register_forward_pre_hook(select)


_STEPS = 2**16


class DropoutMasks:
    """Generator of dropout masks, separate from torch's, so that the order of sentences only depends on the seed."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.SFC64(seed)

    @property
    def state(self) -> dict[str, Any]:
        """Return the state of the generator as plain values."""
        state: dict[str, Any] = dict(self._random.state)
        return {**state, "state": {"state": [int(word) for word in state["state"]["state"]]}}

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        words = np.array(state["state"]["state"], dtype=np.uint64)
        self._random.state = {**state, "state": {"state": words}}  # type: ignore[typeddict-item]

    def draw(self, shape: Sequence[int], p: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Return a factor for each element: 0 with probability `p`, otherwise about 1 / (1 - p).

        Args:
            shape: shape of the mask.
            p: the dropped share, 0 <= p < 1.
            dtype: type of the factors; a half-precision one rounds them.
        """
        dropped = min(round(p * _STEPS), _STEPS - 1)
        size = prod(shape)
        bits = self._random.random_raw(size // 4 + 1).view(np.int16)[:size]
        factors = torch.empty(size, dtype=dtype)
        torch.ge(torch.from_numpy(bits), dropped - _STEPS // 2, out=factors)
        return factors.mul_(_STEPS / (_STEPS - dropped)).view(*shape)


class Dropout(torch.nn.Module):
    """`torch.nn.Dropout` that uses `DropoutMasks` on a CPU."""

    def __init__(self, p: float, masks: DropoutMasks) -> None:
        super().__init__()
        self.p = p
        self._masks = masks

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return the states; in training mode some are dropped."""
        if not self.training or self.p == 0:
            return states
        if states.device.type != "cpu":
            return torch.nn.functional.dropout(states, self.p)
        return states * self._masks.draw(states.shape, self.p, states.dtype)


def replace_dropout(model: Any, masks: DropoutMasks) -> None:
    """Replace each `torch.nn.Dropout` of the model by `Dropout`."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is torch.nn.Dropout and child.p < 1:
                setattr(module, name, Dropout(child.p, masks).train(child.training))
