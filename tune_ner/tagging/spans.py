"""Gold spans → word tags, with an account of what tags cannot hold; word tags → spans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.tag_parsing import OUTSIDE, Chunk
from tune_ner.tagging.schemes import BEGIN, END, INSIDE, SINGLE, TaggingScheme
from tune_ner.tagging.tokenization import Ints, Word, Words

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


@dataclass(frozen=True)
class TaggedWords:
    """The tags of the words of many sentences, as label ids, shape (words,), with their account.

    `firsts` and `afters` are, for each gold span in order, the first word that it covers and the one behind the
    last, shape (spans,); equal for a span that covers none. `problems` counts what tags cannot hold.
    """

    label_ids: npt.NDArray[np.int16]
    firsts: Ints
    afters: Ints
    problems: dict[Problem, int]


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


def tag_words(sentences: Sequence[Sentence], words: Words, scheme: TaggingScheme, labels: Sequence[str]) -> TaggedWords:
    """The tags of `tag_sentence` for all words of many sentences at once.

    Args:
        sentences: the sentences.
        words: their words.
        scheme: the scheme that the tags are written in.
        labels: the label list; a label's index is its id.
    """
    spans = _Spans(sentences, words)
    ids = {label: index for index, label in enumerate(labels)}
    label_ids = np.full(len(words), ids[OUTSIDE], dtype=np.int16)
    # Spans that touch or overlap, or hold no word, are rare, and what becomes of them depends on the scheme.
    special = spans.special_sentences()
    plain = ~np.isin(spans.owners, special)
    firsts, afters = spans.firsts[plain], spans.afters[plain]
    types = spans.labels[plain]
    letters = np.array(
        [[ids[f"{letter}-{label}"] for letter in scheme.letters] for label in spans.types], dtype=np.int16
    ).reshape(-1, len(scheme.letters))
    sizes = afters - firsts
    label_ids[ragged(firsts, sizes)] = np.repeat(letters[types, INSIDE], sizes)
    label_ids[firsts] = letters[types, BEGIN]
    label_ids[afters - 1] = letters[types, END]
    alone = sizes == 1
    label_ids[firsts[alone]] = letters[types[alone], SINGLE]
    problems = Counter[Problem]()
    problems["outside_text"] = int(spans.outside[plain].sum())
    problems["off_boundary"] = int(spans.off_boundary[plain].sum())
    for index in special.tolist():
        tagged = tag_sentence(sentences[index], words.of(index), scheme)
        label_ids[words.firsts[index] : words.firsts[index + 1]] = [ids[tag] for tag in tagged.tags]
        problems.update(problem for _, problem in tagged.problems)
    return TaggedWords(label_ids, spans.firsts, spans.afters, {kind: n for kind, n in problems.items() if n})


class _Spans:
    """The gold spans of many sentences, end to end, and the words that each covers; all of shape (spans,)."""

    def __init__(self, sentences: Sequence[Sentence], words: Words) -> None:
        every = [(span.start, span.end) for sentence in sentences for span in sentence.spans]
        starts, ends = np.array(every, dtype=np.int64).reshape(-1, 2).T
        names = [span.label for sentence in sentences for span in sentence.spans]
        self.types = sorted(set(names))
        numbers = {name: number for number, name in enumerate(self.types)}
        self.labels = np.fromiter((numbers[name] for name in names), np.int64, len(names))
        counts = np.fromiter((len(sentence.spans) for sentence in sentences), np.int64, len(sentences))
        self.owners = np.repeat(np.arange(len(sentences)), counts)
        # one line on which all texts lie, so that a word is found whatever its sentence
        lengths = np.fromiter((len(sentence.text) for sentence in sentences), np.int64, len(sentences))
        line = np.cumsum(lengths + 1) - lengths - 1
        of_word = np.repeat(line, np.diff(words.firsts))
        length = lengths[self.owners]
        first = np.searchsorted(of_word + words.ends, line[self.owners] + np.clip(starts, 0, length), "right")
        after = np.searchsorted(of_word + words.starts, line[self.owners] + np.clip(ends, 0, length), "left")
        self.held = (first < after) & (starts < ends)
        self.firsts, self.afters = np.where(self.held, first, 0), np.where(self.held, after, 0)
        self.outside = (starts < 0) | (ends > length)
        self.off_boundary = np.zeros(len(starts), dtype=bool)
        held = self.held
        self.off_boundary[held] = (words.starts[first[held]] != starts[held]) | (
            words.ends[after[held] - 1] != ends[held]
        )

    def special_sentences(self) -> Ints:
        """Sentences, ascending, with a span without words, or spans out of order, overlapping or touching."""
        touching = np.diff(self.owners) == 0
        touching &= self.firsts[1:] <= self.afters[:-1]
        return np.unique(np.concatenate([self.owners[~self.held], self.owners[1:][touching]]))


def ragged(starts: Ints, sizes: Ints) -> Ints:
    """The numbers from each start on, as many as its size says, end to end; shape (sum of sizes,)."""
    before = np.cumsum(sizes) - sizes
    numbers: Ints = np.repeat(starts - before, sizes) + np.arange(int(sizes.sum()))
    return numbers


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
