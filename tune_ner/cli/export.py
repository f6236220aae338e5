"""`tune-ner export MODEL --onnx`: write a model in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tune_ner.cli.console import quiet_transformers, reported_errors
from tune_ner.cli.options import with_options
from tune_ner.config.hyperparameters import Quantization
from tune_ner.errors import OutputError
from tune_ner.utils.console import print_line
from tune_ner.utils.text import format_bytes


@with_options
def export(
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A run folder, for its best model, or a model folder.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="Write the model in ONNX format, for onnxruntime.")] = False,
    quantize: Annotated[
        Quantization, typer.Option(help="int8 makes the model smaller and faster, with some other predictions.")
    ] = "none",
    output: Annotated[
        Path | None, typer.Option(help="The new folder.", show_default="onnx or onnx-int8, next to the model's folder")
    ] = None,
) -> None:
    """Write a trained model in ONNX format, into a folder that `predict` reads like any other model.

    The exported model is checked: it must compute the same logits as the original, before it is quantized.

    Examples:

        tune-ner export results/demo-1 --onnx

        tune-ner export results/demo-1 --onnx --quantize int8 --output models/demo
    """
    with reported_errors() as console:
        if not onnx:
            raise OutputError(
                "expected --onnx: ONNX is the only format so far; best/ of a run is in that of transformers"
            )
        from tune_ner.inference.model_dir import find_model_dir
        from tune_ner.inference.onnx_export import export_onnx

        quiet_transformers()
        suffix = "" if quantize == "none" else f"-{quantize}"
        folder = export_onnx(model, output or find_model_dir(model).with_name(f"onnx{suffix}"), quantize)
        size = format_bytes(sum(file.stat().st_size for file in folder.iterdir()))
        print_line(console, f"{folder} ({size})", "Written")
