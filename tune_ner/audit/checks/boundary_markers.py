"""Cues: characters that are no words and give away where an entity begins or ends.

Nothing is known beforehand about how a corpus was annotated. Every string of up to four characters without a
letter or digit, and every tag, is a candidate wherever it touches the boundary of an entity, from inside or
outside. It is a cue when it hardly stands anywhere else.

What ordinary text does must not count. A full stop or a comma after a word may well follow an entity each
time in a corpus that says little else; there only its spacing could be a trace of annotation. So a cue has
to beat the places without it: a string of white space and sentence punctuation those where a word meets the
same punctuation spaced otherwise; any other string those where words begin or end.
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

MAX_MARKER = 4
MIN_PRECISION = 0.9
MIN_HITS = 5
MIN_LIFT = 2.0
"""How many times likelier a boundary must be at a cue than where words begin or end without it."""
_PRIOR = 5.0
"""Places without the cue that are assumed besides those seen, so that a few of them do not make a contrast."""
_MIN_SHARE = 0.5
"""Share of all occurrences, those within entities included, that must be at a boundary."""

SENTENCE_PUNCTUATION = frozenset(".,;:!?…。、，；：！？،؛؟")

# An apostrophe, a combining mark and the like do not end a word; an underscore may be markup.
_NO_WORD = regex.compile(r"(?:[^\w\p{M}]|_)+")
_WORD = regex.compile(r"(?:[^\W_]|\p{M})+")
_TAG = regex.compile(r"<[^<>\s][^<>]{0,60}>|\[/?\w[^\[\]<>]{0,40}\]|\{/?\w[^{}<>]{0,40}\}")


class Occurrence(NamedTuple):
    """A marker at `[begin, end)` of a text, and whether a word stands right before and right after it."""

    marker: str
    begin: int
    end: int
    after_word: bool
    before_word: bool


@dataclass(frozen=True, eq=False)
class Cue:
    """A marker and where the boundary is that it tells: `inside` of its characters belong to the entity.

    `beside_word` says whether the character next to it on the entity's side is one of a word; that tells an
    opening `*` from a closing one. `hits` of its `occurrences` in train are at the boundary of an entity;
    occurrences within an entity are not among them, so that a span which runs over other annotations does
    not hide the markup that it swallowed.
    """

    side: Side
    marker: str
    inside: int
    beside_word: bool
    hits: int
    occurrences: int
    labels: Mapping[str, int]

    @property
    def is_tag(self) -> bool:
        """Whether the marker is a tag such as `<b>`."""
        return len(self.marker) > 2 and _TAG.fullmatch(self.marker.strip()) is not None

    @property
    def is_ordinary(self) -> bool:
        """Whether the marker is only white space and sentence punctuation."""
        return all(character.isspace() or character in SENTENCE_PUNCTUATION for character in self.marker)

    @property
    def label(self) -> str:
        """The type that it stands at most often."""
        return max(self.labels, key=lambda label: self.labels[label])

    @property
    def purity(self) -> float:
        """Share of its hits that are of that type."""
        return ratio(self.labels[self.label], sum(self.labels.values()))

    def boundary(self, found: Occurrence) -> int:
        """The boundary that an occurrence of the marker tells."""
        return found.end - self.inside if self.side == "start" else found.begin + self.inside


_Key = tuple[str, int, bool]
"""Marker, characters inside the entity, whether a word is beside it on the entity's side."""


def occurrences(text: str) -> Iterator[Occurrence]:
    """Every marker of a text: the short pieces of what stands between words, and tags."""
    for match in _NO_WORD.finditer(text):
        first, last = match.span()
        for begin in range(first, last):
            for end in range(begin + 1, min(begin + MAX_MARKER, last) + 1):
                after_word = begin == first and begin > 0
                before_word = end == last and end < len(text)
                yield Occurrence(text[begin:end], begin, end, after_word, before_word)
    for match in _TAG.finditer(text):
        first, last = match.span()
        ranges = [(first, last)]
        if text[last : last + 1].isspace():
            ranges.append((first, last + 1))
        if first and text[first - 1].isspace():
            ranges.append((first - 1, last))
        for begin, end in ranges:
            yield Occurrence(text[begin:end], begin, end, _is_word(text, begin - 1), _is_word(text, end))


