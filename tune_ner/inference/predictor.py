"""Prediction of entities in texts, with character offsets and scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self, overload

import numpy as np

from tune_ner.config.hyperparameters import Precision
from tune_ner.data.corpus import PredictedSpan, Sentence
from tune_ner.data.formats.raw_text import check_text
from tune_ner.data.tag_parsing import OUTSIDE, find_chunks
from tune_ner.errors import TextError
from tune_ner.inference.taggers import Tagger, read_taggers
from tune_ner.tagging.probabilities import WordProbabilities
from tune_ner.training.training_text_hashes import TrainingTextHashes

CHUNK_SIZE = 1024
"""Largest number of texts that a stream reads before it yields their entities."""

_CHUNK_CHARACTERS = 1_000_000

Array = np.ndarray[Any, Any]


class Predictor:
    """A token classification model, or an ensemble of several, that finds entities in texts.

    The label probabilities of an ensemble are the mean of those of its models; its entities are the most probable tags
    that the tagging scheme allows.

    Args:
        taggers: the models, one or more, which split texts into the same words.

    Attributes:
        config: tokenization and decoding; of an ensemble, those of its first model.
        notes: remarks for the user, one sentence each.
        training_text_hashes: hashes of the texts that the model was trained or selected on; None if unknown.
    """

    def __init__(self, taggers: Sequence[Tagger]) -> None:
        self.config = taggers[0].config
        self.training_text_hashes = TrainingTextHashes.union(tagger.training_text_hashes for tagger in taggers)
        self.notes = tuple(dict.fromkeys(note for tagger in taggers for note in tagger.notes))
        self._taggers = taggers

    @classmethod
    def load(cls, path: str | Path, device: str | None = None, precision: Precision = "fp32") -> Self:
        """Load a model.

        Args:
            path: a run folder, for its best model, or a model folder: `best/` or `ensemble/` of a run, or any token
                classification model of transformers whose labels are tags such as `B-DRUG`. Without a `tune_ner.json`,
                the tagging scheme follows from the labels, and words are split at white space.
            device: the torch device; by default a GPU if there is one.
            precision: of the weights and the computation. `fp32` gives the same entities on every machine; half
                precision is faster where the hardware has it, and can decide borderline words differently. `auto` is
                that of training.

        Raises:
            ModelError: there is no such folder, or it has no weights or no entity labels.
            EncoderError: its tokenizer cannot be loaded.
        """
        return cls(read_taggers(path, device, precision))

    @property
    def entity_types(self) -> tuple[str, ...]:
        """Return the entity types in label order."""
        return self.config.entity_types

    @overload
    def predict(self, texts: str) -> list[PredictedSpan]: ...  # type: ignore[overload-overlap]  # a str is one text
    @overload
    def predict(self, texts: Iterable[str]) -> list[list[PredictedSpan]]: ...

    def predict(self, texts: str | Iterable[str]) -> list[PredictedSpan] | list[list[PredictedSpan]]:
        """Find the entities of one text, or of each of several texts.

        A text longer than a window is read in overlapping windows, never truncated. An empty text has no entities.

        Args:
            texts: a text, or texts: a list, a pandas `Series`, a column of a `datasets.Dataset` …

        Returns:
            The entities in order of their offsets; for several texts, a list of them for each text.

        Raises:
            TextError: a text is not a string, is too long or contains a lone surrogate.
        """
        if isinstance(texts, str):
            return self._predict([_sentence(texts, "text")])[0]
        # a mapping or DataFrame would be read as the list of its keys
        if not isinstance(texts, Iterable) or isinstance(texts, Mapping | bytes) or hasattr(texts, "columns"):
            raise TextError(f"found {type(texts).__name__}; expected a string or several strings, such as a list")
        return list(self._stream(texts, CHUNK_SIZE, CHUNK_SIZE))

    def stream(self, texts: Iterable[str], chunk_size: int = CHUNK_SIZE) -> Iterator[list[PredictedSpan]]:
        """Yield the entities of each text, of texts that are read as needed.

        Args:
            texts: the texts, possibly without end.
            chunk_size: the largest number of texts read ahead. The first chunk is one text, then two, four and so on,
                fewer if they are long.
        """
        return self._stream(texts, 1, chunk_size)

    def _stream(self, texts: Iterable[str], size: int, largest: int) -> Iterator[list[PredictedSpan]]:
        chunk: list[Sentence] = []
        characters = 0
        for number, text in enumerate(texts, start=1):
            chunk.append(_sentence(text, f"text {number}"))
            characters += len(text)
            if len(chunk) >= size or characters >= _CHUNK_CHARACTERS:
                yield from self._predict(chunk)
                chunk, characters, size = [], 0, min(2 * size, largest)
        if chunk:
            yield from self._predict(chunk)

    def _predict(self, sentences: list[Sentence]) -> list[list[PredictedSpan]]:
        outputs = [tagger(sentences) for tagger in self._taggers]
        if len(outputs) == 1:
            return _spans(sentences, *outputs[0])
        mean = WordProbabilities.average([probabilities for probabilities, _ in outputs])
        return _spans(sentences, mean, mean.label_ids())


def _spans(sentences: list[Sentence], words: WordProbabilities, label_ids: Array) -> list[list[PredictedSpan]]:
    """Return the spans that the labels of all words mark; their score is the mean probability of their labels."""
    tags, outside = np.array(words.labels, dtype=object)[label_ids], words.labels.index(OUTSIDE)
    scores = np.take_along_axis(words.values, label_ids[:, None], axis=-1)[:, 0]
    starts, ends = words.words.starts, words.words.ends
    found: list[list[PredictedSpan]] = []
    for sentence, (first, after) in zip(sentences, pairwise(words.words.firsts.tolist()), strict=True):
        spans = []
        if (label_ids[first:after] != outside).any():
            for begin, end, label in find_chunks(tags[first:after].tolist()):
                start, after_span = int(starts[first + begin]), int(ends[first + end - 1])
                score = float(scores[first + begin : first + end].mean())
                text = sentence.text[start:after_span]
                spans.append(PredictedSpan(start, after_span, label, score, text))
        found.append(spans)
    return found


def _sentence(text: object, place: str) -> Sentence:
    if not isinstance(text, str):
        raise TextError(f"{place}: found {type(text).__name__} {str(text)[:60]!r}; expected a string")
    return Sentence("", check_text(text, place))
