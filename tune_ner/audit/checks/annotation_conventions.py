"""The annotation itself: where spans begin and end, overlaps, types that a part lacks, brackets."""

from __future__ import annotations

from collections.abc import Sequence

from tune_ner.audit.checks.boundary_markers import SENTENCE_PUNCTUATION
from tune_ner.audit.checks.label_conflicts import count_entities, entities_of, severity_by_share
from tune_ner.audit.findings import Example, Finding, PartSize, first_examples, percent, place, ratio, span_example
from tune_ner.data.corpus import Sentence, Span, SplitName, valid_spans
from tune_ner.data.markup import unpaired_brackets
from tune_ner.tagging.tokenization import WordTokenizer, split_words

_NEAR = 200
"""Characters beside a span that are looked at for a word or bracket."""


def annotation_findings(
    sentences: Sequence[Sentence], word_tokenizer: WordTokenizer, parts: dict[SplitName, PartSize]
) -> list[Finding]:
    """What is wrong with the spans of a corpus, whatever the split."""
    faults = [
        overlaps(sentences),
        off_boundaries(sentences, "punctuation"),
        off_boundaries(sentences, word_tokenizer) if word_tokenizer != "punctuation" else None,
        loose_edges(sentences),
        empty_spans(sentences),
        missing_types(parts),
        real_brackets(sentences),
        bracket_remnants(sentences),
    ]
    return [finding for finding in faults if finding is not None]


def overlaps(sentences: Sequence[Sentence]) -> Finding | None:
    """Spans that share a character with another one of their sentence, nested ones told apart."""
    found: list[tuple[Sentence, Span, Span]] = []
    for sentence in sentences:
        reached: Span | None = None
        for span in sorted(valid_spans(sentence), key=lambda span: (span.start, -span.end, span.label)):
            if reached is not None and span.start < reached.end:
                found.append((sentence, span, reached))
            if reached is None or span.end > reached.end:
                reached = span
    if not found:
        return None
    nested = sum(inner.end <= outer.end for _, inner, outer in found)
    entities = count_entities(sentences)
    return Finding(
        kind="overlaps",
        severity="warning",
        title=f"{len(found):,} spans overlap another one",
        count=len(found),
        of=entities,
        effect=(
            f"{len(found):,} of {entities:,} spans begin within another one, {nested:,} of them nested in it. A word "
            "carries one tag, so that of two overlapping spans at most one can be found: recall cannot pass "
            f"{1 - ratio(len(found), entities):.3f}."
        ),
        remedy="Keep one span of each pair, the one that the task asks for.",
        examples=first_examples(
            [span_example(s, inner, f"within {outer.text_in(s.text)!r}") for s, inner, outer in found]
        ),
        figures={"nested": float(nested), "crossing": float(len(found) - nested)},
    )


def off_boundaries(sentences: Sequence[Sentence], rule: WordTokenizer) -> Finding | None:
    """Spans that begin or end within a word, for one way of cutting words."""
    found = []
    for sentence in sentences:
        words = split_words(sentence.text, rule) if sentence.spans else []
        starts, ends = {start for start, _ in words}, {end for _, end in words}
        found += [(sentence, s) for s in valid_spans(sentence) if s.start not in starts or s.end not in ends]
    if not found:
        return None
    entities = count_entities(sentences)
    glued = rule == "whitespace"
    cut = "white space" if glued else "white space and punctuation"
    return Finding(
        kind=f"off_{rule}_words",
        severity=severity_by_share(len(found), entities),
        title=f"{percent(len(found) / entities)} of the spans do not begin and end with words cut at {cut}",
        count=len(found),
        of=entities,
        effect=(
            f"{len(found):,} of {entities:,} spans begin or end within a word. Tags are set on whole words, so that "
            f"these spans are never predicted exactly: recall cannot pass {1 - len(found) / entities:.3f}."
        ),
        remedy=(
            "Cut words at punctuation too: `--words punctuation`."
            if glued
            else "Mend the offsets, or find out whether they count bytes, or characters of another text."
        ),
        examples=first_examples([span_example(sentence, span) for sentence, span in found]),
    )


