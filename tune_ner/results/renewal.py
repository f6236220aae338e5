"""A run folder that gives way to a later state of the same run, such as one that a cluster went on with."""

from __future__ import annotations

import shutil
from pathlib import Path

from tune_ner.errors import RunFolderError
from tune_ner.results.resume import locked
from tune_ner.results.run_dir import RunDir


def renew(target: Path, later: Path) -> None:
    """Put a run folder in its place, whole or not at all; a model in `best/` stays if the later state has none.

    Args:
        target: where to; what is there is moved beside `later`, and is as it was if anything goes wrong.
        later: the later state, in a folder of its own on the same disk, which the caller removes.

    Raises:
        RunFolderError: what is there is no earlier state of the run, or another process works on it.
        OSError: it cannot be written.
    """
    if not target.exists():
        later.rename(target)
        return
    here, new = RunDir.existing(target), RunDir(later)
    with locked(target):
        _check_earlier(here, new)
        if here.models.best.exists() and not new.models.best.exists():
            shutil.copytree(here.models.best, new.models.best)
        _swap(target, later)


def _check_earlier(here: RunDir, later: RunDir) -> None:
    """That nothing is lost: records are only ever appended, so that those of an earlier state begin the later one's."""
    records = here.trials_file.read_bytes()
    whole_lines = records[: records.rfind(b"\n") + 1]
    same_run = _content(here.run_config_file) == _content(later.run_config_file)
    if not same_run or not _content(later.trials_file).startswith(whole_lines):
        raise RunFolderError(
            "the run there is another one, or has trials that this one has not, and would be lost; choose another "
            "--results-dir, or move it away"
        )


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _swap(target: Path, later: Path) -> None:
    earlier = later.with_name(f"{later.name}.earlier")
    try:
        target.rename(earlier)
        later.rename(target)
    except BaseException:  # SIGTERM between the two as well
        if not target.exists():
            earlier.rename(target)
        raise
