"""Prediction of entities in texts, with character offsets and scores.

Words, windows, batches and decoding are those of training, so that predictions equal those of the evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import torch

from tune_ner.config.hyperparameters import Precision
from tune_ner.data.corpus import PredictedSpan, Sentence
from tune_ner.data.formats.raw_text import check_text
from tune_ner.data.tag_parsing import OUTSIDE, find_chunks
from tune_ner.errors import TextError
from tune_ner.inference.model_dir import ModelDir, read_model_dir
from tune_ner.inference.onnx_model import OnnxModel
from tune_ner.tagging.alignment import IGNORED, Subwords, tokenize_sentences
from tune_ner.tagging.decoding import ViterbiDecoder, by_sentence, word_labels
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.training.dataset import Windows
from tune_ner.training.encoders import PADDING_FREE_ARCHITECTURES
from tune_ner.training.evaluation_loop import predict
from tune_ner.training.padding_free.collator import Collator, padding_free_collator
from tune_ner.training.precision import DTYPES, model_precision

CHUNK_SIZE = 1024
"""Largest number of texts that a stream reads before it yields their entities."""

_CHUNK_CHARACTERS = 1_000_000
_SAMPLE_LENGTHS = (5, 17, 9, 3)

Array = np.ndarray[Any, Any]


class Predictor:
    """A token classification model that finds entities in texts.

    Attributes:
        config: tokenization and decoding.
        notes: remarks for the user, one sentence each.
        training_text_hashes: hashes of the texts that the model was trained or selected on; None if unknown.
    """

    def __init__(self, model_dir: ModelDir, device: str | None = None, precision: Precision = "fp32") -> None:
        self.config = model_dir.config
        self.training_text_hashes = model_dir.training_text_hashes
        self._labels = model_dir.labels
        self._outside = self._labels.index(OUTSIDE)
        scheme = SCHEMES[self.config.tagging_scheme]
        crf = self.config.crf
        decodes_sequences = crf is not None or self.config.decoding == "viterbi"
        self._viterbi = ViterbiDecoder(scheme, self._labels, crf) if decodes_sequences else None
        self._tokenizer = model_dir.tokenizer
        self._model = model_dir.model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._collate, note = _collator(self._model, self._tokenizer.pad_token_id)
        dtype = DTYPES[model_precision(precision, self._model, self._model.device.type)]
        for parameter in self._model.parameters():  # buffers, such as frequencies of positions, stay exact
            parameter.data = parameter.data.to(dtype)
        self.notes = tuple(filter(None, [*model_dir.notes, note]))

    @classmethod
    def load(cls, path: str | Path, device: str | None = None, precision: Precision = "fp32") -> Self:
        """Load a model.

        Args:
            path: a run folder, for its best model, or a model folder: `best/` of a run, or any token classification
                model of transformers whose labels are tags such as `B-DRUG`. Without a `tune_ner.json`, the tagging
                scheme follows from the labels, and words are split at white space.
            device: the torch device; by default a GPU if there is one.
            precision: of the weights and the computation. `fp32` gives the same entities on every machine; half
                precision is faster where the hardware has it, and can decide borderline words differently. `auto` is
                that of training.

        Raises:
            ModelError: there is no such folder, or it has no weights or no entity labels.
            EncoderError: its tokenizer cannot be loaded.
        """
        return cls(read_model_dir(path), device, precision)

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
        subwords = tokenize_sentences(
            sentences,
            self._tokenizer,
            word_tokenizer=self.config.word_tokenizer,
            max_length=self.config.max_length,
            stride=self.config.stride,
        )
        scores = self._scores(subwords)
        output = scores if self._viterbi else scores.argmax(axis=-1)
        labels = word_labels(output, subwords, self._viterbi, self._outside)
        marginals = self._viterbi.marginals if self._viterbi and self.config.crf else None
        return self._spans(sentences, subwords, labels, _probabilities(scores, subwords, labels, marginals))

    def _scores(self, subwords: Subwords) -> Array:
        """Return label scores, shape (subwords, labels), of the first subword of each word; zero elsewhere."""
        labels = np.full(len(subwords.ids), IGNORED, dtype=np.int16)
        labels[subwords.read_at[subwords.read_at >= 0]] = self._outside  # only labelled subwords get scores
        windows = Windows(subwords.ids, labels, subwords.windows)
        return predict(self._model, windows, self._collate, with_scores=True).output

    def _spans(
        self, sentences: list[Sentence], subwords: Subwords, labels: Array, probabilities: Array
    ) -> list[list[PredictedSpan]]:
        words, tags = subwords.words, np.array(self._labels, dtype=object)[labels]
        found: list[list[PredictedSpan]] = []
        for sentence, (first, after) in zip(sentences, pairwise(words.firsts.tolist()), strict=True):
            spans = []
            if (labels[first:after] != self._outside).any():
                for begin, end, label in find_chunks(tags[first:after].tolist()):
                    start, after_span = int(words.starts[first + begin]), int(words.ends[first + end - 1])
                    score = float(probabilities[first + begin : first + end].mean())
                    text = sentence.text[start:after_span]
                    spans.append(PredictedSpan(start, after_span, label, score, text))
            found.append(spans)
        return found


def _sentence(text: object, place: str) -> Sentence:
    if not isinstance(text, str):
        raise TextError(f"{place}: found {type(text).__name__} {str(text)[:60]!r}; expected a string")
    return Sentence("", check_text(text, place))


def _probabilities(
    scores: Array, subwords: Subwords, labels: Array, marginals: Callable[[Array], Array] | None
) -> Array:
    """Return the probability of each word's label, shape (words,); 1 for a word without a subword.

    It is that of the word alone, or with `marginals` that over all label sequences of the sentence.
    """
    probabilities = np.ones(len(labels))
    kept = subwords.read_at >= 0
    if marginals:
        rows = np.concatenate([marginals(each) for each in by_sentence(scores, subwords)])
        probabilities[kept] = np.take_along_axis(rows, labels[kept, None], axis=-1)[:, 0]
        return probabilities
    logits = scores[subwords.read_at[kept]].astype(np.float64)
    logits -= logits.max(axis=-1, keepdims=True, initial=-np.inf)
    chosen = np.take_along_axis(logits, labels[kept, None], axis=-1)[:, 0]
    probabilities[kept] = np.exp(chosen) / np.exp(logits).sum(axis=-1)
    return probabilities


def _collator(model: Any, pad_id: int) -> tuple[Collator, str]:
    """Return a padding-free collator if the architecture supports it, checked on a batch of arbitrary subwords."""
    if isinstance(model, OnnxModel) or model.config.model_type not in PADDING_FREE_ARCHITECTURES:
        return Collator(model, pad_id, padding_free=False), ""
    # RoBERTa and similar derive positions from padding tokens
    usable = [index for index in range(model.config.vocab_size) if index != pad_id]
    sample = Windows.of((usable[-length:], [0] * length) for length in _SAMPLE_LENGTHS)
    return padding_free_collator(model, pad_id, sample)
