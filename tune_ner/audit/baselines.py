"""Baselines without an encoder: a gazetteer of the train entities, and the scores of any such baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tune_ner.audit.marker_baseline import MarkerBaseline, sample
from tune_ner.data.corpus import Sentence, Span, SplitName
from tune_ner.evaluation.seen_entities import EntityMatcher, Words, count_occurrences
from tune_ner.evaluation.span_metrics import exact_f1

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


def learn_gazetteer(train: Sequence[Sentence]) -> Gazetteer:
    """Learn the gazetteer variant that has the best F1 on a held-out half of train."""
    sentences = sample(train)
    learned, held_out = sentences[::2], sentences[1::2]
    gold = [sentence.spans for sentence in held_out]
    scores: dict[tuple[bool, bool], float] = {}
    for fold_case in (True, False):
        matcher = EntityMatcher(learned, fold_case)
        for only_usual in (True, False):
            gazetteer = _gazetteer(matcher, learned, only_usual)
            predicted = [gazetteer.predict(sentence.text) for sentence in held_out]
            scores[fold_case, only_usual] = exact_f1(gold, predicted)
    fold_case, only_usual = max(scores, key=lambda variant: scores[variant])
    return _gazetteer(EntityMatcher(train, fold_case), train, only_usual)


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


def _gazetteer(matcher: EntityMatcher, train: Sequence[Sentence], only_usual: bool) -> Gazetteer:
    types = {words: max(sorted(labels), key=lambda label: labels[label]) for words, labels in matcher.labels.items()}
    if only_usual:
        counts = count_occurrences(matcher, train)
        types = {words: label for words, label in types.items() if counts[words].labelled >= counts[words].unlabelled}
    return Gazetteer(types, matcher)
