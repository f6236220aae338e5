"""Cutting texts into the words that carry tags, with their character offsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import regex

WordTokenizer = Literal["whitespace", "punctuation"]
WORD_RULES: tuple[WordTokenizer, ...] = get_args(WordTokenizer)

Word = tuple[int, int]
"""Half-open character offsets of a word in its text."""

Ints = npt.NDArray[np.signedinteger[Any]]

# `re` does not count combining marks as word characters, so that `a` + U+0308 would fall into two words; but it
# counts U+001C to U+001F as white space, as the notebook does, and `regex` does not.
_PATTERNS: dict[WordTokenizer, regex.Pattern[str]] = {
    "whitespace": regex.compile(r"[^\s\x1c-\x1f]+"),
    "punctuation": regex.compile(r"[\w\p{M}]+|[^\w\s\x1c-\x1f\p{M}]"),
}
_CODE_POINTS = 0x110000
_GAP, _ALONE, _IN_RUN = range(3)


@dataclass(frozen=True)
class Words:
    """The words of several texts, end to end.

    `starts` and `ends` are a word's offsets in its own text, shape (words,). The words of text `i` are those from
    `firsts[i]` up to `firsts[i + 1]`; shape (texts + 1,).
    """

    starts: Ints
    ends: Ints
    firsts: Ints

    def __len__(self) -> int:
        return len(self.starts)

    def of(self, text: int) -> list[Word]:
        """The words of one text."""
        these = slice(self.firsts[text], self.firsts[text + 1])
        return list(zip(self.starts[these].tolist(), self.ends[these].tolist(), strict=True))

    @classmethod
    def joined(cls, parts: Sequence[Words]) -> Words:
        """The words of some texts, and behind them those of others."""
        before = np.cumsum([0, *(len(split_name) for split_name in parts)])
        firsts = [split_name.firsts[:-1] + offset for split_name, offset in zip(parts, before, strict=False)]
        return cls(
            np.concatenate([split_name.starts for split_name in parts]),
            np.concatenate([split_name.ends for split_name in parts]),
            np.concatenate([*firsts, before[-1:]]),
        )


def split_words(text: str, rule: WordTokenizer) -> list[Word]:
    """The words of a text, in order.

    `whitespace` takes maximal runs of non-white-space, as the notebook does; `punctuation` takes maximal
    runs of letters, digits, marks and underscores, and every other visible character for itself.
    """
    return [match.span() for match in _PATTERNS[rule].finditer(text)]


def split_texts(texts: Sequence[str], rule: WordTokenizer) -> tuple[Words, list[str], Ints]:
    """The words of many texts, by the rule of `split_words`, without a loop over texts or words.

    Returns:
        The words; their distinct forms, in order of first occurrence; and for each word the number of its form,
        shape (words,).
    """
    codes = np.frombuffer("\n".join(texts).encode("utf-32-le"), np.uint32)
    kinds = _kinds(codes, rule)
    runs = kinds == _IN_RUN
    alone = kinds == _ALONE
    starts = np.flatnonzero(alone | (runs & ~np.append(False, runs[:-1])))
    ends = np.flatnonzero(alone | (runs & ~np.append(runs[1:], False))) + 1
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    text_starts = np.cumsum(lengths + 1) - lengths - 1
    firsts = np.append(np.searchsorted(starts, text_starts), len(starts))
    own_start = np.repeat(text_starts, np.diff(firsts))
    words = Words((starts - own_start).astype(np.int32), (ends - own_start).astype(np.int32), firsts)
    return words, *_forms(codes, starts, ends)


def _kinds(codes: npt.NDArray[np.uint32], rule: WordTokenizer) -> npt.NDArray[np.uint8]:
    """What each character is to the words: between them, a word for itself, or part of a run."""
    present = np.zeros(_CODE_POINTS, dtype=bool)
    present[codes] = True
    table = np.zeros(_CODE_POINTS, dtype=np.uint8)
    for code in np.flatnonzero(present).tolist():
        if _PATTERNS[rule].fullmatch(chr(code)):
            table[code] = _IN_RUN if _PATTERNS[rule].fullmatch(2 * chr(code)) else _ALONE
    return table[codes]


def _forms(codes: npt.NDArray[np.uint32], starts: Ints, ends: Ints) -> tuple[list[str], Ints]:
    """The distinct words among those that lie at `starts` to `ends` of a text, and which of them each one is."""
    import pyarrow as pa

    if not len(starts):
        return [], np.zeros(0, np.int32)
    sizes = 1 + (codes >= 0x80) + (codes >= 0x800) + (codes >= 0x10000)  # bytes of a character in UTF-8
    byte_starts = np.append(0, np.cumsum(sizes))
    # word, gap, word … one behind the other, for such an array has no holes
    bounds = byte_starts[np.stack([starts, ends], axis=1).ravel()]
    text = codes.tobytes().decode("utf-32-le").encode()
    pieces = pa.LargeStringArray.from_buffers(len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(text))
    coded = pieces.take(pa.array(np.arange(0, len(pieces), 2))).dictionary_encode()
    return coded.dictionary.to_pylist(), coded.indices.to_numpy()
