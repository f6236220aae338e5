"""The tagging schemes as tables, and the way from typed word ranges to tags and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tune_ner.data.tag_parsing import OUTSIDE, Chunk, chunks, split_tag

SINGLE, BEGIN, INSIDE, END = range(4)


@dataclass(frozen=True)
class TaggingScheme:
    """Which letter a word of an entity gets by its place in it.

    `touching` is the letter of the first word of an entity that follows one of its own type without a word
    between; it differs from `begin` only in IOB1. `prefixes` is the order of the letters within a type.
    """

    name: str
    prefixes: tuple[str, ...]
    single: str
    begin: str
    inside: str
    end: str
    touching: str = ""

    def labels(self, types: Sequence[str]) -> tuple[str, ...]:
        """The label list: `O`, then for each type in order one label a prefix."""
        return (OUTSIDE, *(f"{prefix}-{label}" for label in types for prefix in self.prefixes))

    @property
    def letters(self) -> tuple[str, str, str, str]:
        """The letters of a word by its place in an entity, in the order SINGLE, BEGIN, INSIDE, END."""
        return self.single, self.begin, self.inside, self.end

    def tags(self, ranges: Iterable[Chunk], words: int) -> list[str]:
        """One tag for each of `words` words. A later range overwrites what an earlier one wrote."""
        tags = [OUTSIDE] * words
        for first, after, label in ranges:
            touches = self.touching and first > 0 and split_tag(tags[first - 1])[1] == label
            for index in range(first, after):
                tags[index] = f"{self._letter(index == first, index == after - 1)}-{label}"
            if touches:
                tags[first] = f"{self.touching}-{label}"
        return tags

    def _letter(self, first: bool, last: bool) -> str:
        if first:
            return self.single if last else self.begin
        return self.end if last else self.inside

    def ranges(self, tags: Sequence[str]) -> list[Chunk]:
        """The typed word ranges that the tags mark, read by the rule of `tune_ner.data.chunks`."""
        return list(chunks(tags))

    def expresses(self, ranges: Iterable[Chunk]) -> bool:
        """Whether `ranges`, in order, can be told from the tags that they give.

        No scheme can hold overlapping ranges or empty ones; IO moreover merges neighbours of one type.
        """
        ordered = list(ranges)
        if any(first >= after for first, after, _ in ordered):
            return False
        for (_, after, label), (first, _, following) in pairwise(ordered):
            if first < after:
                return False
            merges = self.begin == self.inside and not self.touching
            if merges and first == after and label == following:
                return False
        return True


SCHEMES: dict[str, TaggingScheme] = {
    scheme.name: scheme
    for scheme in (
        TaggingScheme("BIO", ("B", "I"), single="B", begin="B", inside="I", end="I"),
        TaggingScheme("BIOES", ("B", "I", "E", "S"), single="S", begin="B", inside="I", end="E"),
        TaggingScheme("IOB1", ("B", "I"), single="I", begin="I", inside="I", end="I", touching="B"),
        TaggingScheme("BILOU", ("B", "I", "L", "U"), single="U", begin="B", inside="I", end="L"),
        TaggingScheme("IO", ("I",), single="I", begin="I", inside="I", end="I"),
    )
}
