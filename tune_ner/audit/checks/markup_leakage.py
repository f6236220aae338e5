"""Check for annotation that is left in the text, or traces of its removal."""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from tune_ner.audit.baselines import TRIVIAL_F1
from tune_ner.audit.boundary_markers import BoundaryMarker, MarkerSet, describe, inner_positions, join_descriptions
from tune_ner.audit.check import AuditInput, Check
from tune_ner.audit.findings import Example, Finding, first_examples, percent, ratio, span_example
from tune_ner.data.corpus import Sentence, valid_spans

_MIN_PRECISION = 0.9
_MIN_COVERAGE = 0.1
_FULL_COVERAGE = 0.9  # share of marked entity starts (or ends) from which finding entities is trivial
_MIN_SUPPORT = 10  # test entities of a type from which its F1 is meaningful


class Agreement(NamedTuple):
    """Agreement of markers with entity boundaries on one side.

    Markers indicate `places` outside of entities, of which `correct` are a boundary (`precision`); `marked` of
    `entities` have a marker (`coverage`).
    """

    places: int
    correct: int
    precision: float
    marked: int
    entities: int
    coverage: float


class MarkupLeakage(Check):
    """Characters in the text that mark entities, such as brackets left by the annotation."""

    name = "markup_leakage"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        if not data.marker_baseline.rules:
            return
        test, sentences = data.baselines["boundary_markers"]["test"], data.sentences_of("test")
        if max(test.f1, test.matches["exact"].f1) >= TRIVIAL_F1:
            yield self._solved_split(data, sentences)
            return
        solved = {
            label: metrics.f1
            for label, metrics in test.per_type.items()
            if metrics.f1 >= TRIVIAL_F1 and metrics.support >= _MIN_SUPPORT
        }
        if solved:
            yield self._solved_types(solved, data, sentences)
        for markers in (data.marker_baseline.starts, data.marker_baseline.ends):
            found = measure_agreement(markers, sentences)
            if found.precision >= _MIN_PRECISION and found.coverage >= _MIN_COVERAGE:
                yield self._marked_side(markers, found, data, sentences)

    def _solved_split(self, data: AuditInput, sentences: list[Sentence]) -> Finding:
        test = data.baselines["boundary_markers"]["test"]
        untyped = test.matches["exact"].f1
        starts, ends = data.marker_baseline.markers_in_use()
        score = f"F1 {test.f1:.2f}" if test.f1 >= TRIVIAL_F1 else f"F1 {untyped:.2f} (ignoring types)"
        at_start = measure_agreement(data.marker_baseline.starts, sentences)
        at_end = measure_agreement(data.marker_baseline.ends, sentences)
        return Finding(
            kind="marker_baseline",
            severity="error",
            title=f"{score} on the test split without a model, from {describe(starts, ends)}",
            count=test.matches["exact"].correct,
            total=test.support,
            effect=(
                "The text contains the annotation. A rule that reads only these characters has precision "
                f"{test.precision:.2f}, recall {test.recall:.2f} and F1 {test.f1:.2f} ({untyped:.2f} ignoring types). "
                "Scores of models on this text do not carry over to text without annotation."
            ),
            suggestion=_suggestion([*starts, *ends], data),
            examples=_examples([*starts, *ends], sentences, data.corpus.entity_types),
            values={
                "test_f1": test.f1,
                "test_f1_without_types": untyped,
                "start_precision": at_start.precision,
                "start_coverage": at_start.coverage,
                "end_precision": at_end.precision,
                "end_coverage": at_end.coverage,
            },
        )

    def _solved_types(self, solved: dict[str, float], data: AuditInput, sentences: list[Sentence]) -> Finding:
        test = data.baselines["boundary_markers"]["test"]
        starts, ends = ([m for m in side if m.label in solved] for side in data.marker_baseline.markers_in_use())
        score, types = min(solved.values()), ", ".join(solved)
        return Finding(
            kind="marker_baseline",
            severity="error",
            title=f"F1 {score:.2f} for {types} on the test split without a model, from {describe(starts, ends)}",
            count=sum(test.per_type[label].support for label in solved),
            total=test.support,
            effect=(
                "The text contains the annotation of these entities. Their scores do not carry over to text without "
                "annotation, and they inflate the overall scores."
            ),
            suggestion=_suggestion([*starts, *ends], data),
            examples=_examples([*starts, *ends], sentences, solved),
            values={f"test_f1_{label}": f1 for label, f1 in solved.items()},
        )

    def _marked_side(
        self, markers: MarkerSet, found: Agreement, data: AuditInput, sentences: list[Sentence]
    ) -> Finding:
        return Finding(
            kind="boundary_markers",
            severity="error" if found.coverage >= _FULL_COVERAGE else "warning",
            title=f"{percent(found.coverage)} of entity {markers.side}s have {join_descriptions(markers.markers)}",
            count=found.marked,
            total=found.entities,
            effect=(
                f"{found.correct:,} of {found.places:,} places with this marker ({percent(found.precision)}) are the "
                f"{markers.side} of an entity. A model learns the marker; its recall is lower on text without it."
            ),
            suggestion=_suggestion(markers.markers, data),
            examples=_examples(markers.markers, sentences, data.corpus.entity_types),
            values={"precision": found.precision, "coverage": found.coverage, "places": found.places},
        )


def measure_agreement(markers: MarkerSet, sentences: Sequence[Sentence]) -> Agreement:
    """Compare the positions that markers indicate with entity boundaries."""
    places = correct = marked = entities = 0
    for sentence in sentences:
        boundaries = [span.start if markers.side == "start" else span.end for span in valid_spans(sentence)]
        positions = set(markers.find(sentence.text)) - (inner_positions(sentence) - set(boundaries))
        places += len(positions)
        correct += len(positions & set(boundaries))
        marked += sum(boundary in positions for boundary in boundaries)
        entities += len(boundaries)
    return Agreement(places, correct, ratio(correct, places), marked, entities, ratio(marked, entities))


def _suggestion(markers: Sequence[BoundaryMarker], data: AuditInput) -> str:
    kinds, strip = {marker.kind for marker in markers}, data.command("--markup strip")
    if kinds == {"spacing"}:
        return (
            f"Read the annotated text again with {strip}, which removes the extra space together with the bracket. If "
            "only this text is available, remove the space before punctuation everywhere and shift the spans."
        )
    if "brackets" in kinds and data.has_bracket_markup and not data.corpus.is_stripped:
        return f"Read the text without its annotation: {strip}."
    return "Remove the markers from the text, including any extra spaces, and shift the spans accordingly."


def _examples(
    markers: Sequence[BoundaryMarker], sentences: Sequence[Sentence], types: Collection[str]
) -> tuple[Example, ...]:
    """Show the first marked entity of each sentence."""
    starts = MarkerSet("start", [marker for marker in markers if marker.side == "start"])
    ends = MarkerSet("end", [marker for marker in markers if marker.side == "end"])

    def marked(sentence: Sentence) -> Example | None:
        at_start, at_end = starts.find(sentence.text), ends.find(sentence.text)
        spans = (span for span in valid_spans(sentence) if span.label in types)
        span = next((span for span in spans if span.start in at_start or span.end in at_end), None)
        return span_example(sentence, span) if span else None

    return first_examples(example for sentence in sentences if (example := marked(sentence)))
