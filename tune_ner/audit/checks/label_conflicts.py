"""Whether the annotation is consistent: forms of several types, and forms that are labelled only sometimes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tune_ner.audit.findings import (
    MAX_EXAMPLES,
    Example,
    Finding,
    Severity,
    first_examples,
    percent,
    ratio,
    span_example,
)
from tune_ner.data.corpus import Sentence, Span, valid_spans
from tune_ner.evaluation.seen_entities import EntityMatcher, SpanIndex, count_occurrences, normalize_entity

NOTABLE = 0.01
"""Share of entities (or sentences) from which a fault of annotation is a warning."""

CONFLICTS = 0.02
"""Share of entities of an unusual type that words with several meanings do not explain any more."""

UNLABELLED = 0.2
"""Share of places without a label from which the annotation may be incomplete rather than the task hard."""


def consistency_findings(sentences: Sequence[Sentence]) -> list[Finding]:
    """How far equal words are annotated alike, over the whole corpus."""
    return [finding for finding in (label_conflicts(sentences), unlabelled_forms(sentences)) if finding is not None]


def label_conflicts(sentences: Sequence[Sentence]) -> Finding | None:
    """Forms that are entities of one type here and of another there; counted are those of the rarer types."""
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence, span in entities_of(sentences):
        labels[normalize_entity(span.text_in(sentence.text))][span.label] += 1
    usual = {form: max(sorted(found), key=lambda label: found[label]) for form, found in labels.items()}
    conflicts = {form for form, found in labels.items() if len(found) > 1}
    rarer = [
        (sentence, span, usual[form])
        for sentence, span in entities_of(sentences)
        for form in [normalize_entity(span.text_in(sentence.text))]
        if span.label != usual[form]
    ]
    if not rarer:
        return None
    entities = count_entities(sentences)
    affected = sum(labels[form].total() for form in conflicts)
    return Finding(
        kind="label_conflicts",
        severity=severity_by_share(len(rarer), entities, CONFLICTS),
        title=f"{percent(len(rarer) / entities)} of the entities have another type than the same form mostly has",
        count=len(rarer),
        of=entities,
        effect=(
            f"{len(conflicts):,} forms ({affected:,} of {entities:,} entities) have more than one type. Where context "
            f"does not decide, a model can be right for the usual type only: up to {len(rarer):,} entities are lost."
        ),
        remedy="Look at the examples: mend what is a mistake, and write a rule for what is not.",
        examples=first_examples([span_example(s, span, f"mostly {label}") for s, span, label in rarer]),
        figures={"forms": float(len(conflicts)), "entities_of_these_forms": float(affected)},
    )


def unlabelled_forms(sentences: Sequence[Sentence]) -> Finding | None:
    """Places where the words of an entity stand without a label, on word boundaries and whatever their case."""
    index = EntityMatcher(sentences, fold_case=True)
    seen = count_occurrences(index, sentences)
    gaps = {form: found.unlabelled for form, found in seen.items() if found.unlabelled}
    if not gaps:
        return None
    labelled = sum(seen[form].labelled for form in gaps)
    unlabelled = sum(gaps.values())
    total = sum(found.labelled + found.unlabelled for found in seen.values())
    worst = sorted(gaps, key=lambda form: (-gaps[form], form))[:3]
    named = ", ".join(f"{' '.join(form)} ({seen[form].labelled} with, {gaps[form]} without)" for form in worst)
    return Finding(
        kind="unlabelled_forms",
        severity="warning" if unlabelled > UNLABELLED * total else "info",
        title=f"{percent(unlabelled / total)} of the places with an entity's words carry no label",
        count=unlabelled,
        of=total,
        effect=(
            f"{len(gaps):,} forms are entities in {labelled:,} places and plain text in {unlabelled:,}: most often "
            f"{named}. Where that is an oversight, a model that finds them is counted wrong; where context "
            "decides, it is the task."
        ),
        remedy="Look at the examples; annotate what was overlooked.",
        examples=first_examples(_unlabelled_examples(index, sentences)),
        figures={"forms": float(len(gaps)), "labelled": float(labelled), "unlabelled": float(unlabelled)},
    )


def entities_of(sentences: Sequence[Sentence]) -> Iterator[tuple[Sentence, Span]]:
    """Every span that covers a character, with its sentence."""
    return ((sentence, span) for sentence in sentences for span in valid_spans(sentence))


def count_entities(sentences: Sequence[Sentence]) -> int:
    """Number of spans that cover a character."""
    return sum(len(valid_spans(sentence)) for sentence in sentences)


def severity_by_share(count: int, of: int, notable: float = NOTABLE) -> Severity:
    """A warning from a share of `notable` on, below it good to know."""
    return "warning" if ratio(count, of) >= notable else "info"


def _unlabelled_examples(index: EntityMatcher, sentences: Sequence[Sentence]) -> list[Example]:
    found: list[Example] = []
    for sentence in sentences:
        spans = SpanIndex(sentence.spans)
        for start, end, form in index.find(sentence.text):
            if not spans.overlaps(start, end):
                label = index.labels[form].most_common(1)[0][0]
                found.append(span_example(sentence, Span(start, end, label), "not labelled here"))
                if len(found) == MAX_EXAMPLES:
                    return found
    return found
