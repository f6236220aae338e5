"""A trial on the disk between two epochs, so that it can go on after its process died; its figures stay what they are.

One file of safetensors for each trial, with all that is no tensor as JSON in its header: nothing in it is executed when
it is read.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tune_ner.training.padding_free.collator import Collator

_FORMAT = 1
_KEY = "tune_ner"

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Saved:
    """What a trial was after an epoch: tensors by `group.name`, and plain data."""

    tensors: Tensors
    content: Mapping[str, Any]

    def group(self, name: str) -> Tensors:
        """The tensors of a group by their names in it."""
        return {key[len(name) + 1 :]: value for key, value in self.tensors.items() if key.startswith(f"{name}.")}


class TrialCheckpoint:
    """Where a trial is saved.

    Args:
        file: its file; the folder is made when the trial is first saved.
        trial_id: whose it is; what another trial saved is not read.
        every: after how many epochs the trial is saved.

    Attributes:
        saved: what an earlier start left; None where there is nothing, or nothing that can be read.
        problem: why it could not be read or written, if so.
    """

    def __init__(self, file: Path, trial_id: str, every: int) -> None:
        self._file = file
        self._trial_id = trial_id
        self._every = every
        self.problem = ""
        self.saved = self._read()

    @property
    def epochs(self) -> int:
        """How many epochs an earlier start trained."""
        return len(self.saved.content["epochs"]) if self.saved else 0

    @property
    def seconds(self) -> dict[str, float]:
        """What they took, by stage."""
        return dict(self.saved.content["seconds"]) if self.saved else {}

    def is_due(self, epoch: int) -> bool:
        """Whether the trial is to be saved after this epoch."""
        return epoch % self._every == 0

    def write(self, tensors: Tensors, content: Mapping[str, Any]) -> None:
        """Save the trial in the place of what was saved before, whole or not at all.

        A disk that is full or closed is no reason to end the trial; it is kept as `problem`.
        """
        header = {_KEY: json.dumps({"format": _FORMAT, "trial_id": self._trial_id, **content})}
        split_name = self._file.with_suffix(".part")
        try:
            self._file.parent.mkdir(exist_ok=True)
            # copies, since safetensors refuses tensors that share memory
            save_file({name: value.detach().cpu().clone() for name, value in tensors.items()}, split_name, header)
            with split_name.open("rb+") as file:
                os.fsync(file.fileno())
            split_name.replace(self._file)
        except (OSError, SafetensorError) as error:
            self.problem = f"not saved after epoch {len(content['epochs'])}: {error}"
            with suppress(OSError):
                split_name.unlink(missing_ok=True)

    def _read(self) -> Saved | None:
        if not self._file.exists():
            return None
        try:
            with safe_open(self._file, framework="pt") as file:
                content = json.loads((file.metadata() or {})[_KEY])
                if (content["format"], content["trial_id"]) != (_FORMAT, self._trial_id):
                    raise ValueError(f"of format {content['format']} and trial {content['trial_id']}")
                return Saved({name: file.get_tensor(name) for name in file.keys()}, content)  # noqa: SIM118 - no dict
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
            self.problem = f"begun anew, since {self._file.name} cannot be read: {error}"
            return None


class ResumableTrainer(transformers.Trainer):
    """The HF Trainer between two epochs as tensors and plain data, and brought back from them.

    Its own checkpoints are pickles, and forget the losses since the last logged one.

    Args:
        saved: what to go on from, if anything.
        collate: the collator of training.
    """

    def __init__(self, *, saved: Saved | None, collate: Collator, **arguments: Any) -> None:
        arguments["data_collator"] = collate
        super().__init__(**arguments)
        # the Trainer has an optimizer and a schedule once it trains
        self.optimizer: Any
        self.lr_scheduler: Any
        self.model: Any
        self._saved = saved
        self._collate = collate

    def train_from_saved(self, folder: str) -> float:
        """Train, from what is saved on where there is something; `folder` is an empty one.

        Returns:
            The mean loss of all steps.
        """
        if self._saved is None:
            self.train()
        else:
            # the one file that the Trainer itself reads
            state = Path(folder) / "trainer_state.json"
            state.write_text(json.dumps(self._saved.content["trainer"]), encoding="utf-8")
            self.train(resume_from_checkpoint=folder)
        # the Trainer's own figure divides by the steps since it went on
        return self._total_loss_scalar / max(self.state.global_step, 1)

    def snapshot(self) -> tuple[Tensors, dict[str, Any]]:
        """The state after an epoch."""
        optimizer = self.optimizer.state_dict()
        moments = {
            f"optimizer.{index}.{name}": torch.as_tensor(value)
            for index, values in optimizer["state"].items()
            for name, value in values.items()
        }
        weights = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors, generators = _random_states()
        scaler = self.accelerator.scaler
        content = {
            "trainer": {**asdict(self.state), "stateful_callbacks": {}},
            "groups": optimizer["param_groups"],
            "scheduler": self.lr_scheduler.state_dict(),
            "scaler": scaler.state_dict() if scaler else {},
            "loss": self._tr_loss.item(),
            "total_loss": self._total_loss_scalar,
            "last_logged": self._globalstep_last_logged,
            "collator": self._collate.state,
            "generators": generators,
        }
        return {**weights, **moments, **tensors}, content

    # What follows takes the place of the Trainer's own readers, which it calls in this order.

    def _load_from_checkpoint(self, *_: Any, **__: Any) -> None:
        assert self._saved
        self.model.load_state_dict(self._saved.group("model"))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if not self._saved:
            return
        state: dict[int, Tensors] = {}
        for name, value in self._saved.group("optimizer").items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = value
        groups = [{**group, "betas": tuple(group["betas"])} for group in self._saved.content["groups"]]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.lr_scheduler.load_state_dict(self._saved.content["scheduler"])

    def _load_scaler(self, checkpoint: str | None) -> None:
        if self._saved and self.accelerator.scaler and self._saved.content["scaler"]:
            self.accelerator.scaler.load_state_dict(self._saved.content["scaler"])

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if not self._saved:
            return
        content = self._saved.content
        self._tr_loss += content["loss"]
        self._total_loss_scalar = content["total_loss"]
        self._globalstep_last_logged = content["last_logged"]
        self._collate.restore(content["collator"])
        _set_random_states(self._saved.group("random"), content["generators"])


def _random_states() -> tuple[Tensors, dict[str, Any]]:
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


def _set_random_states(tensors: Tensors, content: Mapping[str, Any]) -> None:
    name, *numpy_state = content["numpy"]
    np.random.set_state((name, tensors["numpy"].numpy().astype(np.uint32), *numpy_state))
    version, gauss = content["python"]
    random.setstate((version, tuple(tensors["python"].tolist()), gauss))
    torch.set_rng_state(tensors["torch"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
