"""Small corpora with and without markers in their text, for the tests of the audit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

from tune_ner.audit.check import AuditInput, Check
from tune_ner.audit.findings import Finding
from tune_ner.data.corpus import Corpus, Sentence, Span, ordered_types
from tune_ner.data.splits import Split, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus

ENTITY = re.compile(r"<(?P<label>[A-Za-z]+) (?P<text>[^<>]*)>")
BRACKETS = {"DISORDER": ("(", ")"), "DRUG": ("[", "]"), "BODY": ("{", "}")}


def make_sentence(annotated: str, number: int = 1) -> Sentence:
    """Return `Ta <DRUG Alvedon> nu.` as a sentence with its spans; the number is its line."""
    text, spans, done = "", [], 0
    for match in ENTITY.finditer(annotated):
        text += annotated[done : match.start()]
        spans.append(Span(len(text), len(text) + len(match["text"]), match["label"]))
        text, done = text + match["text"], match.end()
    return Sentence(f"s{number}", text + annotated[done:], tuple(spans), f"made.txt:{number}")


def make_corpus(*annotated: str) -> Corpus:
    """Return a corpus of such sentences."""
    return corpus_of(*(make_sentence(text, number) for number, text in enumerate(annotated, start=1)))


def corpus_of(*sentences: Sentence) -> Corpus:
    """Return a corpus of these sentences."""
    return Corpus("made.txt", sentences, ordered_types(span.label for s in sentences for span in s.spans))


def make_split(train: int, validation: int, test: int) -> Split:
    """Return consecutive splits of these sizes."""
    bounds = [0, train, train + validation, train + validation + test]
    return Split(*(tuple(range(first, last)) for first, last in pairwise(bounds)))


def run(check: Check, corpus: Corpus, split: Split | None = None, **options: Any) -> list[Finding]:
    """Run a check; by default all sentences are in train."""
    return list(check.run(AuditInput(corpus, split or make_split(len(corpus), 0, 0), **options)))


@cache
def plain_corpus(size: int = 400, seed: int = 5) -> Corpus:
    """Return synthetic text without any problem."""
    return synthetic_corpus(size, seed)


@cache
def plain_split() -> Split:
    """Return the default split of `plain_corpus()`."""
    return split_corpus(plain_corpus())


def sentences_at(corpus: Corpus, indices: Sequence[int]) -> list[Sentence]:
    """Return the sentences with these indices."""
    return [corpus.sentences[index] for index in indices]


def with_markers(
    corpus: Corpus, markers: dict[str, tuple[str, str]], *, inside: bool = False, moved_space: bool = False
) -> Corpus:
    """Return the corpus with markers around the entities of each type, inside or outside of their spans."""
    return replace(corpus, sentences=tuple(_marked(s, markers, inside, moved_space) for s in corpus.sentences))


def same_markers(opening: str, closing: str) -> dict[str, tuple[str, str]]:
    """Return the same markers for every medical type."""
    return dict.fromkeys(BRACKETS, (opening, closing))


def _marked(sentence: Sentence, markers: dict[str, tuple[str, str]], inside: bool, moved_space: bool) -> Sentence:
    text, spans, done = "", [], 0
    for span in sentence.spans:
        opening, closing = markers.get(span.label, ("", ""))
        text += sentence.text[done : span.start] + ("" if inside else opening)
        start = len(text)
        text += f"{opening}{span.text_in(sentence.text)}{closing}" if inside else span.text_in(sentence.text)
        spans.append(Span(start, len(text), span.label))
        text += ("" if inside else closing) + (" " if moved_space and sentence.text[span.end] in ".,?" else "")
        done = span.end
    return replace(sentence, text=text + sentence.text[done:], spans=tuple(spans))