def loose_edges(sentences: Sequence[Sentence]) -> Finding | None:
    """Spans that begin or end with white space or sentence punctuation."""
    found = [
        (sentence, span)
        for sentence, span in entities_of(sentences)
        for text in [span.text_in(sentence.text)]
        if _is_loose(text[0]) or _is_loose(text[-1])
    ]
    if not found:
        return None
    spaces = sum(span.text_in(s.text).strip() != span.text_in(s.text) for s, span in found)
    entities = count_entities(sentences)
    return Finding(
        kind="loose_edges",
        severity="warning" if spaces else severity_by_share(len(found), entities),
        title=f"{len(found):,} spans begin or end with a space or punctuation",
        count=len(found),
        of=entities,
        effect=(
            f"{spaces:,} spans have white space at an edge and {len(found) - spaces:,} punctuation. A prediction "
            f"without it is counted wrong: up to {percent(len(found) / entities)} of the entities."
        ),
        remedy="Trim the spans; keep a full stop only where it belongs to an abbreviation.",
        examples=first_examples([span_example(sentence, span) for sentence, span in found]),
        figures={"white_space": float(spaces), "punctuation": float(len(found) - spaces)},
    )


def empty_spans(sentences: Sequence[Sentence]) -> Finding | None:
    """Spans without a character, or that reach out of their text."""
    found = [(s, span) for s in sentences for span in {*s.spans} - {*valid_spans(s)}]
    if not found:
        return None
    entities = sum(len(sentence.spans) for sentence in sentences)
    return Finding(
        kind="empty_spans",
        severity="warning",
        title=f"{len(found):,} spans are empty or reach out of their text",
        count=len(found),
        of=entities,
        effect=(
            f"No model can find them: they are misses in every score, {percent(len(found) / entities)} of the entities."
        ),
        remedy="Take them out, or mend their offsets.",
        examples=first_examples(
            [
                Example(place(s), f"{span.start}–{span.end} {span.label} of {len(s.text)} characters")
                for s, span in found
            ]
        ),
    )


def missing_types(parts: dict[SplitName, PartSize]) -> Finding | None:
    """Types that have no entity in a part."""
    missing = [
        (split_name, label) for split_name, size in parts.items() for label, count in size.per_type.items() if not count
    ]
    if not missing:
        return None
    named = ", ".join(f"{label} in {split_name}" for split_name, label in missing)
    return Finding(
        kind="missing_types",
        severity="warning",
        title=f"no entity of {named}",
        count=len(missing),
        of=sum(len(size.per_type) for size in parts.values()),
        effect=(
            "A type without an entity in train is never predicted; one without an entity in validation or test is not "
            "measured there, and any prediction of it counts as wrong."
        ),
        remedy="Use more text, larger parts or another split seed; or leave the type out.",
    )


def real_brackets(sentences: Sequence[Sentence]) -> Finding | None:
    """Entities in round brackets that look like the text's own brackets: a name after a name.

    A heuristic, and named so: the word right before the bracket and the first one in it are capitalised.
    """
    found = [(s, span) for s in sentences for span in valid_spans(s) if _looks_like_a_real_bracket(s, span)]
    if not found:
        return None
    return Finding(
        kind="real_brackets",
        severity="info",
        title=f"{len(found):,} entities may be the text's own brackets, read as annotation",
        count=len(found),
        of=count_entities(sentences),
        effect=(
            f"By a heuristic: {len(found):,} entities are a capitalised word in round brackets behind a capitalised "
            "word, as in a name and its brand. If the bracket is the text's own, it is no entity, or of another type."
        ),
        remedy="Look at the examples and mend the text, or leave the sentences out.",
        examples=first_examples([span_example(sentence, span) for sentence, span in found]),
    )


def bracket_remnants(sentences: Sequence[Sentence]) -> Finding | None:
    """Sentences with brackets that have no partner, or nothing in them."""
    found = [sentence for sentence in sentences if unpaired_brackets(sentence.text)]
    if not found:
        return None
    return Finding(
        kind="bracket_remnants",
        severity=severity_by_share(len(found), len(sentences)),
        title=f"{len(found):,} sentences have brackets without a partner",
        count=len(found),
        of=len(sentences),
        effect=(
            "Annotation in brackets may have been read wrongly there, or only half taken out; an entity that was not "
            "read is a miss for every model that finds it."
        ),
        remedy="Look at the lines, and close or take out the brackets.",
        examples=first_examples([Example(place(sentence), sentence.text[:120]) for sentence in found]),
    )


def _is_loose(character: str) -> bool:
    return character.isspace() or character in SENTENCE_PUNCTUATION


def _looks_like_a_real_bracket(sentence: Sentence, span: Span) -> bool:
    text = sentence.text
    inside, before = span.text_in(text), text[max(0, span.start - _NEAR) : span.start]
    if inside[0] == "(" and inside[-1] == ")":
        name = inside[1:-1].strip()
    elif before.rstrip().endswith("(") and text[span.end : span.end + _NEAR].lstrip().startswith(")"):
        before, name = before.rstrip()[:-1], inside.strip()
    else:
        return False
    previous = before.split()[-1:] or [""]
    return name[:1].isupper() and previous[0][:1].isupper() and previous[0].isalpha()
