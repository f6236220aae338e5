"""A model in ONNX format, computed by onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import torch
import transformers

from tune_ner.errors import ModelError
from tune_ner.utils.extras import imported
from tune_ner.utils.text import first_line

ONNX_FILE = "model.onnx"


class OnnxModel:
    """A token classification model that onnxruntime computes on the CPU, in place of a model of transformers.

    Raises:
        ModelError: onnxruntime is not installed, or cannot load the file.
    """

    device = torch.device("cpu")

    def __init__(self, folder: Path) -> None:
        runtime = imported("onnxruntime", "onnx", "a model in ONNX format", ModelError)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self._session = runtime.InferenceSession(folder / ONNX_FILE, options, providers=["CPUExecutionProvider"])
            self.config = transformers.AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
        except Exception as error:  # onnxruntime and transformers raise many classes for invalid files
            problem = f"{folder / ONNX_FILE}: cannot be loaded: {first_line(error)[:300]}"
            raise ModelError(f"{problem}; export the model again") from error
        self._names = [entry.name for entry in self._session.get_inputs()]

    def __call__(self, **inputs: torch.Tensor) -> SimpleNamespace:
        """Return the logits of a padded batch, shape (sentences, tokens, labels)."""
        (logits,) = self._session.run(["logits"], {name: inputs[name].numpy() for name in self._names})
        return SimpleNamespace(logits=torch.from_numpy(logits))

    def to(self, device: object) -> OnnxModel:
        """Return the model itself: it computes on the CPU."""
        return self

    def eval(self) -> OnnxModel:
        """Return the model itself: it cannot be trained."""
        return self

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Return nothing: the weights are in the session."""
        return iter(())

    def set_attn_implementation(self, name: str) -> None:
        """Do nothing: attention is part of the graph."""
