"""Export of a trained model to ONNX format."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from tune_ner.config.hyperparameters import Quantization
from tune_ner.errors import ModelError
from tune_ner.inference.model_dir import ModelDir, find_model_dir, new_model_folder, read_model_dir
from tune_ner.inference.onnx_model import ONNX_FILE, OnnxModel
from tune_ner.tagging.alignment import IGNORED
from tune_ner.training.dataset import Windows
from tune_ner.training.padding_free.collator import Batch, Collator
from tune_ner.utils.extras import imported
from tune_ner.utils.text import first_line

TOLERANCE = 1e-3
"""Largest difference between the logits of the two models in fp32, as a share of the largest logit."""

_OPSET = 18
_SINGLE_FILE_BYTES = 1_900_000_000  # a protobuf message ends at 2 GB
_SAMPLES = ((7, 5), (3, 1, 29, 16), (64,))
_NOT_COPIED = ("model.safetensors", "adapter", "README.md")


def export_onnx(source: str | Path, target: Path, quantization: Quantization = "none") -> Path:
    """Export a model to a new folder in ONNX format, which `Predictor` loads.

    The logits of the exported model are compared with those of the original on padded batches; an export that computes
    something else is an error. With `int8`, the weights of matrix products are then quantized to 8 bits, one scale per
    output channel, and activations when they are computed.

    Args:
        source: a run folder, for its best model, or a model folder.
        target: the new folder.
        quantization: `none`, or `int8`, which is smaller and predicts other labels for some words.

    Returns:
        The target.

    Raises:
        ModelError: the model cannot be read or exported, computes other logits, or the target exists.
        EncoderError: the tokenizer of the model cannot be loaded.
    """
    folder = find_model_dir(source)
    model_dir = read_model_dir(folder)
    if isinstance(model_dir.model, OnnxModel):
        raise ModelError(f"{folder}: is in ONNX format already; export the folder that it was made from")
    imported("onnxscript", "onnx", "the export to ONNX", ModelError)
    with new_model_folder(target) as work:
        shutil.copytree(folder, work, ignore=shutil.ignore_patterns(*_NOT_COPIED), dirs_exist_ok=True)
        _export(model_dir, work / ONNX_FILE)
        _compare(model_dir, OnnxModel(work))
        if quantization == "int8":
            _quantize(work / ONNX_FILE)
    return target


def _export(source: ModelDir, file: Path) -> None:
    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = source.model

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.model(**dict(zip(names, inputs, strict=True))).logits
            return logits

    batch = next(_samples(source))
    names = list(batch)
    size = sum(weights.numel() * weights.element_size() for weights in source.model.parameters())
    sizes = tuple({0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC} for _ in names)
    with _quiet():
        try:
            # not the older exporter (`dynamo=False`): with it, padding changes the logits
            torch.onnx.export(
                Logits().eval(),
                tuple(batch.values()),
                file,
                input_names=names,
                output_names=["logits"],
                dynamic_shapes=(sizes,),
                opset_version=_OPSET,
                dynamo=True,
                external_data=size > _SINGLE_FILE_BYTES,
                verbose=False,
            )
        except Exception as error:  # torch raises many classes for operations that it cannot export
            problem = f"the architecture {source.model.config.model_type} cannot be exported to ONNX"
            raise ModelError(f"{problem}: {first_line(error)[:300]}") from error


def _compare(source: ModelDir, exported: OnnxModel) -> None:
    for batch in _samples(source):
        is_token = batch["attention_mask"].bool()
        with torch.no_grad():
            expected = source.model(**batch).logits[is_token]
        difference = float((exported(**batch).logits[is_token] - expected).abs().max() / expected.abs().max())
        if not difference <= TOLERANCE:
            raise ModelError(
                f"the exported model computes other logits (relative difference {difference:.2g}, allowed "
                f"{TOLERANCE:g}); these versions of torch and ONNX cannot export {source.model.config.model_type}"
            )


def _samples(source: ModelDir) -> Iterator[Batch]:
    """Yield padded batches of arbitrary subwords, without labels."""
    pad_id = source.tokenizer.pad_token_id
    collate = Collator(source.model, pad_id, padding_free=False)
    usable = [index for index in range(source.model.config.vocab_size) if index != pad_id]
    longest = source.config.max_length
    for lengths in _SAMPLES:
        sizes = [min(length, longest, len(usable)) for length in lengths]
        batch = collate(Windows.of((usable[-size:], [IGNORED] * size) for size in sizes))
        del batch["labels"]
        yield batch


def _quantize(file: Path) -> None:
    quantization = imported("onnxruntime.quantization", "onnx", "quantization", ModelError)
    with _quiet():
        quantized = file.with_name("quantized.onnx")
        quantization.quantize_dynamic(
            file, quantized, per_channel=True, weight_type=quantization.QuantType.QInt8, op_types_to_quantize=["MatMul"]
        )
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()
    quantized.rename(file)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporters' messages on each step."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
