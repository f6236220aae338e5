"""Check for spans that contain several entities."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from tune_ner.audit.check import AuditInput, Check
from tune_ner.audit.checks.markup_leakage import MarkupLeakage
from tune_ner.audit.findings import Finding, span_examples
from tune_ner.data.corpus import Sentence, Span, valid_spans
from tune_ner.evaluation.seen_entities import EntityMatcher, Words
from tune_ner.utils.text import plural


class MergedSpans(Check):
    """Spans that contain the markers of other annotations, or that start and end with known entities."""

    name = "merged_spans"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        total = sum(len(sentence.spans) for sentence in data.sentences)
        # markers that do not give entities away are punctuation of the text
        merged = list(_with_markers_inside(data)) if any(MarkupLeakage().run(data)) else []
        if merged:
            inside, count = sum(markers for _, _, markers in merged), len(merged)
            yield Finding(
                kind=self.name,
                severity="warning",
                title=f"{plural(count, 'span')} containing other annotations",
                count=count,
                total=total,
                effect=(
                    f"They contain {plural(inside, 'other annotation')}: {inside + count:,} entities are evaluated as "
                    f"{count:,}, and a model that finds the individual entities is counted as wrong."
                ),
                suggestion=(
                    "Read the spans again from the innermost pairs of the markup: "
                    f"{data.command('--markup strip')} does so for brackets."
                ),
                examples=span_examples((sentence, span) for sentence, span, _ in merged),
                values={"merged": count, "annotations_inside": inside + count},
            )
        known, matcher = {id(span) for _, span, _ in merged}, data.gazetteer.matcher
        suspects = [
            (s, span) for s, span in data.entities if id(span) not in known and _is_suspect(matcher, span, s.text)
        ]
        if suspects:
            yield Finding(
                kind=self.name,
                severity="info",  # in most corpora these are single entities, such as `renal cell carcinoma`
                title=f"{plural(len(suspects), 'span')} that may contain several entities",
                count=len(suspects),
                total=total,
                effect=(
                    "Heuristic: these spans start with a train entity of their type and end with another, with words "
                    "between them. If they are merged, a model that finds the individual entities is counted as wrong."
                ),
                suggestion="Check the examples; if they contain several entities, annotate each one separately.",
                examples=span_examples(suspects),
                values={"merged": len(suspects)},
            )


def _with_markers_inside(data: AuditInput) -> Iterator[tuple[Sentence, Span, int]]:
    """Yield spans with start markers of other annotations inside (end markers if starts are unmarked), and how many."""
    starts, ends = data.marker_baseline.starts, data.marker_baseline.ends
    for sentence in data.sentences:
        spans = valid_spans(sentence)
        positions = list((starts if starts.markers else ends).find(sentence.text)) if spans else []
        for span in spans:
            inside = bisect_left(positions, span.end) - bisect_right(positions, span.start)
            if inside > 0:
                yield sentence, span, inside


def _is_suspect(matcher: EntityMatcher, span: Span, text: str) -> bool:
    """Return whether a span starts and ends with known entities of its type and has a word in between."""
    words = matcher.words(span.text_in(text))
    lengths = range(1, len(words) - 1)
    first = next((n for n in lengths if _is_entity(matcher, words[:n], span.label)), 0)
    last = next((n for n in lengths if _is_entity(matcher, words[-n:], span.label)), 0)
    return bool(first and last) and first + last < len(words)


def _is_entity(matcher: EntityMatcher, words: Words, label: str) -> bool:
    labels = matcher.labels.get(words)
    return labels is not None and labels[label] * 2 > labels.total()
