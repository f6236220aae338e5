"""Marker baseline: the best predictor of entities from boundary markers, without a model."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from operator import itemgetter
from typing import Literal, NamedTuple

from tune_ner.audit.boundary_markers import BoundaryMarker, MarkerSet, learn_markers, word_ranges
from tune_ner.audit.findings import ratio
from tune_ner.data.corpus import Sentence, Span, valid_spans
from tune_ner.evaluation.seen_entities import SpanIndex
from tune_ner.evaluation.span_metrics import exact_f1

Extent = Literal["nearest", "furthest", "white space", "words"]
"""Where a span with a start marker ends: at the nearest end marker; at the furthest one before a start marker of
another kind; at the next white space; after a number of words. Spans of end markers use the last two."""

_MAX_SENTENCES = 20_000
_UNAMBIGUOUS = 0.9  # purity of a marker from which it is used for one entity type


class SpanRule(NamedTuple):
    """How far the spans of a marker extend; `words` is the number of words for the extent `words`."""

    extent: Extent
    words: int


@dataclass(frozen=True)
class MarkerBaseline:
    """Boundary markers and the rules that predict spans from them."""

    starts: MarkerSet
    ends: MarkerSet
    rules: Mapping[BoundaryMarker, SpanRule] = field(default_factory=dict)

    def predict(self, text: str) -> tuple[Span, ...]:
        """Return the predicted spans; end markers only add spans that do not overlap those of start markers."""
        marked = _MarkedText(text, self.starts, self.ends)
        spans: list[Span] = []
        reached = -1
        for start, marker in marked.starts.items():
            if marker in self.rules and start >= reached and (span := marked.span_from(start, self.rules[marker])):
                spans.append(span)
                reached = span.end
        taken = SpanIndex(spans)
        for end, marker in marked.ends.items():
            span = marked.span_to(end, self.rules[marker]) if marker in self.rules else None
            if span and not taken.overlaps(span.start, span.end):
                spans.append(span)
        return tuple(spans)

    @property
    def has_unambiguous_types(self) -> bool:
        """Whether each marker of the rules is used for one entity type."""
        return all(marker.purity >= _UNAMBIGUOUS for marker in self.rules)

    def markers_in_use(self) -> tuple[list[BoundaryMarker], list[BoundaryMarker]]:
        """Return the start and end markers that the predictions depend on."""
        starts = [marker for marker in self.starts.markers if marker in self.rules]
        needs_ends = any(self.rules[marker].extent in ("nearest", "furthest") for marker in starts)
        labels = {marker.label for marker in starts}
        paired = [m for m in self.ends.markers if needs_ends and (m.label in labels or m.purity < _UNAMBIGUOUS)]
        closing = [marker for marker in self.ends.markers if marker in self.rules]
        return starts, list(dict.fromkeys([*paired, *closing]))


def sample(sentences: Sequence[Sentence], size: int = _MAX_SENTENCES) -> list[Sentence]:
    """Return at most `size` evenly spaced sentences."""
    step = max(1, -(-len(sentences) // size))
    return list(sentences[::step])


def learn_marker_baseline(train: Sequence[Sentence]) -> MarkerBaseline:
    """Learn the rules with the best F1 on train; without boundary markers there are none."""
    sentences = sample(train)
    starts, ends = learn_markers(sentences, "start"), learn_markers(sentences, "end")
    if not starts.markers and not ends.markers:
        return MarkerBaseline(starts, ends)
    best = _best_rules(sentences, starts, ends)
    opening = {marker: best[marker] for marker in starts.markers if marker in best}
    closing = {marker: best[marker] for marker in ends.markers if marker in best}
    candidates = [MarkerBaseline(starts, ends, rules) for rules in (opening | closing, opening, closing)]
    gold = [sentence.spans for sentence in sentences]

    def train_f1(baseline: MarkerBaseline) -> float:
        return exact_f1(gold, [baseline.predict(sentence.text) for sentence in sentences])

    return max(candidates, key=train_f1)


def _best_rules(sentences: Sequence[Sentence], starts: MarkerSet, ends: MarkerSet) -> dict[BoundaryMarker, SpanRule]:
    """Return the rule with the best F1 of each marker, judged by ranges without types, if it finds any entity."""
    correct: dict[BoundaryMarker, Counter[SpanRule]] = defaultdict(Counter)
    predicted: dict[BoundaryMarker, Counter[SpanRule]] = defaultdict(Counter)
    rules = _candidate_rules(sentences, starts, ends)
    for sentence in sentences:
        marked = _MarkedText(sentence.text, starts, ends)
        gold = {(span.start, span.end) for span in valid_spans(sentence)}
        for found, span_at in ((marked.starts, marked.span_from), (marked.ends, marked.span_to)):
            for position, marker in found.items():
                for rule in rules[marker]:
                    if span := span_at(position, rule):
                        predicted[marker][rule] += 1
                        correct[marker][rule] += (span.start, span.end) in gold

    def f1(marker: BoundaryMarker, rule: SpanRule) -> float:
        return ratio(2 * correct[marker][rule], predicted[marker][rule] + marker.hits)

    return {m: max(counts, key=lambda rule: f1(m, rule)) for m, counts in correct.items() if any(counts.values())}


def _candidate_rules(
    sentences: Sequence[Sentence], starts: MarkerSet, ends: MarkerSet
) -> dict[BoundaryMarker, list[SpanRule]]:
    """Return the rules to try for each marker; the number of words is the most frequent one of its entities."""
    lengths: dict[BoundaryMarker, Counter[int]] = defaultdict(Counter)
    for sentence in sentences:
        at_start, at_end = starts.find(sentence.text), ends.find(sentence.text)
        for span in valid_spans(sentence):
            words = len(word_ranges(span.text_in(sentence.text)))
            for marker in (at_start.get(span.start), at_end.get(span.end)):
                if marker and words:
                    lengths[marker][words] += 1
    rules = {}
    for marker in (*starts.markers, *ends.markers):
        words = lengths[marker].most_common(1)[0][0] if lengths[marker] else 1
        rules[marker] = [SpanRule("white space", 0), SpanRule("words", words)]
        if marker.side == "start" and ends.markers:
            rules[marker] = [SpanRule("nearest", 0), SpanRule("furthest", 0), *rules[marker]]
    return rules


class _MarkedText:
    """The boundaries that markers indicate in a text, and the spans that rules predict from them."""

    def __init__(self, text: str, starts: MarkerSet, ends: MarkerSet) -> None:
        self.starts, self.ends = starts.find(text), ends.find(text)
        self._text = text
        self._start_positions, self._end_positions = list(self.starts), list(self.ends)

    @cached_property
    def _words(self) -> list[tuple[int, int]]:
        return word_ranges(self._text)

    @cached_property
    def _next_other_start(self) -> dict[int, float]:
        """The next start with a different marker, for each start."""
        result: dict[int, float] = {}
        limit, following = inf, None
        for position, marker in reversed(self.starts.items()):
            if following is not None and self.starts[following] is not marker:
                limit = following
            result[position], following = limit, position
        return result

    def span_from(self, start: int, rule: SpanRule) -> Span | None:
        """Return the span of the start marker at `start`."""
        marker = self.starts[start]
        if rule.extent in ("nearest", "furthest"):
            end = self._paired_end(start, rule.extent)
            return None if end is None else Span(start, end, _purer(marker, self.ends[end]).label)
        first = bisect_right(self._words, start, key=itemgetter(1))
        last = self._last_word((self._words[place] for place in range(first, len(self._words))), rule)
        return Span(start, last[1], marker.label) if last and last[1] > start else None

    def span_to(self, end: int, rule: SpanRule) -> Span | None:
        """Return the span of the end marker at `end`."""
        after = bisect_left(self._words, end, key=itemgetter(0))
        first = self._last_word((self._words[place] for place in range(after - 1, -1, -1)), rule)
        return Span(first[0], end, self.ends[end].label) if first and first[0] < end else None

    def _paired_end(self, start: int, extent: Extent) -> int | None:
        if extent == "furthest":
            limit = self._next_other_start[start]
        else:
            later = bisect_right(self._start_positions, start)
            limit = self._start_positions[later] if later < len(self._start_positions) else len(self._text)
        first, last = bisect_right(self._end_positions, start), bisect_right(self._end_positions, limit)
        return None if first == last else self._end_positions[first if extent == "nearest" else last - 1]

    def _last_word(self, words: Iterator[tuple[int, int]], rule: SpanRule) -> tuple[int, int] | None:
        """Return the last word that a span reaches; `words` are those of the text in its direction."""
        last = None
        for number, word in enumerate(words):
            if rule.extent == "words" and number == rule.words:
                break
            if rule.extent == "white space" and last and self._has_space_between(*sorted((last, word))):
                break
            last = word
        return last

    def _has_space_between(self, left: tuple[int, int], right: tuple[int, int]) -> bool:
        return any(map(str.isspace, self._text[left[1] : right[0]]))


def _purer(start: BoundaryMarker, end: BoundaryMarker) -> BoundaryMarker:
    return start if start.purity >= end.purity else end
