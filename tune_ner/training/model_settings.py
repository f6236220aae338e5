"""What a plain Hugging Face folder does not say of a model: how its texts are cut, and how its tags are read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tune_ner.config.hyperparameters import SchemeName
from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import ModelError
from tune_ner.tagging.alignment import SubwordLabels
from tune_ner.tagging.decoding import Decoding
from tune_ner.tagging.tokenization import WordTokenizer

SETTINGS_FILE = "tune_ner.json"
SETTINGS_FORMAT = 1


class ModelSettings(BaseModel):
    """The content of `tune_ner.json`, beside the weights of an exported model.

    `types` are the entity types in label order. `trained_again` is None for the model of the recorded trial itself;
    for one that was trained once more, because those weights were lost, it has every figure that is not the record's.
    """

    model_config = ConfigDict(frozen=True)

    format: Annotated[int, Field(ge=1, le=SETTINGS_FORMAT)] = SETTINGS_FORMAT
    trial_id: Annotated[str, Field(min_length=1)]
    tagging_scheme: SchemeName
    types: Annotated[tuple[str, ...], Field(min_length=1)]
    word_tokenizer: WordTokenizer
    subword_labels: SubwordLabels
    max_length: Annotated[int, Field(ge=3)]
    stride: Annotated[int, Field(ge=0)]
    decoding: Decoding
    trained_again: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _windows_advance(self) -> Self:
        if self.stride >= self.max_length:
            raise ValueError(f"stride {self.stride} with max_length {self.max_length}: expected a smaller stride")
        return self

    @classmethod
    def of(cls, config: TrialConfig, types: tuple[str, ...]) -> ModelSettings:
        """The settings of a trial's model."""
        shared = cls.model_fields.keys() & TrialConfig.model_fields.keys()
        return cls(trial_id=config.trial_id, types=types, **config.model_dump(include=set(shared)))

    @classmethod
    def read(cls, folder: Path) -> ModelSettings | None:
        """The settings that lie in a model folder; None where it has none, for others made it.

        Raises:
            ModelError: the file cannot be read, is faulty, or of a newer version.
        """
        file = folder / SETTINGS_FILE
        if not file.exists():
            return None
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise ModelError(f"{file}: cannot be read: {error.strerror or error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "content"
            raise ModelError(
                f"{file}: {where}: {first['msg']}; expected what this version of tune_ner writes (format "
                f"{SETTINGS_FORMAT}): export the model again, or update tune_ner"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the settings into a model folder.

        Raises:
            OSError: they cannot be written.
        """
        with (folder / SETTINGS_FILE).open("w", encoding="utf-8") as file:
            file.write(self.model_dump_json(indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
