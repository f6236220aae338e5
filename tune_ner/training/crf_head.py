"""Linear-chain CRF over the labels of a sentence, as a head above the label scores of an encoder.

The model is that of Lafferty, McCallum and Pereira (2001): the score of a label sequence is the sum of the scores of
its labels, of its transitions and of both ends. Transitions are learned without the constraints of the tagging scheme,
because a window can begin within an entity; decoding applies them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from tune_ner.tagging.alignment import IGNORED
from tune_ner.tagging.decoding import Transitions
from tune_ner.training.padding_free.attention import BatchLayout


@dataclass(frozen=True)
class LabelSequences:
    """The labelled tokens of a batch, one row per window, with padding at the end.

    Attributes:
        scores: label scores, shape (windows, longest, labels).
        labels: label ids, shape (windows, longest); 0 for padding.
        is_label: False for padding, shape (windows, longest).
    """

    scores: torch.Tensor
    labels: torch.Tensor
    is_label: torch.Tensor

    @classmethod
    def of(cls, logits: torch.Tensor, labels: torch.Tensor, layout: Any = None) -> LabelSequences:
        """Arrange the logits and labels of a batch.

        Args:
            logits: output of the model, shape (rows, tokens, labels).
            labels: shape (rows, tokens); `IGNORED` for tokens without a label.
            layout: the `BatchLayout` of a padding-free batch. Other batches have one window per row.
        """
        return (
            cls._of_one_row(logits[0], labels[0], layout)
            if isinstance(layout, BatchLayout)
            else cls._of_rows(logits, labels)
        )

    @classmethod
    def _of_rows(cls, logits: torch.Tensor, labels: torch.Tensor) -> LabelSequences:
        has_label = labels != IGNORED
        order = (~has_label).to(torch.uint8).argsort(dim=1, stable=True)
        scores = logits.float().gather(1, order[:, :, None].expand_as(logits))
        is_label = has_label.gather(1, order)
        return cls(scores, labels.gather(1, order).where(is_label, 0), is_label)

    @classmethod
    def _of_one_row(cls, logits: torch.Tensor, labels: torch.Tensor, layout: BatchLayout) -> LabelSequences:
        window = (layout.positions == 0).cumsum(0) - 1
        windows = int(window[-1]) + 1
        if layout.labelled is not None:
            window = window[layout.labelled]
        has_label = labels != IGNORED
        window, logits, labels = window[has_label], logits[has_label].float(), labels[has_label]
        counts = window.bincount(minlength=windows)
        place = torch.arange(len(window), device=window.device) - (counts.cumsum(0) - counts)[window]
        longest = max(1, int(counts.max()))
        scores = logits.new_zeros((windows, longest, logits.shape[-1])).index_put((window, place), logits)
        rows = labels.new_zeros((windows, longest)).index_put((window, place), labels)
        is_label = torch.arange(longest, device=window.device) < counts[:, None]
        return cls(scores, rows, is_label)


class CrfHead(torch.nn.Module):
    """The learned scores of transitions and ends, zero at first.

    Args:
        labels: number of labels.
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.transitions = torch.nn.Parameter(torch.zeros(labels, labels))
        self.starts = torch.nn.Parameter(torch.zeros(labels))
        self.ends = torch.nn.Parameter(torch.zeros(labels))

    def negative_log_likelihood(self, sequences: LabelSequences) -> torch.Tensor:
        """Return the negative log likelihood of the labels of each window, shape (windows,); 0 without labels."""
        difference = self._log_partition(sequences) - self._score(sequences)
        return difference.where(sequences.is_label[:, 0], 0.0)

    def _score(self, sequences: LabelSequences) -> torch.Tensor:
        labels, is_label = sequences.labels, sequences.is_label
        emitted = sequences.scores.gather(2, labels[:, :, None])[:, :, 0]
        moved = self.transitions.float()[labels[:, :-1], labels[:, 1:]]
        last = labels.gather(1, (is_label.sum(1, keepdim=True) - 1).clamp(min=0))[:, 0]
        inner = (emitted * is_label).sum(1) + (moved * is_label[:, 1:]).sum(1)
        return self.starts.float()[labels[:, 0]] + inner + self.ends.float()[last]

    def _log_partition(self, sequences: LabelSequences) -> torch.Tensor:
        """Return the logarithm of the sum over all label sequences, by the forward algorithm."""
        transitions = self.transitions.float()
        forward = self.starts.float() + sequences.scores[:, 0]
        for place in range(1, sequences.scores.shape[1]):
            following = (forward[:, :, None] + transitions).logsumexp(1) + sequences.scores[:, place]
            forward = following.where(sequences.is_label[:, place, None], forward)
        return (forward + self.ends.float()).logsumexp(1)


class CrfLoss:
    """Negative log likelihood of a batch, with the signature of `TokenLoss`."""

    is_plain = False

    def __init__(self, head: CrfHead) -> None:
        self._head = head

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor, layout: Any = None
    ) -> torch.Tensor:
        """Return the sum over the windows of a batch, divided by the number of labels of all batches of the step."""
        sequences = LabelSequences.of(outputs["logits"], labels, layout)
        return self._head.negative_log_likelihood(sequences).sum() / num_items_in_batch


CRF_WEIGHTS = ("transitions", "starts", "ends")
"""Names of the parameters of a `CrfHead`."""


def transitions_of(weights: Mapping[str, torch.Tensor]) -> Transitions:
    """Return the weights of a `CrfHead` as decoding takes them."""
    values = {name: weights[name].detach().float().cpu().tolist() for name in CRF_WEIGHTS}
    return Transitions(**values)
