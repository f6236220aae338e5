"""Parsing of tags in any IOB dialect: tag sequences → typed word ranges (chunks).

The rule is that of the CoNLL-2000 evaluation script `conlleval` and of seqeval's default mode, extended to the prefixes
of BILOU. It accepts every sequence, valid or not:

* `B`, `S` and `U` always start an entity; `I`, `E` and `L` start one unless an entity of their type is open;
* an entity ends before any tag that starts another, before `O`, and after `E`, `L`, `S` and `U`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

OUTSIDE = "O"
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
