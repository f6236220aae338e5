"""Cutting a text into the words that carry tags, with their character offsets."""

from __future__ import annotations

from typing import Literal, get_args

import regex

WordRule = Literal["whitespace", "punctuation"]
WORD_RULES: tuple[WordRule, ...] = get_args(WordRule)

Word = tuple[int, int]
"""Half-open character offsets of a word in its text."""

# `re` does not count combining marks as word characters, so that `a` + U+0308 would fall into two words; but it
# counts U+001C to U+001F as white space, as the notebook does, and `regex` does not.
_PATTERNS: dict[WordRule, regex.Pattern[str]] = {
    "whitespace": regex.compile(r"[^\s\x1c-\x1f]+"),
    "punctuation": regex.compile(r"[\w\p{M}]+|[^\w\s\x1c-\x1f\p{M}]"),
}


def split_words(text: str, rule: WordRule) -> list[Word]:
    """The words of a text, in order.

    `whitespace` takes maximal runs of non-white-space, as the notebook does; `punctuation` takes maximal
    runs of letters, digits, marks and underscores, and every other visible character for itself.
    """
    return [match.span() for match in _PATTERNS[rule].finditer(text)]
