"""A folder with the models of an ensemble: one model folder for each, and a file that names them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tune_ner.errors import ModelError
from tune_ner.inference.model_dir import ENSEMBLE_FILE
from tune_ner.utils.io import first_problem

ENSEMBLE_FORMAT = 1


class _Ensemble(BaseModel):
    """The content of `ensemble.json`: the folders of the models, whose label probabilities are averaged."""

    model_config = ConfigDict(frozen=True)

    format: Annotated[int, Field(ge=ENSEMBLE_FORMAT, le=ENSEMBLE_FORMAT)] = ENSEMBLE_FORMAT
    models: Annotated[tuple[Annotated[str, Field(pattern=r"^\w[\w.-]*$")], ...], Field(min_length=2)]


def write_ensemble_file(folder: Path, models: Sequence[str]) -> None:
    """Write `ensemble.json`, which names the model folders within `folder`.

    Raises:
        OSError: the file cannot be written.
    """
    with (folder / ENSEMBLE_FILE).open("w", encoding="utf-8") as file:
        file.write(json.dumps(_Ensemble(models=tuple(models)).model_dump(), indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())


def ensemble_members(folder: Path) -> list[Path]:
    """Return the model folders in an ensemble folder; none for anything else.

    Raises:
        ModelError: `ensemble.json` is invalid.
    """
    file = folder / ENSEMBLE_FILE
    try:
        if not file.is_file():
            return []
        names = _Ensemble.model_validate_json(file.read_bytes()).models
    except OSError as error:
        raise ModelError(f"{file}: cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        raise ModelError(
            f"{file}: {first_problem(error)}; expected the folders of two models or more, as `tune-ner export RUN "
            "--ensemble` writes them"
        ) from error
    return [folder / name for name in names]
