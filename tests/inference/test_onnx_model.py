"""The interface of a model that onnxruntime computes; its values are tested with the export."""

from pathlib import Path

import pytest
import torch

from tests.model_folders import a_model_folder
from tune_ner.inference.onnx_export import export_onnx
from tune_ner.inference.onnx_model import OnnxModel

pytestmark = pytest.mark.slow  # the export traces the model


def test_padding_does_not_change_the_logits(tmp_path: Path) -> None:
    model = OnnxModel(export_onnx(a_model_folder(tmp_path / "best"), tmp_path / "onnx"))
    ids = torch.tensor([[5, 6, 7]])
    alone = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids).logits
    rows = torch.tensor([[5, 6, 7, 0, 0], [9, 8, 7, 6, 5]])
    both = model(input_ids=rows, attention_mask=torch.tensor([[1, 1, 1, 0, 0], [1] * 5])).logits
    assert alone.shape == (1, 3, model.config.num_labels)
    assert torch.allclose(both[0, :3], alone[0], atol=1e-5)
    assert (model.to("cuda"), model.eval(), list(model.parameters())) == (model, model, [])
