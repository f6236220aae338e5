"""Chunk tags of any IOB dialect: the one rule by which a tag sequence is read as typed ranges of words.

The rule is the one of the CoNLL-2000 evaluation script, `conlleval`, which seqeval's default mode follows
too, extended to the letters of BILOU. It accepts every sequence, valid or not:

* `B`, `S` and `U` always open an entity; `I`, `E` and `L` open one when none of their type is open;
* an entity ends before any tag that opens another, before `O`, and after `E`, `L`, `S` and `U`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

OUTSIDE = "O"
_OPENING = frozenset("BSU")
_CLOSING = frozenset("ELSU")
PREFIXES = frozenset("BIELSU")

Chunk = tuple[int, int, str]
"""First word, word after the last one, entity type."""


def split_tag(tag: str) -> tuple[str, str]:
    """Prefix and type of a tag: `B-DRUG` gives `("B", "DRUG")`, `O` gives `("O", "")`.

    Raises:
        ValueError: the tag is neither `O` nor a known prefix, a hyphen and a type.
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, hyphen, label = tag.partition("-")
    if prefix not in PREFIXES or not hyphen or not label:
        raise ValueError(f"{tag!r} is no chunk tag: expected O or one of B- I- E- L- S- U- and a type")
    return prefix, label


def find_chunks(tags: Iterable[str]) -> Iterator[Chunk]:
    """The typed word ranges of a tag sequence, in order and without overlap, by the rule above."""
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


def detect_dialect(sequences: Iterable[Sequence[str]]) -> str:
    """Name of the tagging scheme that the sequences are written in.

    Distinguished by their letters (`E`/`S`: BIOES, `L`/`U`: BILOU, only `I`: IO) and, where there are
    just `B` and `I`, by whether every entity begins with `B` (BIO, also called IOB2) or only one that
    touches another of its type (IOB1). Sequences that fit no scheme are called `mixed`; the rule of this
    module reads them all the same.
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
