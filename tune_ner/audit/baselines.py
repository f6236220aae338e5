"""Baselines without a model: a gazetteer of the train entities, and the scores of any such baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from tune_ner.audit.marker_baseline import MarkerBaseline, sample
from tune_ner.data.corpus import Corpus, Sentence, Span, SplitName
from tune_ner.data.splits import Split
from tune_ner.evaluation.seen_entities import EntityMatcher, Words, count_occurrences
from tune_ner.evaluation.span_metrics import SpanMetrics, score_spans

TRIVIAL_F1 = 0.9
"""Test F1 of a baseline from which the scores of models are meaningless."""

EVALUATED_SPLITS: tuple[SplitName, ...] = ("validation", "test")
Predict = Callable[[str], Iterable[Span]]


@dataclass(frozen=True)
class Gazetteer:
    """Longest-match lookup of the entities in train, each with its most frequent type.

    Whether case matters, and whether words that train mostly leaves unlabelled are excluded, is chosen on train by
    learning on one half and evaluating on the other.
    """

    types: dict[Words, str]
    matcher: EntityMatcher

    def predict(self, text: str) -> tuple[Span, ...]:
        """Return the predicted spans of a text."""
        found = self.matcher.find(text)
        return tuple(Span(start, end, self.types[words]) for start, end, words in found if words in self.types)


def learn_gazetteer(train: Sequence[Sentence], entity_types: Sequence[str]) -> Gazetteer:
    """Learn the gazetteer variant that has the best F1 on a held-out half of train."""
    sentences = sample(train)

    def held_out_f1(fold_case: bool, only_usual: bool) -> float:
        gazetteer = _gazetteer(sentences[::2], fold_case, only_usual)
        return score(sentences[1::2], gazetteer.predict, entity_types).f1

    variants = product((True, False), (True, False))
    return _gazetteer(train, *max(variants, key=lambda variant: held_out_f1(*variant)))


def score(sentences: Sequence[Sentence], predict: Predict, entity_types: Sequence[str]) -> SpanMetrics:
    """Compute the metrics of a baseline on sentences."""
    gold = [sentence.spans for sentence in sentences]
    return score_spans(gold, [tuple(predict(sentence.text)) for sentence in sentences], entity_types)


def score_baseline(corpus: Corpus, split: Split, predict: Predict) -> dict[SplitName, SpanMetrics]:
    """Compute the metrics of a baseline on validation and test."""
    return {
        split_name: score([corpus.sentences[index] for index in split[split_name]], predict, corpus.entity_types)
        for split_name in EVALUATED_SPLITS
    }


def predict_known_types(markers: MarkerBaseline, gazetteer: Gazetteer) -> Predict:
    """Return the predictor of a marker baseline that takes the types of known entities from a gazetteer.

    It does so only if some markers are used for several types.
    """
    if markers.has_unambiguous_types:
        return markers.predict

    def predict(text: str) -> tuple[Span, ...]:
        return tuple(
            Span(span.start, span.end, gazetteer.types.get(gazetteer.matcher.words(span.text_in(text)), span.label))
            for span in markers.predict(text)
        )

    return predict


def _gazetteer(train: Sequence[Sentence], fold_case: bool, only_usual: bool) -> Gazetteer:
    matcher = EntityMatcher(train, fold_case)
    types = {words: max(sorted(labels), key=lambda label: labels[label]) for words, labels in matcher.labels.items()}
    if only_usual:
        counts = count_occurrences(matcher, train)
        types = {words: label for words, label in types.items() if counts[words].labelled >= counts[words].unlabelled}
    return Gazetteer(types, matcher)
