"""How many test entities have a surface form that a model has met as an entity in training."""

from __future__ import annotations

from tune_ner.audit.findings import Finding, first_examples, percent, ratio, span_example
from tune_ner.data.corpus import Corpus, valid_spans
from tune_ner.data.splits import Split
from tune_ner.evaluation.seen_entities import normalize_entity, seen_entities


def surface_finding(corpus: Corpus, split: Split) -> Finding | None:
    """The share of test entities and of distinct test forms that are entities in train; None without entities."""
    seen = seen_entities(corpus, split)
    test = [corpus.sentences[index] for index in split.test]
    entities = [(sentence, span) for sentence in test for span in valid_spans(sentence)]
    if not entities:
        return None
    old = sum(seen.is_seen(span, sentence.text) for sentence, span in entities)
    forms = {normalize_entity(span.text_in(sentence.text)) for sentence, span in entities}
    old_forms = len(forms & seen.texts)
    new = [span_example(sentence, span) for sentence, span in entities if not seen.is_seen(span, sentence.text)]
    share = ratio(old, len(entities))
    return Finding(
        kind="seen_forms",
        severity="info",
        title=f"{percent(share)} of the test entities have a form that is an entity in train",
        count=old,
        of=len(entities),
        effect=(
            f"{old:,} of {len(entities):,} test entities, and {old_forms:,} of {len(forms):,} distinct forms "
            f"({percent(ratio(old_forms, len(forms)))}), were entities in train. The score over all of them is mostly "
            f"{'a score of recognising' if share >= 0.5 else 'a score of generalising'}: only {len(entities) - old:,} "
            "entities measure how a model does on new ones."
        ),
        remedy="Give the score of seen and of unseen forms apart.",
        examples=first_examples(new),
        figures={"share": share, "share_of_forms": ratio(old_forms, len(forms)), "unseen": float(len(entities) - old)},
    )
