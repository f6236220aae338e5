"""Decoding of model scores: the best label of each word, or the best label sequence that the tagging scheme allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tune_ner.tagging.alignment import Subwords
from tune_ner.tagging.schemes import TaggingScheme

Decoding = Literal["argmax", "viterbi"]

Array = np.ndarray[Any, Any]

_EDGE = ""

Score = Annotated[float, Field(allow_inf_nan=False)]


class Transitions(BaseModel):
    """Learned scores of the transitions of a linear-chain CRF.

    Attributes:
        transitions: scores of each label (row) before each other one (column), shape (labels, labels).
        starts: scores of the first label, shape (labels,).
        ends: scores of the last label, shape (labels,).
    """

    model_config = ConfigDict(frozen=True)

    transitions: tuple[tuple[Score, ...], ...]
    starts: tuple[Score, ...]
    ends: tuple[Score, ...]

    @model_validator(mode="after")
    def _is_square(self) -> Self:
        sizes = {len(self.transitions), len(self.ends), *map(len, self.transitions)}
        if sizes != {len(self.starts)}:
            raise ValueError(f"found transitions and ends of {sorted(sizes)} labels, starts of {len(self.starts)}")
        return self


class ViterbiDecoder:
    """The most probable label sequence among those that a scheme allows (Viterbi 1967).

    Args:
        scheme: the tagging scheme; None allows all.
        labels: the label list.
        learned: the scores of transitions; None if all have the same.
    """

    def __init__(self, scheme: TaggingScheme | None, labels: Sequence[str], learned: Transitions | None = None) -> None:
        def penalty(previous: str, following: str) -> float:
            return 0.0 if scheme is None or scheme.allows(previous, following) else -np.inf

        self._transitions = np.array([[penalty(a, b) for b in labels] for a in labels])
        self._starts = np.array([penalty(_EDGE, label) for label in labels])
        self._ends = np.array([penalty(label, _EDGE) for label in labels])
        if learned:
            self._transitions += learned.transitions
            self._starts += learned.starts
            self._ends += learned.ends

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

    def marginals(self, scores: Array) -> Array:
        """Return the probability of each label of each word over all allowed sequences, shape (words, labels).

        By the forward-backward algorithm (Rabiner 1989).
        """
        forward, backward = np.array(scores, dtype=np.float64), np.zeros(scores.shape)
        if len(scores):
            forward[0] += self._starts
            backward[-1] = self._ends
        for word in range(1, len(scores)):
            forward[word] += np.logaddexp.reduce(forward[word - 1][:, None] + self._transitions, axis=0)
        for word in range(len(scores) - 2, -1, -1):
            backward[word] = np.logaddexp.reduce(self._transitions + scores[word + 1] + backward[word + 1], axis=1)
        both = forward + backward
        probabilities: Array = np.exp(both - np.logaddexp.reduce(both, axis=1, keepdims=True))
        return probabilities


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
    if viterbi:
        read = np.array([label for scores in by_sentence(output, subwords) for label in viterbi(scores)], np.int64)
    else:
        read = output[subwords.read_at[kept]]
    ids[kept] = read
    return ids


def by_sentence(scores: Array, subwords: Subwords) -> list[Array]:
    """Return the scores of the words of each sentence that were not truncated, shape (words, labels) each."""
    kept = subwords.read_at >= 0
    ends = np.append(0, np.cumsum(kept))[subwords.words.firsts[1:-1]]
    return np.split(scores[subwords.read_at[kept]], ends)
