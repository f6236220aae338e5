"""Checks for spans that do not match words or their text."""

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
from tune_ner.data.corpus import valid_spans
from tune_ner.tagging.tokenization import WordTokenizer, split_words
from tune_ner.utils.text import plural


class WordBoundaries(Check):
    """Spans that start or end inside a word, which a tag per word cannot represent."""

    name = "word_boundaries"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        tokenizers: list[WordTokenizer] = ["punctuation", data.word_tokenizer]
        for tokenizer in dict.fromkeys(tokenizers):
            found = []
            for sentence in data.sentences:
                words = split_words(sentence.text, tokenizer) if sentence.spans else []
                starts, ends = {start for start, _ in words}, {end for _, end in words}
                found += [(sentence, s) for s in valid_spans(sentence) if s.start not in starts or s.end not in ends]
            if not found:
                continue
            share, is_whitespace = len(found) / len(data.entities), tokenizer == "whitespace"
            where = "white space" if is_whitespace else "white space and punctuation"
            suggestion = "Correct the offsets; check whether they count bytes or refer to a different text."
            yield Finding(
                kind=f"{self.name}_{tokenizer}",
                severity=severity_by_share(len(found), len(data.entities)),
                title=f"{percent(share)} of spans do not start and end at the boundaries of words split at {where}",
                count=len(found),
                total=len(data.entities),
                effect=(
                    "Tags apply to whole words, so a model cannot predict these spans exactly: recall is at most "
                    f"{1 - share:.3f}."
                ),
                suggestion="Split words at punctuation as well: `--words punctuation`."
                if is_whitespace
                else suggestion,
                examples=span_examples(found),
            )


class SpanEdges(Check):
    """Spans that start or end with white space or sentence punctuation."""

    name = "span_edges"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        texts = [(sentence, span, span.text_in(sentence.text)) for sentence, span in data.entities]
        found = [(s, span, text) for s, span, text in texts if _is_loose(text[0]) or _is_loose(text[-1])]
        if not found:
            return
        spaces = sum(text.strip() != text for _, _, text in found)
        kinds = [name for name, n in (("white space", spaces), ("punctuation", len(found) - spaces)) if n]
        yield Finding(
            kind=self.name,
            severity="warning" if spaces else severity_by_share(len(found), len(texts)),
            title=f"{plural(len(found), 'span')} starting or ending with {' or '.join(kinds)}",
            count=len(found),
            total=len(texts),
            effect="A prediction without these characters is counted as wrong.",
            suggestion="Trim the spans; keep a full stop only if it belongs to an abbreviation.",
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


def _is_loose(character: str) -> bool:
    return character.isspace() or character in SENTENCE_PUNCTUATION
