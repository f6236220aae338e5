"""Merged spans: entities that run over other annotations and the words between them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from tune_ner.audit.checks.boundary_markers import told
from tune_ner.audit.findings import Example, Finding, first_examples, percent, remedy_command, span_example
from tune_ner.audit.marker_baseline import MarkupRule
from tune_ner.data.corpus import Sentence, Span, valid_spans
from tune_ner.evaluation.seen_entities import EntityMatcher, Words

NOTABLE = 0.015
"""Share of entities from which a heuristic's finds are more than chance likenesses."""


def broken_findings(
    rule: MarkupRule, index: EntityMatcher, sentences: Sequence[Sentence], data_option: str
) -> list[Finding]:
    """Spans with markers of other annotations inside, and spans that look like several entities in one."""
    merged = [_Merged(sentence, *found) for sentence in sentences for found in _with_markers_inside(rule, sentence)]
    known = {id(span) for _, span, _ in merged}
    alike = [
        (sentence, span)
        for sentence in sentences
        for span in valid_spans(sentence)
        if id(span) not in known and _begins_and_ends_with_entities(index, span, sentence.text)
    ]
    entities = sum(len(sentence.spans) for sentence in sentences)
    return [
        *([_marked_finding(merged, entities, data_option)] if merged else ()),
        *([_alike_finding(alike, entities)] if alike else ()),
    ]


class _Merged(NamedTuple):
    """A span that runs over other annotations, and how many of them there are."""

    sentence: Sentence
    span: Span
    hidden: int


def _with_markers_inside(rule: MarkupRule, sentence: Sentence) -> list[tuple[Span, int]]:
    """Spans that hold openings of other annotations, or endings where openings leave no trace, and how many."""
    spans = valid_spans(sentence)
    positions = list(told(rule.starts or rule.ends, sentence.text)) if spans else []
    counted = ((span, bisect_left(positions, span.end) - bisect_right(positions, span.start)) for span in spans)
    return [(span, hidden) for span, hidden in counted if hidden > 0]


def _begins_and_ends_with_entities(index: EntityMatcher, span: Span, text: str) -> bool:
    """Whether a span begins with a known entity of its type, ends with another, and has a word in between."""
    words = index.words(span.text_in(text))
    longest = len(words) - 2
    first = next((n for n in range(1, longest + 1) if _is_entity(index, words[:n], span.label)), 0)
    last = next((n for n in range(1, longest + 1) if _is_entity(index, words[-n:], span.label)), 0)
    return bool(first and last) and first + last < len(words)


def _is_entity(index: EntityMatcher, form: Words, label: str) -> bool:
    labels = index.labels.get(form)
    return labels is not None and labels[label] * 2 > labels.total()


def _marked_finding(merged: list[_Merged], entities: int, data_option: str) -> Finding:
    hidden = sum(found.hidden for found in merged)
    swallowed = hidden + len(merged)
    return Finding(
        kind="merged_spans",
        severity="warning",
        title=f"{len(merged):,} spans run over other annotations",
        count=len(merged),
        of=entities,
        effect=(
            f"{len(merged):,} of {entities:,} spans ({percent(len(merged) / entities)}) hold markers of "
            f"{hidden:,} more annotations: {swallowed:,} entities are scored as {len(merged):,}, and who finds "
            "the single ones is counted wrong."
        ),
        remedy=(
            f"Read the spans again from the markup by innermost pairs: {remedy_command(data_option, '--markup strip')} "
            "does so for brackets."
        ),
        examples=first_examples([span_example(sentence, span) for sentence, span, _ in merged]),
        figures={"merged": float(len(merged)), "annotations_inside": float(swallowed)},
    )


def _alike_finding(alike: list[tuple[Sentence, Span]], entities: int) -> Finding:
    share = len(alike) / entities
    examples: list[Example] = [span_example(sentence, span) for sentence, span in alike]
    return Finding(
        kind="merged_spans",
        severity="warning" if share >= NOTABLE else "info",
        title=f"{len(alike):,} spans look like several entities in one",
        count=len(alike),
        of=entities,
        effect=(
            f"By a heuristic: {len(alike):,} of {entities:,} spans ({percent(share)}) begin with an entity of their "
            "type in train, end with another, and have words in between. If they are merged, the single ones are "
            "counted wrong when found."
        ),
        remedy="Look at the examples; if they are several entities, annotate each by itself.",
        examples=first_examples(examples),
        figures={"merged": float(len(alike))},
    )
