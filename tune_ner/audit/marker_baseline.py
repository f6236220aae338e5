"""The best rule without a model that cues allow: predicted spans from markers alone."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Literal

from tune_ner.audit.checks.boundary_markers import Cue, learn_cues, letter_words, told
from tune_ner.audit.findings import ratio
from tune_ner.data.corpus import Sentence, Span, valid_spans
from tune_ner.evaluation.seen_entities import SpanIndex
from tune_ner.evaluation.span_metrics import score_spans

Reach = Literal["nearest", "furthest", "white space", "words"]
"""Where a span ends that a cue opens: at the nearest closing cue; at the furthest one before another kind of
opening cue; at the next white space; after a number of words. A closing cue that stands alone has the latter two."""

SAMPLE = 20_000
"""Sentences of train from which the rule is learnt; more would only take longer."""


@dataclass(frozen=True)
class MarkupRule:
    """A rule learnt from train: its cues, and for each of them how its spans reach to their other end.

    `opening` and `closing` pair a cue with its reach and, for the reach `words`, the number of words.
    """

    starts: tuple[Cue, ...]
    ends: tuple[Cue, ...]
    opening: tuple[tuple[Cue, Reach, int], ...] = ()
    closing: tuple[tuple[Cue, Reach, int], ...] = ()

    def predict(self, text: str) -> tuple[Span, ...]:
        """The spans of a text; those of closing cues only where no opening cue has made one."""
        markers = _Markers(text, self.starts, self.ends)
        spans: list[Span] = []
        reached = -1
        for start, cue in markers.starts.items():
            for opening, reach, words in self.opening:
                if opening is cue and start >= reached and (span := markers.from_start(start, reach, words)):
                    spans.append(span)
                    reached = span.end
        taken = SpanIndex(spans)
        for end, cue in markers.ends.items():
            for closing, reach, words in self.closing:
                if (
                    closing is cue
                    and (span := markers.from_end(end, reach, words))
                    and not taken.overlaps(span.start, span.end)
                ):
                    spans.append(span)
        return tuple(spans)


def sample(sentences: Sequence[Sentence], size: int = SAMPLE) -> list[Sentence]:
    """At most `size` of the sentences, evenly spread, the same every time."""
    step = max(1, -(-len(sentences) // size))
    return list(sentences[::step])


def learn_rule(train: Sequence[Sentence], types: Sequence[str]) -> MarkupRule:
    """The rule that does best on (a sample of) the train part; without any cue it predicts nothing."""
    chosen = sample(train)
    starts, ends = tuple(learn_cues(chosen, "start")), tuple(learn_cues(chosen, "end"))
    if not starts and not ends:
        return MarkupRule((), ())
    tally = _Tally()
    lengths = _usual_lengths(chosen, starts, ends)
    for sentence in chosen:
        markers = _Markers(sentence.text, starts, ends)
        gold = {(span.start, span.end) for span in valid_spans(sentence)}
        for start, cue in markers.starts.items():
            for reach, words in _reaches(lengths[cue], paired=bool(ends)):
                tally.add(cue, reach, words, markers.from_start(start, reach, words), gold)
        for end, cue in markers.ends.items():
            for reach, words in _reaches(lengths[cue], paired=False):
                tally.add(cue, reach, words, markers.from_end(end, reach, words), gold)
    opening, closing = tally.best(starts), tally.best(ends)
    candidates = [
        MarkupRule(starts, ends, opening, closing),
        MarkupRule(starts, ends, opening, ()),
        MarkupRule(starts, ends, (), closing),
    ]
    return max(candidates, key=lambda rule: _f1(rule, chosen, types))


class _Markers:
    """The boundaries that cues tell in one text, and the spans that can be made of them."""

    def __init__(self, text: str, starts: Sequence[Cue], ends: Sequence[Cue]) -> None:
        self.text = text
        self.starts, self.ends = told(starts, text), told(ends, text)
        self._start_positions, self._end_positions = list(self.starts), list(self.ends)
        self._other_start = _next_of_another_kind(self.starts)
        self._words: list[tuple[int, int]] | None = None

    def from_start(self, start: int, reach: Reach, words: int) -> Span | None:
        """The span that the opening cue at `start` begins."""
        cue = self.starts[start]
        if reach in ("nearest", "furthest"):
            limit = self._other_start[start] if reach == "furthest" else self._next_start(start)
            first = bisect_right(self._end_positions, start)
            last = bisect_right(self._end_positions, limit)
            if first == last:
                return None
            end = self._end_positions[first if reach == "nearest" else last - 1]
            return Span(start, end, _purer(cue, self.ends[end]))
        end = self._word_end(start, reach, words)
        return Span(start, end, cue.label) if end > start else None

    def from_end(self, end: int, reach: Reach, words: int) -> Span | None:
        """The span that the closing cue at `end` ends."""
        start = self._word_start(end, reach, words)
        return Span(start, end, self.ends[end].label) if start < end else None

    def _next_start(self, start: int) -> int:
        after = bisect_right(self._start_positions, start)
        return self._start_positions[after] if after < len(self._start_positions) else len(self.text)

    def _word_end(self, start: int, reach: Reach, words: int) -> int:
        text_words = self._all_words()
        first = bisect_right(text_words, start, key=itemgetter(1))
        ahead = (text_words[place] for place in range(first, len(text_words)))
        reached = list(islice(ahead, words)) if reach == "words" else self._unspaced(ahead)
        return reached[-1][1] if reached else start

    def _word_start(self, end: int, reach: Reach, words: int) -> int:
        text_words = self._all_words()
        after = bisect_left(text_words, end, key=itemgetter(0))
        behind = (text_words[place] for place in range(after - 1, -1, -1))
        reached = list(islice(behind, words)) if reach == "words" else self._unspaced(behind)
        return reached[-1][0] if reached else end

    def _unspaced(self, words: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
        """The first of the words and those that no white space parts from it, such as `typ1` and `diabetes`."""
        chain = list(islice(words, 1))
        for other in words:
            left, right = min(chain[-1], other), max(chain[-1], other)
            if any(map(str.isspace, self.text[left[1] : right[0]])):
                break
            chain.append(other)
        return chain

    def _all_words(self) -> list[tuple[int, int]]:
        if self._words is None:
            self._words = letter_words(self.text)
        return self._words


class _Tally:
    """How many spans each reach of each cue makes on train, and how many of them are right but for the type."""

    def __init__(self) -> None:
        self._right: dict[Cue, Counter[tuple[Reach, int]]] = defaultdict(Counter)
        self._made: dict[Cue, Counter[tuple[Reach, int]]] = defaultdict(Counter)

    def add(self, cue: Cue, reach: Reach, words: int, span: Span | None, gold: set[tuple[int, int]]) -> None:
        if span is not None:
            self._made[cue][reach, words] += 1
            self._right[cue][reach, words] += (span.start, span.end) in gold

    def best(self, cues: Sequence[Cue]) -> tuple[tuple[Cue, Reach, int], ...]:
        """For each cue that makes right spans at all, the reach with the best F1 against its own hits."""
        found = []
        for cue in cues:
            right, made = self._right[cue], self._made[cue]
            if any(right.values()):
                reach, words = max(right, key=lambda way: ratio(2 * right[way], made[way] + cue.hits))
                found.append((cue, reach, words))
        return tuple(found)


def _reaches(words: int, paired: bool) -> list[tuple[Reach, int]]:
    pairs: list[tuple[Reach, int]] = [("nearest", 0), ("furthest", 0)]
    return [*(pairs if paired else ()), ("white space", 0), ("words", words)]


def _usual_lengths(sentences: Sequence[Sentence], starts: Sequence[Cue], ends: Sequence[Cue]) -> dict[Cue, int]:
    """The most frequent number of words of the entities at each cue."""
    lengths: dict[Cue, Counter[int]] = {cue: Counter() for cue in (*starts, *ends)}
    for sentence in sentences:
        at_start, at_end = told(starts, sentence.text), told(ends, sentence.text)
        for span in valid_spans(sentence):
            words = len(letter_words(span.text_in(sentence.text)))
            for cue in (at_start.get(span.start), at_end.get(span.end)):
                if cue is not None and words:
                    lengths[cue][words] += 1
    return {cue: counter.most_common(1)[0][0] if counter else 1 for cue, counter in lengths.items()}


def _next_of_another_kind(starts: dict[int, Cue]) -> dict[int, int]:
    """For each opening cue the position of the next one of another kind, far away where there is none."""
    found: dict[int, int] = {}
    following: tuple[int, Cue] | None = None
    limit = 1 << 62
    for position, cue in sorted(starts.items(), reverse=True):
        if following is not None and following[1] is not cue:
            limit = following[0]
        found[position] = limit
        following = position, cue
    return found


def _purer(start: Cue, end: Cue) -> str:
    return start.label if start.purity >= end.purity else end.label


def _f1(rule: MarkupRule, sentences: Sequence[Sentence], types: Sequence[str]) -> float:
    predicted = [rule.predict(sentence.text) for sentence in sentences]
    return score_spans([sentence.spans for sentence in sentences], predicted, types).f1
