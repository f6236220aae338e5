import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.factories import a_config
from tune_ner.results.best_model import BestModelDir, write_model_files
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


def test_last_model_kept_is_published(tmp_path: Path) -> None:
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


def test_published_model_is_replaced(tmp_path: Path) -> None:
    models = BestModelDir(tmp_path)
    for trial_id in ("one", "two"):
        models.keep(trial_id, files(trial_id))
        models.publish()
    assert models.exported == "two"
    assert names(tmp_path) == ["best"]


def test_failed_write_leaves_the_former_model(tmp_path: Path) -> None:
    models = BestModelDir(tmp_path)
    models.keep("one", files("one"))
    with pytest.raises(OSError, match="No such file"):
        models.keep("two", {**files("two"), "no/such/folder": np.zeros(1, np.uint8)})
    assert models.kept == "one"
    assert names(tmp_path / ".best") == ["one"]


def test_partial_model_is_ignored(tmp_path: Path) -> None:
    models = BestModelDir(tmp_path)
    (tmp_path / ".best" / "one.part").mkdir(parents=True)
    assert models.kept is None
    models.keep("one", files("one"))
    assert names(tmp_path / ".best") == ["one"]
    (tmp_path / "best").mkdir()
    assert models.exported is None


@pytest.mark.parametrize("trial_id", ["one", "two", "three"])
def test_latest_of_two_models_left_by_a_killed_process_counts(tmp_path: Path, trial_id: str) -> None:
    models = BestModelDir(tmp_path)
    for second, each in enumerate(("one", "two")):
        models.keep(each, files(each))
        os.utime(shutil.copytree(tmp_path / ".best" / each, tmp_path / f"copy-{each}"), (second, second))
    shutil.rmtree(tmp_path / ".best")
    for each in ("two", "one"):
        (tmp_path / ".best").mkdir(exist_ok=True)
        (tmp_path / f"copy-{each}").rename(tmp_path / ".best" / each)
    (tmp_path / ".best" / "removed.part" / "half").mkdir(parents=True)
    assert models.kept == "two"
    models.keep(trial_id, files(trial_id, b"new"))
    assert models.kept == trial_id
    assert names(tmp_path / ".best") == [trial_id]
    assert (tmp_path / ".best" / trial_id / "model.safetensors").read_bytes() == b"new"


def test_partly_removed_model_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = BestModelDir(tmp_path)
    models.keep("one", files("one"))

    def dies(folder: Path, **_: object) -> None:
        if folder.exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", dies)
    with pytest.raises(KeyboardInterrupt):
        models.keep("two", files("two"))
    assert models.kept == "two"


def test_failed_publication_leaves_the_former_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_files_in_folders_are_written(tmp_path: Path) -> None:
    content = np.frombuffer(b"{}", np.uint8)
    write_model_files(tmp_path / "new", {"config.json": content, "adapter/config.json": content})
    assert (tmp_path / "new" / "adapter" / "config.json").read_bytes() == b"{}"
    with pytest.raises(FileExistsError):
        write_model_files(tmp_path / "new", {})
