"""Model folders that are not what they should be; each is told in one line that names the file and the key."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests.model_folders import a_model_folder
from tune_ner.errors import ModelError
from tune_ner.inference.predictor import Predictor

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
        ("config.json", lambda config: config["id2label"].update({"1": "O"}), "'O' stands twice"),
        ("tune_ner.json", lambda said: said.update(tagging_scheme="IO"), "tagging_scheme IO and types"),
        ("tune_ner.json", lambda said: said.update(types=["PERSON"]), "types PERSON do not give the labels"),
    ],
)
def test_labels_that_do_not_fit_are_told(
    tmp_path: Path, file: str, edit: Callable[[Content], object], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = a_model_folder(tmp_path / "best")
    capfd.readouterr()
    edited(folder / file, edit)
    with pytest.raises(ModelError) as caught:
        Predictor.load(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", "no JSON"])
def test_settings_that_are_none_are_told(tmp_path: Path, content: str) -> None:
    folder = a_model_folder(tmp_path / "best")
    (folder / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config\.json"):
        Predictor.load(folder)


def test_weights_that_are_no_numbers_are_told(tmp_path: Path) -> None:
    folder = a_model_folder(tmp_path / "best")
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"] = weights["classifier.bias"] * float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"classifier\.bias has weights that are no numbers"):
        Predictor.load(folder)
