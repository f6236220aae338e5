"""From a model's output on a part to tags, spans and figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tune_ner.audit import SeenForms
from tune_ner.data import Sentence, Span
from tune_ner.data.chunks import OUTSIDE
from tune_ner.evaluation import (
    Figures,
    TypeFigures,
    invalid_transitions,
    score_spans,
    seqeval_figures,
    strict_figures,
)
from tune_ner.tagging import SCHEMES, EncodedPart, tags_to_spans
from tune_ner.tagging.decoding import ViterbiDecoder
from tune_ner.training.config import TrialConfig
from tune_ner.training.result import PartScores


class Scorer:
    """Decodes and scores what one trial's model says of one part."""

    def __init__(
        self,
        config: TrialConfig,
        sentences: Sequence[Sentence],
        part: EncodedPart,
        labels: Sequence[str],
        types: Sequence[str],
        train_forms: SeenForms,
    ) -> None:
        self._scheme = SCHEMES[config.tagging_scheme]
        self._sentences = sentences
        self._part = part
        self._labels = labels
        self._types = types
        self._train_forms = train_forms
        self._viterbi = ViterbiDecoder(self._scheme, labels) if config.decoding == "viterbi" else None

    def tags(self, output: np.ndarray[Any, Any]) -> list[list[str]]:
        """A tag for every word of every sentence; `O` for words that were cut.

        Args:
            output: label ids of shape (windows, subwords), or with Viterbi decoding scores of shape (windows,
                subwords, labels).
        """
        return [self._sentence_tags(places, output) for places in self._part.places]

    def _sentence_tags(self, places: Sequence[Any], output: np.ndarray[Any, Any]) -> list[str]:
        tags = [OUTSIDE] * len(places)
        kept = [word for word, place in enumerate(places) if place is not None]
        chosen = [output[places[word]] for word in kept]
        ids = self._viterbi(np.array(chosen)) if self._viterbi else chosen
        for word, label_id in zip(kept, ids, strict=True):
            tags[word] = self._labels[label_id]
        return tags

    def figures(self, predicted: list[list[str]]) -> Figures:
        """seqeval's figures over the words that carry a label."""
        return seqeval_figures(self._labelled(self._gold_tags()), self._labelled(predicted), self._types)

    def spans(self, predicted: list[list[str]]) -> tuple[tuple[Span, ...], ...]:
        """The predicted spans of each sentence, as character offsets into its text."""
        return tuple(
            tags_to_spans(tags, item.words, self._scheme)
            for item, tags in zip(self._part.tagged, predicted, strict=True)
        )

    def scores(self, predicted: list[list[str]]) -> PartScores:
        """Figures against the gold spans as annotated, whatever words, scheme and truncation made of them."""
        gold = [sentence.spans for sentence in self._sentences]
        spans = self.spans(predicted)
        gold_tags, tags = self._labelled(self._gold_tags()), self._labelled(predicted)
        return PartScores(
            spans=score_spans(gold, spans, self._types),
            seen=self._by_form(gold, spans, seen=True),
            unseen=self._by_form(gold, spans, seen=False),
            strict=strict_figures(gold_tags, tags, self._types, self._scheme.name),
            invalid_transitions=invalid_transitions(tags, self._scheme.name),
        )

    def _by_form(self, gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]], seen: bool) -> TypeFigures:
        def of_kind(spans: Sequence[Sequence[Span]]) -> list[list[Span]]:
            return [
                [span for span in row if self._train_forms.is_seen(span, sentence.text) == seen]
                for sentence, row in zip(self._sentences, spans, strict=True)
            ]

        scores = score_spans(of_kind(gold), of_kind(predicted), self._types)
        return TypeFigures(scores.precision, scores.recall, scores.f1, scores.support)

    def _gold_tags(self) -> list[list[str]]:
        return [item.tags for item in self._part.tagged]

    def _labelled(self, tags: list[list[str]]) -> list[list[str]]:
        return [
            [tag for tag, place in zip(row, places, strict=True) if place is not None]
            for row, places in zip(tags, self._part.places, strict=True)
        ]
