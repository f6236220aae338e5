"""Checks of the entities that words, overlaps and the maximum length lose, and of unknown subwords."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tune_ner.audit.check import AuditInput, Check
from tune_ner.audit.checks.overlaps import SUGGESTION
from tune_ner.audit.checks.span_boundaries import suggest_words
from tune_ner.audit.findings import Finding, Severity, percent, ratio, span_examples
from tune_ner.audit.token_counts import TokenizerCounts, count_tokens
from tune_ner.data.corpus import SplitName
from tune_ner.utils.text import plural

_NOTABLE = 0.01  # share of truncated test entities, or of unknown subwords
_LOW, _VERY_LOW = 0.95, 0.5  # highest possible recall


class Truncation(Check):
    """Entities that the maximum length cuts off, and unknown tokens, for each encoder."""

    name = "truncation"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        for name, counts in data.token_counts.items():
            if name:
                yield self._of_encoder(name, counts, data.encoding.max_length)
        if not data.tokenizers and data.encoding.truncates:
            yield from self._of_any_encoder(data)

    def _of_any_encoder(self, data: AuditInput) -> Iterator[Finding]:
        counts, length = data.token_counts[""], data.encoding.max_length
        test = counts["test"]
        if not test.truncated:
            return
        long = [(s, span) for s, span in data.entities if len(s.text[: span.end].split()) > length]
        yield Finding(
            kind=self.name,
            severity="warning" if ratio(test.truncated, test.entities) > _NOTABLE else "info",
            title=f"at least {percent(ratio(test.truncated, test.entities))} of test entities truncated",
            count=test.truncated,
            total=test.entities,
            effect=(
                f"They are after the first {length - 2} words of their sentence, and a word has one or more subwords. "
                "Truncated entities count as missed."
            ),
            suggestion=_longer(length),
            examples=span_examples(long),
            values={f"{split_name}_truncated": ratio(n.truncated, n.entities) for split_name, n in counts.items()},
        )

    def _of_encoder(self, name: str, counts: Mapping[SplitName, TokenizerCounts], max_length: int) -> Finding:
        test, subwords = counts["test"], sum(found.subwords for found in counts.values())
        truncated = ratio(test.truncated, test.entities)
        unknown = ratio(sum(found.unknown for found in counts.values()), subwords)
        problems, suggestions, notes = [], [], []
        if truncated > _NOTABLE:
            problems.append(f"{percent(truncated)} of test entities truncated at {max_length} subwords")
            suggestions.append(_longer(max_length))
        if unknown > _NOTABLE:
            problems.append(f"{percent(unknown)} of subwords unknown")
            suggestions.append("Use an encoder whose vocabulary covers the characters of the corpus.")
        if (long := sum(found.long for found in counts.values())) and not truncated:
            notes.append(f"{plural(long, 'sentence')} longer than max_length {max_length} read in overlapping windows")
        per_word = ratio(subwords, sum(found.words for found in counts.values()))
        details = "; ".join(f"{split_name}: {found}" for split_name, found in counts.items())
        values = {}
        for split_name, found in counts.items():
            values[f"{split_name}_truncated"] = ratio(found.truncated, found.entities)
            values[f"{split_name}_unknown"] = ratio(found.unknown, found.subwords)
            values[f"{split_name}_subwords_per_word"] = ratio(found.subwords, found.words)
        return Finding(
            kind=self.name,
            severity="warning" if problems else "info",
            title=f"{name}: {', '.join(problems + notes) or f'{per_word:.2f} subwords per word, almost nothing lost'}",
            count=test.truncated,
            total=test.entities,
            effect=f"{details}. Truncated entities count as missed, and all unknown words look the same to a model.",
            suggestion=" ".join(suggestions) or "Nothing to do.",
            values=values,
        )


class Ceiling(Check):
    """The highest recall and F1 on test that words, overlaps and the maximum length allow."""

    name = "ceiling"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        name, test = min(
            ((name, counts["test"]) for name, counts in data.token_counts.items()),
            key=lambda item: item[1].representable,
        )
        lost = test.entities - test.representable
        if not lost:
            return
        recall = test.representable / test.entities
        f1 = 2 * recall / (1 + recall)  # of a model that finds all of them and nothing else
        encoding = data.encoding
        yield Finding(
            kind=self.name,
            severity=_severity(recall),
            title=f"recall on the test split is at most {recall:.3f}, and F1 {f1:.3f}",
            count=lost,
            total=test.entities,
            effect=(
                f"{plural(lost, 'test entity', 'test entities')} cannot be represented by one tag per word "
                f"(word tokenizer {encoding.word_tokenizer}, overlaps {encoding.overlaps}, max_length "
                f"{encoding.max_length}{f', {name}' if name else ''}): not on word boundaries, inside another entity, "
                "or truncated."
            ),
            suggestion=_remedy(data, test),
            values={"recall": recall, "f1": f1},
        )


def _remedy(data: AuditInput, test: TokenizerCounts) -> str:
    """Return the suggestion of the check that finds the most frequent reason."""
    words = data.best_word_tokenizer
    sentences = data.sentences_of("test")
    if words != data.word_tokenizer:
        other = count_tokens(sentences, None, replace(data.encoding, word_tokenizer=words))
        if other.representable > test.representable:
            return suggest_words(words)
    return _longer(data.encoding.max_length) if test.truncated else SUGGESTION


def _severity(recall: float) -> Severity:
    if recall < _VERY_LOW:
        return "error"
    return "warning" if recall < _LOW else "info"


def _longer(max_length: int) -> str:
    return (
        f"Raise `max_length` above {max_length}, leave out `stride: 0` so that long sentences are read in overlapping "
        "windows, or divide the text into sentences."
    )
