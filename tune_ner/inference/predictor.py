"""An exported model folder and texts → spans with character offsets and scores.

Words, windows, batches and decoding are those of training, so that a model says of a text here what it said of it
when it was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.formats.raw_text import check_text
from tune_ner.data.tag_parsing import OUTSIDE, find_chunks, split_tag
from tune_ner.inference.model_dir import check_labels, check_settings, checked_folder, labels_of, load_tagger, scheme_of
from tune_ner.tagging.alignment import IGNORED, Subwords, tokenize_sentences
from tune_ner.tagging.decoding import ViterbiDecoder, word_labels
from tune_ner.tagging.schemes import SCHEMES, TaggingScheme
from tune_ner.tagging.tokenization import WordTokenizer
from tune_ner.training.dataset import Windows, positions_of
from tune_ner.training.encoders import PACKABLE, Encoder, load_tokenizer
from tune_ner.training.evaluation_loop import predict
from tune_ner.training.model_settings import SETTINGS_FILE, ModelSettings
from tune_ner.training.padding_free.collator import Collator, collator_for
from tune_ner.training.training_text_hashes import TrainingTextHashes

AT_ONCE = 1024
"""Texts that a stream reads before it answers, once it runs."""

_CHARACTERS_AT_ONCE = 1_000_000
_LONGEST_WINDOW = 512
_SHORTEST_WINDOW = 8
_SAMPLE_LENGTHS = (5, 17, 9, 3)

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class PredictedSpan:
    """An entity that a model found.

    `start` and `end` are half-open character offsets into the text as given, `text` what stands there. `score` is the
    mean, over the span's words, of the probability that the model gives to the label that the word was read as.
    """

    start: int
    end: int
    label: str
    score: float
    text: str

    @property
    def span(self) -> Span:
        """The span without its score, to be laid beside gold."""
        return Span(self.start, self.end, self.label)


@dataclass(frozen=True)
class Reading:
    """How a model's texts are cut and its labels read.

    `labels` has a label's name at its id; `max_length` and `stride` are the subwords of windows over long texts.
    """

    labels: tuple[str, ...]
    scheme: TaggingScheme
    words: WordTokenizer
    max_length: int
    stride: int
    viterbi: ViterbiDecoder | None = None

    @classmethod
    def as_trained(cls, settings: ModelSettings, labels: tuple[str, ...], positions: int | None) -> Reading:
        """What training did, in windows of no more than `positions` subwords."""
        length = max(settings.max_length, _SHORTEST_WINDOW)
        length = min(length, positions or length)
        # without a stride, training had no say in how a text goes on behind its first window
        stride = min(settings.stride or length // 4, length // 2)
        scheme = SCHEMES[settings.tagging_scheme]
        viterbi = ViterbiDecoder(scheme, labels) if settings.decoding == "viterbi" else None
        return cls(labels, scheme, settings.word_tokenizer, length, stride, viterbi)

    @property
    def types(self) -> tuple[str, ...]:
        """The entity types, in label order."""
        return tuple(dict.fromkeys(split_tag(label)[1] for label in self.labels if label != OUTSIDE))


class Predictor:
    """A token classification model that finds entities in texts; `Predictor.load` makes one of a folder.

    Attributes:
        reading: how texts are cut and labels read.
        notes: what a user should know of it, a sentence each.
        known: the texts that it was trained and chosen on; None where its folder does not say.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        reading: Reading,
        notes: Sequence[str] = (),
        known: TrainingTextHashes | None = None,
    ) -> None:
        self.reading = reading
        self.known = known
        self._model = model
        self._tokenizer = tokenizer
        self._outside = reading.labels.index(OUTSIDE)
        self._collate, note = _collator(model, tokenizer.pad_token_id)
        self.notes = tuple(filter(None, [*notes, note]))

    @classmethod
    def load(cls, folder: Path | str, device: str | None = None) -> Self:
        """The model of a folder.

        Args:
            folder: what a run left in `best/`, or any token classification folder of transformers whose labels are
                tags such as `B-DRUG`. Without a `tune_ner.json` in it, the tagging scheme is told by the labels, and
                words are cut at white space.
            device: where it runs; by default a GPU if there is one.

        Raises:
            ModelError: there is no such folder, or it has no weights, or no labels of entities.
            EncoderError: its tokenizer cannot be loaded.
        """
        folder = checked_folder(Path(folder))
        check_labels(folder)
        settings = ModelSettings.read(folder)
        tokenizer = load_tokenizer(Encoder(str(folder), "folder", location=str(folder), fingerprint="", folder=""), [])
        model = load_tagger(folder)
        labels = labels_of(model, folder)
        model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if settings:
            check_settings(settings, labels, folder)
            reading = Reading.as_trained(settings, labels, positions_of(model))
            return cls(model, tokenizer, reading, known=TrainingTextHashes.read(folder))
        scheme = scheme_of(labels, folder)
        length = min(tokenizer.model_max_length, positions_of(model) or _LONGEST_WINDOW, _LONGEST_WINDOW)
        note = f"{folder}: no {SETTINGS_FILE}; labels read as {scheme.name}, words cut at white space"
        return cls(model, tokenizer, Reading(labels, scheme, "whitespace", length, length // 4), [note])

    def predict(self, texts: Sequence[str]) -> list[list[PredictedSpan]]:
        """The entities of each text, in order of their place.

        A text longer than a window is read in overlapping ones, never cut. An empty text has no entities.

        Raises:
            TextError: a text is no text, or too long.
        """
        if not texts:
            return []
        sentences = [Sentence(f"{n}", check_text(text, f"text {n}")) for n, text in enumerate(texts, start=1)]
        reading = self.reading
        subwords = tokenize_sentences(
            sentences,
            self._tokenizer,
            word_tokenizer=reading.words,
            max_length=reading.max_length,
            stride=reading.stride,
        )
        scores = self._scores(subwords)
        labels = word_labels(
            scores if reading.viterbi else scores.argmax(axis=-1), subwords, reading.viterbi, self._outside
        )
        return self._spans(texts, subwords, labels, _certainty(scores, subwords, labels))

    def stream(self, texts: Iterable[str], at_once: int = AT_ONCE) -> Iterator[list[PredictedSpan]]:
        """As `predict`, of texts that are read as they are needed; the first is answered before the second is read.

        Args:
            texts: the texts, without end if need be.
            at_once: how many are read before they are answered, at most; fewer at the beginning and where they are
                long. Within them, batches are of texts of similar length.
        """
        for chunk in _chunks(texts, at_once):
            yield from self.predict(chunk)

    def _scores(self, subwords: Subwords) -> Array:
        """Label scores, shape (subwords, labels), where a word is read; zero elsewhere."""
        asked = np.full(len(subwords.ids), IGNORED, dtype=np.int16)
        asked[subwords.read_at[subwords.read_at >= 0]] = self._outside  # any label marks the subword as asked for
        return predict(self._model, Windows(subwords.ids, asked, subwords.windows), self._collate, scores=True).output

    def _spans(
        self, texts: Sequence[str], subwords: Subwords, labels: Array, certainty: Array
    ) -> list[list[PredictedSpan]]:
        split, tags = subwords.words, np.array(self.reading.labels, dtype=object)[labels]
        found: list[list[PredictedSpan]] = []
        for text, (first, after) in zip(texts, pairwise(split.firsts.tolist()), strict=True):
            spans = []
            if (labels[first:after] != self._outside).any():
                for one, behind, label in find_chunks(tags[first:after].tolist()):
                    start, end = int(split.starts[first + one]), int(split.ends[first + behind - 1])
                    score = float(certainty[first + one : first + behind].mean())
                    spans.append(PredictedSpan(start, end, label, score, text[start:end]))
            found.append(spans)
        return found


def _certainty(scores: Array, subwords: Subwords, labels: Array) -> Array:
    """The probability of each word's label, shape (words,); 1 for a word that no subword was read for."""
    certainty = np.ones(len(labels))
    kept = subwords.read_at >= 0
    read = scores[subwords.read_at[kept]].astype(np.float64)
    read -= read.max(axis=-1, keepdims=True, initial=-np.inf)
    chosen = np.take_along_axis(read, labels[kept, None], axis=-1)[:, 0]
    certainty[kept] = np.exp(chosen) / np.exp(read).sum(axis=-1)
    return certainty


def _chunks(texts: Iterable[str], at_once: int) -> Iterator[list[str]]:
    """Lists of one text, then two, four and so on up to `at_once`, shorter where the texts are long."""
    chunk: list[str] = []
    characters, size = 0, 1
    for text in texts:
        chunk.append(text)
        characters += len(text)
        if len(chunk) >= size or characters >= _CHARACTERS_AT_ONCE:
            yield chunk
            chunk, characters, size = [], 0, min(2 * size, at_once)
    if chunk:
        yield chunk


def _collator(model: Any, pad_id: int) -> tuple[Collator, str]:
    """Batches without padding where the architecture allows, tried on a batch of any subwords."""
    # RoBERTa and its kin tell positions by where the padding is
    usable = [index for index in range(model.config.vocab_size) if index != pad_id]
    sample = Windows.of((usable[-length:], [0] * length) for length in _SAMPLE_LENGTHS)
    return collator_for(model, pad_id, packed=model.config.model_type in PACKABLE, sample=sample)
