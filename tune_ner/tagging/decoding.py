"""Decoding of model scores: the best label of each word, or the best label sequence that the tagging scheme allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from tune_ner.tagging.alignment import Subwords
from tune_ner.tagging.schemes import TaggingScheme

Decoding = Literal["argmax", "viterbi"]

Array = np.ndarray[Any, Any]

_EDGE = ""


class ViterbiDecoder:
    """The most probable label sequence among those that a scheme allows (Viterbi 1967), without learned transitions."""

    def __init__(self, scheme: TaggingScheme, labels: Sequence[str]) -> None:
        def penalty(previous: str, following: str) -> float:
            return 0.0 if scheme.allows(previous, following) else -np.inf

        self._transitions = np.array([[penalty(a, b) for b in labels] for a in labels])
        self._starts = np.array([penalty(_EDGE, label) for label in labels])
        self._ends = np.array([penalty(label, _EDGE) for label in labels])

    def __call__(self, scores: Array) -> list[int]:
        """Return the label ids of a sentence.

        Args:
            scores: logits or log probabilities of shape (words, labels); constants per word do not matter.
        """
        if not len(scores):
            return []
        best = self._starts + scores[0]
        came_from = np.zeros(scores.shape, dtype=np.intp)
        for word in range(1, len(scores)):
            paths = best[:, None] + self._transitions
            came_from[word] = paths.argmax(axis=0)
            best = paths.max(axis=0) + scores[word]
        label = int((best + self._ends).argmax())
        labels = [label]
        for word in range(len(scores) - 1, 0, -1):
            label = int(came_from[word, label])
            labels.append(label)
        return labels[::-1]


def word_labels(output: Array, subwords: Subwords, viterbi: ViterbiDecoder | None = None, outside: int = 0) -> Array:
    """Return the label id of every word, shape (words,).

    Args:
        output: label ids of shape (subwords,), or for Viterbi decoding label scores of shape (subwords, labels).
        subwords: the subwords that `output` belongs to.
        viterbi: the decoder; without it, `output` holds label ids.
        outside: the label id of words that were truncated.
    """
    kept = subwords.read_at >= 0
    ids = np.full(len(kept), outside, dtype=np.int64)
    read = output[subwords.read_at[kept]]
    if viterbi:
        ends = np.append(0, np.cumsum(kept))[subwords.words.firsts[1:-1]]
        read = np.array([label for scores in np.split(read, ends) for label in viterbi(scores)], np.int64)
    ids[kept] = read
    return ids
