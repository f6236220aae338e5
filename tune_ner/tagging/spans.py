"""Gold spans → word tags, with an account of what tags cannot hold; word tags → spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tune_ner.data.chunks import Chunk
from tune_ner.data.corpus import Sentence, Span
from tune_ner.tagging.schemes import TaggingScheme
from tune_ner.tagging.words import Word

Problem = Literal["empty", "outside_text", "no_word", "off_boundary", "overlap", "merged"]
"""What is wrong with a span: it has no character; it reaches out of its text; it covers no word; it begins or
ends within a word; a later span takes one of its words; its scheme cannot tell it from its neighbour."""


@dataclass(frozen=True)
class TaggedSentence:
    """Words and their tags, and for each gold span the words that it covers.

    `ranges` is parallel to the sentence's spans; a span that covers no word has an empty range. `problems`
    pairs the index of a span with what is wrong with it.
    """

    words: list[Word]
    tags: list[str]
    ranges: list[Chunk]
    problems: list[tuple[int, Problem]]


def tag_sentence(sentence: Sentence, words: list[Word], scheme: TaggingScheme) -> TaggedSentence:
    """Tags of a sentence's words.

    A span covers every word with which it shares a character; a span that covers none is skipped, and a
    later span overwrites an earlier one. All that is lost or blurred by this is listed in `problems`.
    """
    ranges = [_covered(span, words) for span in sentence.spans]
    problems = [
        (index, problem)
        for index, (span, covered) in enumerate(zip(sentence.spans, ranges, strict=True))
        for problem in _span_problems(span, covered, words, len(sentence.text))
    ]
    filled = [(index, covered) for index, covered in enumerate(ranges) if covered[0] < covered[1]]
    tags = scheme.tags([covered for _, covered in filled], len(words))
    told_apart = set(scheme.ranges(tags))
    for place, (index, covered) in enumerate(filled):
        later = [other for _, other in filled[place + 1 :]]
        if any(other[0] < covered[1] and covered[0] < other[1] for other in later):
            problems.append((index, "overlap"))
        elif covered not in told_apart:
            problems.append((index, "merged"))
    return TaggedSentence(words, tags, ranges, sorted(problems))


def tags_to_spans(tags: Sequence[str], words: Sequence[Word], scheme: TaggingScheme) -> tuple[Span, ...]:
    """The spans that word tags mark: from the start of the first word to the end of the last."""
    return tuple(Span(words[first][0], words[after - 1][1], label) for first, after, label in scheme.ranges(tags))


def _covered(span: Span, words: list[Word]) -> Chunk:
    touched = [i for i, (start, end) in enumerate(words) if start < span.end and span.start < end]
    if not touched or span.start >= span.end:
        return 0, 0, span.label
    return touched[0], touched[-1] + 1, span.label


def _span_problems(span: Span, covered: Chunk, words: list[Word], length: int) -> list[Problem]:
    first, after, _ = covered
    problems: list[Problem] = []
    if span.start < 0 or span.end > length:
        problems.append("outside_text")
    if span.start >= span.end:
        problems.append("empty")
    elif first == after:
        problems.append("no_word")
    elif (words[first][0], words[after - 1][1]) != (span.start, span.end):
        problems.append("off_boundary")
    return problems
