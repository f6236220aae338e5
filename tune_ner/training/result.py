"""Results of a trial as plain data without torch, so that records can be read anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Base64Bytes

from tune_ner.config.hyperparameters import SelectionMetric
from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import Span, SplitName
from tune_ner.evaluation.seqeval_metrics import SeqevalMetrics, TypeMetrics
from tune_ner.evaluation.span_metrics import SpanMetrics

SentenceCounts = tuple[tuple[int, int, int], ...]
"""True positives, false positives and false negatives of each sentence."""


@dataclass(frozen=True)
class EpochMetrics:
    """Validation metrics after an epoch.

    Attributes:
        epoch: counted from 1.
        validation_loss: mean cross-entropy.
        validation_seqeval_precision, validation_seqeval_recall, validation_seqeval_f1: seqeval over the labelled words.
        validation_accuracy: share of labelled words with the correct tag.
        validation_span_precision, validation_span_recall, validation_span_f1: exact character spans.
        training_loss: the last logged training loss, before the first the mean so far; None in old records.
        tokens: subwords trained on in this epoch.
    """

    epoch: int
    validation_loss: float
    validation_seqeval_precision: float
    validation_seqeval_recall: float
    validation_seqeval_f1: float
    validation_accuracy: float
    validation_span_precision: float
    validation_span_recall: float
    validation_span_f1: float
    training_loss: float | None
    tokens: int = 0

    def score(self, selection_metric: SelectionMetric) -> float:
        """Return the validation value of the selection metric."""
        value: float = getattr(self, f"validation_{selection_metric}")
        return value


def is_last_epoch(config: TrialConfig, epochs: Sequence[EpochMetrics]) -> bool:
    """Return whether training ends after these epochs.

    It does after all epochs of the configuration, when the latest one reached the target F1, or when there was no
    better one than the best for `early_stopping_patience` epochs.
    """
    scores = [epoch.score(config.selection_metric) for epoch in epochs]
    patience = config.early_stopping_patience
    return (
        len(epochs) >= config.epochs
        or (config.target_f1 is not None and scores[-1] >= config.target_f1)
        or (patience is not None and len(epochs) - 1 - scores.index(max(scores)) >= patience)
    )


@dataclass(frozen=True)
class SplitMetrics:
    """Metrics of the best epoch's predictions on one split.

    Attributes:
        seqeval: seqeval's default mode over the labelled words.
        spans: predicted against gold character spans.
        seen, unseen: exact span metrics by whether the entity's text is an entity in train.
        strict_seqeval: seqeval's strict mode; None for a scheme that it does not support.
        invalid_transitions: share of neighbouring predicted tags that the scheme forbids.
    """

    seqeval: SeqevalMetrics
    spans: SpanMetrics
    seen: TypeMetrics
    unseen: TypeMetrics
    strict_seqeval: SeqevalMetrics | None
    invalid_transitions: float

    def score(self, selection_metric: SelectionMetric) -> float:
        """Return the value of the selection metric on this split."""
        return self.spans.f1 if selection_metric == "span_f1" else self.seqeval.f1


@dataclass(frozen=True)
class TrialProfile:
    """Work and memory of a trial's training.

    Attributes:
        tokens: subwords trained on in all epochs.
        computed_tokens: those and their padding.
        peak_memory_bytes: of the GPU if the trial had one, else of the process.
    """

    tokens: int
    computed_tokens: int
    peak_memory_bytes: int


@dataclass(frozen=True)
class TrialResult:
    """The result of a completed trial.

    Attributes:
        epochs: validation metrics of every epoch.
        best_epoch: the epoch with the highest selection metric, whose weights were restored.
        metrics: metrics of the best epoch on validation and, unless the test split was left out, on test.
        predicted_spans: predicted spans on the same splits, one tuple per sentence in the order of the split.
        epoch_counts: for each epoch, the counts of exact spans in each validation sentence.
        probabilities: label probabilities of the words of these splits, as `tune_ner.tagging.probabilities.pack` stores
            them; empty if the test split was left out, or has too many words.
        test_loss: mean cross-entropy on test; None if the test split was left out.
        encoding: for each split, the entities that tags, words or truncation lost.
        training_log: pairs of a step and the mean training loss since the previous logged step.
        seconds: time of each stage (start, load, encode, train, evaluate, save).
        batching_used: the batching that was used in the end: `padding_free`, `padded`, or `cuda_graph` for batches
            padded to few lengths whose steps are CUDA graphs.
        accumulated_steps: steps that a batch was divided into because it did not fit into memory.
        note: a remark for the user about batching or memory; empty without one.
    """

    epochs: tuple[EpochMetrics, ...]
    best_epoch: int
    test_loss: float | None
    encoding: dict[SplitName, dict[str, Any]]
    labels: tuple[str, ...]
    training_log: tuple[tuple[int, float], ...]
    train_loss: float
    precision_used: str
    device: str
    threads: int
    parameters: int
    seconds: dict[str, float]
    profile: TrialProfile | None = None
    batching_used: str = "padded"
    accumulated_steps: int = 1
    note: str = ""
    metrics: dict[SplitName, SplitMetrics] = field(default_factory=dict)
    predicted_spans: dict[SplitName, tuple[tuple[Span, ...], ...]] = field(default_factory=dict)
    epoch_counts: tuple[SentenceCounts, ...] = ()
    probabilities: Base64Bytes = b""
