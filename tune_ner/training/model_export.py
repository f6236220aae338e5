"""A trained model as a plain Hugging Face folder, which needs nothing of this package to be loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tune_ner.config.trial_config import TrialConfig
from tune_ner.training.encoders import Encoder, load_model
from tune_ner.training.model_settings import ModelSettings
from tune_ner.training.padding_free.vocabulary_trimming import Vocabulary
from tune_ner.training.training_text_hashes import TrainingTextHashes


@dataclass(frozen=True)
class TrainedModel:
    """The model of a trial, with the weights of its best epoch.

    `labels` are the label list, `types` the entity types in label order. `vocabulary` has the subwords whose embeddings
    the model was left with, None if it has them all; `known` are the texts that it was trained and chosen on.
    """

    config: TrialConfig
    encoder: Encoder
    tokenizer: Any
    labels: tuple[str, ...]
    types: tuple[str, ...]
    model: Any
    vocabulary: Vocabulary | None
    known: TrainingTextHashes

    def save(self, folder: Path, trained_again: tuple[str, ...] | None = None) -> None:
        """Write `config.json`, `model.safetensors` (fp32), the tokenizer's files, `tune_ner.json` and
        `known_texts.bin`.

        The weights go into a model as transformers builds it, for the trained one has the attention and dropout of
        packed batches, and maybe a part of the vocabulary only; subwords that the corpus lacks have the embeddings that
        the encoder came with.

        Args:
            folder: an empty folder, or one that is made.
            trained_again: what `ModelSettings` says of a trial that was trained once more.

        Raises:
            EncoderError: the encoder's files are gone.
            OSError, SafetensorError: the files cannot be written.
        """
        whole = load_model(self.encoder, self.labels, self.tokenizer, self.config.seed, self.config.dropout)
        weights: dict[str, torch.Tensor] = {name: value.cpu() for name, value in self.model.state_dict().items()}
        if self.vocabulary:
            table = whole.get_input_embeddings().weight
            name = next(name for name, parameter in whole.named_parameters() if parameter is table)
            weights[name] = self.vocabulary.restored(weights[name], table)
        whole.load_state_dict(weights)
        whole.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.known.write(folder)
        settings = ModelSettings.of(self.config, self.types)
        settings.model_copy(update={"trained_again": trained_again}).write(folder)
