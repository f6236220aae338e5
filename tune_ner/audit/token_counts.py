"""Counts of words, subwords and entities under a tokenizer, and of the entities that tags can represent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tune_ner.audit.findings import ratio
from tune_ner.data.corpus import Sentence
from tune_ner.tagging.alignment import label_words, tags_to_spans, tokenize_sentences
from tune_ner.tagging.overlaps import OverlapPolicy
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.tagging.tokenization import Words, WordTokenizer, split_texts
from tune_ner.utils.text import plural

_BATCH = 50_000
_CUT = -1
_SCHEME = SCHEMES["BIO"]
_SPECIAL_TOKENS = 2
_NO_LIMIT = 2**30


@dataclass(frozen=True)
class Encoding:
    """How sentences become labelled words: the hyperparameters that decide which entities are lost."""

    entity_types: tuple[str, ...]
    word_tokenizer: WordTokenizer = "whitespace"
    overlaps: OverlapPolicy = "longest"
    max_length: int = 256
    truncates: bool = False


@dataclass
class TokenizerCounts:
    """Counts of one split under one tokenizer; `subwords` without special tokens.

    `long` sentences have more subwords than `max_length`. They are truncated, or read in overlapping windows.
    `truncated` entities have a word without a subword; `representable` ones have exactly the span that their tags have
    after truncation, so that a model can find them. Without a tokenizer, each word counts as one subword: then
    `truncated` is the least, and `representable` the most, that any tokenizer can have.
    """

    words: int = 0
    subwords: int = 0
    unknown: int = 0
    entities: int = 0
    truncated: int = 0
    representable: int = 0
    long: int = 0

    def __str__(self) -> str:
        return (
            f"{self.truncated:,} of {self.entities:,} entities truncated, {self.unknown:,} of {self.subwords:,} "
            f"subwords unknown, {ratio(self.subwords, self.words):.2f} subwords per word, "
            f"{plural(self.long, 'sentence')} longer than a window"
        )


def count_tokens(sentences: Sequence[Sentence], tokenizer: Any, encoding: Encoding) -> TokenizerCounts:
    """Count the words, subwords and entities of sentences.

    Args:
        sentences: the sentences of a split.
        tokenizer: a fast tokenizer of transformers; None counts each word as one subword.
        encoding: how words are split and labelled.
    """
    counts = TokenizerCounts()
    for first in range(0, len(sentences), _BATCH):  # bounds the memory of a large corpus
        batch = sentences[first : first + _BATCH]
        if tokenizer is None:
            words, _, _ = split_texts([sentence.text for sentence in batch], encoding.word_tokenizer)
            position = np.arange(len(words)) - np.repeat(words.firsts[:-1], np.diff(words.firsts))
            kept = position < (encoding.max_length if encoding.truncates else _NO_LIMIT) - _SPECIAL_TOKENS
            counts.long += int((np.diff(words.firsts) > encoding.max_length - _SPECIAL_TOKENS).sum())
        else:
            subwords = tokenize_sentences(
                batch, tokenizer, word_tokenizer=encoding.word_tokenizer, max_length=_NO_LIMIT
            )
            counts.long += int((subwords.lengths > encoding.max_length).sum())
            if encoding.truncates:
                subwords = tokenize_sentences(
                    batch, tokenizer, word_tokenizer=encoding.word_tokenizer, max_length=encoding.max_length
                )
            words, kept = subwords.words, subwords.read_at != _CUT
            counts.subwords += len(subwords.ids) - int(tokenizer.num_special_tokens_to_add()) * len(batch)
            if tokenizer.unk_token_id is not None:
                counts.unknown += int((subwords.ids == tokenizer.unk_token_id).sum())
        _count_entities(batch, words, kept, encoding, counts)
    return counts


def _count_entities(
    sentences: Sequence[Sentence],
    words: Words,
    kept: npt.NDArray[np.bool_],
    encoding: Encoding,
    counts: TokenizerCounts,
) -> None:
    labels = _SCHEME.labels(encoding.entity_types)
    tagged = label_words(sentences, words, _SCHEME, labels, encoding.overlaps)
    cut_before = np.append(0, np.cumsum(~kept))
    counts.words += int(kept.sum())
    counts.entities += len(tagged.firsts)
    counts.truncated += int((cut_before[tagged.afters] > cut_before[tagged.firsts]).sum())
    label_ids = np.where(kept, tagged.label_ids, labels.index("O"))
    for number, sentence in enumerate(sentences):
        if sentence.spans:
            these = slice(words.firsts[number], words.firsts[number + 1])
            found = tags_to_spans([labels[label] for label in label_ids[these].tolist()], words.of(number))
            counts.representable += len(set(found) & set(sentence.spans))
