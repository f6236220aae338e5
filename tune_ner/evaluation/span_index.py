"""Which places of a text spans touch, found without a look at every span."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from tune_ner.data.corpus import Span


class SpanIndex:
    """The spans of one text, which may overlap; a question costs the logarithm of their number."""

    def __init__(self, spans: Iterable[Span]) -> None:
        ordered = sorted((span.start, span.end) for span in spans)
        self._starts = [start for start, _ in ordered]
        self._furthest = list(accumulate((end for _, end in ordered), max))

    def touches(self, start: int, end: int) -> bool:
        """Whether a span shares a character with the half-open range `[start, end)`."""
        begun = bisect_left(self._starts, end)
        return begun > 0 and self._furthest[begun - 1] > start
