"""Batches without padding: a batch's sentences laid end to end through every layer but attention.

In a padded batch every layer works on as many tokens as the longest sentence has, for each sentence. Here the
linear layers see the real tokens alone, as one row. Inside attention, where a sentence must meet itself and nothing
else, its tokens are spread into a block with sentences of similar length, and gathered again. Behind the last
attention only the tokens that carry a label go on, for nothing is asked of the others. The mathematics are those of
the padded batch: positions start anew with each sentence, and the loss is the mean over the same labels. Only
dropout draws other masks.

The attention is registered with transformers' `AttentionInterface` and so runs under every encoder that asks
there for its attention; `tune_ner.training.encoders.PACKABLE` names those that were tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
import transformers
from torch.nn.functional import scaled_dot_product_attention

from tune_ner.tagging.alignment import IGNORED
from tune_ner.training.dataset import Windows
from tune_ner.training.encoders import PACKABLE
from tune_ner.training.padding_free.dropout import DropoutMasks, use_masks

TOLERANCE = 1e-4
"""Largest difference of packed from padded logits that is rounding, as a share of the largest logit."""

_COUNTED_FROM_PADDING = frozenset({"roberta", "xlm-roberta", "camembert"})
_ATTENTION = "tune_ner_packed"
# The module of a layer that first takes up what attention gave, together with the residual.
_BEHIND_ATTENTION = {"distilbert": "sa_layer_norm"}
_SIMILAR = 0.7

Batch = dict[str, Any]


@dataclass(frozen=True)
class Block:
    """Some sentences of a packed batch side by side, in room for (sentences, longest) tokens.

    `mask` is true where a token is, shape (sentences, 1, 1, longest), or None where the room is full.
    """

    sentences: int
    longest: int
    mask: torch.Tensor | None


@dataclass(frozen=True)
class Packing:
    """Where the tokens of a packed batch lie in the blocks of attention.

    `starts` has for each token how much room comes before its sentence, `places` its place in the sentence and
    `widths` the longest sentence of its block, each of shape (tokens,). `labelled` has the tokens that go on behind
    the last attention, shape (labelled,), or is None if all do. `masks` draws what dropout drops on a CPU.
    """

    blocks: tuple[Block, ...]
    starts: torch.Tensor
    places: torch.Tensor
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
    ) -> Packing:
        """The packing of sentences of these lengths, shape (sentences,).

        A block ends where a sentence is shorter than `similar` times the block's longest; with 0 there is one block.
        """
        order = lengths.argsort(descending=True, stable=True)
        sizes = lengths[order].tolist()
        sentence_starts, widths = torch.empty_like(lengths), torch.empty_like(lengths)
        blocks, room, first = [], 0, 0
        while first < len(sizes):
            longest = sizes[first]
            after = next((at for at in range(first, len(sizes)) if sizes[at] < similar * longest), len(sizes))
            members = order[first:after]
            filled = torch.arange(longest) < lengths[members, None]
            mask = None if sizes[after - 1] == longest else filled[:, None, None, :]
            blocks.append(Block(len(members), longest, mask))
            sentence_starts[members] = room + longest * torch.arange(len(members))
            widths[members] = longest
            room += len(members) * longest
            first = after
        starts, widths = (values.repeat_interleave(lengths) for values in (sentence_starts, widths))
        return cls(tuple(blocks), starts, _places(lengths), widths, labelled, masks)

    def to(self, device: Any, non_blocking: bool = False) -> Packing:
        """The packing on another device; accelerate moves whatever has this method."""

        def moved(tensor: Any) -> Any:
            return None if tensor is None else tensor.to(device, non_blocking=non_blocking)

        return replace(
            self,
            blocks=tuple(replace(block, mask=moved(block.mask)) for block in self.blocks),
            **{name: moved(getattr(self, name)) for name in ("starts", "places", "widths", "labelled")},
            _cells={},
        )

    def spread(self, states: torch.Tensor) -> list[torch.Tensor]:
        """States (1, heads, tokens, size) as blocks (sentences, heads, longest, size), zero where no token is."""
        _, heads, _, size = states.shape
        rows = states[0].transpose(0, 1).reshape(-1, size)
        room = [heads * block.sentences * block.longest for block in self.blocks]
        spread: torch.Tensor = _Spread.apply(rows, self.cells(heads), sum(room))  # type: ignore[no-untyped-call]
        return [
            rows.view(block.sentences, heads, block.longest, size)
            for rows, block in zip(torch.split(spread, room), self.blocks, strict=True)
        ]

    def gather(self, blocks: Sequence[torch.Tensor]) -> torch.Tensor:
        """Blocks (sentences, heads, longest, size) as states (1, tokens, heads, size)."""
        heads, size = blocks[0].shape[1], blocks[0].shape[3]
        rows = torch.cat([block.reshape(-1, size) for block in blocks])
        gathered: torch.Tensor = _Gather.apply(rows, self.cells(heads))  # type: ignore[no-untyped-call]
        return gathered.view(1, -1, heads, size)

    def cells(self, heads: int) -> torch.Tensor:
        """The row of each token's head among the rows of all blocks, shape (tokens · heads,)."""
        if heads not in self._cells:
            of_token = heads * self.starts + self.places
            of_head = torch.arange(heads, device=of_token.device) * self.widths[:, None]
            self._cells[heads] = (of_token[:, None] + of_head).flatten()
        return self._cells[heads]


