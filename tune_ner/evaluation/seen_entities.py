"""Surface forms: the words of entities, and where they stand in a text, by longest match."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tune_ner.data.corpus import Corpus, Sentence, Span, valid_spans
from tune_ner.data.splits import Split
from tune_ner.evaluation.span_index import SpanIndex
from tune_ner.tagging.tokenization import split_words

Form = tuple[str, ...]
"""The words of a surface form, cut at punctuation."""


@dataclass(frozen=True)
class SeenEntities:
    """The surface forms that are entities in a train part: case-folded, white space evened out."""

    forms: frozenset[str]

    def is_seen(self, span: Span, text: str) -> bool:
        """Whether the words of the span were an entity, of whatever type, in train."""
        return surface_form(span.text_in(text)) in self.forms


def surface_form(text: str) -> str:
    """A form as it is compared: case-folded, its white space evened out."""
    return " ".join(text.casefold().split())


def seen_entities(corpus: Corpus, split: Split) -> SeenEntities:
    """The surface forms of the train part, to score entities that a model has seen and others apart."""
    return SeenEntities(
        frozenset(
            surface_form(span.text_in(corpus.sentences[index].text))
            for index in split.train
            for span in valid_spans(corpus.sentences[index])
        )
    )


class FormIndex:
    """Entity forms by their words, found in a text in time linear in its words.

    The work of one place in a text is bounded by the lengths of the forms that begin with its word.
    """

    def __init__(self, sentences: Iterable[Sentence], fold_case: bool) -> None:
        self.fold_case = fold_case
        self.labels: dict[Form, Counter[str]] = defaultdict(Counter)
        for sentence in sentences:
            for span in valid_spans(sentence):
                if form := self.form(span.text_in(sentence.text)):
                    self.labels[form][span.label] += 1
        lengths: dict[str, set[int]] = defaultdict(set)
        for form in self.labels:
            lengths[form[0]].add(len(form))
        self._lengths = {word: sorted(found, reverse=True) for word, found in lengths.items()}

    def form(self, text: str) -> Form:
        """The words of a text as a form."""
        return self._words(text, split_words(text, "punctuation"))

    def matches(self, text: str) -> Iterator[tuple[int, int, Form]]:
        """Start, end and form of what stands in the text, the longest form first, from left to right."""
        where = split_words(text, "punctuation")
        words = self._words(text, where)
        position = 0
        while position < len(words):
            step = 1
            for length in self._lengths.get(words[position], ()):
                form = words[position : position + length]
                if form in self.labels:
                    yield where[position][0], where[position + len(form) - 1][1], form
                    step = len(form)
                    break
            position += step

    def _words(self, text: str, where: Sequence[tuple[int, int]]) -> Form:
        words = (text[start:end] for start, end in where)
        return tuple(word.casefold() for word in words) if self.fold_case else tuple(words)


@dataclass(frozen=True)
class Usage:
    """How often a form stands in the text, as an entity (or part of one) and outside of any."""

    labelled: int
    unlabelled: int


def usage(index: FormIndex, sentences: Iterable[Sentence]) -> dict[Form, Usage]:
    """For each form of the index, how often the sentences label it and how often they do not."""
    labelled, unlabelled = Counter[Form](), Counter[Form]()
    for sentence in sentences:
        spans = SpanIndex(sentence.spans)
        for start, end, form in index.matches(sentence.text):
            (labelled if spans.touches(start, end) else unlabelled)[form] += 1
    return {form: Usage(labelled[form], unlabelled[form]) for form in index.labels}
