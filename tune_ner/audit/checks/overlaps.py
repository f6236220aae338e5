"""Check for spans that overlap another span of their sentence."""

from collections import Counter
from collections.abc import Iterator

from tune_ner.audit.check import AuditInput, Check
from tune_ner.audit.findings import Finding, first_examples, ratio, severity_by_share, span_example
from tune_ner.data.corpus import Sentence, Span, valid_spans
from tune_ner.tagging.overlaps import keep_disjoint, most_disjoint
from tune_ner.utils.text import plural

SUGGESTION = "Decide which entities to train on: `--overlaps longest`, outermost, innermost or first."


class OverlappingSpans(Check):
    """Spans that start inside another span."""

    name = "overlapping_spans"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        found = [(sentence, *pair) for sentence in data.sentences for pair in _overlaps(sentence)]
        if not found:
            return
        policy = data.encoding.overlaps
        kept, dropped = Counter[str](), Counter[str]()
        for sentence in data.sentences:
            spans = valid_spans(sentence)
            chosen = Counter(label for _, _, label in keep_disjoint([(s.start, s.end, s.label) for s in spans], policy))
            kept += chosen
            dropped += Counter(span.label for span in spans) - chosen
        most = sum(most_disjoint([(s.start, s.end) for s in valid_spans(each)]) for each in data.sentences)
        nested = sum(inner.end <= outer.end for _, inner, outer in found)
        yield Finding(
            kind=self.name,
            severity=severity_by_share(len(found), len(data.entities)),
            title=f"{plural(len(found), 'span')} overlapping another span, {nested:,} of them nested",
            count=len(found),
            total=len(data.entities),
            effect=(
                "A word has one tag, so a model can find at most one of two overlapping spans: recall is at most "
                f"{ratio(most, len(data.entities)):.3f}. With `overlaps: {policy}`, {dropped.total():,} are not "
                f"trained on and count as missed: {', '.join(f'{name} {n:,}' for name, n in dropped.most_common())}."
            ),
            suggestion=SUGGESTION,
            examples=first_examples(span_example(s, a, f"inside {b.text_in(s.text)!r}") for s, a, b in found),
            values={
                "nested": nested,
                "crossing": len(found) - nested,
                **{f"dropped_{name}": n for name, n in dropped.items()},
            },
        )


def _overlaps(sentence: Sentence) -> Iterator[tuple[Span, Span]]:
    """Yield the spans that start inside an earlier span, with the earlier span that reaches furthest."""
    furthest: Span | None = None
    for span in sorted(valid_spans(sentence), key=lambda span: (span.start, -span.end, span.label)):
        if furthest and span.start < furthest.end:
            yield span, furthest
        if not furthest or span.end > furthest.end:
            furthest = span
