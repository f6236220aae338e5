"""Leakage: annotation that is left in the text, or what its removal left behind."""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from tune_ner.audit.baselines import TRIVIAL_F1, Gazetteer, Predict
from tune_ner.audit.checks.boundary_markers import SENTENCE_PUNCTUATION, Cue, Side, inner_positions, told
from tune_ner.audit.findings import MAX_EXAMPLES, Example, Finding, percent, ratio, remedy_command, span_example
from tune_ner.audit.marker_baseline import MarkupRule
from tune_ner.data.corpus import Sentence, Span, SplitName, valid_spans
from tune_ner.evaluation.span_metrics import SpanMetrics

MIN_PRECISION = 0.9
MIN_COVERAGE = 0.1
FULL_COVERAGE = 0.9
"""Share of entities whose start (or end) is given away from which finding entities is no task any more."""
_MIN_SUPPORT = 10
"""Entities of one type in the test part from which a rule's F1 on that type says something."""
_IMPURE = 0.9

_SIDE_WORDS: dict[Side, str] = {"start": "before", "end": "after"}


@dataclass(frozen=True)
class BoundaryFigures:
    """How well cues tell one side of the entities.

    `predicted` positions are told by a cue, `hits` of them are a boundary; `covered` of `entities` have their
    boundary told. Positions within entities are left out, as in learning.
    """

    predicted: int
    hits: int
    covered: int
    entities: int

    @property
    def precision(self) -> float:
        """Share of the cues' places that are at an entity."""
        return ratio(self.hits, self.predicted)

    @property
    def coverage(self) -> float:
        """Share of the entities that carry a cue."""
        return ratio(self.covered, self.entities)


def boundary_figures(cues: Sequence[Cue], side: Side, sentences: Iterable[Sentence]) -> BoundaryFigures:
    """How well the cues of a side tell the boundaries of the sentences' entities."""
    predicted = hits = covered = entities = 0
    for sentence in sentences:
        spans = valid_spans(sentence)
        where = [span.start if side == "start" else span.end for span in spans]
        positions = set(told(cues, sentence.text)) - (inner_positions(sentence) - set(where))
        predicted += len(positions)
        hits += len(positions & set(where))
        covered += sum(position in positions for position in where)
        entities += len(spans)
    return BoundaryFigures(predicted, hits, covered, entities)


def with_types_of_forms(rule: MarkupRule, gazetteer: Gazetteer) -> Predict:
    """The rule's spans; where its markers are the same for several types, a form known from train has its own."""
    if all(cue.purity >= _IMPURE for cue, _, _ in (*rule.opening, *rule.closing)):
        return rule.predict

    def predict(text: str) -> tuple[Span, ...]:
        return tuple(
            Span(span.start, span.end, gazetteer.types.get(gazetteer.index.words(span.text_in(text)), span.label))
            for span in rule.predict(text)
        )

    return predict


def markup_findings(
    rule: MarkupRule, scores: dict[SplitName, SpanMetrics], test: Sequence[Sentence], data_option: str
) -> list[Finding]:
    """What the cues in the text give away of the test part: one finding for a rule that solves it, or one a side."""
    whole = _rule_finding(rule, scores["test"], test, data_option)
    if whole is not None:
        return [whole]
    sides: list[tuple[Side, Sequence[Cue]]] = [("start", rule.starts), ("end", rule.ends)]
    found = [_boundary_finding(side, cues, test, data_option) for side, cues in sides]
    return [finding for finding in (_type_finding(rule, scores["test"], test, data_option), *found) if finding]


def describe(starts: Sequence[Cue], ends: Sequence[Cue]) -> str:
    """The cues in words: `brackets around entities`, `a space before punctuation after entities` …"""
    if not starts or not ends:
        side: Side = "start" if starts else "end"
        return f"{_markers(starts or ends)} {_SIDE_WORDS[side]} entities"
    if {kind_of(cue) for cue in (*starts, *ends)} == {"brackets"}:
        return "brackets around entities"
    first, last = _markers(starts), _markers(ends)
    return f"{first} around entities" if first == last else f"{first} before and {last} after entities"


def kind_of(cue: Cue) -> str:
    """What a cue is made of: `brackets`, `tags`, `spacing` or `characters`."""
    visible = [character for character in cue.marker if not character.isspace()]
    if cue.is_tag:
        return "tags"
    if visible and all(unicodedata.category(character) in ("Ps", "Pe", "Pi", "Pf") for character in visible):
        return "brackets"
    return "spacing" if cue.is_ordinary else "characters"


def _markers(cues: Sequence[Cue]) -> str:
    pieces: dict[str, None] = {}
    for cue in cues:
        visible = [character for character in cue.marker if not character.isspace()]
        if kind_of(cue) != "spacing":
            pieces[f"`{cue.marker.strip()}`"] = None
        elif visible and cue.marker[0] == " " and visible[0] in SENTENCE_PUNCTUATION:
            pieces["a space before punctuation"] = None
        elif visible:
            pieces[f"the spacing {cue.marker!r}"] = None
        else:
            pieces[f"the white space {cue.marker!r}"] = None
    return ", ".join(pieces)


def _remedy(cues: Sequence[Cue], data_option: str) -> str:
    kinds = {kind_of(cue) for cue in cues}
    if kinds == {"spacing"}:
        return (
            "Read the annotated text again with "
            f"{remedy_command(data_option, '--markup strip')}, which takes the annotator's space out with the bracket; "
            "if only this text is left, take the space before punctuation out everywhere and move the spans."
        )
    if kinds <= {"brackets", "spacing"} and all(set(cue.marker) & set("()[]{} ") for cue in cues):
        return f"Read the text without its annotation: {remedy_command(data_option, '--markup strip')}."
    return "Take the markers out of the text, with any space that came with them, and move the spans by as much."


