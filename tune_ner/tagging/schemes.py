"""The tagging schemes as tables, and the tags that they give to typed word ranges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tune_ner.data.tag_parsing import OUTSIDE, Chunk, split_tag

SINGLE, BEGIN, INSIDE, END = range(4)


@dataclass(frozen=True)
class TaggingScheme:
    """The prefix that a word of an entity gets by its place in it.

    `touching` is the prefix of the first word of an entity directly after one of the same type; it differs from
    `begin` only in IOB1. `prefixes` is the order of the labels of a type.
    """

    name: str
    prefixes: tuple[str, ...]
    single: str
    begin: str
    inside: str
    end: str
    touching: str = ""

    def labels(self, types: Sequence[str]) -> tuple[str, ...]:
        """Return the label list: `O`, then for each type in order one label per prefix."""
        return (OUTSIDE, *(f"{prefix}-{label}" for label in types for prefix in self.prefixes))

    @property
    def letters(self) -> tuple[str, str, str, str]:
        """The prefixes by place in an entity, in the order SINGLE, BEGIN, INSIDE, END."""
        return self.single, self.begin, self.inside, self.end

    def tags(self, chunks: Iterable[Chunk], words: int) -> list[str]:
        """Return one tag for each of `words` words; later chunks overwrite earlier ones."""
        tags = [OUTSIDE] * words
        for first, after, label in chunks:
            touches = self.touching and first > 0 and split_tag(tags[first - 1])[1] == label
            for index in range(first, after):
                tags[index] = f"{self._letter(index == first, index == after - 1)}-{label}"
            if touches:
                tags[first] = f"{self.touching}-{label}"
        return tags

    def allows(self, previous: str, following: str) -> bool:
        """Return whether a valid tag sequence can contain two tags in succession; "" is the edge of a sentence."""
        (left, left_type), (right, right_type) = (split_tag(tag) if tag else ("", "") for tag in (previous, following))
        same_type = bool(left_type) and left_type == right_type
        if same_type and left in (self.begin, self.inside, self.touching) and right in (self.inside, self.end):
            return True
        can_end = not left_type or left in (self.single, self.end, self.touching)
        starts = (self.touching,) if self.touching and same_type else (self.single, self.begin)
        return can_end and (not right_type or right in starts)

    def _letter(self, is_first: bool, is_last: bool) -> str:
        if is_first:
            return self.single if is_last else self.begin
        return self.end if is_last else self.inside


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
