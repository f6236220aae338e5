"""Folders with the models of an ensemble."""

from pathlib import Path

import pytest

from tests.model_folders import a_model_folder
from tune_ner.errors import ModelError
from tune_ner.inference.ensemble_dir import ensemble_members, write_ensemble_file
from tune_ner.inference.model_dir import ENSEMBLE_FILE, find_model_dir


def an_ensemble(folder: Path, *changes: dict[str, object]) -> Path:
    """Write an ensemble of one model per set of changes."""
    names = [f"{number}-model" for number in range(len(changes))]
    for name, each in zip(names, changes, strict=True):
        a_model_folder(folder / name, **each)
    write_ensemble_file(folder, names)
    return folder


def test_models_are_named_in_order(tmp_path: Path) -> None:
    write_ensemble_file(tmp_path, ["1-b", "2-a"])
    assert ensemble_members(tmp_path) == [tmp_path / "1-b", tmp_path / "2-a"]


def test_other_folders_have_no_members(tmp_path: Path) -> None:
    assert ensemble_members(a_model_folder(tmp_path / "model")) == []
    assert ensemble_members(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"models": ["0-model"]}',
        '{"format": 2, "models": ["0-model", "1-model"]}',
        '{"models": ["a", "../b"]}',
    ],
)
def test_invalid_files_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / ENSEMBLE_FILE).write_text(content)
    with pytest.raises(ModelError, match="expected the folders of two models or more"):
        ensemble_members(tmp_path)


def test_commands_that_need_one_model_say_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="an ensemble of several models; name one of the folders in it"):
        find_model_dir(an_ensemble(tmp_path, {"seed": 1}, {"seed": 2}))
