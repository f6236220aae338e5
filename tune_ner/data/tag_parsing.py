"""Parsing of tags: any way to write them → prefix and type → typed word ranges (chunks).

The rule is that of the CoNLL-2000 evaluation script `conlleval` and of seqeval's default mode, extended to the prefixes
of BILOU. It accepts every sequence, valid or not:

* `B`, `S` and `U` always start an entity; `I`, `E` and `L` start one unless an entity of their type is open;
* an entity ends before any tag that starts another, before `O`, and after `E`, `L`, `S` and `U`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

OUTSIDE = "O"
UNNAMED = "ENTITY"
"""The type of entities whose tags are prefixes without a type."""
_OPENING = frozenset("BSU")
_CLOSING = frozenset("ELSU")
PREFIXES = frozenset("BIELSU")

Chunk = tuple[int, int, str]
"""First word, word after the last one, and entity type."""


def split_tag(tag: str) -> tuple[str, str]:
    """Return prefix and type of a tag: `("B", "DRUG")` for `B-DRUG`, `("O", "")` for `O`.

    Raises:
        ValueError: the tag is not `O` and does not consist of a known prefix, a hyphen and a type.
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, hyphen, label = tag.partition("-")
    if prefix not in PREFIXES or not hyphen or not label:
        raise ValueError(f"found the tag {tag!r}; expected O, or one of B- I- E- L- S- U- and a type")
    return prefix, label


def find_chunks(tags: Iterable[str]) -> Iterator[Chunk]:
    """Yield the typed word ranges of a tag sequence by the rule above, in order and without overlap."""
    start, open_label, position = 0, "", -1
    for position, tag in enumerate(tags):
        prefix, label = split_tag(tag)
        if open_label and (label != open_label or prefix in _OPENING):
            yield start, position, open_label
            open_label = ""
        if label and not open_label:
            start, open_label = position, label
        if prefix in _CLOSING:
            yield start, position + 1, open_label
            open_label = ""
    if open_label:
        yield start, position + 1, open_label


@dataclass(frozen=True)
class TagStyle:
    """A way to write tags, such as `B-PER`, `B_PER`, `PER-B`, `b-per`, `B` or `PER`.

    Attributes:
        name: description in notes; empty for the usual `B-PER`.
        outside: the tag of words outside of entities.
        parse: returns a tag as `B-PER`; None if it is not written in this way.
    """

    name: str
    outside: str
    parse: Callable[[str], str | None]

    @classmethod
    def usual(cls) -> TagStyle:
        """Return the usual way: `O`, `B-PER`, `I-PER`."""
        return cls("", OUTSIDE, _STYLES[0][1])

    def canonical(self, tag: str, multiple_labels: Literal["error", "first"] = "error") -> str:
        """Return a tag as `O` or `B-PER`.

        Raises:
            ValueError: the tag is not written in this way, has several labels, or has a blank type.
        """
        if tag == self.outside:
            return OUTSIDE
        labels = [self.parse(part) for part in _SEVERAL.split(tag)]
        if len(labels) > 1 and all(label and label[2:] for label in labels):
            if multiple_labels == "error":
                raise ValueError(
                    f"found the tag {tag!r} with {len(labels)} labels; set `multiple_labels: first` under `data:` to "
                    "use the first one"
                )
            return str(labels[0])
        found = self.parse(tag)
        if found is None or not is_type_name(found[2:]):
            expected = (
                "O, or one of B- I- E- L- S- U- and a type" if not self.name else f"{self.outside} or {self.name}"
            )
            raise ValueError(f"found the tag {tag!r}; expected {expected}")
        return found


_SEVERAL = re.compile(r"[,|;+]")
_LETTERS = {letter: letter for letter in PREFIXES} | {"M": "I", "W": "S"}
_OUTSIDE_NAMES = ("O", "o", "OUT", "_", "0", "-O-")


def _prefixed(separator: str, upper: bool) -> Callable[[str], str | None]:
    def parse(tag: str) -> str | None:
        letter, found, label = tag.partition(separator)
        prefix = _LETTERS.get(letter if upper else letter.upper() if letter.islower() else "")
        return f"{prefix}-{label}" if prefix and found and label else None

    return parse


