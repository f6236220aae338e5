"""The training loss, compared with its formulas."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import cross_entropy

from tune_ner.config.trial_config import TrialConfig
from tune_ner.tagging.alignment import IGNORED
from tune_ner.training.loss import TokenLoss, class_weights

LABELS = np.array([0] * 90 + [1] * 6 + [3] * 4 + [IGNORED] * 20)


def loss_of(**changes: Any) -> TokenLoss:
    config = TrialConfig(data_fingerprint="d", model="tiny:1x32", learning_rate=1e-3, **changes)
    return TokenLoss.of(config, LABELS, 4)


def a_batch() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return 3 * torch.randn(2, 5, 4, generator=random), torch.tensor([[0, 1, IGNORED, 3, 0], [0, 0, 3, IGNORED, 1]])


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    used = LABELS[LABELS != IGNORED]
    weights = class_weights("balanced", LABELS, 4)
    assert weights[[0, 1, 3]] == pytest.approx(compute_class_weight("balanced", classes=np.unique(used), y=used))
    assert weights[2] == 1


@given(st.lists(st.integers(0, 6), min_size=1), st.sampled_from(["none", "balanced", "sqrt"]))
def test_mean_weight_of_the_training_labels_is_one(labels: list[int], kind: Any) -> None:
    weights = class_weights(kind, np.array(labels), 7)
    assert weights[labels].mean() == pytest.approx(1)


def test_square_roots_are_between_equal_and_balanced_weights() -> None:
    ratios = [weights[3] / weights[0] for weights in (class_weights(kind, LABELS, 4) for kind in ("sqrt", "balanced"))]
    assert ratios == pytest.approx([(90 / 4) ** 0.5, 90 / 4])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_plain_loss_is_the_mean_cross_entropy(smoothing: float) -> None:
    logits, labels = a_batch()
    loss = loss_of(label_smoothing=smoothing)
    assert loss.is_plain
    expected = cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=smoothing)
    torch.testing.assert_close(loss({"logits": logits}, labels, torch.tensor(8)), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weighted_focal_loss_follows_its_formula(smoothing: float) -> None:
    logits, labels = a_batch()
    loss = loss_of(class_weights="balanced", focal_gamma=2.0, label_smoothing=smoothing)
    weights, total = class_weights("balanced", LABELS, 4), 0.0
    for row, label in zip(logits.flatten(0, 1), labels.flatten(), strict=True):
        if label != IGNORED:
            logs = row.log_softmax(-1).double().numpy()
            each = -(1 - smoothing) * logs[label] - smoothing * logs.mean()
            total += weights[label] * (1 - np.exp(logs[label])) ** 2 * each
    assert loss({"logits": logits}, labels, torch.tensor(8)).item() == pytest.approx(total / 8, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_certain_predictions_have_a_finite_gradient(gamma: float) -> None:
    logits = torch.tensor([[[200.0, 0, 0, 0]]], requires_grad=True)
    loss_of(focal_gamma=gamma)({"logits": logits}, torch.tensor([[0]]), torch.tensor(1)).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
