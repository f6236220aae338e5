"""What a tokenizer loses of each part: entities cut off by the maximal length, and unknown tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tune_ner.audit.findings import Finding, percent, ratio
from tune_ner.data.corpus import SPLIT_NAMES, Corpus, Sentence, SplitName
from tune_ner.data.splits import Split
from tune_ner.tagging.alignment import label_sentences, tokenize_sentences
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.tagging.tokenization import WordTokenizer

NOTABLE = 0.01
"""Share of test entities cut, or of unknown tokens, from which it is more than a trace."""

_AT_ONCE = 50_000
_SCHEME = SCHEMES["BIO"]


@dataclass(frozen=True)
class EncodingLoss:
    """Numbers of one part under one tokenizer; `subwords` without the special ones."""

    words: int
    subwords: int
    unknown: int
    entities: int
    entities_cut: int


def encoding_findings(
    corpus: Corpus, split: Split, tokenizers: Mapping[str, Any], max_length: int, word_tokenizer: WordTokenizer
) -> list[Finding]:
    """One finding a tokenizer, over all parts."""
    findings = []
    for name, tokenizer in tokenizers.items():
        losses = {
            split_name: _loss(
                [corpus.sentences[i] for i in split[split_name]],
                tokenizer,
                corpus.entity_types,
                max_length,
                word_tokenizer,
            )
            for split_name in SPLIT_NAMES
        }
        findings.append(_finding(name, losses, max_length))
    return findings


def _loss(
    sentences: Sequence[Sentence], tokenizer: Any, types: Sequence[str], max_length: int, word_tokenizer: WordTokenizer
) -> EncodingLoss:
    labels = _SCHEME.labels(types)
    special = int(tokenizer.num_special_tokens_to_add())
    unknown_id = tokenizer.unk_token_id
    total: Counter[str] = Counter()
    # in batches, so that the subwords of a large corpus are not held all at once
    for first in range(0, len(sentences), _AT_ONCE):
        batch = sentences[first : first + _AT_ONCE]
        subwords = tokenize_sentences(batch, tokenizer, word_tokenizer=word_tokenizer, max_length=max_length)
        stats = label_sentences(batch, subwords, labels, _SCHEME).stats
        total["words"] += stats.words - stats.words_cut
        total["subwords"] += stats.subwords - special * stats.sentences
        total["unknown"] += int((subwords.ids == unknown_id).sum()) if unknown_id is not None else 0
        total["entities"] += stats.entities
        total["entities_cut"] += stats.entities_cut
    return EncodingLoss(total["words"], total["subwords"], total["unknown"], total["entities"], total["entities_cut"])


def _finding(name: str, losses: dict[SplitName, EncodingLoss], max_length: int) -> Finding:
    test = losses["test"]
    cut = ratio(test.entities_cut, test.entities)
    unknown = ratio(sum(loss.unknown for loss in losses.values()), sum(loss.subwords for loss in losses.values()))
    length = ratio(sum(loss.subwords for loss in losses.values()), sum(loss.words for loss in losses.values()))
    told = "; ".join(
        f"{split_name}: {loss.entities_cut:,} of {loss.entities:,} entities cut, {loss.unknown:,} of {loss.subwords:,} "
        f"subwords unknown, {ratio(loss.subwords, loss.words):.2f} subwords a word"
        for split_name, loss in losses.items()
    )
    faults = [f"cuts {percent(cut)} of the test entities"] if cut > NOTABLE else []
    faults += [f"does not know {percent(unknown)} of the subwords"] if unknown > NOTABLE else []
    remedies = [f"Raise `max_length` above {max_length} in the search space"] if cut > NOTABLE else []
    remedies += ["Take an encoder whose vocabulary has the corpus's characters"] if unknown > NOTABLE else []
    return Finding(
        kind="encoding",
        severity="warning" if faults else "info",
        title=f"{name} {' and '.join(faults) or f'makes {length:.2f} subwords of a word and loses next to nothing'}",
        count=test.entities_cut,
        of=test.entities,
        effect=f"{told}. An entity that is cut is a miss, and words that share the unknown token look alike.",
        remedy=f"{'; '.join(remedies) or 'Nothing to do'}.",
        figures={
            f"{split_name}_{figure}": value
            for split_name, loss in losses.items()
            for figure, value in {
                "cut": ratio(loss.entities_cut, loss.entities),
                "unknown": ratio(loss.unknown, loss.subwords),
                "subwords_per_word": ratio(loss.subwords, loss.words),
            }.items()
        },
    )
