"""From a model's output on a part to tags, spans and figures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, pairwise
from typing import Any

import numpy as np

from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import Sentence, Span
from tune_ner.evaluation.seen_entities import SeenEntities
from tune_ner.evaluation.seqeval_metrics import (
    TypeMetrics,
    invalid_transitions,
    seqeval_metrics,
    strict_seqeval_metrics,
)
from tune_ner.evaluation.span_metrics import score_spans
from tune_ner.tagging.alignment import EncodedSplit, tags_to_spans
from tune_ner.tagging.decoding import ViterbiDecoder, word_labels
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.training.result import SplitMetrics


class Scorer:
    """Decodes and scores what one trial's model says of one part."""

    def __init__(
        self,
        config: TrialConfig,
        sentences: Sequence[Sentence],
        split_name: EncodedSplit,
        labels: Sequence[str],
        types: Sequence[str],
        train_forms: SeenEntities,
    ) -> None:
        self._scheme = SCHEMES[config.tagging_scheme]
        self._sentences = sentences
        self._part = split_name
        self._labels = labels
        self._types = types
        self._train_forms = train_forms
        self._viterbi = ViterbiDecoder(self._scheme, labels) if config.decoding == "viterbi" else None
        self._kept = split_name.subwords.read_at >= 0
        self._kept_of_sentence = self._by_sentence(self._kept)
        self._gold = self._labelled(self._names(split_name.word_label_ids))

    def tags(self, output: np.ndarray[Any, Any]) -> list[list[str]]:
        """A tag for every word of every sentence; `O`, the first label, for words that were cut.

        Args:
            output: label ids of shape (subwords,), or with Viterbi decoding scores of shape (subwords, labels).
        """
        return self._names(word_labels(output, self._part.subwords, self._viterbi))

    def _names(self, ids: np.ndarray[Any, Any]) -> list[list[str]]:
        return self._by_sentence(np.array(self._labels, dtype=object)[ids])

    def _by_sentence(self, of_words: np.ndarray[Any, Any]) -> list[list[Any]]:
        flat, firsts = of_words.tolist(), self._part.subwords.words.firsts.tolist()
        return [flat[first:after] for first, after in pairwise(firsts)]

    def spans(self, predicted: list[list[str]]) -> tuple[tuple[Span, ...], ...]:
        """The predicted spans of each sentence, as character offsets into its text."""
        return tuple(tags_to_spans(tags, self._part.subwords.words.of(index)) for index, tags in enumerate(predicted))

    def epoch_metrics(self, predicted: list[list[str]]) -> dict[str, float]:
        """Compute the metrics of one epoch, keyed as the fields of `EpochMetrics` without `validation_`."""
        seqeval = seqeval_metrics(self._gold, self._labelled(predicted), self._types)
        spans = score_spans([sentence.spans for sentence in self._sentences], self.spans(predicted), self._types)
        return {
            "seqeval_precision": seqeval.precision,
            "seqeval_recall": seqeval.recall,
            "seqeval_f1": seqeval.f1,
            "accuracy": seqeval.accuracy,
            "span_precision": spans.precision,
            "span_recall": spans.recall,
            "span_f1": spans.f1,
        }

    def metrics(self, predicted: list[list[str]]) -> SplitMetrics:
        """Compute all metrics; gold are the annotated spans, whatever words, scheme and truncation made of them."""
        gold = [sentence.spans for sentence in self._sentences]
        spans = self.spans(predicted)
        tags = self._labelled(predicted)
        return SplitMetrics(
            seqeval=seqeval_metrics(self._gold, tags, self._types),
            spans=score_spans(gold, spans, self._types),
            seen=self._by_form(gold, spans, seen=True),
            unseen=self._by_form(gold, spans, seen=False),
            strict_seqeval=strict_seqeval_metrics(self._gold, tags, self._types, self._scheme.name),
            invalid_transitions=invalid_transitions(tags, self._scheme.name),
        )

    def _by_form(self, gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]], seen: bool) -> TypeMetrics:
        def of_kind(spans: Sequence[Sequence[Span]]) -> list[list[Span]]:
            return [
                [span for span in row if self._train_forms.is_seen(span, sentence.text) == seen]
                for sentence, row in zip(self._sentences, spans, strict=True)
            ]

        scores = score_spans(of_kind(gold), of_kind(predicted), self._types)
        return TypeMetrics(scores.precision, scores.recall, scores.f1, scores.support)

    def _labelled(self, tags: list[list[str]]) -> list[list[str]]:
        return [list(compress(row, kept)) for row, kept in zip(tags, self._kept_of_sentence, strict=True)]
