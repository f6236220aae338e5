"""One model on texts: from sentences to the labels of their words.

Words, windows, batches and decoding are those of training, so that predictions equal those of the evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tune_ner.config.hyperparameters import Precision
from tune_ner.data.corpus import Sentence
from tune_ner.data.tag_parsing import OUTSIDE
from tune_ner.inference.model_dir import ModelDir
from tune_ner.inference.onnx_model import OnnxModel
from tune_ner.tagging.alignment import IGNORED, Subwords, tokenize_sentences
from tune_ner.tagging.decoding import ViterbiDecoder, word_labels
from tune_ner.tagging.probabilities import WordProbabilities
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.training.dataset import Windows
from tune_ner.training.encoders import PADDING_FREE_ARCHITECTURES
from tune_ner.training.evaluation_loop import predict
from tune_ner.training.padding_free.collator import Collator, padding_free_collator
from tune_ner.training.precision import DTYPES, model_precision

_SAMPLE_LENGTHS = (5, 17, 9, 3)

Array = np.ndarray[Any, Any]


class WordTagger:
    """A token classification model that labels the words of sentences.

    Args:
        model_dir: the model.
        device: the torch device.
        precision: of the weights and the computation.

    Attributes:
        config: tokenization and decoding.
        training_text_hashes: hashes of the texts that the model was trained or selected on; None if unknown.
        notes: remarks for the user, one sentence each.
    """

    def __init__(self, model_dir: ModelDir, device: str, precision: Precision) -> None:
        self.config = model_dir.config
        self.training_text_hashes = model_dir.training_text_hashes
        self._labels = model_dir.labels
        self._outside = self._labels.index(OUTSIDE)
        scheme = SCHEMES[self.config.tagging_scheme]
        crf = self.config.crf
        decodes_sequences = crf is not None or self.config.decoding == "viterbi"
        self._viterbi = ViterbiDecoder(scheme, self._labels, crf) if decodes_sequences else None
        self._tokenizer = model_dir.tokenizer
        self._model = model_dir.model.to(device)
        self._collate, note = _collator(self._model, self._tokenizer.pad_token_id)
        dtype = DTYPES[model_precision(precision, self._model, self._model.device.type)]
        for parameter in self._model.parameters():  # buffers, such as frequencies of positions, stay exact
            parameter.data = parameter.data.to(dtype)
        self.notes = tuple(filter(None, [*model_dir.notes, note]))

    def __call__(self, sentences: Sequence[Sentence]) -> tuple[WordProbabilities, npt.NDArray[np.int64]]:
        """Return the label probabilities of all words, and the label id that the model gives each, shape (words,)."""
        subwords = tokenize_sentences(
            sentences,
            self._tokenizer,
            word_tokenizer=self.config.word_tokenizer,
            max_length=self.config.max_length,
            stride=self.config.stride,
        )
        scores = self._scores(subwords)
        output = scores if self._viterbi else scores.argmax(axis=-1)
        crf = self._viterbi if self.config.crf else None
        probabilities = WordProbabilities.of(scores, subwords, self.config.tagging_scheme, self._labels, crf)
        return probabilities, word_labels(output, subwords, self._viterbi, self._outside)

    def _scores(self, subwords: Subwords) -> Array:
        """Return label scores, shape (subwords, labels), of the first subword of each word; zero elsewhere."""
        labels = np.full(len(subwords.ids), IGNORED, dtype=np.int16)
        labels[subwords.read_at[subwords.read_at >= 0]] = self._outside  # only labelled subwords get scores
        windows = Windows(subwords.ids, labels, subwords.windows)
        return predict(self._model, windows, self._collate, with_scores=True).output


def _collator(model: Any, pad_id: int) -> tuple[Collator, str]:
    """Return a padding-free collator if the architecture supports it, checked on a batch of arbitrary subwords."""
    if isinstance(model, OnnxModel) or model.config.model_type not in PADDING_FREE_ARCHITECTURES:
        return Collator(model, pad_id, padding_free=False), ""
    # RoBERTa and similar derive positions from padding tokens
    usable = [index for index in range(model.config.vocab_size) if index != pad_id]
    sample = Windows.of((usable[-length:], [0] * length) for length in _SAMPLE_LENGTHS)
    return padding_free_collator(model, pad_id, sample)
