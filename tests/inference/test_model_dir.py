"""Reading of model folders; invalid ones raise one line that names the file and the key."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests.model_folders import a_model_folder
from tune_ner.errors import ModelError
from tune_ner.inference.model_dir import find_model_dir, read_model_dir

Content = dict[str, Any]


def edited(file: Path, edit: Callable[[Content], object]) -> None:
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


def without_labels(config: Content) -> None:
    del config["id2label"], config["label2id"]


def one_fewer(config: Content) -> None:
    config["id2label"].popitem()
    config["label2id"].popitem()


@pytest.mark.parametrize(
    ("file", "edit", "message"),
    [
        ("config.json", without_labels, "id2label: found nothing; expected the name of each label by its number"),
        ("config.json", one_fewer, "and config.json asks for"),
        ("config.json", lambda config: config.update(id2label=["O", "B-DRUG"]), "id2label: found"),
        ("config.json", lambda config: config["id2label"].update({"1": "O"}), "duplicate label 'O'"),
        ("tune_ner.json", lambda config: config.update(tagging_scheme="IO"), "tagging_scheme IO and entity_types"),
        (
            "tune_ner.json",
            lambda config: config.update(crf={"transitions": [[0.0]], "starts": [0.0], "ends": [0.0]}),
            "crf has transitions of 1 labels, and config.json has",
        ),
        (
            "tune_ner.json",
            lambda config: config.update(crf={"transitions": [[0.0, 0.0]], "starts": [0.0], "ends": [0.0]}),
            "found transitions and ends of [1, 2] labels, starts of 1",
        ),
        (
            "tune_ner.json",
            lambda config: config.update(entity_types=["PERSON"]),
            "entity_types PERSON do not give the labels",
        ),
    ],
)
def test_inconsistent_labels_are_an_error(
    tmp_path: Path, file: str, edit: Callable[[Content], object], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = a_model_folder(tmp_path / "best")
    capfd.readouterr()
    edited(folder / file, edit)
    with pytest.raises(ModelError) as caught:
        read_model_dir(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", "no JSON"])
def test_config_that_is_not_a_json_object_is_an_error(tmp_path: Path, content: str) -> None:
    folder = a_model_folder(tmp_path / "best")
    (folder / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config\.json"):
        read_model_dir(folder)


def test_nan_weights_are_an_error(tmp_path: Path) -> None:
    folder = a_model_folder(tmp_path / "best")
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"] = weights["classifier.bias"] * float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"classifier\.bias has weights that are NaN"):
        read_model_dir(folder)


def test_more_layers_than_the_weights_have_are_refused_before_they_are_built(tmp_path: Path) -> None:
    folder = a_model_folder(tmp_path / "model")
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, "num_hidden_layers": 10**9}))
    with pytest.raises(ModelError, match="num_hidden_layers is 1,000,000,000"):
        read_model_dir(folder)


def test_run_folder_stands_for_its_best_model(tmp_path: Path) -> None:
    (tmp_path / "trials.jsonl").touch()
    with pytest.raises(ModelError, match="no model in best/"):
        find_model_dir(tmp_path)
    best = a_model_folder(tmp_path / "best")
    assert find_model_dir(str(tmp_path)) == find_model_dir(best) == best


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nowhere", "no such folder; expected a folder with config.json"),
        ("empty", "the folder is empty"),
        ("file", "a file; expected a folder"),
        ("x" * 300, "cannot be read"),
    ],
)
def test_path_without_a_model_is_an_error(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ModelError, match=expected):
        find_model_dir(tmp_path / name)


def test_unknown_home_folder_is_an_error() -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        find_model_dir("~nobody-of-this-name")