def learn_cues(sentences: Sequence[Sentence], side: Side) -> list[Cue]:
    """The cues that tell the boundaries of one side in these sentences, the most telling ones first.

    Of cues that tell the same boundaries only the first is kept: tags, then what tells more boundaries, then
    what has more visible characters, then the shorter.
    """
    found: Counter[_Key] = Counter()
    within: Counter[_Key] = Counter()
    labels: dict[_Key, Counter[str]] = {}
    surroundings = _Surroundings(side)
    for sentence in sentences:
        boundaries = _boundaries(sentence, side)
        covered = inner_positions(sentence)
        surroundings.add(sentence.text, boundaries)
        for occurrence in occurrences(sentence.text):
            found[_key(occurrence, side, 0)] += 1
            for inside in _offsets(occurrence.marker) if boundaries else ():
                key = _key(occurrence, side, inside)
                position = occurrence.end - inside if side == "start" else occurrence.begin + inside
                if position in boundaries:
                    labels.setdefault(key, Counter())[boundaries[position]] += 1
                elif position in covered:
                    within[key] += 1
    cues = [
        Cue(side, marker, inside, beside, by_label.total(), found[marker, 0, beside] - within[key], by_label)
        for key, by_label in labels.items()
        for marker, inside, beside in [key]
        if by_label.total() >= _MIN_SHARE * found[marker, 0, beside] and not _belongs_to_the_entity(marker, inside)
    ]
    return _without_repeats([cue for cue in cues if _tells(cue, surroundings)], sentences, side)


def told(cues: Sequence[Cue], text: str) -> dict[int, Cue]:
    """The boundaries that the cues tell in a text, in order, each with the first cue that tells it."""
    if not cues:
        return {}
    by_key: dict[tuple[str, bool], list[Cue]] = {}
    for cue in cues:
        by_key.setdefault((cue.marker, cue.beside_word), []).append(cue)
    rank = {cue: number for number, cue in enumerate(cues)}
    found: dict[int, Cue] = {}
    for occurrence in occurrences(text):
        for cue in by_key.get(_key(occurrence, cues[0].side, 0)[::2], ()):
            position = cue.boundary(occurrence)
            if position not in found or rank[cue] < rank[found[position]]:
                found[position] = cue
    return dict(sorted(found.items()))


def letter_words(text: str) -> list[tuple[int, int]]:
    """The maximal runs of letters, digits and marks: what stands between the places where a marker can be."""
    return [match.span() for match in _WORD.finditer(text)]


def inner_positions(sentence: Sentence) -> set[int]:
    """The positions within entities, their boundaries not included."""
    positions: set[int] = set()
    reached = 0
    for span in sorted(valid_spans(sentence)):
        # what an earlier span holds is not gone through again: spans may lie within each other
        positions.update(range(max(span.start + 1, reached), span.end))
        reached = max(reached, span.end)
    return positions


def _key(occurrence: Occurrence, side: Side, inside: int) -> _Key:
    return occurrence.marker, inside, occurrence.before_word if side == "start" else occurrence.after_word


def _offsets(marker: str) -> Sequence[int]:
    """How many characters of a marker may be inside the entity; `[drug]` in its own brackets is no tag."""
    if len(marker) <= MAX_MARKER and not any(map(str.isalnum, marker)):
        return range(len(marker) + 1)
    return (0, len(marker)) if "<" in marker else (0,)


def _boundaries(sentence: Sentence, side: Side) -> dict[int, str]:
    return {span.start if side == "start" else span.end: span.label for span in valid_spans(sentence)}


