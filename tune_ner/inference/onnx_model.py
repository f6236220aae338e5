"""A model in ONNX format, computed by onnxruntime."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import transformers

from tune_ner.errors import ModelError

ONNX_FILE = "model.onnx"


class OnnxModel:
    """A token classification model that onnxruntime computes on the CPU, in place of a model of transformers.

    Raises:
        ModelError: onnxruntime is not installed, or cannot load the file.
    """

    device = torch.device("cpu")

    def __init__(self, folder: Path) -> None:
        runtime = import_onnx("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self._session = runtime.InferenceSession(folder / ONNX_FILE, options, providers=["CPUExecutionProvider"])
            self.config = transformers.AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
        except Exception as error:  # onnxruntime and transformers raise many classes for invalid files
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            problem = f"{folder / ONNX_FILE}: cannot be loaded: {reason[:300]}; export the model again"
            raise ModelError(problem) from error
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


def import_onnx(name: str) -> Any:
    """Import a module of the extra `onnx`.

    Raises:
        ModelError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ModelError(
            f"{name.partition('.')[0]} is not installed; models in ONNX format need `pip install onnxruntime`, and "
            "their export also `pip install onnx onnxscript`"
        ) from error
