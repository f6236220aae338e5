"""Models in a run folder: whole or not at all, whatever is in the way."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.factories import a_config
from tune_ner.results.best_model import BestModelDir
from tune_ner.training.model_export import INFERENCE_CONFIG_FILE, InferenceConfig


def files(trial_id: str, weights: bytes = b"weights") -> dict[str, Any]:
    settings = InferenceConfig.of(a_config(), ("DRUG",)).model_copy(update={"trial_id": trial_id})
    content = {
        "config.json": b"{}",
        "model.safetensors": weights,
        INFERENCE_CONFIG_FILE: settings.model_dump_json().encode(),
    }
    return {name: np.frombuffer(data, np.uint8) for name, data in content.items()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_last_model_kept_becomes_best(tmp_path: Path) -> None:
    models = BestModelDir(tmp_path)
    assert (models.kept, models.exported) == (None, None)
    for trial_id in ("one", "two", "two"):
        models.keep(trial_id, files(trial_id, trial_id.encode()))
        assert models.kept == trial_id
        assert names(tmp_path / ".best") == [trial_id]
    assert models.exported is None
    models.publish()
    assert models.exported == "two"
    assert names(tmp_path) == ["best"]
    assert names(tmp_path / "best") == ["config.json", "model.safetensors", INFERENCE_CONFIG_FILE]
    assert (tmp_path / "best" / "model.safetensors").read_bytes() == b"two"


def test_a_better_model_takes_the_place_of_best(tmp_path: Path) -> None:
    models = BestModelDir(tmp_path)
    for trial_id in ("one", "two"):
        models.keep(trial_id, files(trial_id))
        models.publish()
    assert models.exported == "two"
    assert names(tmp_path) == ["best"]


def test_a_model_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    models = BestModelDir(tmp_path)
    models.keep("one", files("one"))
    with pytest.raises(OSError, match="No such file"):
        models.keep("two", {**files("two"), "no/such/folder": np.zeros(1, np.uint8)})
    assert models.kept == "one"
    assert names(tmp_path / ".best") == ["one"]


def test_a_half_written_model_counts_as_none(tmp_path: Path) -> None:
    models = BestModelDir(tmp_path)
    (tmp_path / ".best" / "one.part").mkdir(parents=True)
    assert models.kept is None
    models.keep("one", files("one"))
    assert names(tmp_path / ".best") == ["one"]
    (tmp_path / "best").mkdir()
    assert models.exported is None


@pytest.mark.parametrize("trial_id", ["one", "two", "three"])
def test_after_a_death_amid_two_models_the_last_one_counts_and_any_can_be_kept(tmp_path: Path, trial_id: str) -> None:
    models = BestModelDir(tmp_path)
    for second, each in enumerate(("one", "two")):
        models.keep(each, files(each))
        os.utime(shutil.copytree(tmp_path / ".best" / each, tmp_path / f"copy-{each}"), (second, second))
    shutil.rmtree(tmp_path / ".best")
    for each in ("two", "one"):
        (tmp_path / ".best").mkdir(exist_ok=True)
        (tmp_path / f"copy-{each}").rename(tmp_path / ".best" / each)
    (tmp_path / ".best" / "going.part" / "half").mkdir(parents=True)
    assert models.kept == "two"
    models.keep(trial_id, files(trial_id, b"new"))
    assert models.kept == trial_id
    assert names(tmp_path / ".best") == [trial_id]
    assert (tmp_path / ".best" / trial_id / "model.safetensors").read_bytes() == b"new"


def test_a_model_half_removed_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = BestModelDir(tmp_path)
    models.keep("one", files("one"))

    def dies(folder: Path, **_: object) -> None:
        if folder.exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", dies)
    with pytest.raises(KeyboardInterrupt):
        models.keep("two", files("two"))
    assert models.kept == "two"


def test_a_model_that_cannot_become_best_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models, rename = BestModelDir(tmp_path), Path.rename
    models.keep("one", files("one"))
    models.publish()
    models.keep("two", files("two"))

    def refused(source: Path, target: Path) -> Path:
        if source.name == "two":
            raise OSError("refused")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(OSError, match="refused"):
        models.publish()
    assert models.exported == "one"
    assert models.kept == "two"
