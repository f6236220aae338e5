"""Collator that makes padded or padding-free batches, and the check that both give the same logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from tune_ner.tagging.alignment import IGNORED
from tune_ner.training.dataset import Windows
from tune_ner.training.encoders import PADDING_FREE_ARCHITECTURES
from tune_ner.training.padding_free.attention import ATTENTION, BatchLayout, Grid, prepare_model, token_positions

TOLERANCE = 1e-4
"""Largest difference between padding-free and padded logits due to rounding, as a share of the largest logit."""

_POSITIONS_AFTER_PADDING = frozenset({"roberta", "xlm-roberta", "camembert"})

Batch = dict[str, Any]


class Collator:
    """Collator of windows for a model, which also counts the tokens that the model computes.

    Args:
        model: the model. Its attention is set accordingly, and for padding-free batches its dropout is replaced.
        pad_id: id of the padding token.
        padding_free: whether batches are padding-free.
        seed: seed of the dropout masks, unless the model already has them.

    Attributes:
        computed_tokens: tokens of all batches so far, padding included.
        rows: sentences of each batch; None if any number will do.
    """

    def __init__(self, model: Any, pad_id: int, *, padding_free: bool, seed: int = 0) -> None:
        self.padding_free = padding_free
        self.computed_tokens = 0
        self.rows: int | None = None
        self._pad_id = pad_id
        self._first_position = pad_id + 1 if model.config.model_type in _POSITIONS_AFTER_PADDING else 0
        self._masks = prepare_model(model, seed) if padding_free else None
        # on a GPU, another kernel launch takes longer than computing the padding
        self._block_options = {"similar": 0.0} if torch.cuda.is_available() else {}
        model.set_attn_implementation(ATTENTION if padding_free else "sdpa")

    @property
    def name(self) -> str:
        """Return the name of this batching in results."""
        return "padding_free" if self.padding_free else "padded"

    @property
    def state(self) -> dict[str, Any]:
        """Return the token count and the state of dropout as plain values."""
        return {"computed_tokens": self.computed_tokens, "masks": self._masks.state if self._masks else None}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.computed_tokens = state["computed_tokens"]
        if self._masks and state["masks"]:
            self._masks.state = state["masks"]

    def __call__(self, windows: Windows) -> Batch:
        """Return the batch of some windows."""
        ids, labels, lengths = (
            torch.from_numpy(values.astype(np.int64)) for values in (windows.ids, windows.labels, windows.lengths)
        )
        batch = (self._concatenate if self.padding_free else self._pad)(ids, labels, lengths)
        self.computed_tokens += batch["input_ids"].numel()
        return batch

    def _concatenate(self, ids: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor) -> Batch:
        labelled: torch.Tensor | None = (labels != IGNORED).nonzero().squeeze(1)
        if labelled is None or len(labelled) in (0, len(labels)):
            labelled = None
        else:
            labels = labels[labelled]
        return {
            "input_ids": ids.unsqueeze(0),
            "labels": labels.unsqueeze(0),
            "position_ids": (token_positions(lengths) + self._first_position).unsqueeze(0),
            "layout": BatchLayout.of(lengths, labelled, self._masks, **self._block_options),
        }

    def _pad(self, ids: torch.Tensor, labels: torch.Tensor, lengths: torch.Tensor) -> Batch:
        is_token = torch.arange(int(lengths.max())) < lengths[:, None]
        return {
            "input_ids": torch.full(is_token.shape, self._pad_id).masked_scatter_(is_token, ids),
            "labels": torch.full(is_token.shape, IGNORED).masked_scatter_(is_token, labels),
            "attention_mask": is_token.long(),
        }


class BucketCollator(Collator):
    """Collator of batches with few shapes, for CUDA graphs: rows of a fixed number, of a length rounded up.

    Args:
        model: the model; it is prepared for padding-free batches.
        pad_id: id of the padding token.
        rows: sentences per batch. Missing ones are rows without labels.
        seed: seed of the dropout masks, unless the model already has them.
    """

    name = "cuda_graph"

    def __init__(self, model: Any, pad_id: int, rows: int, seed: int = 0) -> None:
        super().__init__(model, pad_id, padding_free=True, seed=seed)
        self.rows: int = rows

    def __call__(self, windows: Windows) -> Batch:
        """Return the batch of some windows; `model_inputs` makes the arguments of the model from it."""
        longest = int(windows.lengths.max())
        positions = torch.arange(bucket_length(longest))
        lengths = torch.zeros(self.rows, dtype=torch.int64)
        lengths[: len(windows)] = torch.from_numpy(windows.lengths.astype(np.int64))
        is_token = positions < lengths[:, None]
        ids, labels = (torch.from_numpy(values.astype(np.int64)) for values in (windows.ids, windows.labels))
        self.computed_tokens += is_token.numel()
        mask = is_token.clone()
        mask[len(windows) :, 0] = True  # attention to nothing is NaN
        return {
            "input_ids": torch.full(is_token.shape, self._pad_id).masked_scatter_(is_token, ids),
            "labels": torch.full(is_token.shape, IGNORED).masked_scatter_(is_token, labels),
            # the model may have no more positions than the longest sentence
            "position_ids": (positions.clamp(max=longest - 1) + self._first_position).repeat(self.rows, 1),
            "mask": mask[:, None, None, :],
        }


def bucket_length(longest: int) -> int:
    """Return the row length of a bucketed batch: the next multiple of 32, of 64 above 128, of 128 above 256."""
    step = 32 if longest <= 128 else 64 if longest <= 256 else 128
    return -(-longest // step) * step


def model_inputs(batch: Batch) -> Batch:
    """Return the model's arguments for a batch without labels."""
    inputs = dict(batch)
    mask = inputs.pop("mask", None)
    return inputs if mask is None else {**inputs, "layout": Grid(mask)}


