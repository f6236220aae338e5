"""Annotation markup: brackets that stand in the text around the entities that they mark.

Swedish medical NER is annotated in the text itself: `( … )` for a disorder or finding, `[ … ]` for a drug
and `{ … }` for a body structure, in one part of the corpus with a space inside each bracket and, where
punctuation follows, with a space before it that the text did not have.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tune_ner.data.corpus import BODY, DISORDER, DRUG, Corpus, Sentence, Span, ordered_types

MarkupMode = Literal["keep", "strip"]

UNPAIRED = "unbalanced or empty brackets"

CLOSING = {"(": ")", "[": "]", "{": "}"}
MEDICAL_BRACKETS: Mapping[str, str] = {"(": DISORDER, "[": DRUG, "{": BODY}

# What the hub's data set matches. The curly branch does not forbid curly brackets inside, so that it runs
# from a sentence's first { to its last }; that fault is part of the text "as published". Behind a { without its } no
# other has one either: the last branch passes them all at once, where each would be searched to the sentence's end.
_PUBLISHED = re.compile(r"\[[^\[\]()]+\]|\([^\[\]()]+\)|\{[^\[\]()]+\}|(?P<open>\{[^\[\]()]*)")
_INNERMOST = re.compile(r"\(([^()\[\]{}]+)\)|\[([^()\[\]{}]+)\]|\{([^()\[\]{}]+)\}")
_BRACKET = re.compile(r"[()\[\]{}]")
_MOVED_SPACE = re.compile(r" (?=[.,;:!?)])")


def published_spans(text: str) -> tuple[Span, ...]:
    """The spans that the hub's data set gives a line: brackets included, neighbouring body parts merged."""
    return tuple(
        Span(match.start(), match.end(), MEDICAL_BRACKETS[match.group()[0]])
        for match in _PUBLISHED.finditer(text)
        if not match["open"]
    )


def unpaired_brackets(text: str) -> int:
    """Number of brackets that belong to no innermost pair and so are text, not markup."""
    return len(_BRACKET.findall(text)) - 2 * sum(1 for _ in _pairs(text))


def _pairs(text: str) -> Iterator[re.Match[str]]:
    return (match for match in _INNERMOST.finditer(text) if match.group()[1:-1].strip())


@dataclass(frozen=True)
class _Restored:
    text: str
    spans: tuple[Span, ...]


def _restore(text: str, brackets: Mapping[str, str]) -> _Restored:
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
        # Only the annotation that pads its brackets also moves the punctuation away from them.
        if inside != entity and _MOVED_SPACE.match(text, position):
            position += 1
    pieces.append(text[position:])
    return _Restored("".join(pieces), tuple(spans))


def strip_markup(sentence: Sentence, brackets: Mapping[str, str] = MEDICAL_BRACKETS) -> Sentence:
    """The sentence as it was before annotation, its spans read again from the innermost bracket pairs.

    Brackets go, with the white space inside them and, behind a pair that has such white space, the one
    space before `. , ; : ! ? )`. Brackets that belong to no pair, or enclose nothing, stay as text.

    Args:
        sentence: text with its markup; its own spans are ignored, since published ones may be merged.
        brackets: the entity type that each opening bracket marks; other kinds of bracket are text.
    """
    restored = _restore(sentence.text, brackets)
    return replace(sentence, text=restored.text, spans=restored.spans)


def strip_corpus(corpus: Corpus) -> Corpus:
    """Every sentence through `strip_markup`, if the corpus carries such markup; else the corpus with a note.

    A corpus carries markup when most of its spans begin and end at a bracket pair, inside or just outside.
    Without this check the real parentheses of a clean text would be read as entities.
    """
    brackets = _bracket_types(corpus)
    if not brackets:
        note = "markup 'strip': no brackets stand around the spans, so there was nothing to strip"
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
        notes.append(f"markup 'strip': {len(bare)} spans without brackets are no longer spans: {first_places(bare)}")
    odd = [sentence.source or sentence.id for sentence in corpus.sentences if unpaired_brackets(sentence.text)]
    if odd and not any(UNPAIRED in note for note in notes):
        notes.append(f"{UNPAIRED} in {len(odd)} sentences are kept as text: {first_places(odd)}")
    types = ordered_types({span.label for sentence in sentences for span in sentence.spans} | {*corpus.entity_types})
    return replace(corpus, sentences=sentences, entity_types=types, notes=tuple(notes))


def first_places(places: Sequence[str]) -> str:
    """The first few places of a list, for a note."""
    return ", ".join(places[:3]) + (" …" if len(places) > 3 else "")


def _bracket_types(corpus: Corpus) -> dict[str, str]:
    """What each kind of bracket marks, from the published spans; empty when most spans have no brackets."""
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
