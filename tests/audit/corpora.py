"""Small corpora with and without marks in their text, for the tests of the audit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise

from tune_ner.data.corpus import Corpus, Sentence, Span, ordered_types
from tune_ner.data.splits import Split, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus

MARK = re.compile(r"<(?P<label>[A-Z]+) (?P<text>[^<>]*)>")
BRACKETS = {"DISORDER": ("(", ")"), "DRUG": ("[", "]"), "BODY": ("{", "}")}


def a_sentence(marked: str, number: int = 1) -> Sentence:
    """`Ta <DRUG Alvedon> nu.` as a sentence with its spans; the number is its line."""
    text, spans, done = "", [], 0
    for match in MARK.finditer(marked):
        text += marked[done : match.start()]
        spans.append(Span(len(text), len(text) + len(match["text"]), match["label"]))
        text, done = text + match["text"], match.end()
    return Sentence(f"s{number}", text + marked[done:], tuple(spans), f"made.txt:{number}")


def a_corpus(*marked: str) -> Corpus:
    """A corpus of such sentences."""
    sentences = tuple(a_sentence(text, number) for number, text in enumerate(marked, start=1))
    return Corpus("made.txt", sentences, ordered_types(span.label for s in sentences for span in s.spans))


def a_split(train: int, validation: int, test: int) -> Split:
    """Parts of these sizes, one after the other."""
    bounds = [0, train, train + validation, train + validation + test]
    return Split(*(tuple(range(first, last)) for first, last in pairwise(bounds)))


@cache
def plain_corpus(size: int = 400, seed: int = 5) -> Corpus:
    """Synthetic text without any fault."""
    return synthetic_corpus(size, seed)


@cache
def plain_split() -> Split:
    """The notebook's split of `plain_corpus()`."""
    return split_corpus(plain_corpus())


def part_of(corpus: Corpus, indices: Sequence[int]) -> list[Sentence]:
    """The sentences of these indices."""
    return [corpus.sentences[index] for index in indices]


def with_marks(
    corpus: Corpus, marks: dict[str, tuple[str, str]], *, inside: bool = False, moved_space: bool = False
) -> Corpus:
    """The corpus with marks around the entities of each type, within their spans or outside of them."""
    return replace(corpus, sentences=tuple(_marked(s, marks, inside, moved_space) for s in corpus.sentences))


def same_marks(opening: str, closing: str) -> dict[str, tuple[str, str]]:
    """The same marks for every medical type."""
    return dict.fromkeys(BRACKETS, (opening, closing))


def _marked(sentence: Sentence, marks: dict[str, tuple[str, str]], inside: bool, moved_space: bool) -> Sentence:
    text, spans, done = "", [], 0
    for span in sentence.spans:
        opening, closing = marks.get(span.label, ("", ""))
        text += sentence.text[done : span.start] + ("" if inside else opening)
        start = len(text)
        text += f"{opening}{span.text_in(sentence.text)}{closing}" if inside else span.text_in(sentence.text)
        spans.append(Span(start, len(text), span.label))
        text += ("" if inside else closing) + (" " if moved_space and sentence.text[span.end] in ".,?" else "")
        done = span.end
    return replace(sentence, text=text + sentence.text[done:], spans=tuple(spans))
