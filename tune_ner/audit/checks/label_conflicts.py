"""Checks for texts that are annotated inconsistently."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

from tune_ner.audit.check import AuditInput, Check
from tune_ner.audit.findings import (
    Example,
    Finding,
    first_examples,
    location,
    percent,
    severity_by_share,
    span_example,
)
from tune_ner.data.corpus import Sentence, Span
from tune_ner.evaluation.seen_entities import (
    EntityMatcher,
    Occurrences,
    SpanIndex,
    Words,
    count_occurrences,
    normalize_entity,
)
from tune_ner.utils.text import plural

_USUALLY = 0.8  # share of the places of a text from which it is usually an entity
_LEAST_LABELLED = 3


class LabelConflicts(Check):
    """Texts that are annotated with different entity types, ignoring case and spacing."""

    name = "label_conflicts"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        entities = [(s, span, normalize_entity(span.text_in(s.text))) for s, span in data.entities]
        labels: dict[str, Counter[str]] = defaultdict(Counter)
        for _, span, text in entities:
            labels[text][span.label] += 1
        usual = {text: max(sorted(counts), key=lambda label: counts[label]) for text, counts in labels.items()}
        unusual = [(sentence, span, usual[text]) for sentence, span, text in entities if span.label != usual[text]]
        if not unusual:
            return
        conflicts = [counts.total() for counts in labels.values() if len(counts) > 1]
        share = len(unusual) / len(entities)
        yield Finding(
            kind=self.name,
            severity="info",  # names of several types are part of the task
            title=f"{percent(share)} of entities have a different type than the same text usually has",
            count=len(unusual),
            total=len(entities),
            effect=(
                f"{plural(len(conflicts), 'text')} with more than one type, {sum(conflicts):,} occurrences in total. "
                "Unless the context decides, a model can only be right for the most frequent type."
            ),
            suggestion="Check the examples: correct mistakes, and add an annotation guideline for the others.",
            examples=first_examples(span_example(s, span, f"usually {label}") for s, span, label in unusual),
            values={"texts": len(conflicts), "occurrences": sum(conflicts)},
        )


class AnnotationConflicts(Check):
    """Sentences that occur several times with different entities, as from several annotators."""

    name = "annotation_conflicts"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        same: dict[str, list[Sentence]] = defaultdict(list)
        for sentence in data.sentences:
            if sentence.text.strip():
                same[sentence.text].append(sentence)
        conflicting = [group for group in same.values() if len({frozenset(s.spans) for s in group}) > 1]
        if not conflicting:
            return
        # what is annotated in some occurrences only
        differing = [(group, _differing(group)) for group in conflicting]
        count = sum(len(spans) for _, spans in differing)
        yield Finding(
            kind=self.name,
            severity=severity_by_share(count, len(data.entities)),
            title=f"{plural(len(conflicting), 'repeated sentence')} with different annotations",
            count=count,
            total=len(data.entities),
            effect=(
                f"{plural(count, 'entity', 'entities')} of them are annotated in some occurrences only. A model cannot "
                "be right on all of them."
            ),
            suggestion="Decide on one annotation of each sentence, and remove the others.",
            examples=first_examples(
                span_example(s, span, f"not at {location(other)}") for s, other, span in _first_differences(differing)
            ),
            values={"sentences": len(conflicting)},
        )


class UnlabelledEntities(Check):
    """Places where a text that is usually an entity is not annotated, ignoring case."""

    name = "unlabelled_entities"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        matcher = EntityMatcher(data.sentences, fold_case=True)
        counts = count_occurrences(matcher, data.sentences)
        gaps = {words: found for words, found in counts.items() if found.unlabelled and _is_usual(found)}
        if not gaps:
            return
        labelled, unlabelled = (sum(column) for column in zip(*gaps.values(), strict=True))
        total = sum(found.labelled + found.unlabelled for found in counts.values())
        frequent = sorted(gaps, key=lambda words: (-gaps[words].unlabelled, words))[:3]
        named = ", ".join(f"{' '.join(w)} ({gaps[w].labelled} labelled, {gaps[w].unlabelled} not)" for w in frequent)
        yield Finding(
            kind=self.name,
            severity="info",
            title=(
                f"{plural(unlabelled, 'place')} where a text that is an entity in at least {percent(_USUALLY)} of its "
                "places is unlabelled"
            ),
            count=unlabelled,
            total=total,
            effect=(
                f"{plural(len(gaps), 'text')} that are usually entities, most often {named}. If an "
                "annotation is missing, a model that finds the entity is counted as wrong; if the context decides, "
                "this is part of the task."
            ),
            suggestion="Check the examples and annotate missing entities.",
            examples=first_examples(_unlabelled(matcher, data.sentences, gaps)),
            values={"texts": len(gaps), "labelled": labelled, "unlabelled": unlabelled},
        )


def _is_usual(found: Occurrences) -> bool:
    total = found.labelled + found.unlabelled
    return found.labelled >= max(_LEAST_LABELLED, _USUALLY * total)


def _differing(group: Sequence[Sentence]) -> list[Span]:
    """Return the spans of equal texts that not all of them have."""
    shared = set.intersection(*({*sentence.spans} for sentence in group))
    return [span for sentence in group for span in sentence.spans if span not in shared]


def _first_differences(
    differing: Sequence[tuple[Sequence[Sentence], Sequence[Span]]],
) -> Iterator[tuple[Sentence, Sentence, Span]]:
    """Yield for each text a span, the sentence that has it and one that has not."""
    for group, spans in differing:
        span = spans[0]
        yield next(s for s in group if span in s.spans), next(s for s in group if span not in s.spans), span


def _unlabelled(matcher: EntityMatcher, sentences: list[Sentence], gaps: Collection[Words]) -> Iterator[Example]:
    for sentence in sentences:
        spans = SpanIndex(sentence.spans)
        for start, end, words in matcher.find(sentence.text):
            if words in gaps and not spans.overlaps(start, end):
                label = matcher.labels[words].most_common(1)[0][0]
                yield span_example(sentence, Span(start, end, label), "not labelled here")
