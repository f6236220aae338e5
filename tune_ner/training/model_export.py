"""A trained model as a plain Hugging Face folder, with the inference config that such a folder lacks.

The folder can be loaded by transformers without this package.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tune_ner.config.hyperparameters import SchemeName
from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import ModelError
from tune_ner.tagging.alignment import SubwordLabels
from tune_ner.tagging.decoding import Decoding, Transitions
from tune_ner.tagging.tokenization import FixedWordTokenizer
from tune_ner.training.encoders import Encoder, load_model
from tune_ner.training.training_text_hashes import TrainingTextHashes
from tune_ner.utils.io import first_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from tune_ner.training.padding_free.vocabulary_trimming import Vocabulary

INFERENCE_CONFIG_FILE = "tune_ner.json"
ADAPTER_FOLDER = "adapter"
INFERENCE_CONFIG_FORMAT = 2
CRF_FORMAT = 3
"""Format of a model with a CRF, which versions that would ignore its transitions must not read."""


class InferenceConfig(BaseModel):
    """How texts are tokenized for a model and how its labels are decoded: the content of `tune_ner.json`.

    Attributes:
        entity_types: the entity types in label order.
        crf: the learned transitions; None for a linear head.
        retraining_differences: None for the model of the recorded trial; if the trial was retrained because its
            weights were lost, every metric that differs from the record.
    """

    model_config = ConfigDict(frozen=True)

    format: Annotated[int, Field(ge=INFERENCE_CONFIG_FORMAT, le=CRF_FORMAT)] = INFERENCE_CONFIG_FORMAT
    trial_id: str
    tagging_scheme: SchemeName
    entity_types: Annotated[tuple[str, ...], Field(min_length=1)]
    word_tokenizer: FixedWordTokenizer
    subword_labels: SubwordLabels
    max_length: Annotated[int, Field(ge=3)]
    stride: Annotated[int, Field(ge=0)]
    decoding: Decoding
    crf: Transitions | None = None
    retraining_differences: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _windows_advance(self) -> Self:
        if self.stride >= self.max_length:
            raise ValueError(f"stride {self.stride} with max_length {self.max_length}: expected a smaller stride")
        return self

    @classmethod
    def of(cls, config: TrialConfig, entity_types: tuple[str, ...]) -> InferenceConfig:
        """Return the inference config of a trial's model."""
        shared = cls.model_fields.keys() & TrialConfig.model_fields.keys()
        values = config.model_dump(include=set(shared)) | {"stride": config.window_stride}
        return cls(trial_id=config.trial_id, entity_types=entity_types, **values)

    @classmethod
    def read(cls, folder: Path) -> InferenceConfig | None:
        """Read the config from a model folder; None for a folder that another tool created.

        Raises:
            ModelError: the file is unreadable, invalid or of another version.
        """
        file = folder / INFERENCE_CONFIG_FILE
        if not file.exists():
            return None
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise ModelError(f"{file}: cannot be read: {error.strerror or error}") from error
        except ValidationError as error:
            raise ModelError(
                f"{file}: {first_problem(error)}; expected format {INFERENCE_CONFIG_FORMAT}, of this version of "
                "tune_ner: export the model again with it, or use the version that exported the model"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the config into a model folder.

        Raises:
            OSError: the file cannot be written.
        """
        with (folder / INFERENCE_CONFIG_FILE).open("w", encoding="utf-8") as file:
            file.write(self.model_dump_json(indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())


@dataclass(frozen=True)
class TrainedModel:
    """The model of a trial.

    Attributes:
        labels: the label list.
        entity_types: the entity types in label order.
        weights: the fp32 weights of the best epoch.
        vocabulary: the subwords whose embeddings the weights still have; None if they have all.
        training_text_hashes: hashes of the texts on which the model was trained and selected.
    """

    config: TrialConfig
    encoder: Encoder
    tokenizer: Any
    labels: tuple[str, ...]
    entity_types: tuple[str, ...]
    weights: Mapping[str, torch.Tensor]
    vocabulary: Vocabulary | None
    training_text_hashes: TrainingTextHashes

    def save(self, folder: Path, retraining_differences: tuple[str, ...] | None = None) -> None:
        """Write the weights (fp32), the tokenizer, the inference config and the training-text hashes.

        Low-rank updates are merged into the weights, and also written on their own into `adapter/`. The transitions of
        a CRF are part of the inference config; transformers loads the rest of the model.

        The weights are copied into a model built by transformers, because the trained one may have padding-free
        attention and dropout and a trimmed vocabulary. Subwords that do not occur in the corpus get the embeddings of
        the pretrained encoder.

        Args:
            folder: an empty or new folder.
            retraining_differences: see `InferenceConfig`.

        Raises:
            EncoderError: the encoder's files are missing.
            OSError, SafetensorError: the files cannot be written.
        """
        from tune_ner.training.crf_head import CRF_WEIGHTS, transitions_of  # imports torch
        from tune_ner.training.lora import merge_lora, save_adapter

        complete = load_model(self.encoder, self.labels, self.tokenizer, self.config.seed, self.config.dropout)
        weights = {name: value.cpu() for name, value in self.weights.items()}
        crf = None
        if self.config.head == "crf":
            crf = transitions_of({name: weights.pop(f"crf.{name}") for name in CRF_WEIGHTS})
        if self.config.lora_rank:
            save_adapter(self.config, weights, complete.base_model_prefix, folder / ADAPTER_FOLDER)
            weights = merge_lora(self.config, weights)
        if self.vocabulary:
            table = complete.get_input_embeddings().weight
            # T5 has the table under two names
            for name, parameter in complete.named_parameters(remove_duplicate=False):
                if parameter is table:
                    weights[name] = self.vocabulary.restored(weights[name], table)
        complete.load_state_dict(weights)
        complete.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.training_text_hashes.write(folder)
        inference_config = InferenceConfig.of(self.config, self.entity_types)
        update: dict[str, Any] = {"retraining_differences": retraining_differences, "crf": crf}
        if crf:
            update["format"] = CRF_FORMAT
        inference_config.model_copy(update=update).write(folder)
