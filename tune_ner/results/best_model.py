"""The model that a run leaves in `best/`, and where it lies until the run is over."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tune_ner.training.model_export import INFERENCE_CONFIG_FILE

ModelFiles = Mapping[str, npt.NDArray[np.uint8]]
"""The files of a model folder: their bytes, by name."""

_UNFINISHED = ".part"


class BestModelDir:
    """The models in a run folder: `best/`, and hidden beside it the one that would be it if the run ended now.

    The hidden one lies in `.best/TRIAL_ID`, so that a run that goes on knows whose it is.
    """

    def __init__(self, run: Path) -> None:
        self.best = run / "best"
        self._waiting = run / ".best"

    @property
    def exported(self) -> str | None:
        """The trial whose model is in `best/`; None where there is no whole one."""
        try:
            return str(json.loads((self.best / INFERENCE_CONFIG_FILE).read_bytes())["trial_id"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):  # the last from JSON nested without end
            return None

    @property
    def kept(self) -> str | None:
        """The trial whose model waits to be `best/`; the one written last, where a process died amid two."""
        if not self._waiting.is_dir():
            return None
        whole = [folder for folder in self._waiting.iterdir() if folder.suffix != _UNFINISHED]
        return max(whole, key=lambda folder: folder.stat().st_mtime_ns).name if whole else None

    def keep(self, trial_id: str, files: ModelFiles) -> None:
        """Let a model wait in the place of the one before, which is removed once this one is on the disk.

        Raises:
            OSError: it cannot be written; then the one before is still there.
        """
        split_name, whole = self._waiting / f"{trial_id}{_UNFINISHED}", self._waiting / trial_id
        try:
            shutil.rmtree(split_name, ignore_errors=True)
            split_name.mkdir(parents=True)
            for name, content in files.items():
                with (split_name / name).open("wb") as file:
                    file.write(content.data)
                    file.flush()
                    os.fsync(file.fileno())
            if whole.exists():
                self._remove(whole)
            split_name.rename(whole)
        except OSError:
            shutil.rmtree(split_name, ignore_errors=True)
            raise
        for other in self._waiting.iterdir():
            if other != whole:
                self._remove(other)

    def publish(self) -> None:
        """Make the model that waits `best/`, in the place of the one before.

        Raises:
            OSError: it cannot be; then `best/` is the one before.
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
        """Remove what waits."""
        shutil.rmtree(self._waiting, ignore_errors=True)

    def _remove(self, folder: Path) -> None:
        # renamed first, since a process may die before all of it is gone
        going = self._waiting / f"going{_UNFINISHED}"
        shutil.rmtree(going, ignore_errors=True)
        if folder != going:
            folder.rename(going)
            shutil.rmtree(going, ignore_errors=True)
