"""What a trial leaves: plain figures, free of torch, so that records can be read anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tune_ner.data import Part, Span
from tune_ner.evaluation import Figures


@dataclass(frozen=True)
class EpochFigures:
    """Validation figures after an epoch; `training_loss` is the last logged one, None before the first."""

    epoch: int
    loss: float
    precision: float
    recall: float
    f1: float
    accuracy: float
    training_loss: float | None


@dataclass(frozen=True)
class TrialResult:
    """All that a finished trial leaves.

    `validation` and `test` are the figures of the best epoch, `spans` the spans it predicted on these two
    parts (one tuple a sentence, in the order of the split), `encoding` the account of each part, `seconds`
    the time of each stage, `training_log` pairs of step and mean loss since the step logged before.
    """

    epochs: tuple[EpochFigures, ...]
    best_epoch: int
    validation: Figures
    test: Figures
    test_loss: float
    encoding: dict[Part, dict[str, Any]]
    labels: tuple[str, ...]
    training_log: tuple[tuple[int, float], ...]
    train_loss: float
    precision_used: str
    device: str
    threads: int
    parameters: int
    seconds: dict[str, float]
    spans: dict[Part, tuple[tuple[Span, ...], ...]] = field(default_factory=dict)
