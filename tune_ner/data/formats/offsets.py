"""Spans and their offsets: checks, and conversion of offsets that do not count characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from reprlib import repr as shown
from typing import TypeVar

from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.tag_parsing import is_type_name
from tune_ner.errors import DataError

Mention = tuple[str, str, Span]
"""The place (`file:line`) of a span, the text that the file gives for it, and the span."""


def checked_span(start: object, end: object, label: str, text: str, place: str, is_bound: bool = True) -> Span:
    """Return the span if it is within its text.

    Args:
        start, end: its offsets in characters.
        label: its type.
        text: its text.
        place: `file:line` for messages.
        is_bound: whether the offsets are known to count characters, so that they must be within the text.

    Raises:
        DataError: an offset is not an integer or outside of the text, or the type is empty.
    """
    # true and false in JSON are instances of int
    if not (isinstance(start, int) and isinstance(end, int)) or isinstance(start, bool) or isinstance(end, bool):
        raise DataError(f"{place}: span {shown([start, end, label])}: offsets must be integers")
    limit = len(text) if is_bound else len(text.encode("utf-8", "surrogatepass"))
    if not 0 <= start <= end <= limit:
        raise DataError(
            f"{place}: span {shown([start, end, label])} is outside of its text, which has {len(text)} "
            "characters; expected 0 <= start <= end <= length, counted in characters, end exclusive"
        )
    if not label:
        raise DataError(f"{place}: span [{start}, {end}] has an empty type; expected a name such as 'DRUG'")
    if not is_type_name(label):
        raise DataError(
            f"{place}: span [{start}, {end}] has the type {shown(label)}; expected a name without control "
            "characters and white space around it"
        )
    return Span(start, end, label)


def check_characters(text: str, spans: Sequence[Span], place: str) -> None:
    """Raise DataError if a text or a type has half a surrogate pair, which cannot be written anywhere."""
    try:
        "".join([text, *(span.label for span in spans)]).encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{place}: half a surrogate pair (U+{ord(error.object[error.start]):04X}) instead of a character; "
            "write the character itself or both halves of its escape"
        ) from error


def to_characters(
    sentences: Sequence[Sentence], mentions: Sequence[Mention], counts: Counter[str], with_spans: Container[str]
) -> list[Sentence]:
    """Return the sentences with offsets in characters, as the texts of their spans show; trims white space.

    Args:
        sentences: the sentences as read.
        mentions: the texts that the file gives for spans.
        counts: receives how many spans were changed or left out, by reason.
        with_spans: the places of the sentences that have spans, and not tags.

    Raises:
        DataError: the text of a span is another one than at its offsets.
    """
    texts = {sentence.source: sentence.text for sentence in sentences} if mentions else {}

    def misplaced(convert: _Conversion) -> Mention | None:
        return next(
            (m for m in mentions if not _is_at(m[1], texts.get(m[0], ""), convert(texts.get(m[0], ""), m[2]))), None
        )

    for name, convert in _OFFSETS.items():
        if misplaced(convert) is None:
            if name:
                counts[f"spans whose offsets {name}, converted to characters"] = len(mentions)
            return [_converted(s, convert, counts) if s.spans and s.source in with_spans else s for s in sentences]
    place, mention, span = next(found for found in [misplaced(_OFFSETS[""])] if found)
    raise DataError(
        f"{place}: span [{span.start}, {span.end}, {span.label!r}] has the text {shown(mention)}, but the "
        f"characters at its offsets are {shown(span.text_in(texts.get(place, '')))}; expected offsets in "
        "characters, end exclusive"
    )


def trimmed(span: Span, text: str, counts: Counter[str]) -> Span | None:
    """Return a span without the white space around it; None if nothing is left."""
    inside = span.text_in(text)
    stripped = inside.strip()
    if len(stripped) == len(inside) > 0:
        return span
    if not stripped:
        counts["spans of white space left out" if inside else "empty spans left out"] += 1
        return None
    counts["spans with white space around them, which was cut off"] += 1
    start = span.start + len(inside) - len(inside.lstrip())
    return Span(start, start + len(stripped), span.label)


def _converted(sentence: Sentence, convert: _Conversion, counts: Counter[str]) -> Sentence:
    found = [trimmed(convert(sentence.text, span), sentence.text, counts) for span in sentence.spans]
    spans = tuple(sorted(span for span in found if span))
    return sentence if spans == sentence.spans else replace(sentence, spans=spans)


@dataclass(frozen=True)
class OffsetUnit:
    """What the offsets of a file count: characters, or units of `size` bytes in an encoding."""

    name: str
    encoding: str = ""
    size: int = 1

    def length(self, text: str) -> int:
        """Return the length of a text."""
        return len(text.encode(self.encoding, "surrogatepass")) // self.size if self.encoding else len(text)

    def characters(self, text: str, offset: int) -> int:
        """Return an offset in characters; one outside of the text, unchanged, remains outside."""
        if not self.encoding or text.isascii() or not 0 <= offset <= self.length(text):
            return offset
        content = text.encode(self.encoding, "surrogatepass")[: self.size * offset]
        return len(content.decode(self.encoding, "ignore"))

    def span(self, text: str, span: Span) -> Span:
        """Return a span with offsets in characters."""
        return Span(self.characters(text, span.start), self.characters(text, span.end), span.label)


CHARACTERS = OffsetUnit("characters")
UTF16 = OffsetUnit("UTF-16 units", "utf-16-le", 2)
_UNITS = (UTF16, OffsetUnit("bytes", "utf-8"))
_Found = TypeVar("_Found")


def in_any_unit(read: Callable[[OffsetUnit, Counter[str]], _Found], counts: Counter[str]) -> _Found:
    """Read the annotation of a document whose offsets count characters, or else another unit, as its texts show.

    Args:
        read: reads the annotation with offsets in a unit, and compares it with the texts that the file gives.
        counts: receives the counts of `read`, and the documents with another unit.

    Raises:
        DataError: that of reading with characters, if no unit fits.
    """
    errors: list[DataError] = []
    for unit in (CHARACTERS, *_UNITS):
        own: Counter[str] = Counter()
        try:
            found = read(unit, own)
        except DataError as error:
            errors.append(error)
            continue
        counts.update(own)
        counts[f"documents whose offsets count {unit.name}, converted to characters"] += unit is not CHARACTERS
        return found
    raise errors[0]


_Conversion = Callable[[str, Span], Span]
_OFFSETS: dict[str, _Conversion] = {
    "": lambda _, span: span,
    "have inclusive ends": lambda _, span: Span(span.start, span.end + 1, span.label),
    **{f"count {unit.name}": unit.span for unit in _UNITS},
}
"""Ways to count offsets; the first one with which every text of a span is at its place is used."""


def _is_at(mention: str, text: str, span: Span) -> bool:
    """Return whether a text is at its span; bracket markup and white space around it do not matter."""
    found = span.text_in(text)
    edges = " \t\n()[]{}"
    return span.end <= len(text) and (found == mention or found.strip(edges) == mention.strip(edges) != "")
