"""Boundary markers: characters next to entities that give away where entities start or end.

Nothing is assumed about the annotation format. Every string of up to four characters without a letter or digit, and
every tag, is a candidate wherever it touches an entity boundary, inside or outside the entity. It is a marker if it
rarely occurs elsewhere and if boundaries are more likely at it than at comparable places: for white space and sentence
punctuation, words next to the same punctuation with different spacing (a full stop may follow every entity of a small
corpus); for other strings, all word boundaries.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import regex

from tune_ner.audit.findings import ratio
from tune_ner.data.corpus import Sentence, valid_spans

Side = Literal["start", "end"]
Kind = Literal["brackets", "tags", "spacing", "characters"]

SENTENCE_PUNCTUATION = frozenset(".,;:!?…。、，；：！？،؛؟")
_OPENING, _CLOSING_BRACKETS = frozenset("([{<"), frozenset(")]}>")
_BRACKETS = _OPENING | _CLOSING_BRACKETS
_NATURAL = frozenset("§¶#@&°%‰†‡№'\"`´-–/+") | SENTENCE_PUNCTUATION
"""Characters that are part of names and numbers: `U.S.`, `§ 3`, `#tag`, `Ca2 +`."""

_MAX_LENGTH = 4
_MIN_PRECISION = 0.9
_MIN_HITS = 5
_MIN_LIFT = 2.0  # how many times more likely a boundary must be at a marker than at comparable places without it
_PRIOR = 5.0  # pseudo-count of places without the marker, so that a few of them do not make a contrast
_MIN_SHARE = 0.5  # share of all occurrences, including those inside entities, that must be at a boundary

# Apostrophes, combining marks and the like do not end a word; an underscore may be markup.
_NO_WORD = regex.compile(r"(?:[^\w\p{M}]|_)+")
_WORD = regex.compile(r"(?:[^\W_]|\p{M})+")
_TAG = regex.compile(r"<[^<>\s][^<>]{0,60}>|\[/?\w[^\[\]<>]{0,40}\]|\{/?\w[^{}<>]{0,40}\}")


class Candidate(NamedTuple):
    """A string at `[start, end)` of a text, and whether a word is directly before and after it."""

    text: str
    start: int
    end: int
    after_word: bool
    before_word: bool

    def is_next_to_word(self, side: Side) -> bool:
        """Return whether a word is next to it on the side of the entity."""
        return self.before_word if side == "start" else self.after_word

    def boundary(self, side: Side, inside: int) -> int:
        """Return the position of the entity boundary if `inside` characters belong to the entity."""
        return self.end - inside if side == "start" else self.start + inside


@dataclass(frozen=True, eq=False)
class BoundaryMarker:
    """A string that marks the start or end of entities, with `inside` of its characters in the entity.

    `is_next_to_word` (on the side of the entity) distinguishes an opening `*` from a closing one. `hits` of its
    `occurrences` in train are at an entity boundary, with the entity types `labels`; occurrences inside entities are
    not counted, so that merged entities do not hide the markup that they contain.
    """

    side: Side
    text: str
    inside: int
    is_next_to_word: bool
    hits: int
    occurrences: int
    labels: Mapping[str, int]

    @property
    def visible(self) -> str:
        """Its characters without white space."""
        return "".join(self.text.split())

    @property
    def kind(self) -> Kind:
        """The kind of its characters; `spacing` is white space, with or without sentence punctuation."""
        if len(self.text) > 2 and _TAG.fullmatch(self.text.strip()):
            return "tags"
        if SENTENCE_PUNCTUATION.issuperset(self.visible):
            return "spacing"
        is_bracket = all(unicodedata.category(character) in ("Ps", "Pe", "Pi", "Pf") for character in self.visible)
        return "brackets" if is_bracket else "characters"

    @property
    def label(self) -> str:
        """Its most frequent entity type."""
        return max(self.labels, key=lambda label: self.labels[label])

    @property
    def purity(self) -> float:
        """Share of its hits that have the most frequent type."""
        return ratio(self.labels[self.label], sum(self.labels.values()))

    def description(self) -> str:
        """Describe it in words."""
        if self.kind != "spacing":
            return f"`{self.text.strip()}`"
        if not self.visible:
            return f"the white space {self.text!r}"
        if self.text[0] == " " and self.visible[0] in SENTENCE_PUNCTUATION:
            return "a space before punctuation"
        return f"the spacing {self.text!r}"


class MarkerSet:
    """Boundary markers of one side, the most informative first."""

    def __init__(self, side: Side, markers: Sequence[BoundaryMarker]) -> None:
        self.side = side
        self.markers = tuple(markers)
        self._rank = {marker: rank for rank, marker in enumerate(markers)}
        self._by_text: dict[tuple[str, bool], list[BoundaryMarker]] = {}
        for marker in markers:
            self._by_text.setdefault((marker.text, marker.is_next_to_word), []).append(marker)

    def matches(self, text: str) -> Iterator[tuple[int, BoundaryMarker]]:
        """Yield every boundary that a marker indicates, with the marker."""
        for candidate in find_candidates(text) if self.markers else ():
            for marker in self._by_text.get((candidate.text, candidate.is_next_to_word(self.side)), ()):
                yield candidate.boundary(self.side, marker.inside), marker

    def find(self, text: str) -> dict[int, BoundaryMarker]:
        """Return the indicated boundaries from left to right, each with its most informative marker."""
        found: dict[int, BoundaryMarker] = {}
        for position, marker in self.matches(text):
            if position not in found or self._rank[marker] < self._rank[found[position]]:
                found[position] = marker
        return dict(sorted(found.items()))


def find_candidates(text: str) -> Iterator[Candidate]:
    """Yield the short pieces of the characters between words, and tags."""
    for match in _NO_WORD.finditer(text):
        first, last = match.span()
        for start in range(first, last):
            for end in range(start + 1, min(start + _MAX_LENGTH, last) + 1):
                after_word = start == first and start > 0
                before_word = end == last and end < len(text)
                yield Candidate(text[start:end], start, end, after_word, before_word)
    for match in _TAG.finditer(text):
        first, last = match.span()
        ranges = [(first, last)]
        if text[last : last + 1].isspace():
            ranges.append((first, last + 1))
        if first and text[first - 1].isspace():
            ranges.append((first - 1, last))
        for start, end in ranges:
            yield Candidate(text[start:end], start, end, _is_word(text, start - 1), _is_word(text, end))


def learn_markers(sentences: Sequence[Sentence], side: Side) -> MarkerSet:
    """Learn the markers of one side, tags first, then by hits, visible characters and shortness.

    Markers that indicate the same boundaries as those before them are left out.
    """
    found: Counter[tuple[str, bool]] = Counter()
    inside_entities: Counter[tuple[str, bool, int]] = Counter()
    labels: dict[tuple[str, bool, int], Counter[str]] = {}
    rates = _BoundaryRates(side)
    for sentence in sentences:
        boundaries = _boundaries(sentence, side)
        inner = inner_positions(sentence)
        rates.add(sentence.text, boundaries)
        for candidate in find_candidates(sentence.text):
            if _is_bracketed_entity(candidate, sentence):
                continue
            key = candidate.text, candidate.is_next_to_word(side)
            found[key] += 1
            for inside in _inside_options(candidate.text) if boundaries else ():
                position = candidate.boundary(side, inside)
                if position in boundaries:
                    labels.setdefault((*key, inside), Counter())[boundaries[position]] += 1
                elif position in inner:
                    inside_entities[(*key, inside)] += 1
    markers = []
    for (text, next_to_word, inside), types in labels.items():
        total = found[text, next_to_word]
        if types.total() >= _MIN_SHARE * total and not _is_natural(text, inside, side):
            outside = total - inside_entities[text, next_to_word, inside]
            markers.append(BoundaryMarker(side, text, inside, next_to_word, types.total(), outside, types))
    informative = [marker for marker in markers if _is_informative(marker, rates)]
    return _remove_redundant(_without_ordinary_parentheses(informative, sentences), sentences, side)


def _without_ordinary_parentheses(markers: list[BoundaryMarker], sentences: Sequence[Sentence]) -> list[BoundaryMarker]:
    """Leave out parentheses if they stand around entities of some types only and nothing else marks the others.

    In `Anna ( Spain )` they are part of the text; annotation would mark every type.
    """
    entities = Counter(span.label for sentence in sentences for span in valid_spans(sentence))
    marked = sum((Counter(marker.labels) for marker in markers), Counter[str]())
    unmarked = [label for label, number in entities.items() if number >= _MIN_HITS and not marked[label]]
    return [marker for marker in markers if not (unmarked and set(marker.visible) <= {"(", ")"})]


def describe(starts: Sequence[BoundaryMarker], ends: Sequence[BoundaryMarker]) -> str:
    """Describe markers in words, such as `brackets around entities` or `a space before punctuation after entities`."""
    starts, ends = _without_spacing(starts), _without_spacing(ends)
    if not starts or not ends:
        return f"{join_descriptions(starts or ends)} {'before' if starts else 'after'} entities"
    if {marker.kind for marker in (*starts, *ends)} == {"brackets"}:
        return "brackets around entities"
    first, last = join_descriptions(starts), join_descriptions(ends)
    return f"{first} around entities" if first == last else f"{first} before and {last} after entities"


def _without_spacing(markers: Sequence[BoundaryMarker]) -> Sequence[BoundaryMarker]:
    """Leave out spacing if there are other markers, which are easier to see."""
    return [marker for marker in markers if marker.kind != "spacing"] or markers


def join_descriptions(markers: Iterable[BoundaryMarker]) -> str:
    """List the different descriptions of markers."""
    return ", ".join(dict.fromkeys(marker.description() for marker in markers))


def word_ranges(text: str) -> list[tuple[int, int]]:
    """Return start and end of the maximal runs of letters, digits and combining marks."""
    return [match.span() for match in _WORD.finditer(text)]


def inner_positions(sentence: Sentence) -> set[int]:
    """Return the positions inside entities, without their boundaries."""
    positions: set[int] = set()
    reached = 0
    for span in sorted(valid_spans(sentence)):
        # skip what an earlier span covers: the time stays linear for nested spans
        positions.update(range(max(span.start + 1, reached), span.end))
        reached = max(reached, span.end)
    return positions


def _is_bracketed_entity(candidate: Candidate, sentence: Sentence) -> bool:
    """Return whether a candidate such as `[zinc]` is an entity in its brackets and no tag."""
    if candidate.text.strip()[:1] not in ("[", "{") or not any(map(str.isalnum, candidate.text)):
        return False
    return any(candidate.start <= s.start and s.end <= candidate.end for s in sentence.spans if s.end > s.start)


def _inside_options(text: str) -> Sequence[int]:
    """Return how many characters of a marker may belong to the entity; `[drug]` in its own brackets is not a tag."""
    if len(text) <= _MAX_LENGTH and not any(map(str.isalnum, text)):
        return range(len(text) + 1)
    return (0, len(text)) if "<" in text else (0,)


def _boundaries(sentence: Sentence, side: Side) -> dict[int, str]:
    return {span.start if side == "start" else span.end: span.label for span in valid_spans(sentence)}


def _is_word(text: str, position: int) -> bool:
    return 0 <= position < len(text) and _NO_WORD.match(text, position) is None


def _is_natural(text: str, inside: int, side: Side) -> bool:
    """Return whether characters occur next to entities without any annotation.

    That holds for quotation marks, for a bracket that opens after or closes before an entity, for a bracket together
    with characters of `_NATURAL` (`%)`), and for these and currency signs as a part of the entity.
    """
    visible = "".join(text.split())
    if not visible or any(map(str.isalnum, visible)):
        return False
    if all(_is_quotation_mark(character) for character in visible):
        return True
    others = set(visible) - _BRACKETS
    is_usual = all(c in _NATURAL or _is_quotation_mark(c) or unicodedata.category(c) == "Sc" for c in others)
    if _BRACKETS.intersection(visible):
        return is_usual and not (_OPENING if side == "start" else _CLOSING_BRACKETS).issuperset(visible)
    return inside > 0 and is_usual


def _is_quotation_mark(character: str) -> bool:
    return character in "'\"`´" or unicodedata.category(character) in ("Pi", "Pf") or character in "„‚"


class _BoundaryRates:
    """How often word boundaries are entity boundaries: in total, and by the punctuation next to the word."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._places: Counter[str] = Counter()
        self._hits: Counter[str] = Counter()

    def add(self, text: str, boundaries: Iterable[int]) -> None:
        """Count the gaps between the words of a text; a boundary anywhere in a gap is a hit."""
        positions = sorted(boundaries)
        for match in _NO_WORD.finditer(text):
            first, last = match.span()
            if (last == len(text)) if self._side == "start" else (first == 0):
                continue
            keys = {"", self._punctuation(match.group())}
            self._places.update(keys)
            if bisect_left(positions, first) < bisect_right(positions, last):
                self._hits.update(keys)

    def without(self, marker: BoundaryMarker) -> float:
        """Return the rate at comparable places without the marker, smoothed by the overall rate."""
        key = self._punctuation(marker.text) if marker.kind == "spacing" else ""
        overall = ratio(self._hits[key], self._places[key])
        hits = max(0, self._hits[key] - marker.hits)
        places = max(hits, self._places[key] - marker.occurrences)
        return (hits + _PRIOR * overall) / (places + _PRIOR)

    def _punctuation(self, gap: str) -> str:
        visible = gap.strip()
        return (visible[-1] if self._side == "start" else visible[0]) if visible else ""


