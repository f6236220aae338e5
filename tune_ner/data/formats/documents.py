"""Whole documents with spans → sentences: one for each line, or for each sentence that the format marks."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from reprlib import repr as shown
from typing import Any

from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.formats.offsets import CHARACTERS, OffsetUnit, checked_span, in_any_unit, trimmed
from tune_ner.data.formats.options import Discontinuous
from tune_ner.errors import DataError


@dataclass(frozen=True)
class Document:
    """A text with its spans, before it is divided into sentences.

    Attributes:
        name: its sentences are called `name_0`, `name_1` …
        group: its sentences are in one split if the user asks for it.
        place: its origin, for messages.
        starts: where its sentences begin, ascending; empty if each line is one.
    """

    name: str
    text: str
    spans: Sequence[Span]
    group: str
    place: str
    starts: Sequence[int] = ()


def divided(document: Document, place_of: Callable[[int], str] | None = None) -> Iterator[Sentence]:
    """Yield the sentences of a document with their spans; those that a span crosses are joined, empty ones left out.

    Args:
        document: the document.
        place_of: the origin of a sentence that begins at an offset; by default that of the document.
    """
    text = document.text
    starts = {0, *(document.starts or (match.end() for match in re.finditer("\n", text)))}
    inner = {start for span in document.spans for start in starts if span.start < start < span.end}
    bounds = [*sorted(starts - inner), len(text)]
    by_sentence: dict[int, list[Span]] = {}
    for span in document.spans:
        by_sentence.setdefault(bisect_right(bounds, span.start, hi=len(bounds) - 1) - 1, []).append(span)
    ends: str | None = None  # white space between two marked sentences belongs to neither
    if len(document.starts) <= 1:  # a single sentence is kept unchanged
        ends = "" if document.starts else "\r\n"
    for number, start in enumerate(bounds[:-1]):
        found = text[start : bounds[number + 1]]
        line = found.rstrip(ends)
        if line.strip():
            spans = sorted(Span(s.start - start, s.end - start, s.label) for s in by_sentence.get(number, ()))
            place = place_of(start) if place_of else document.place
            yield Sentence(f"{document.name}_{number}", line, tuple(spans), place, document.group)


def check_mention(span: Span, text: str, mention: str, place: str, counts: Counter[str]) -> None:
    """Compare a span with the text that the file gives for it.

    White space may differ. A text of the same length with the same letters and digits in their places may differ in
    other characters, such as quotation marks; it is counted.

    Raises:
        DataError: it is another text, or blank.
    """
    found = span.text_in(text)
    if found.split() != mention.split():
        pairs = zip(found, mention, strict=False)
        letters = [pair for pair in pairs if pair[0].isalnum() or pair[1].isalnum()]
        if letters and len(found) == len(mention) and all(a == b for a, b in letters):
            counts["entities whose text differs in punctuation, read by their offsets"] += 1
            return
        raise DataError(
            f"{place}: the entity {mention[:60]!r} is not at its offsets {span.start} to {span.end}, where the text is "
            f"{found[:60]!r}; expected offsets in characters: correct "
            "or remove this annotation in the file"
        )
    if not mention.strip():
        raise DataError(f"{place}: an entity of type {span.label} without a character; expected a word")


def whole_range(
    ranges: Sequence[tuple[int, int]], policy: Discontinuous, place: str, counts: Counter[str]
) -> tuple[int, int] | None:
    """Return the range of an entity of one part or more; None if it is left out, which is counted.

    Raises:
        DataError: it has several parts, and that is an error.
    """
    if len(ranges) < 2:
        return ranges[0] if ranges else None
    if policy == "error":
        raise DataError(
            f"{place}: an entity of {len(ranges)} parts; `--discontinuous cover` reads it from its first to its last "
            "character, `omit` leaves it out"
        )
    if policy == "omit":
        counts["discontinuous entities left out"] += 1
        return None
    counts["discontinuous entities, read from their first to their last character"] += 1
    return min(start for start, _ in ranges), max(end for _, end in ranges)


def check_parts(ranges: Sequence[tuple[int, int]], text: str, mention: str, place: str) -> None:
    """Compare the parts of a discontinuous entity with the text that the file gives for it; white space may differ.

    Raises:
        DataError: it is another text.
    """
    found = " ".join(text[start:end] for start, end in ranges)
    if found.split() != mention.split():
        raise DataError(
            f"{place}: the entity {mention[:60]!r} is not at its offsets, where the text is {found[:60]!r}; expected "
            "offsets in characters: correct or remove this annotation in the file"
        )


# ---- documents as rows of JSON: BioC and the `kb` schema of BigBio


def has_passages(row: Mapping[str, Any]) -> bool:
    """Return whether a row is a document in BioC JSON or in BigBio's `kb` schema."""
    passages = row.get("passages")
    is_list = isinstance(passages, list) and all(isinstance(passage, Mapping) for passage in passages)
    return is_list and (
        "entities" in row or any({"annotations", "sentences"} & passage.keys() for passage in passages or ())
    )