def _is_word(text: str, position: int) -> bool:
    return 0 <= position < len(text) and _NO_WORD.match(text, position) is None


def _belongs_to_the_entity(marker: str, inside: int) -> bool:
    """Whether the visible characters are part of what the entity says: a currency, per cent or degree sign."""
    visible = [character for character in marker if not character.isspace()]
    natural = (character in "%‰°" or unicodedata.category(character) == "Sc" for character in visible)
    return inside > 0 and bool(visible) and all(natural)


class _Surroundings:
    """How often words begin (or end) where an entity does: anywhere, and by the punctuation beside them."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._all: Counter[str] = Counter()
        self._hits: Counter[str] = Counter()

    def add(self, text: str, boundaries: Iterable[int]) -> None:
        """Count the gaps between the words of a text; a boundary anywhere in a gap is a hit."""
        where = sorted(boundaries)
        for match in _NO_WORD.finditer(text):
            first, last = match.span()
            if (last == len(text)) if self._side == "start" else (first == 0):
                continue
            names = {"", self._visible(match.group())}
            hit = bisect_left(where, first) < bisect_right(where, last)
            self._all.update(names)
            if hit:
                self._hits.update(names)

    def rate_without(self, cue: Cue) -> float:
        """Share of boundaries where words begin (or end) without the cue, drawn to the share overall."""
        visible = self._visible(cue.marker) if cue.is_ordinary else ""
        overall = ratio(self._hits[visible], self._all[visible])
        hits = max(0, self._hits[visible] - cue.hits)
        places = max(hits, self._all[visible] - cue.occurrences)
        return (hits + _PRIOR * overall) / (places + _PRIOR)

    def _visible(self, gap: str) -> str:
        visible = gap.strip()
        return (visible[-1] if self._side == "start" else visible[0]) if visible else ""


def _tells(cue: Cue, surroundings: _Surroundings) -> bool:
    precision = ratio(cue.hits, cue.occurrences)
    if cue.hits < MIN_HITS or precision < MIN_PRECISION or precision < MIN_LIFT * surroundings.rate_without(cue):
        return False
    # white space before a character that is no word tells nothing that the character would not tell
    return cue.beside_word or not cue.marker.isspace()


def _without_repeats(cues: list[Cue], sentences: Sequence[Sentence], side: Side) -> list[Cue]:
    ordered = sorted(
        cues,
        key=lambda cue: (
            not cue.is_tag,
            -cue.hits,
            -len("".join(cue.marker.split())),
            len(cue.marker),
            cue.inside,
            cue.marker,
        ),
    )
    by_key: dict[tuple[str, bool], list[Cue]] = {}
    for cue in ordered:
        by_key.setdefault((cue.marker, cue.beside_word), []).append(cue)
    covers: dict[Cue, set[tuple[int, int]]] = {cue: set() for cue in ordered}
    for number, sentence in enumerate(sentences if ordered else ()):
        boundaries = _boundaries(sentence, side)
        for occurrence in occurrences(sentence.text) if boundaries else ():
            for cue in by_key.get(_key(occurrence, side, 0)[::2], ()):
                if (position := cue.boundary(occurrence)) in boundaries:
                    covers[cue].add((number, position))
    kept: list[Cue] = []
    covered: set[tuple[int, int]] = set()
    for cue in ordered:
        if len(covers[cue] - covered) >= MIN_HITS:
            kept.append(cue)
            covered |= covers[cue]
    # what was kept first may be told wholly by what was kept later; let ordinary punctuation go before markup
    for cue in sorted(kept, key=lambda cue: (not cue.is_ordinary, cue.hits)):
        others = set[tuple[int, int]]().union(*(covers[other] for other in kept if other is not cue))
        if len(covers[cue] - others) < MIN_HITS:
            kept.remove(cue)
    return kept
