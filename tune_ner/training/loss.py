"""The training loss: cross-entropy with label smoothing, class weights and a focal factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import cross_entropy

from tune_ner.config.hyperparameters import ClassWeights
from tune_ner.config.trial_config import TrialConfig
from tune_ner.tagging.alignment import IGNORED

_EXPONENTS: dict[ClassWeights, float] = {"none": 0.0, "balanced": -1.0, "sqrt": -0.5}
_SMALLEST = 1e-7
"""The least of 1 - p: a power below 1 has an infinite gradient at 0."""


def class_weights(kind: ClassWeights, labels: npt.NDArray[Any], size: int) -> npt.NDArray[np.float64]:
    """Return the weight of each label in the loss, shape (labels,); its mean over the training labels is 1.

    `balanced` is scikit-learn's: number of labels / (number of occurring classes · frequency of the class). Labels
    that do not occur have weight 1.

    Args:
        kind: how the weight depends on the frequency.
        labels: label ids of the training split, `IGNORED` for tokens without a label.
        size: number of labels.
    """
    counts = np.bincount(labels[labels != IGNORED], minlength=size)
    occurs = counts > 0
    weights = np.ones(size)
    weights[occurs] = counts[occurs] ** _EXPONENTS[kind]
    weights[occurs] *= counts.sum() / (counts * weights)[occurs].sum()
    return weights


@dataclass(frozen=True, eq=False)
class TokenLoss:
    """Mean loss over the labels of a batch, as the HF `Trainer` calls a `compute_loss_func`.

    Each label y contributes w(y) · (1 - p(y))^γ · cross-entropy, the focal loss of Lin et al. (2017) with class
    weights.

    Attributes:
        smoothing: label smoothing of the cross-entropy.
        gamma: exponent of the focal factor; 0 for none.
        weights: weight of each label, shape (labels,); None for equal ones.
    """

    smoothing: float = 0.0
    gamma: float = 0.0
    weights: torch.Tensor | None = None

    @classmethod
    def of(cls, config: TrialConfig, labels: npt.NDArray[Any], size: int) -> Self:
        """Return the loss of a trial; for `labels` and `size` see `class_weights`."""
        weights = None
        if config.class_weights != "none":
            weights = torch.from_numpy(class_weights(config.class_weights, labels, size)).float()
            weights = weights.to("cuda" if torch.cuda.is_available() else "cpu")
        return cls(config.label_smoothing, config.focal_gamma, weights)

    @property
    def is_plain(self) -> bool:
        """Whether the loss is the cross-entropy that the HF `Trainer` computes itself."""
        return self.weights is None and self.gamma == 0

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor, layout: Any = None
    ) -> torch.Tensor:
        """Return the sum over the labels of a batch, divided by the number of labels of all batches of the step.

        Args:
            outputs: the output of the model, with `logits` of shape (rows, tokens, labels).
            labels: label ids, `IGNORED` for tokens without a label, shape (rows, tokens).
            num_items_in_batch: number of labels of all batches of the step.
            layout: not used; a `CrfLoss` needs it.
        """
        logits, labels = outputs["logits"].float().flatten(0, 1), labels.flatten()
        if self.is_plain:
            total = self._cross_entropy(logits, labels, "sum")
        else:
            each = self._cross_entropy(logits, labels, "none")
            targets = labels.clamp(min=0)  # ignored ones have a loss of 0
            if self.gamma:
                predicted = logits.log_softmax(-1).gather(1, targets[:, None])[:, 0].exp()
                each = each * (1 - predicted).clamp(min=_SMALLEST) ** self.gamma
            total = (each if self.weights is None else each * self.weights[targets]).sum()
        return total / num_items_in_batch

    def _cross_entropy(self, logits: torch.Tensor, labels: torch.Tensor, reduction: str) -> torch.Tensor:
        return cross_entropy(logits, labels, ignore_index=IGNORED, reduction=reduction, label_smoothing=self.smoothing)
