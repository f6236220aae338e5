"""From a model's scores to tags: the best label of each word, or the best sequence that its scheme allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise, product
from typing import Any, Literal

import numpy as np

from tune_ner.data.tag_parsing import Chunk, split_tag
from tune_ner.tagging.alignment import Subwords
from tune_ner.tagging.schemes import TaggingScheme

Decoding = Literal["argmax", "viterbi"]

Array = np.ndarray[Any, Any]

_EDGE = ""
_ENOUGH_WORDS = 4
"""No rule of the schemes looks further than from one word to the next, so that four words show every pair."""


def allows(scheme: TaggingScheme, previous: str, following: str) -> bool:
    """Whether a valid tag sequence of the scheme can hold the two tags side by side.

    An empty string stands for the edge of the sentence on either side.
    """
    types = [split_tag(tag)[1] if tag else _EDGE for tag in (previous, following)]
    names = dict(zip(dict.fromkeys(filter(None, types)), "XY", strict=False))
    pair = tuple(
        tag if not kind else f"{tag.partition('-')[0]}-{names[kind]}"
        for tag, kind in zip((previous, following), types, strict=True)
    )
    return pair in _valid_pairs(scheme) or (pair[1], pair[0]) == (_EDGE, _EDGE)


@lru_cache
def _valid_pairs(scheme: TaggingScheme) -> frozenset[tuple[str, ...]]:
    """Every pair of neighbours in the tags of some set of entities, with the types X and Y in order of appearance."""
    pairs: set[tuple[str, ...]] = set()
    for ranges in _segmentations(0, _ENOUGH_WORDS):
        tags = scheme.tags(ranges, _ENOUGH_WORDS)
        for previous, following in pairwise([_EDGE, *tags, _EDGE]):
            pairs.add((previous, following))
            swapped = str.maketrans("XY", "YX")
            pairs.add((previous.translate(swapped), following.translate(swapped)))
    return frozenset(pairs)


def _segmentations(first: int, words: int) -> Iterator[list[Chunk]]:
    """Every set of entities of the types X and Y over the words from `first` on."""
    if first >= words:
        yield []
        return
    yield from _segmentations(first + 1, words)
    for after, label in product(range(first + 1, words + 1), "XY"):
        for rest in _segmentations(after, words):
            yield [(first, after, label), *rest]


class ViterbiDecoder:
    """The most probable label sequence among those that a scheme allows (Viterbi 1967; no learnt transitions)."""

    def __init__(self, scheme: TaggingScheme, labels: Sequence[str]) -> None:
        def penalty(previous: str, following: str) -> float:
            return 0.0 if allows(scheme, previous, following) else -np.inf

        self._steps = np.array([[penalty(a, b) for b in labels] for a in labels])
        self._starts = np.array([penalty(_EDGE, label) for label in labels])
        self._ends = np.array([penalty(label, _EDGE) for label in labels])

    def __call__(self, scores: Array) -> list[int]:
        """Label ids of a sentence.

        Args:
            scores: logits or log probabilities of shape (words, labels); a constant a word changes nothing.
        """
        if not len(scores):
            return []
        best = self._starts + scores[0]
        came_from = np.zeros(scores.shape, dtype=np.intp)
        for word in range(1, len(scores)):
            paths = best[:, None] + self._steps
            came_from[word] = paths.argmax(axis=0)
            best = paths.max(axis=0) + scores[word]
        label = int((best + self._ends).argmax())
        labels = [label]
        for word in range(len(scores) - 1, 0, -1):
            label = int(came_from[word, label])
            labels.append(label)
        return labels[::-1]


def word_labels(output: Array, subwords: Subwords, viterbi: ViterbiDecoder | None = None, outside: int = 0) -> Array:
    """The label id of every word of a part, shape (words,).

    Args:
        output: label ids of shape (subwords,), or for Viterbi decoding label scores of shape (subwords, labels).
        subwords: those of the part.
        viterbi: the decoder; without it the output is what it is.
        outside: the label id of words that were cut.
    """
    kept = subwords.read_at >= 0
    ids = np.full(len(kept), outside, dtype=np.int64)
    read = output[subwords.read_at[kept]]
    if viterbi:
        ends = np.append(0, np.cumsum(kept))[subwords.split.firsts[1:-1]]
        read = np.array([label for scores in np.split(read, ends) for label in viterbi(scores)], np.int64)
    ids[kept] = read
    return ids
