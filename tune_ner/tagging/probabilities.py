"""Label probabilities of words, and their average over the models of an ensemble."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tune_ner.data.corpus import Span, SplitName
from tune_ner.data.tag_parsing import OUTSIDE, split_tag
from tune_ner.tagging.alignment import Subwords, tags_to_spans
from tune_ner.tagging.decoding import ViterbiDecoder, by_sentence
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.tagging.tokenization import Words

Array = np.ndarray[Any, Any]

_TO_BIO = {"B": "B", "I": "I", "E": "I", "L": "I", "S": "B", "U": "B"}
_PARTS = ("starts", "ends", "firsts", "values")
_SMALLEST = 1e-12
"""Probability of a label that every model excludes, so that its logarithm is finite."""


@dataclass(frozen=True)
class WordProbabilities:
    """The probability of each label of the words of several texts, as a model predicts them.

    Attributes:
        words: the words.
        values: shape (words, labels).
        scheme: name of the tagging scheme.
        labels: the label list, in the order of the columns.
    """

    words: Words
    values: Array
    scheme: str
    labels: tuple[str, ...]

    @classmethod
    def of(
        cls, scores: Array, subwords: Subwords, scheme: str, labels: Sequence[str], crf: ViterbiDecoder | None = None
    ) -> Self:
        """Return the probabilities that a model gives to the words of sentences.

        A truncated word is outside of entities.

        Args:
            scores: label scores of shape (subwords, labels).
            subwords: the subwords that the scores belong to.
            scheme, labels: see `WordProbabilities`.
            crf: the decoder of a CRF, whose probabilities are those over all label sequences of the sentence.
        """
        kept = subwords.read_at >= 0
        values = np.zeros((len(kept), len(labels)))
        values[~kept, labels.index(OUTSIDE)] = 1
        if crf:
            values[kept] = np.concatenate([crf.marginals(each) for each in by_sentence(scores, subwords)])
        else:
            logits = scores[subwords.read_at[kept]].astype(np.float64)
            exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
            values[kept] = exponentials / exponentials.sum(axis=-1, keepdims=True)
        return cls(subwords.words, values, scheme, tuple(labels))

    @classmethod
    def average(cls, models: Sequence[Self]) -> Self:
        """Return the mean of the probabilities of several models.

        Each is rounded as `pack` does, so that the mean of stored probabilities is the same. Models of different
        tagging schemes are combined in BIO, or in IO if one of them is IO or IOB1.

        Args:
            models: one or more, for the same words and entity types.

        Raises:
            ValueError: the words or the entity types differ.
        """
        first = models[0]
        if not all(_equal(model.words, first.words) for model in models):
            raise ValueError("the models split the texts into different words")
        scheme = _shared_scheme([model.scheme for model in models])
        labels = first.labels if scheme == first.scheme else SCHEMES[scheme].labels(_types(first.labels))
        total = sum(_rounded(model).astype(np.float64) @ _columns(model, scheme, labels) for model in models)
        values: Any = total / len(models)
        return cls(first.words, values, scheme, labels)

    def label_ids(self) -> npt.NDArray[np.int64]:
        """Return the label of each word, shape (words,): the most probable sequence that the tagging scheme allows."""
        decoder = ViterbiDecoder(SCHEMES[self.scheme], self.labels)
        scores = np.log(np.maximum(self.values, _SMALLEST))
        return np.array([label for a, b in pairwise(self.words.firsts) for label in decoder(scores[a:b])], np.int64)

    def spans(self) -> list[tuple[Span, ...]]:
        """Return the predicted spans of each text."""
        tags = np.array(self.labels, dtype=object)[self.label_ids()].tolist()
        return [
            tags_to_spans(tags[first:after], self.words.of(index))
            for index, (first, after) in enumerate(pairwise(self.words.firsts.tolist()))
        ]


def pack(splits: Mapping[SplitName, WordProbabilities]) -> bytes:
    """Return the words and probabilities of several splits as a compressed file of numpy (`.npz`)."""
    file = io.BytesIO()
    arrays = {
        f"{name}.{part}": array
        for name, each in splits.items()
        for part, array in (*vars(each.words).items(), ("values", _rounded(each)))
    }
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def unpack(content: bytes, split_name: SplitName, scheme: str, labels: Sequence[str]) -> WordProbabilities:
    """Return the probabilities of a split from a file that `pack` made.

    Raises:
        ValueError: the file is corrupt.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            starts, ends, firsts, values = (arrays[f"{split_name}.{part}"] for part in _PARTS)
    except (OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from error
    is_whole = values.shape == (len(starts), len(labels)) and starts.shape == ends.shape and firsts[-1] == len(starts)
    if not is_whole:
        raise ValueError(
            f"found probabilities of shape {values.shape} for {len(starts)} words and {len(labels)} labels"
        )
    return WordProbabilities(Words(starts, ends, firsts), values.astype(np.float64), scheme, tuple(labels))


def _rounded(model: WordProbabilities) -> npt.NDArray[np.float16]:
    return model.values.astype(np.float16)


def _equal(words: Words, others: Words) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(vars(words).values(), vars(others).values(), strict=True))


def _shared_scheme(schemes: Sequence[str]) -> str:
    if len(set(schemes)) == 1:
        return schemes[0]
    return "BIO" if {"IOB1", "IO"}.isdisjoint(schemes) else "IO"


def _types(labels: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(split_tag(label)[1] for label in labels if label != OUTSIDE))


def _columns(model: WordProbabilities, scheme: str, labels: Sequence[str]) -> Array:
    """Return 1 at each label of a model (row) and the label that it becomes (column)."""
    if sorted(_types(model.labels)) != sorted(_types(labels)):
        raise ValueError("the models have different entity types")
    columns = np.zeros((len(model.labels), len(labels)))
    for row, label in enumerate(model.labels):
        prefix, entity_type = split_tag(label)
        if label != OUTSIDE and model.scheme != scheme:
            label = f"{'I' if scheme == 'IO' else _TO_BIO[prefix]}-{entity_type}"
        columns[row, labels.index(label)] = 1
    return columns
