"""Checks for spans that do not match words or their text."""

from collections import Counter
from collections.abc import Iterator

from tune_ner.audit.boundary_markers import SENTENCE_PUNCTUATION
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
from tune_ner.data.corpus import Sentence, Span, valid_spans
from tune_ner.tagging.tokenization import WordTokenizer, split_words
from tune_ner.utils.text import plural

_WHERE: dict[WordTokenizer, str] = {
    "whitespace": "white space",
    "punctuation": "white space and punctuation",
    "character": "white space, punctuation and each character of scripts without spaces",
}


def suggest_words(word_tokenizer: WordTokenizer) -> str:
    """Return the suggestion to use a word tokenizer."""
    return f"Split words at {_WHERE[word_tokenizer]}: `--words {word_tokenizer}`."


class WordBoundaries(Check):
    """Spans that start or end inside a word, which a tag per word cannot represent."""

    name = "word_boundaries"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        # `character` has all boundaries of the others: spans that it cannot represent have wrong offsets
        inside = self._inside_words(data, "character")
        if inside:
            yield self._finding(
                data, "character", inside, "Correct the offsets; check whether they refer to a different text."
            )
        others = self._inside_words(data, data.word_tokenizer)
        if len(others) > len(inside):
            suggestion = suggest_words(data.best_word_tokenizer)
            yield self._finding(data, data.word_tokenizer, others, suggestion)

    def _inside_words(self, data: AuditInput, word_tokenizer: WordTokenizer) -> list[tuple[Sentence, Span]]:
        found = []
        for sentence in data.sentences:
            words = split_words(sentence.text, word_tokenizer) if sentence.spans else []
            starts, ends = {start for start, _ in words}, {end for _, end in words}
            found += [(sentence, s) for s in valid_spans(sentence) if s.start not in starts or s.end not in ends]
        return found

    def _finding(
        self, data: AuditInput, word_tokenizer: WordTokenizer, found: list[tuple[Sentence, Span]], suggestion: str
    ) -> Finding:
        share = len(found) / len(data.entities)
        return Finding(
            kind=f"{self.name}_{word_tokenizer}",
            severity=severity_by_share(len(found), len(data.entities)),
            title=f"{percent(share)} of spans start or end inside a word; words are split at {_WHERE[word_tokenizer]}",
            count=len(found),
            total=len(data.entities),
            effect=(
                "Tags apply to whole words, so a model cannot predict these spans exactly: recall is at most "
                f"{1 - share:.3f}."
            ),
            suggestion=suggestion,
            examples=span_examples(found),
        )


class SpanEdges(Check):
    """Spans that start or end with white space or sentence punctuation."""

    name = "span_edges"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        edged = [(s, span, span.text_in(s.text)) for s, span in data.entities if _has_edge(s.text, span)]
        if not edged:
            return
        known = Counter((span.label, span.text_in(sentence.text)) for sentence, span in data.entities)
        found = [(s, span, text) for s, span, text in edged if _is_loose(text, span.label, known)]
        if not found:
            return
        spaces = sum(text.strip() != text for _, _, text in found)
        kinds = [name for name, n in (("white space", spaces), ("punctuation", len(found) - spaces)) if n]
        yield Finding(
            kind=self.name,
            severity=severity_by_share(len(found), len(data.entities)),
            title=f"{plural(len(found), 'span')} starting or ending with {' or '.join(kinds)} of the text around it",
            count=len(found),
            total=len(data.entities),
            effect="A prediction without these characters is counted as wrong.",
            suggestion="Trim the spans: the same text without these characters is annotated more often.",
            examples=span_examples((sentence, span) for sentence, span, _ in found),
            values={"white_space": spaces, "punctuation": len(found) - spaces},
        )


class InvalidSpans(Check):
    """Spans that are empty or outside of their text."""

    name = "invalid_spans"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        found = [(s, span) for s in data.sentences for span in {*s.spans} - {*valid_spans(s)}]
        if found:
            yield Finding(
                kind=self.name,
                severity="warning",
                title=f"{plural(len(found), 'span')} empty or outside of the text",
                count=len(found),
                total=sum(len(sentence.spans) for sentence in data.sentences),
                effect="A model cannot find them, so they count as missed.",
                suggestion="Remove them or correct their offsets.",
                examples=first_examples(
                    Example(location(s), f"{span.start}–{span.end} {span.label} in a text of {len(s.text)} characters")
                    for s, span in found
                ),
            )


def _has_edge(text: str, span: Span) -> bool:
    """Return whether a span starts or ends with white space or punctuation."""
    first, last = text[span.start], text[span.end - 1]
    return first in SENTENCE_PUNCTUATION or last in SENTENCE_PUNCTUATION or first.isspace() or last.isspace()


def _is_loose(text: str, label: str, known: Counter[tuple[str, str]]) -> bool:
    """Return whether a span has white space around it, or punctuation without which its text is annotated more often.

    Abbreviations (`U.S.`, `Dr.`) and titles with an exclamation mark keep their punctuation.
    """
    if (
        text[0] not in SENTENCE_PUNCTUATION
        and text[-1] not in SENTENCE_PUNCTUATION
        and not (text[0].isspace() or text[-1].isspace())
    ):
        return False
    if text.strip() != text:
        return True
    trimmed = text.strip("".join(SENTENCE_PUNCTUATION) + " ")
    return trimmed not in ("", text) and known[label, trimmed] > known[label, text]
