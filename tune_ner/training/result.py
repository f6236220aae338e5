"""What a trial leaves: plain figures, free of torch, so that records can be read anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tune_ner.data.corpus import Span, SplitName
from tune_ner.evaluation.seqeval_metrics import SeqevalMetrics, TypeMetrics
from tune_ner.evaluation.span_metrics import SpanScores


@dataclass(frozen=True)
class EpochMetrics:
    """Validation figures after an epoch; `training_loss` is the last logged one, None before the first.

    `tokens` are the subwords trained on in this epoch; 0 where that was not written down.
    """

    epoch: int
    loss: float
    precision: float
    recall: float
    f1: float
    accuracy: float
    training_loss: float | None
    tokens: int = 0


@dataclass(frozen=True)
class SplitMetrics:
    """How well the predicted spans of a part meet the gold spans as annotated.

    `seen` and `unseen` split gold and predictions by whether their surface form was an entity in train;
    `strict` is seqeval's strict mode (None for a scheme that it does not have), `invalid_transitions` the
    share of neighbouring predicted tags that the scheme forbids.
    """

    spans: SpanScores
    seen: TypeMetrics
    unseen: TypeMetrics
    strict: SeqevalMetrics | None
    invalid_transitions: float


@dataclass(frozen=True)
class TrialCost:
    """What a trial's training took of the machine.

    `tokens` are the subwords trained on, all epochs counted, and `computed_tokens` those and their padding.
    `peak_memory` is in bytes: of the GPU where the trial had one, else of the process. `linear_parameters` are
    those that enter a matrix product for every token (embeddings are looked up), and `matmul_rate` the
    floating-point operations a second that a plain matrix product of the encoder's width reaches here on as
    many threads.
    """

    tokens: int
    computed_tokens: int
    peak_memory: int
    linear_parameters: int
    matmul_rate: float

    def floor_share(self, train_seconds: float) -> float:
        """Share of `train_seconds` that the matrix products of the real tokens need at the measured rate.

        Six operations for each token and parameter: two forward and four backward (Kaplan et al. 2020,
        "Scaling Laws for Neural Language Models", section 2.1).
        """
        return 6 * self.tokens * self.linear_parameters / self.matmul_rate / train_seconds


@dataclass(frozen=True)
class TrialResult:
    """All that a finished trial leaves.

    `validation` and `test` are seqeval's figures of the best epoch, `scores` those of its spans, and `spans`
    the spans it predicted on these two parts (one tuple a sentence, in the order of the split). `encoding` is
    the account of each part, `seconds` the time of each stage (start, load, encode, train, evaluate, save),
    `batching_used` how batches were laid out in the end, `accumulated_steps` into how many steps a batch was
    divided that did not fit, `note` what a user should know of this, and `training_log` pairs of a step and the mean
    loss since the step logged before.
    """

    epochs: tuple[EpochMetrics, ...]
    best_epoch: int
    validation: SeqevalMetrics
    test: SeqevalMetrics
    test_loss: float
    encoding: dict[SplitName, dict[str, Any]]
    labels: tuple[str, ...]
    training_log: tuple[tuple[int, float], ...]
    train_loss: float
    precision_used: str
    device: str
    threads: int
    parameters: int
    seconds: dict[str, float]
    cost: TrialCost | None = None
    batching_used: str = "padded"
    accumulated_steps: int = 1
    note: str = ""
    scores: dict[SplitName, SplitMetrics] = field(default_factory=dict)
    spans: dict[SplitName, tuple[tuple[Span, ...], ...]] = field(default_factory=dict)
