"""From the output of a model for a split to tags, spans and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, pairwise
from typing import Any

import numpy as np

from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import Span, SplitName
from tune_ner.evaluation.seqeval_metrics import (
    TypeMetrics,
    invalid_transitions,
    seqeval_metrics,
    strict_seqeval_metrics,
)
from tune_ner.evaluation.span_metrics import score_spans, sentence_counts
from tune_ner.tagging.alignment import tags_to_spans
from tune_ner.tagging.decoding import Transitions, ViterbiDecoder, word_labels
from tune_ner.tagging.probabilities import WordProbabilities
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.training.features import TrialFeatures
from tune_ner.training.result import SentenceCounts, SplitMetrics

Tags = list[list[str]]
"""A tag for each word of each sentence."""


class Scorer:
    """Decodes and scores the output of a trial's model for one split."""

    def __init__(self, config: TrialConfig, features: TrialFeatures, split_name: SplitName) -> None:
        encoded = features.encoded[split_name]
        self._scheme = SCHEMES[config.tagging_scheme]
        self._sentences = features.sentences[split_name]
        self._subwords = encoded.subwords
        self._labels = features.labels
        self._types = features.entity_types
        self._seen_entities = features.seen_entities
        self._decodes_sequences = config.decodes_sequences
        self._kept = self._by_sentence(encoded.subwords.read_at >= 0)
        self._gold_tags = self._labelled(self._names(encoded.word_label_ids))
        self._gold_spans = [sentence.spans for sentence in self._sentences]

    def tags(self, output: np.ndarray[Any, Any], transitions: Transitions | None = None) -> Tags:
        """Return a tag for every word; `O`, the first label, for truncated words.

        Args:
            output: label scores of shape (subwords, labels), or label ids (subwords,), which are not decoded.
            transitions: those of a CRF.
        """
        viterbi = None
        if output.ndim > 1 and self._decodes_sequences:
            viterbi = ViterbiDecoder(self._scheme, self._labels, transitions)
        elif output.ndim > 1:
            output = output.argmax(axis=-1)
        return self._names(word_labels(output, self._subwords, viterbi))

    def probabilities(self, scores: np.ndarray[Any, Any], transitions: Transitions | None = None) -> WordProbabilities:
        """Return the label probabilities of every word, from label scores of shape (subwords, labels)."""
        crf = ViterbiDecoder(self._scheme, self._labels, transitions) if transitions else None
        return WordProbabilities.of(scores, self._subwords, self._scheme.name, self._labels, crf)

    def spans(self, predicted: Tags) -> tuple[tuple[Span, ...], ...]:
        """Return the predicted spans of each sentence, with character offsets."""
        return tuple(tags_to_spans(tags, self._subwords.words.of(index)) for index, tags in enumerate(predicted))

    def epoch_metrics(self, predicted: Tags) -> tuple[dict[str, float], SentenceCounts]:
        """Compute the metrics of one epoch, and the counts of exact spans in each sentence.

        The metrics are keyed as the fields of `EpochMetrics` without `validation_`.
        """
        seqeval = seqeval_metrics(self._gold_tags, self._labelled(predicted), self._types)
        found = self.spans(predicted)
        spans = score_spans(self._gold_spans, found, self._types)
        counts = tuple(map(tuple, sentence_counts(self._gold_spans, found).tolist()))
        metrics = {
            "seqeval_precision": seqeval.precision,
            "seqeval_recall": seqeval.recall,
            "seqeval_f1": seqeval.f1,
            "accuracy": seqeval.accuracy,
            "span_precision": spans.precision,
            "span_recall": spans.recall,
            "span_f1": spans.f1,
        }
        return metrics, counts

    def metrics(self, predicted: Tags) -> SplitMetrics:
        """Compute all metrics; gold are the annotated spans, including those lost to words, scheme or truncation."""
        spans, tags = self.spans(predicted), self._labelled(predicted)
        return SplitMetrics(
            seqeval=seqeval_metrics(self._gold_tags, tags, self._types),
            spans=score_spans(self._gold_spans, spans, self._types),
            seen=self._entity_metrics(spans, seen=True),
            unseen=self._entity_metrics(spans, seen=False),
            strict_seqeval=strict_seqeval_metrics(self._gold_tags, tags, self._types, self._scheme.name),
            invalid_transitions=invalid_transitions(tags, self._scheme.name),
        )

    def _entity_metrics(self, predicted: Sequence[Sequence[Span]], seen: bool) -> TypeMetrics:
        """Compute exact span metrics of the entities that occur in train, or of those that do not."""

        def selected(spans: Sequence[Sequence[Span]]) -> list[list[Span]]:
            return [
                [span for span in row if self._seen_entities.is_seen(span, sentence.text) == seen]
                for sentence, row in zip(self._sentences, spans, strict=True)
            ]

        scores = score_spans(selected(self._gold_spans), selected(predicted), self._types)
        return TypeMetrics(scores.precision, scores.recall, scores.f1, scores.support)

    def _names(self, ids: np.ndarray[Any, Any]) -> Tags:
        return self._by_sentence(np.array(self._labels, dtype=object)[ids])

    def _by_sentence(self, word_values: np.ndarray[Any, Any]) -> list[list[Any]]:
        values, firsts = word_values.tolist(), self._subwords.words.firsts.tolist()
        return [values[first:after] for first, after in pairwise(firsts)]

    def _labelled(self, tags: Tags) -> Tags:
        """Return the tags of the words that were not truncated, which are those that seqeval compares."""
        return [list(compress(row, kept)) for row, kept in zip(tags, self._kept, strict=True)]