def passages_of(
    row: Mapping[str, Any],
    place: str,
    name: str,
    group: str,
    counts: Counter[str],
    discontinuous: Discontinuous = "omit",
) -> Iterator[Sentence]:
    """Yield the sentences of a document of passages, each of which is divided at its line ends.

    Args:
        row: the document.
        place: `file:line` for messages.
        name: the name of the document if it has no id.
        group: what its sentences belong to; by default the document.
        counts: receives the number of annotations that were left out or changed, by reason.
        discontinuous: what an entity of several parts is read as.

    Raises:
        DataError: a passage or an annotation has another shape, is outside of the passages, or its text is another
            one than at its offsets.
    """
    if not has_passages(row):
        raise DataError(f"{place}: found the keys {', '.join(map(str, row))}; expected `passages`, as in other rows")
    identifier = str(row.get("document_id") or row.get("id") or name)
    units = [unit for passage in row["passages"] for unit in _units(passage)]
    passages = [_passage(unit, place) for unit in units]
    annotations = [_bioc_annotation(each, place) for part in [row, *units] for each in _annotations(part, place)]
    annotations += [_bigbio_annotation(entity, place) for entity in row.get("entities") or ()]

    def read(unit: OffsetUnit, own: Counter[str]) -> list[list[Span]]:
        spans: list[list[Span]] = [[] for _ in passages]
        for label, mention, ranges in annotations:
            if not ranges:
                own["annotations without a place left out"] += 1
            whole = whole_range(ranges, discontinuous, place, own)
            if whole is None:
                continue
            index, span = _placed(*whole, label, passages, place, unit)
            text = passages[index][1]
            if mention is None and unit is not CHARACTERS:
                raise DataError(f"{place}: the {label} at {ranges[0]} has no text that shows what its offsets count")
            if mention is not None and len(ranges) > 1:
                offset = passages[index][0]
                inside = [(unit.characters(text, a - offset), unit.characters(text, b - offset)) for a, b in ranges]
                check_parts(inside, text, mention, place)
            elif mention is not None:
                check_mention(span, text, mention, place, own)
            if kept := trimmed(span, text, own):
                spans[index].append(kept)
        return spans

    for number, ((_, text), spans) in enumerate(zip(passages, in_any_unit(read, counts), strict=True)):
        yield from divided(Document(f"{identifier}_{number}", text, spans, group or identifier, place))


_Passage = tuple[int, str]
"""Offset in the document, and text."""
_Annotation = tuple[str, str | None, list[tuple[int, int]]]
"""Type, text if given, and half-open ranges in the document."""


def _units(passage: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return a passage, or its sentences if these have the text."""
    sentences = passage.get("sentences")
    if not passage.get("text") and isinstance(sentences, list) and all(isinstance(s, Mapping) for s in sentences):
        return sentences or [passage]
    return [passage]


def _passage(passage: Mapping[str, Any], place: str) -> _Passage:
    text, offset = passage.get("text") or "", passage.get("offset", 0)
    if isinstance(text, list) and len(text) == 1:
        text = text[0]
    offsets = passage.get("offsets")
    if isinstance(offsets, list) and len(offsets) == 1 and isinstance(offsets[0], list) and offsets[0]:
        offset = offsets[0][0]
    if not isinstance(text, str) or not _is_number(offset):
        raise DataError(f"{place}: found the passage {shown(dict(passage))}; expected one `text` with one offset")
    return offset, text


def _annotations(passage: Mapping[str, Any], place: str) -> Iterable[Mapping[str, Any]]:
    found = passage.get("annotations") or []
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise DataError(f"{place}: `annotations` is {shown(found)}; expected a list of objects")
    return found


def _bioc_annotation(annotation: Mapping[str, Any], place: str) -> _Annotation:
    infons, locations = annotation.get("infons"), annotation.get("locations")
    label = infons.get("type") if isinstance(infons, Mapping) else None
    mention = annotation.get("text")
    is_valid = isinstance(locations, list) and all(
        isinstance(each, Mapping) and _is_number(each.get("offset")) and _is_number(each.get("length"))
        for each in locations
    )
    if not isinstance(label, str) or not is_valid or not isinstance(mention, str | None):
        raise DataError(
            f"{place}: found the annotation {shown(dict(annotation))}; expected `infons` with a `type`, and "
            "`locations` with `offset` and `length`"
        )
    return label, mention or None, [(each["offset"], each["offset"] + each["length"]) for each in locations or ()]


def _bigbio_annotation(entity: Any, place: str) -> _Annotation:
    label, ranges = (entity.get("type"), entity.get("offsets")) if isinstance(entity, Mapping) else (None, None)
    is_valid = isinstance(ranges, list) and all(
        isinstance(each, list | tuple) and len(each) == 2 and all(map(_is_number, each)) for each in ranges
    )
    if not isinstance(label, str) or not is_valid:
        raise DataError(f"{place}: found the entity {shown(entity)}; expected `type`, `text` and `offsets`")
    texts = entity.get("text")
    mention = texts[0] if isinstance(texts, list) and len(texts) == 1 and isinstance(texts[0], str) else None
    return label, mention, [(start, end) for start, end in ranges or ()]


def _placed(
    start: int, end: int, label: str, passages: Sequence[_Passage], place: str, unit: OffsetUnit
) -> tuple[int, Span]:
    """Return the passage that contains a range of the document, and the span in it."""
    for index, (offset, text) in enumerate(passages):
        if offset <= start and end <= offset + unit.length(text):
            first, after = (unit.characters(text, each - offset) for each in (start, end))
            return index, checked_span(first, after, label, text, place)
    listed = ", ".join(f"{offset} to {offset + len(text)}" for offset, text in passages[:5])
    raise DataError(
        f"{place}: the {label} at {start} to {end} is not within one passage; found passages from "
        f"{listed or '(none)'}; expected offsets in characters of the document"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
