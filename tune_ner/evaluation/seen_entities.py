"""Entities that occur in train: comparison of seen and unseen entities, and longest-match lookup in a text."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Self

from tune_ner.data.corpus import Corpus, Sentence, Span, valid_spans
from tune_ner.data.splits import Split
from tune_ner.tagging.tokenization import WordTokenizer, has_unspaced_script, split_words

Words = tuple[str, ...]
"""The words of an entity, split at white space and punctuation; each character of a script without spaces is one."""


@dataclass(frozen=True)
class SeenEntities:
    """The normalized texts of the entities in a train split."""

    texts: frozenset[str]

    def is_seen(self, span: Span, text: str) -> bool:
        """Return whether the words of the span are an entity of any type in train."""
        return normalize_entity(span.text_in(text)) in self.texts


def normalize_entity(text: str) -> str:
    """Fold case and collapse white space, as seen and unseen entities are compared."""
    return " ".join(text.casefold().split())


def seen_entities(corpus: Corpus, split: Split) -> SeenEntities:
    """Collect the entities of the train split."""
    train = (corpus.sentences[index] for index in split.train)
    return SeenEntities(frozenset(normalize_entity(span.text_in(s.text)) for s in train for span in valid_spans(s)))


class EntityMatcher:
    """Longest-match lookup of known entities in a text, on word boundaries.

    `labels` counts the entity types of each known entity; `word_tokenizer` splits texts into words. The time is linear
    in the words of the text; the work per word is bounded by the number of different lengths of the entities that start
    with it.
    """

    def __init__(
        self,
        sentences: Iterable[Sentence],
        fold_case: bool,
        types: Mapping[Words, str] | None = None,
        word_tokenizer: WordTokenizer | None = None,
    ) -> None:
        sentences = list(sentences)
        # splitting into characters is slower, and equal for scripts with spaces between words
        has_unspaced = any(has_unspaced_script(sentence.text) for sentence in sentences)
        self.fold_case = fold_case
        self.word_tokenizer: WordTokenizer = word_tokenizer or ("character" if has_unspaced else "punctuation")
        self.labels: dict[Words, Counter[str]] = defaultdict(Counter)
        for words, label in (types or {}).items():
            self.labels[words][label] += 1
        for sentence in sentences:
            for span in valid_spans(sentence):
                if entity := self.words(span.text_in(sentence.text)):
                    self.labels[entity][span.label] += 1
        lengths: dict[str, set[int]] = defaultdict(set)
        for entity in self.labels:
            lengths[entity[0]].add(len(entity))
        self._lengths = {word: sorted(found, reverse=True) for word, found in lengths.items()}

    @classmethod
    def of(cls, types: Mapping[Words, str], fold_case: bool, word_tokenizer: WordTokenizer) -> Self:
        """Return the lookup of entities whose words and types are known."""
        return cls((), fold_case, types, word_tokenizer)

    def words(self, text: str) -> Words:
        """Return the words of a text in the form in which they are compared."""
        return self._words(text, split_words(text, self.word_tokenizer))

    def find(self, text: str) -> Iterator[tuple[int, int, Words]]:
        """Yield start, end and words of the known entities in a text, from left to right without overlap."""
        ranges = split_words(text, self.word_tokenizer)
        words = self._words(text, ranges)
        position = 0
        while position < len(words):
            candidates = (words[position : position + n] for n in self._lengths.get(words[position], ()))
            entity = next((candidate for candidate in candidates if candidate in self.labels), None)
            if entity:
                yield ranges[position][0], ranges[position + len(entity) - 1][1], entity
            position += len(entity) if entity else 1

    def _words(self, text: str, ranges: Sequence[tuple[int, int]]) -> Words:
        words = (text[start:end] for start, end in ranges)
        return tuple(word.casefold() for word in words) if self.fold_case else tuple(words)


class Occurrences(NamedTuple):
    """How often an entity's words occur as (part of) an entity, and outside of any."""

    labelled: int
    unlabelled: int


def count_occurrences(matcher: EntityMatcher, sentences: Iterable[Sentence]) -> dict[Words, Occurrences]:
    """Count the labelled and unlabelled occurrences of each known entity."""
    labelled, unlabelled = Counter[Words](), Counter[Words]()
    for sentence in sentences:
        spans = SpanIndex(sentence.spans)
        for start, end, entity in matcher.find(sentence.text):
            (labelled if spans.overlaps(start, end) else unlabelled)[entity] += 1
    return {entity: Occurrences(labelled[entity], unlabelled[entity]) for entity in matcher.labels}


class SpanIndex:
    """Overlap queries on the spans of one text in logarithmic time; the spans may overlap."""

    def __init__(self, spans: Iterable[Span]) -> None:
        ordered = sorted((span.start, span.end) for span in spans)
        self._starts = [start for start, _ in ordered]
        self._furthest_ends = list(accumulate((end for _, end in ordered), max))

    def overlaps(self, start: int, end: int) -> bool:
        """Return whether a span shares a character with the range `[start, end)`."""
        preceding = bisect_left(self._starts, end)
        return preceding > 0 and self._furthest_ends[preceding - 1] > start
