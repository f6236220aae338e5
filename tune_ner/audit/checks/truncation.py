"""Check for entities that a tokenizer truncates, and for unknown tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tune_ner.audit.check import AuditInput, Check
from tune_ner.audit.findings import Finding, percent, ratio
from tune_ner.data.corpus import SPLIT_NAMES, Sentence
from tune_ner.tagging.alignment import label_sentences, tokenize_sentences
from tune_ner.tagging.schemes import SCHEMES

_NOTABLE = 0.01  # share of truncated test entities, or of unknown subwords
_BATCH = 50_000
_SCHEME = SCHEMES["BIO"]


@dataclass
class TokenizerCounts:
    """Counts of one split under one tokenizer; `subwords` without special tokens."""

    words: int = 0
    subwords: int = 0
    unknown: int = 0
    entities: int = 0
    truncated: int = 0

    def __str__(self) -> str:
        return (
            f"{self.truncated:,} of {self.entities:,} entities truncated, {self.unknown:,} of {self.subwords:,} "
            f"subwords unknown, {ratio(self.subwords, self.words):.2f} subwords per word"
        )


class Truncation(Check):
    """Entities that the maximum length cuts off, and unknown tokens, for each encoder."""

    name = "truncation"

    def run(self, data: AuditInput) -> Iterator[Finding]:
        for name, tokenizer in data.tokenizers.items():
            counts = {split_name: _count(data.sentences_of(split_name), tokenizer, data) for split_name in SPLIT_NAMES}
            yield self._finding(name, counts, data.max_length)

    def _finding(self, name: str, counts: dict[Any, TokenizerCounts], max_length: int) -> Finding:
        test, subwords = counts["test"], sum(found.subwords for found in counts.values())
        truncated = ratio(test.truncated, test.entities)
        unknown = ratio(sum(found.unknown for found in counts.values()), subwords)
        problems, suggestions = [], []
        if truncated > _NOTABLE:
            problems.append(f"{percent(truncated)} of test entities truncated")
            suggestions.append(f"Raise `max_length` above {max_length} in the search space.")
        if unknown > _NOTABLE:
            problems.append(f"{percent(unknown)} of subwords unknown")
            suggestions.append("Use an encoder whose vocabulary covers the characters of the corpus.")
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
            title=f"{name}: {', '.join(problems) or f'{per_word:.2f} subwords per word, almost nothing lost'}",
            count=test.truncated,
            total=test.entities,
            effect=f"{details}. Truncated entities count as missed, and all unknown words look the same to a model.",
            suggestion=" ".join(suggestions) or "Nothing to do.",
            values=values,
        )


def _count(sentences: Sequence[Sentence], tokenizer: Any, data: AuditInput) -> TokenizerCounts:
    labels = _SCHEME.labels(data.corpus.entity_types)
    tokenize = partial(tokenize_sentences, word_tokenizer=data.word_tokenizer, max_length=data.max_length)
    special = int(tokenizer.num_special_tokens_to_add())
    counts = TokenizerCounts()
    for first in range(0, len(sentences), _BATCH):  # bounds the memory of a large corpus
        batch = sentences[first : first + _BATCH]
        subwords = tokenize(batch, tokenizer)
        stats = label_sentences(batch, subwords, labels, _SCHEME).stats
        counts.words += stats.words - stats.words_cut
        counts.subwords += stats.subwords - special * stats.sentences
        if tokenizer.unk_token_id is not None:
            counts.unknown += int((subwords.ids == tokenizer.unk_token_id).sum())
        counts.entities += stats.entities
        counts.truncated += stats.entities_cut
    return counts