def _places(lengths: torch.Tensor) -> torch.Tensor:
    """The place of each token in its sentence, shape (tokens,)."""
    starts = (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
    return torch.arange(len(starts)) - starts


class _Spread(torch.autograd.Function):
    """Rows into the cells of empty room; torch's own backward of an index would add up cell by cell."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, cells: torch.Tensor, size: int) -> torch.Tensor:
        ctx.save_for_backward(cells)
        return rows.new_zeros((size, *rows.shape[1:])).index_copy_(0, cells, rows)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (cells,) = ctx.saved_tensors
        return gradient.index_select(0, cells), None, None


class _Gather(torch.autograd.Function):
    """The rows of some cells: `_Spread` the other way."""

    @staticmethod
    def forward(ctx: Any, room: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cells)
        ctx.size = len(room)
        return room.index_select(0, cells)

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
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    masks = packing.masks if query.device.type == "cpu" else None
    attended = [
        _attended(query, key, value, block.mask, dropout, scale, masks)
        for block, query, key, value in zip(packing.blocks, *map(packing.spread, (query, key, value)), strict=True)
    ]
    return packing.gather(attended), None


def _attended(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    dropout: float,
    scale: float,
    masks: DropoutMasks | None,
) -> torch.Tensor:
    """Attention in one block; all shapes (sentences, heads, longest, size)."""
    if not dropout or masks is None:
        return scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout, scale=scale)
    # torch's fast attention on a CPU knows no dropout, and what it falls back to is slower than this
    scores = (query * scale) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill_(~mask, float("-inf"))
    shares = scores.softmax(-1)
    return (shares * masks.draw(shares.shape, dropout).to(shares.dtype)) @ value


transformers.AttentionInterface.register(_ATTENTION, _packed_attention)


class _LabelledTokens:
    """Lets the last layer go on, behind its attention, with the labelled tokens of a packed batch alone."""

    def __init__(self, model: Any) -> None:
        encoder = getattr(model.base_model, "encoder", None) or model.base_model.transformer
        last = encoder.layer[-1]
        last.register_forward_pre_hook(self._enter, with_kwargs=True)
        behind = _BEHIND_ATTENTION.get(model.config.model_type, "attention.output")
        last.get_submodule(behind).register_forward_pre_hook(self._select)
        self._labelled: torch.Tensor | None = None

    def _enter(self, layer: Any, arguments: Any, named: dict[str, Any]) -> None:
        packing: Packing | None = named.get("packing")
        self._labelled = packing.labelled if packing else None

    def _select(self, module: Any, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        labelled = self._labelled
        return None if labelled is None else tuple(states.index_select(1, labelled) for states in arguments)


_prepared: WeakKeyDictionary[Any, DropoutMasks] = WeakKeyDictionary()


def _prepare(model: Any, seed: int) -> DropoutMasks:
    """Make a model ready for packed batches, once; padded ones it takes as before."""
    if model not in _prepared:
        masks = _prepared[model] = DropoutMasks(seed)
        use_masks(model, masks)
        _LabelledTokens(model)
    return _prepared[model]


class Collator:
    """Windows → a batch, packed or padded; counts what the model has to compute.

    Args:
        model: the model that batches are for. Its attention is set to fit, and for packed batches its dropout.
        pad_id: id of the padding token.
        packed: how batches are laid out.
        seed: where the masks of packed batches' dropout begin, unless the model was made ready for them before.

    `computed_tokens` are the tokens of all batches made so far, padding included.
    """

    def __init__(self, model: Any, pad_id: int, *, packed: bool, seed: int = 0) -> None:
        self.packed = packed
        self.computed_tokens = 0
        self._pad_id = pad_id
        # RoBERTa and its kin count positions from behind the padding's
        self._first_position = pad_id + 1 if model.config.model_type in _COUNTED_FROM_PADDING else 0
        self._masks = _prepare(model, seed) if packed else None
        # a GPU waits longer for a further kernel than it works on the padding
        self._similar = 0.0 if torch.cuda.is_available() else _SIMILAR
        model.set_attn_implementation(_ATTENTION if packed else "sdpa")

    @property
    def state(self) -> dict[str, Any]:
        """What it counted and where its dropout is, as plain data."""
        return {"computed_tokens": self.computed_tokens, "masks": self._masks.state if self._masks else None}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where another was that had this state."""
        self.computed_tokens = state["computed_tokens"]
        if self._masks and state["masks"]:
            self._masks.state = state["masks"]

    def __call__(self, windows: Windows) -> Batch:
        """The batch of some windows."""
        ids, labels, lengths = (
            torch.from_numpy(values.astype(np.int64)) for values in (windows.ids, windows.labels, windows.lengths)
        )
        batch = self._pack(ids, labels, lengths) if self.packed else self._pad(ids, labels, lengths)
        self.computed_tokens += batch["input_ids"].numel()
        return batch

    def _pack(self, ids: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor) -> Batch:
        labelled: torch.Tensor | None = (labels != IGNORED).nonzero().squeeze(1)
        if labelled is None or len(labelled) in (0, len(labels)):
            labelled = None
        else:
            labels = labels[labelled]
        return {
            "input_ids": ids.unsqueeze(0),
            "labels": labels.unsqueeze(0),
            "position_ids": (_places(lengths) + self._first_position).unsqueeze(0),
            "packing": Packing.of(lengths, labelled, self._masks, self._similar),
        }

    def _pad(self, ids: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor) -> Batch:
        filled = torch.arange(int(lengths.max())) < lengths[:, None]
        return {
            "input_ids": torch.full(filled.shape, self._pad_id).masked_scatter_(filled, ids),
            "labels": torch.full(filled.shape, IGNORED).masked_scatter_(filled, labels),
            "attention_mask": filled.long(),
        }


def labelled_logits(labels: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels (labelled,) and logits (labelled, labels) of the labelled tokens, sentence after sentence.

    Args:
        labels: those of a batch, packed or padded.
        logits: the model's, for that batch.
    """
    carries = labels.flatten() != IGNORED
    return labels.flatten()[carries], logits.flatten(0, 1)[carries]


def collator_for(model: Any, pad_id: int, *, packed: bool, sample: Windows, seed: int = 0) -> tuple[Collator, str]:
    """A collator for the model, and why it is padded although packed was wanted (empty if it is not).

    Args:
        model: on any device, in any mode.
        pad_id: id of the padding token.
        packed: whether batches are to be packed.
        sample: windows that both ways are compared on, in evaluation mode, before the packed one is trusted.
        seed: where the masks of packed batches' dropout begin.
    """
    if not packed:
        return Collator(model, pad_id, packed=False), ""
    if model.config.model_type not in PACKABLE:
        reason = f"packed batches are not made for the architecture {model.config.model_type!r}"
    else:
        difference, largest = _difference(model, pad_id, sample, seed)
        if difference <= TOLERANCE * max(1.0, largest):
            return Collator(model, pad_id, packed=True), ""
        reason = f"packed logits differ from padded ones by {difference:.2g}"
    return Collator(model, pad_id, packed=False), f"{reason}; batches were padded"


def _difference(model: Any, pad_id: int, sample: Windows, seed: int) -> tuple[float, float]:
    """The largest difference of packed from padded logits of labelled tokens, and the largest padded logit."""
    training = model.training
    model.eval()
    found = []
    for packed in (False, True):
        batch = Collator(model, pad_id, packed=packed, seed=seed)(sample)
        inputs = {name: value.to(model.device) for name, value in batch.items()}
        labels = inputs.pop("labels")
        with torch.no_grad():
            found.append(labelled_logits(labels, model(**inputs).logits)[1].float())
    model.train(training)
    if not found[0].numel():
        return 0.0, 0.0
    return float((found[0] - found[1]).abs().max()), float(found[0].abs().max())
