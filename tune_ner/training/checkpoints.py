"""Checkpoints of a trial between epochs: a trial whose process died resumes, and its metrics stay the same.

Each trial has one safetensors file; everything that is not a tensor is JSON in its header. Reading it executes no code.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

_FORMAT = 4
_KEY = "tune_ner"

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class SavedTrial:
    """The state of a trial after an epoch: tensors, named `group.name`, and JSON-compatible values."""

    tensors: Tensors
    content: Mapping[str, Any]

    def group(self, name: str) -> Tensors:
        """Return the tensors of a group by their names in it."""
        return {key[len(name) + 1 :]: value for key, value in self.tensors.items() if key.startswith(f"{name}.")}


class TrialCheckpoint:
    """The checkpoint file of a trial.

    Args:
        file: path of the file; its folder is created when the trial is first saved.
        trial_id: the trial; a checkpoint of another trial is ignored.
        every: number of epochs between two checkpoints.

    Attributes:
        saved: the state that an earlier session saved; None without a readable file.
        problem: the reason if the file could not be read or written.
    """

    def __init__(self, file: Path, trial_id: str, every: int) -> None:
        self._file = file
        self._trial_id = trial_id
        self._every = every
        self.problem = ""
        self.saved = self._read()

    @property
    def epochs(self) -> int:
        """Return the number of epochs that earlier sessions trained."""
        return len(self.saved.content["epochs"]) if self.saved else 0

    @property
    def seconds(self) -> dict[str, float]:
        """Return the time that earlier sessions took, by stage."""
        return dict(self.saved.content["seconds"]) if self.saved else {}

    def is_due(self, epoch: int) -> bool:
        """Return whether the trial is saved after this epoch."""
        return epoch % self._every == 0

    def write(self, tensors: Tensors, content: Mapping[str, Any]) -> None:
        """Replace the checkpoint atomically.

        An error, such as a full disk, does not end the trial; it is kept as `problem`.
        """
        header = {_KEY: json.dumps({"format": _FORMAT, "trial_id": self._trial_id, **content})}
        unfinished = self._file.with_suffix(".part")
        try:
            self._file.parent.mkdir(exist_ok=True)
            # copies, since safetensors refuses tensors that share memory
            save_file({name: value.detach().cpu().clone() for name, value in tensors.items()}, unfinished, header)
            with unfinished.open("rb+") as file:
                os.fsync(file.fileno())
            unfinished.replace(self._file)
        except (OSError, SafetensorError) as error:
            self.problem = f"not saved after epoch {len(content['epochs'])}: {error}"
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)

    def _read(self) -> SavedTrial | None:
        if not self._file.exists():
            return None
        try:
            with safe_open(self._file, framework="pt") as file:
                content = json.loads((file.metadata() or {})[_KEY])
                if (content["format"], content["trial_id"]) != (_FORMAT, self._trial_id):
                    raise ValueError(f"it has format {content['format']} and belongs to trial {content['trial_id']}")
                return SavedTrial({name: file.get_tensor(name) for name in file.keys()}, content)  # noqa: SIM118 - no dict
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
            self.problem = f"restarted from the first epoch, since {self._file.name} is unreadable: {error}"
            return None


def random_states() -> tuple[Tensors, dict[str, Any]]:
    """Return the states of the random generators of torch, NumPy and Python."""
    name, keys, *numpy_state = np.random.get_state(legacy=True)
    version, words, gauss = random.getstate()
    tensors = {
        "random.torch": torch.get_rng_state(),
        "random.numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "random.python": torch.tensor(words, dtype=torch.int64),
    }
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    return tensors, {"numpy": [name, *numpy_state], "python": [version, gauss]}


def set_random_states(tensors: Tensors, content: Mapping[str, Any]) -> None:
    """Restore the states that `random_states` returned; `tensors` without `random.` in their names."""
    name, *numpy_state = content["numpy"]
    np.random.set_state((name, tensors["numpy"].numpy().astype(np.uint32), *numpy_state))
    version, gauss = content["python"]
    random.setstate((version, tuple(tensors["python"].tolist()), gauss))
    torch.set_rng_state(tensors["torch"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
