"""Checks of corpora whose annotation is brackets: ordinary brackets read as annotation, and unpaired ones."""

from collections.abc import Iterator

from tune_ner.audit.check import AuditInput, Check
from tune_ner.audit.findings import (
    Example,
    Finding,
    first_examples,
    location,
    percent,
    severity_by_share,
    span_examples,
)
from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.markup import unpaired_brackets
from tune_ner.utils.text import plural

_CONTEXT = 200  # characters next to a span that are searched for a word or bracket


class LiteralBrackets(Check):
    """Entities that may be ordinary text in brackets, read as annotation."""

    name = "literal_brackets"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        if not data.has_bracket_markup:
            return
        found = [(sentence, span) for sentence, span in data.entities if _is_name_in_brackets(sentence, span)]
        if found:
            yield Finding(
                kind=self.name,
                severity="info",
                title=f"{plural(len(found), 'entity', 'entities')} that may be ordinary text in brackets",
                count=len(found),
                total=len(data.entities),
                effect=(
                    "Heuristic: a capitalized word in round brackets after a capitalized word, such as a drug and its "
                    "brand name. If the brackets belong to the text, this is not an entity or has another type."
                ),
                suggestion="Check the examples and correct the text, or remove the sentences.",
                examples=span_examples(found),
            )


class Footnotes(Check):
    """Entities that are numbers only, such as the footnote `[7]` read as a drug."""

    name = "footnotes"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        if not data.has_bracket_markup:
            return
        for label in data.corpus.entity_types:
            entities = [(sentence, span) for sentence, span in data.entities if span.label == label]
            found = [(s, span) for s, span in entities if span.text_in(s.text).strip("()[]{} ").isdecimal()]
            if not found:
                continue
            yield Finding(
                kind=self.name,
                severity=severity_by_share(len(found), len(entities)),
                title=f"{percent(len(found) / len(entities))} of {label} entities are numbers, such as footnotes",
                count=len(found),
                total=len(entities),
                effect="A model learns to label numbers, and is scored on them.",
                suggestion="Remove the footnotes, or write them in brackets that mark no entity.",
                examples=span_examples(found),
            )


class UnpairedBrackets(Check):
    """Sentences with unpaired or empty brackets."""

    name = "unpaired_brackets"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        if not data.has_bracket_markup:
            return
        found = [sentence for sentence in data.sentences if unpaired_brackets(sentence.text)]
        if found:
            yield Finding(
                kind=self.name,
                severity=severity_by_share(len(found), len(data.sentences)),
                title=f"{plural(len(found), 'sentence')} with unpaired brackets",
                count=len(found),
                total=len(data.sentences),
                effect=(
                    "Bracket annotation may have been read incorrectly or removed only in part. A model that finds an "
                    "entity that was not read is counted as wrong."
                ),
                suggestion="Check these lines; close or remove the brackets.",
                examples=first_examples(Example(location(sentence), sentence.text[:120]) for sentence in found),
            )


def _is_name_in_brackets(sentence: Sentence, span: Span) -> bool:
    text = sentence.text
    inside, before = span.text_in(text), text[max(0, span.start - _CONTEXT) : span.start]
    if inside[0] == "(" and inside[-1] == ")":
        name = inside[1:-1].strip()
    elif before.rstrip().endswith("(") and text[span.end : span.end + _CONTEXT].lstrip().startswith(")"):
        before, name = before.rstrip()[:-1], inside.strip()
    else:
        return False
    previous = (before.split() or [""])[-1]
    return name[:1].isupper() and previous[:1].isupper() and previous.isalpha()
