"""What a trial learns from and is measured on, encoded; kept in the process for the next trial that needs the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tune_ner.audit import SeenForms, seen_forms
from tune_ner.data import PARTS, Corpus, Part, Sentence, Split
from tune_ner.errors import EncoderError
from tune_ner.tagging import SCHEMES, EncodedPart, encode_part
from tune_ner.training.config import TrialConfig
from tune_ner.training.encoders import Encoder, load_tokenizer
from tune_ner.training.vocabulary import Vocabulary

_MOST_KEPT = 4


class Rows(torch.utils.data.Dataset[dict[str, list[int]]]):
    """The windows of a part as a model takes them: input ids and label ids; a batch adds the rest."""

    def __init__(self, input_ids: Sequence[list[int]], label_ids: Sequence[list[int]]) -> None:
        self._input_ids = input_ids
        self._label_ids = label_ids

    def __len__(self) -> int:
        return len(self._input_ids)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return {"input_ids": self._input_ids[index], "labels": self._label_ids[index]}

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Subwords of each window, shape (windows,)."""
        return np.array([len(row) for row in self._input_ids], dtype=np.int64)

    def renumbered(self, vocabulary: Vocabulary) -> Rows:
        """The same windows with the ids of a smaller vocabulary."""
        return Rows([vocabulary.renumbered(row) for row in self._input_ids], self._label_ids)


@dataclass(frozen=True)
class TrialInputs:
    """An encoded corpus: what is the same for all trials of an encoder, tagging scheme and split.

    `labels` are those of the scheme, and `forms` the surface forms of the train part.
    """

    tokenizer: Any
    types: tuple[str, ...]
    labels: tuple[str, ...]
    sentences: dict[Part, list[Sentence]]
    encoded: dict[Part, EncodedPart]
    forms: SeenForms

    @cached_property
    def rows(self) -> dict[Part, Rows]:
        """The windows of each part."""
        return {part: Rows(encoded.input_ids, encoded.label_ids) for part, encoded in self.encoded.items()}

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The subwords that the parts use."""
        every = (row for encoded in self.encoded.values() for row in encoded.input_ids)
        return Vocabulary.of(every, self.tokenizer.pad_token_id)

    @cached_property
    def trimmed_rows(self) -> dict[Part, Rows]:
        """The windows of each part with the ids of `vocabulary`."""
        return {part: rows.renumbered(self.vocabulary) for part, rows in self.rows.items()}

    def check_lengths(self, config: TrialConfig, model: Any) -> None:
        """Refuse sentences that are longer than the model has positions.

        Raises:
            EncoderError: one is.
        """
        table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
        if table is None:
            return  # positions are relative, and there is no last one
        # RoBERTa and its kin count positions from behind the padding's
        positions = table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
        longest = max(len(ids) for encoded in self.encoded.values() for ids in encoded.input_ids)
        if longest > positions:
            raise EncoderError(
                f"model {config.model!r}: a sentence has {longest} subwords at max_length {config.max_length}; "
                f"expected a max_length up to {positions}, the positions that the model has"
            )


_kept: dict[tuple[object, ...], TrialInputs] = {}


def trial_inputs(config: TrialConfig, encoder: Encoder, corpus: Corpus, split: Split) -> TrialInputs:
    """The inputs of a trial, encoded now or for an earlier trial of this process.

    Raises:
        EncoderError: the encoder's tokenizer cannot be loaded.
    """
    said = config.tagging_scheme, config.words, config.alignment, config.max_length, config.stride
    key = (encoder, corpus.fingerprint, split, *said)
    if key not in _kept:
        while len(_kept) >= _MOST_KEPT:
            del _kept[next(iter(_kept))]
        _kept[key] = _encoded(config, encoder, corpus, split)
    return _kept[key]


def _encoded(config: TrialConfig, encoder: Encoder, corpus: Corpus, split: Split) -> TrialInputs:
    sentences: dict[Part, list[Sentence]] = {part: [corpus.sentences[i] for i in split[part]] for part in PARTS}
    tokenizer = load_tokenizer(encoder, [sentence.text for sentence in sentences["train"]])
    scheme = SCHEMES[config.tagging_scheme]
    labels = scheme.labels(corpus.types)
    encoded = {
        part: encode_part(
            rows,
            tokenizer,
            labels,
            scheme,
            word_rule=config.words,
            alignment=config.alignment,
            max_length=config.max_length,
            stride=config.stride,
        )
        for part, rows in sentences.items()
    }
    return TrialInputs(tokenizer, corpus.types, labels, sentences, encoded, seen_forms(corpus, split))