def _rule_finding(
    rule: MarkupRule, test: SpanMetrics, sentences: Sequence[Sentence], data_option: str
) -> Finding | None:
    untyped = test.matches["exact"].f1
    if max(test.f1, untyped) < TRIVIAL_F1:
        return None
    used = _used(rule)
    named = describe(*used)
    solves = f"reaches F1 {test.f1:.2f} on the test part"
    if test.f1 < TRIVIAL_F1:
        solves = f"finds the entities of the test part with F1 {untyped:.2f} but for their types"
    return Finding(
        kind="markup_rule",
        severity="error",
        title=f"a rule without a model {solves} ({named})",
        count=test.matches["exact"].correct,
        of=test.support,
        effect=(
            f"The answer is in the text: {named}. Whoever reads only these characters scores precision "
            f"{test.precision:.2f}, recall {test.recall:.2f} and F1 {test.f1:.2f} on the test part ({untyped:.2f} "
            "without types). What a model scores here says nothing about text that nobody has annotated."
        ),
        remedy=_remedy([*used[0], *used[1]], data_option),
        examples=_examples([*used[0], *used[1]], sentences),
        figures={"test_f1": test.f1, "test_f1_without_types": untyped, **_side_figures(rule, sentences)},
    )


def _type_finding(
    rule: MarkupRule, test: SpanMetrics, sentences: Sequence[Sentence], data_option: str
) -> Finding | None:
    solved = {
        label: scores.f1
        for label, scores in test.per_type.items()
        if scores.f1 >= TRIVIAL_F1 and scores.support >= _MIN_SUPPORT
    }
    if not solved:
        return None
    starts, ends = ([cue for cue in cues if cue.label in solved] for cues in _used(rule))
    named, types = describe(starts, ends), ", ".join(solved)
    count = sum(test.per_type[label].support for label in solved)
    return Finding(
        kind="markup_rule",
        severity="error",
        title=f"a rule without a model reaches F1 {min(solved.values()):.2f} on the test part's {types} ({named})",
        count=count,
        of=test.support,
        effect=(
            f"The type {types} ({count:,} of {test.support:,} test entities) is marked in the text: {named}. "
            "Its scores say nothing about text that nobody has annotated, and they lift the scores over all types."
        ),
        remedy=_remedy([*starts, *ends], data_option),
        examples=_examples([*starts, *ends], sentences, solved),
        figures={f"test_f1_{label}": f1 for label, f1 in solved.items()},
    )


def _boundary_finding(
    side: Side, cues: Sequence[Cue], sentences: Sequence[Sentence], data_option: str
) -> Finding | None:
    figures = boundary_figures(cues, side, sentences)
    if figures.precision < MIN_PRECISION or figures.coverage < MIN_COVERAGE:
        return None
    named = _markers(cues)
    full = figures.coverage >= FULL_COVERAGE
    place = "before them" if side == "start" else "behind them"
    return Finding(
        kind="markup_boundary",
        severity="error" if full else "warning",
        title=f"{named} marks {percent(figures.coverage)} of the entity {side}s",
        count=figures.covered,
        of=figures.entities,
        effect=(
            f"{figures.covered:,} of {figures.entities:,} test entities ({percent(figures.coverage)}) have {named} "
            f"{place}, and of the {figures.predicted:,} places in the test part with such a mark "
            f"{figures.hits:,} ({percent(figures.precision)}) are the {side} of an entity. A model learns the mark, "
            "which text that nobody has annotated does not have; its recall there will be lower."
        ),
        remedy=_remedy(cues, data_option),
        examples=_examples(cues, sentences),
        figures={"precision": figures.precision, "coverage": figures.coverage, "places": float(figures.predicted)},
    )


def _used(rule: MarkupRule) -> tuple[list[Cue], list[Cue]]:
    """The opening and closing cues that the rule's predictions rest on."""
    starts = [cue for cue, _, _ in rule.opening]
    pairs = any(reach in ("nearest", "furthest") for _, reach, _ in rule.opening)
    labels = {cue.label for cue in starts}
    paired = [cue for cue in rule.ends if pairs and (cue.label in labels or cue.purity < _IMPURE)]
    return starts, [*dict.fromkeys([*paired, *(cue for cue, _, _ in rule.closing)])]


def _side_figures(rule: MarkupRule, sentences: Sequence[Sentence]) -> dict[str, float]:
    starts = boundary_figures(rule.starts, "start", sentences)
    ends = boundary_figures(rule.ends, "end", sentences)
    return {
        "start_precision": starts.precision,
        "start_coverage": starts.coverage,
        "end_precision": ends.precision,
        "end_coverage": ends.coverage,
    }


def _examples(
    cues: Sequence[Cue], sentences: Sequence[Sentence], types: Container[str] | None = None
) -> tuple[Example, ...]:
    starts, ends = ([cue for cue in cues if cue.side == side] for side in ("start", "end"))
    found: list[Example] = []
    for sentence in sentences:
        at_start, at_end = told(starts, sentence.text), told(ends, sentence.text)
        spans = (span for span in valid_spans(sentence) if types is None or span.label in types)
        marked = next((span for span in spans if span.start in at_start or span.end in at_end), None)
        if marked is not None:
            found.append(span_example(sentence, marked))
        if len(found) == MAX_EXAMPLES:
            break
    return tuple(found)