def labelled_logits(labels: torch.Tensor, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return labels (labelled,) and logits (labelled, labels) of the labelled tokens, sentence after sentence.

    Args:
        labels: the labels of a padded or padding-free batch.
        logits: the logits of the model for this batch.
    """
    has_label = labels.flatten() != IGNORED
    return labels.flatten()[has_label], logits.flatten(0, 1)[has_label]


def padding_free_collator(model: Any, pad_id: int, sample: Windows, seed: int = 0) -> tuple[Collator, str]:
    """Return a padding-free collator, or a padded one if the model computes other logits with padding-free batches.

    Args:
        model: the model, on any device, in training or evaluation mode.
        pad_id: id of the padding token.
        sample: windows for the comparison.
        seed: seed of the dropout masks.

    Returns:
        The collator, and the reason if it is padded (otherwise empty).
    """
    if model.config.model_type not in PADDING_FREE_ARCHITECTURES:
        reason = f"padding-free batches do not support the architecture {model.config.model_type!r}"
    else:
        difference, largest = _difference(model, pad_id, sample, seed)
        if difference <= TOLERANCE * max(1.0, largest):
            return Collator(model, pad_id, padding_free=True), ""
        reason = f"padding-free logits differ from padded ones by {difference:.2g}"
    return Collator(model, pad_id, padding_free=False), f"{reason}; batches were padded"


def _difference(model: Any, pad_id: int, sample: Windows, seed: int) -> tuple[float, float]:
    """Return the largest difference of the logits of labelled tokens, and the largest padded logit."""
    training = model.training
    model.eval()
    found = []
    for padding_free in (False, True):
        batch = Collator(model, pad_id, padding_free=padding_free, seed=seed)(sample)
        inputs = {name: value.to(model.device) for name, value in batch.items()}
        labels = inputs.pop("labels")
        with torch.no_grad():
            found.append(labelled_logits(labels, model(**inputs).logits)[1].float())
    model.train(training)
    if not found[0].numel():
        return 0.0, 0.0
    return float((found[0] - found[1]).abs().max()), float(found[0].abs().max())
