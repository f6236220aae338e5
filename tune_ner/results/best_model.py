"""The best model of a run: kept in a hidden folder while the run lasts, exported to `best/` at its end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tune_ner.errors import RunFolderError
from tune_ner.training.model_export import INFERENCE_CONFIG_FILE
from tune_ner.utils.io import read_json

ModelFiles = Mapping[str, npt.NDArray[np.uint8]]
"""The files of a model folder: their bytes by their path in the folder."""

_UNFINISHED = ".part"


def write_model_files(folder: Path, files: ModelFiles) -> None:
    """Write a model into a new folder; it is on the disk on return.

    Raises:
        OSError: the folder exists, or cannot be written.
    """
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        with (folder / name).open("wb") as file:
            file.write(content.data)
            file.flush()
            os.fsync(file.fileno())


class BestModelDir:
    """The models in a run folder: the exported one in `best/`, and the best one so far in `.best/TRIAL_ID`.

    The folder name identifies the trial, so that a resumed run knows which model it has.
    """

    def __init__(self, run_dir: Path) -> None:
        self.best = run_dir / "best"
        self._waiting = run_dir / ".best"

    @property
    def exported(self) -> str | None:
        """Trial id of the model in `best/`; None if there is no complete model."""
        try:
            return str(read_json(self.best / INFERENCE_CONFIG_FILE)["trial_id"])
        except (RunFolderError, KeyError, TypeError):
            return None

    @property
    def kept(self) -> str | None:
        """Trial id of the best model so far; the latest one if a process died while replacing it."""
        if not self._waiting.is_dir():
            return None
        complete = [folder for folder in self._waiting.iterdir() if folder.suffix != _UNFINISHED]
        return max(complete, key=lambda folder: folder.stat().st_mtime_ns).name if complete else None

    def keep(self, trial_id: str, files: ModelFiles) -> None:
        """Replace the best model so far; the former one is removed after this one is on the disk.

        Raises:
            OSError: the model cannot be written; the former one is unchanged.
        """
        unfinished, complete = self._waiting / f"{trial_id}{_UNFINISHED}", self._waiting / trial_id
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            write_model_files(unfinished, files)
            if complete.exists():
                self._remove(complete)
            unfinished.rename(complete)
        except OSError:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        for other in self._waiting.iterdir():
            if other != complete:
                self._remove(other)

    def publish(self) -> None:
        """Move the best model so far to `best/`.

        Raises:
            OSError: it cannot be moved; `best/` is unchanged.
        """
        trial_id, before = self.kept, self._waiting / f"before{_UNFINISHED}"
        assert trial_id
        if self.best.exists():
            self.best.rename(before)
        try:
            (self._waiting / trial_id).rename(self.best)
        except OSError:
            if before.exists():
                before.rename(self.best)
            raise
        self.discard()

    def discard(self) -> None:
        """Remove the best model so far."""
        shutil.rmtree(self._waiting, ignore_errors=True)

    def _remove(self, folder: Path) -> None:
        # renamed first, since a process may die before the folder is completely removed
        removed = self._waiting / f"removed{_UNFINISHED}"
        shutil.rmtree(removed, ignore_errors=True)
        if folder != removed:
            folder.rename(removed)
            shutil.rmtree(removed, ignore_errors=True)