def _suffixed(separator: str) -> Callable[[str], str | None]:
    def parse(tag: str) -> str | None:
        label, found, letter = tag.rpartition(separator)
        prefix = _LETTERS.get(letter)
        return f"{prefix}-{label}" if prefix and found and label else None

    return parse


def _bare(tag: str) -> str | None:
    return f"{_LETTERS[tag]}-{UNNAMED}" if tag in _LETTERS else None


def _plain(tag: str) -> str | None:
    looks_prefixed = re.match(r"[A-Za-z]?[-_:]", tag) or tag.upper() in ("O", *_LETTERS) or tag.isdecimal()
    return f"I-{tag}" if tag and not looks_prefixed else None


_STYLES: tuple[tuple[str, Callable[[str], str | None]], ...] = (
    ("", _prefixed("-", upper=True)),
    ("PREFIX_TYPE", _prefixed("_", upper=True)),
    ("lower-case prefix-type", _prefixed("-", upper=False)),
    ("lower-case prefix_type", _prefixed("_", upper=False)),
    ("TYPE-PREFIX", _suffixed("-")),
    ("TYPE_PREFIX", _suffixed("_")),
    ("prefixes without a type", _bare),
)
PLAIN = "types without a prefix"


def tag_style(counts: Mapping[str, int], plain: bool = False) -> TagStyle | None:
    """Return the way in which most tags are written that are not outside of entities; None if they are no tags.

    Args:
        counts: number of occurrences of each tag.
        plain: whether types without a prefix count as tags; otherwise, any column of words would be one.
    """
    outside = next((name for name in _OUTSIDE_NAMES if name in counts), OUTSIDE)
    others = {tag: count for tag, count in counts.items() if tag != outside}
    if not others:
        return TagStyle("", outside, _STYLES[0][1]) if counts else None
    # without the usual O, a column of single letters or words is hardly one of tags
    named = outside in ("O", "OUT") and outside in counts
    styles = [style for style in _STYLES if named or style[1] is not _bare]
    styles += [(PLAIN, _plain)] if plain and named else []
    fitting = {
        style: sum(n for tag, n in others.items() if style[1](tag) or all(map(style[1], _SEVERAL.split(tag))))
        for style in styles
    }
    best = max(styles, key=lambda style: fitting[style])
    # a typing error must be an error with its line, and not make the column one of words
    return TagStyle(best[0], outside, best[1]) if 2 * fitting[best] > sum(others.values()) else None


def is_tag(word: str) -> bool:
    """Return whether a word is a tag as `split_tag` reads it."""
    try:
        split_tag(word)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def is_type_name(label: str) -> bool:
    """Return whether a text can be the name of an entity type: not blank, and without control characters."""
    controls = any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in label)
    return bool(label) and label == label.strip() and not controls


def detect_dialect(sequences: Iterable[Sequence[str]]) -> str:
    """Return the name of the tagging scheme of tag sequences, or `mixed` if they fit none.

    Schemes are distinguished by their prefixes (`E`/`S`: BIOES, `L`/`U`: BILOU, only `I`: IO). With `B` and `I`, it is
    BIO (IOB2) if every entity starts with `B`, and IOB1 if only entities do that directly follow one of their type.
    """
    letters: set[str] = set()
    begins_inside = begins_after_other = False
    for tags in sequences:
        previous = (OUTSIDE, "")
        for tag in tags:
            prefix, label = split_tag(tag)
            letters.add(prefix)
            continues = previous[1] == label
            begins_inside |= prefix == "I" and not continues
            begins_after_other |= prefix == "B" and not continues
            previous = prefix, label
    letters.discard(OUTSIDE)
    if letters & {"L", "U"}:
        return "mixed" if letters & {"E", "S"} else "BILOU"
    if letters & {"E", "S"}:
        return "BIOES"
    if letters == {"I"}:
        return "IO"
    if not begins_inside:
        return "BIO"
    return "mixed" if begins_after_other else "IOB1"
