"""Models in ONNX format: the same entities as the models that they are made from."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.model_folders import TEXTS, a_model_folder
from tune_ner.errors import ModelError
from tune_ner.inference import onnx_export
from tune_ner.inference.onnx_export import export_onnx
from tune_ner.inference.predictor import Predictor

pytestmark = pytest.mark.slow  # the export traces the model

SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 300,
}
FAMILIES = {
    "roberta": transformers.RobertaConfig,
    "electra": transformers.ElectraConfig,
    "modernbert": transformers.ModernBertConfig,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_model_folder(tmp_path_factory.mktemp("models") / "best", max_length=32)


@pytest.fixture(scope="module")
def exported(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(folder, tmp_path_factory.mktemp("models") / "onnx")


def of_family(name: str, folder: Path, to: Path) -> Path:
    """Return the model folder with an encoder of another architecture."""
    shutil.copytree(folder, to)
    before = transformers.AutoConfig.from_pretrained(str(folder))
    config = FAMILIES[name](
        **SIZES, vocab_size=before.vocab_size, pad_token_id=before.pad_token_id, id2label=before.id2label
    )
    torch.manual_seed(0)
    model = transformers.AutoModelForTokenClassification.from_config(config)
    with torch.no_grad():
        model.classifier.weight.normal_(std=1.0)
    model.save_pretrained(to)
    return to


def test_entities_and_scores_are_those_of_the_original(folder: Path, exported: Path) -> None:
    texts = [*TEXTS[:80], "", " ".join(TEXTS[:20])]
    expected, found = Predictor.load(folder).predict(texts), Predictor.load(exported).predict(texts)
    assert sum(map(len, expected)) > 50
    assert [[(span.start, span.end, span.label) for span in spans] for spans in found] == [
        [(span.start, span.end, span.label) for span in spans] for spans in expected
    ]
    scores = [[span.score for spans in predicted for span in spans] for predicted in (found, expected)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


@pytest.mark.parametrize(
    "family", [pytest.param(family, marks=[] if family == "modernbert" else pytest.mark.long) for family in FAMILIES]
)
def test_other_architectures_are_exported(family: str, folder: Path, tmp_path: Path) -> None:
    model = of_family(family, folder, tmp_path / family)
    expected = Predictor.load(model).predict(TEXTS[:30])
    found = Predictor.load(export_onnx(model, tmp_path / "onnx")).predict(TEXTS[:30])
    assert sum(map(len, expected)) > 10
    assert [[span.text for span in spans] for spans in found] == [[span.text for span in spans] for spans in expected]


def test_a_quantized_model_is_smaller_and_finds_most_of_the_entities(folder: Path, tmp_path: Path) -> None:
    small = export_onnx(folder, tmp_path / "int8", "int8")
    assert [path.name for path in small.glob("*.onnx*")] == ["model.onnx"]
    expected, found = (
        {(number, span.start, span.end, span.label) for number, spans in enumerate(predicted) for span in spans}
        for predicted in (Predictor.load(folder).predict(TEXTS), Predictor.load(small).predict(TEXTS))
    )
    assert len(expected & found) > 0.8 * len(expected)


def test_an_exported_model_has_everything_but_the_weights(folder: Path, exported: Path) -> None:
    files = {path.name for path in folder.iterdir()} - {"model.safetensors", "README.md"}
    assert {path.name for path in exported.iterdir()} == {*files, "model.onnx"}


def test_a_model_that_computes_something_else_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="computes other logits"):
        export_onnx(folder, tmp_path / "onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_replaced(folder: Path, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"{tmp_path}: exists; choose another folder with --output"):
        export_onnx(folder, tmp_path)
    with pytest.raises(ModelError, match="in ONNX format already"):
        export_onnx(exported, tmp_path / "again")
    assert list(tmp_path.iterdir()) == []


def test_a_corrupt_file_is_reported(exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "onnx")
    (tmp_path / "onnx" / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"onnx/model\.onnx: cannot be loaded: .*; export the model again"):
        Predictor.load(tmp_path / "onnx")


@pytest.mark.parametrize("package", ["onnxruntime", "onnxscript"])
def test_a_missing_package_is_named(
    package: str, folder: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModelError, match=f"needs the package {package}, .*install the extra `onnx`"):
        Predictor.load(exported) if package == "onnxruntime" else export_onnx(folder, tmp_path / "onnx")
