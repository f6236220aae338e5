"""Annotation markup: brackets in the text around the entities that they mark.

Swedish medical NER is annotated in the text itself: `( … )` for a disorder or finding, `[ … ]` for a drug and `{ … }`
for a body structure. In part of the corpus there is a space inside each bracket, and one before punctuation that
follows; the original text had neither.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from tune_ner.data.corpus import BODY, DISORDER, DRUG, Corpus, Sentence, Span, ordered_types

MarkupMode = Literal["keep", "strip"]

UNPAIRED = "unbalanced or empty brackets"

CLOSING = {"(": ")", "[": "]", "{": "}"}
MEDICAL_BRACKETS: Mapping[str, str] = {"(": DISORDER, "[": DRUG, "{": BODY}

# The pattern of the hub's data set. Its curly branch allows curly brackets inside, so it matches from the first { of a
# sentence to the last }; this error is part of the data "as published". After a { without a } no later
# one has a } either: the last branch skips them all at once instead of searching the rest of the sentence for each.
_PUBLISHED = re.compile(r"\[[^\[\]()]+\]|\([^\[\]()]+\)|\{[^\[\]()]+\}|(?P<open>\{[^\[\]()]*)")
_INNERMOST = re.compile(r"\(([^()\[\]{}]+)\)|\[([^()\[\]{}]+)\]|\{([^()\[\]{}]+)\}")
_BRACKET = re.compile(r"[()\[\]{}]")
_MOVED_SPACE = re.compile(r" (?=[.,;:!?)])")


def published_spans(text: str) -> tuple[Span, ...]:
    """Return the spans of a line as in the hub's data set: including brackets, with several body structures merged."""
    return tuple(
        Span(match.start(), match.end(), MEDICAL_BRACKETS[match.group()[0]])
        for match in _PUBLISHED.finditer(text)
        if not match["open"]
    )


def unpaired_brackets(text: str) -> int:
    """Return the number of brackets outside of innermost pairs, which are text instead of markup."""
    return len(_BRACKET.findall(text)) - 2 * sum(1 for _ in _pairs(text))


def _pairs(text: str) -> Iterator[re.Match[str]]:
    return (match for match in _INNERMOST.finditer(text) if match.group()[1:-1].strip())


def _restore(text: str, brackets: Mapping[str, str]) -> tuple[str, tuple[Span, ...]]:
    pieces: list[str] = []
    spans: list[Span] = []
    length = position = 0
    for match in _pairs(text):
        label = brackets.get(match.group()[0])
        if label is None:
            continue
        inside = match.group()[1:-1]
        entity = inside.strip()
        before = text[position : match.start()]
        start = length + len(before)
        pieces += before, entity
        length = start + len(entity)
        spans.append(Span(start, length, label))
        position = match.end()
        # only annotation with spaces inside the brackets also has a space before punctuation
        if inside != entity and _MOVED_SPACE.match(text, position):
            position += 1
    pieces.append(text[position:])
    return "".join(pieces), tuple(spans)


def strip_markup(sentence: Sentence, brackets: Mapping[str, str] = MEDICAL_BRACKETS) -> Sentence:
    """Return the sentence without its markup, with spans read from the innermost bracket pairs.

    Brackets are removed with the white space inside them and, after a pair with such white space, one space before
    `. , ; : ! ? )`. Unpaired and empty brackets are kept as text.

    Args:
        sentence: text with markup; its spans are ignored, because published ones may be merged.
        brackets: the entity type that each opening bracket marks; other brackets are text.
    """
    text, spans = _restore(sentence.text, brackets)
    return replace(sentence, text=text, spans=spans)


def strip_corpus(corpus: Corpus) -> Corpus:
    """Return the corpus without markup, or unchanged with a note if most of its spans have no brackets around them.

    Otherwise, parentheses in a corpus without markup would become entities.
    """
    brackets = _bracket_types(corpus)
    if not brackets:
        note = "markup 'strip': the spans have no brackets around them; nothing to strip"
        return replace(corpus, notes=(*corpus.notes, note))
    sentences = tuple(strip_markup(sentence, brackets) for sentence in corpus.sentences)
    notes = [*corpus.notes]
    bare = [
        sentence.source or sentence.id
        for sentence in corpus.sentences
        for span in sentence.spans
        if not _bracket_around(sentence.text, span)
    ]
    if bare:
        notes.append(f"markup 'strip': {len(bare)} spans without brackets were dropped: {first_places(bare)}")
    odd = [sentence.source or sentence.id for sentence in corpus.sentences if unpaired_brackets(sentence.text)]
    if odd and not any(UNPAIRED in note for note in notes):
        notes.append(f"{UNPAIRED} in {len(odd)} sentences are kept as text: {first_places(odd)}")
    types = ordered_types({span.label for sentence in sentences for span in sentence.spans} | {*corpus.entity_types})
    return replace(corpus, sentences=sentences, entity_types=types, notes=tuple(notes), is_stripped=True)


def has_bracket_markup(corpus: Corpus) -> bool:
    """Return whether the annotation of a corpus is, or was before it was stripped, brackets in the text."""
    return corpus.is_stripped or bool(_bracket_types(corpus))


def first_places(places: Sequence[str]) -> str:
    """Return the first three places of a list as text for a note."""
    return ", ".join(places[:3]) + (" …" if len(places) > 3 else "")


def _bracket_types(corpus: Corpus) -> dict[str, str]:
    """Return the most frequent type of each bracket; empty if most spans have no brackets around them."""
    votes: dict[str, Counter[str]] = {}
    spans = 0
    for sentence in corpus.sentences:
        for span in sentence.spans:
            spans += 1
            if opening := _bracket_around(sentence.text, span):
                votes.setdefault(opening, Counter())[span.label] += 1
    if 2 * sum(counter.total() for counter in votes.values()) <= spans:
        return {}
    return {opening: counter.most_common(1)[0][0] for opening, counter in votes.items()}


def _bracket_around(text: str, span: Span) -> str:
    inside = span.text_in(text)
    if inside and CLOSING.get(inside[0]) == inside[-1]:
        return inside[0]
    before, after = text[: span.start].rstrip(), text[span.end :].lstrip()
    if before and after and CLOSING.get(before[-1]) == after[0]:
        return before[-1]
    return ""