def _is_informative(marker: BoundaryMarker, rates: _BoundaryRates) -> bool:
    precision = ratio(marker.hits, marker.occurrences)
    if marker.hits < _MIN_HITS or precision < max(_MIN_PRECISION, _MIN_LIFT * rates.without(marker)):
        return False
    # white space next to a character that is not a word adds nothing to that character
    return marker.is_next_to_word or not marker.text.isspace()


def _remove_redundant(markers: list[BoundaryMarker], sentences: Sequence[Sentence], side: Side) -> MarkerSet:
    markers.sort(key=lambda m: (m.kind != "tags", -m.hits, -len(m.visible), len(m.text), m.inside, m.text))
    candidates = MarkerSet(side, markers)
    covers: dict[BoundaryMarker, set[tuple[int, int]]] = {marker: set() for marker in markers}
    for number, sentence in enumerate(sentences):
        boundaries = _boundaries(sentence, side)
        for position, marker in candidates.matches(sentence.text) if boundaries else ():
            if position in boundaries:
                covers[marker].add((number, position))
    kept: list[BoundaryMarker] = []
    covered: set[tuple[int, int]] = set()
    for marker in markers:
        if len(covers[marker] - covered) >= _MIN_HITS:
            kept.append(marker)
            covered |= covers[marker]
    # later markers together may cover all boundaries of an earlier one; ordinary punctuation is removed before markup
    for marker in sorted(kept, key=lambda marker: (marker.kind != "spacing", marker.hits)):
        others = set[tuple[int, int]]().union(*(covers[other] for other in kept if other is not marker))
        if len(covers[marker] - others) < _MIN_HITS:
            kept.remove(marker)
    return MarkerSet(side, kept)
