"""Choice among overlapping entities: a word has one tag, so each entity is kept whole or dropped whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from tune_ner.data.tag_parsing import Chunk

OverlapPolicy = Literal["longest", "outermost", "innermost", "first", "error"]
"""Which of overlapping entities is kept; with `error`, a run refuses a corpus that has any."""


def keep_disjoint(chunks: Sequence[Chunk], policy: OverlapPolicy) -> list[Chunk]:
    """Return disjoint chunks, in order.

    They are taken one after the other unless they overlap one that was taken: the longest first; those in the fewest
    others first (`outermost`); those with the fewest others in them first (`innermost`); or from left to right
    (`first`, and among equals everywhere).
    """
    kept: list[Chunk] = []
    for chunk in sorted(chunks, key=lambda chunk: (_rank(chunk, chunks, policy), chunk[0], chunk[0] - chunk[1])):
        if all(chunk[1] <= first or after <= chunk[0] for first, after, _ in kept):
            kept.append(chunk)
    return sorted(kept)


def most_disjoint(ranges: Sequence[tuple[int, int]]) -> int:
    """Return the largest number of half-open ranges that do not overlap (interval scheduling: earliest end first)."""
    count, end = 0, -1
    for first, after in sorted(ranges, key=lambda each: each[1]):
        if first >= end:
            count, end = count + 1, after
    return count


def _rank(chunk: Chunk, chunks: Sequence[Chunk], policy: OverlapPolicy) -> int:
    ranks: dict[str, Callable[[], int]] = {
        "longest": lambda: chunk[0] - chunk[1],
        "outermost": lambda: sum(_contains(other, chunk) for other in chunks),
        "innermost": lambda: sum(_contains(chunk, other) for other in chunks),
    }
    return ranks[policy]() if policy in ranks else 0


def _contains(outer: Chunk, inner: Chunk) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1] and outer[:2] != inner[:2]
