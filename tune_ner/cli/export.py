"""`tune-ner export MODEL`: write a model in another format, or several models as one."""

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
    ensemble: Annotated[
        int | None,
        typer.Option(
            help="Write the models of the best N configurations of a run as an ensemble; trains them again.",
            metavar="N",
            min=1,
            show_default="none",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The new folder.", show_default="onnx, onnx-int8 or ensemble, next to best/"),
    ] = None,
) -> None:
    """Write a trained model in ONNX format, or the models of a run as an ensemble, for `predict` like any other model.

    A model in ONNX format is checked: it must compute the same logits as the original, before it is quantized. How
    good an ensemble is, `tune-ner report RUN --ensemble N` tells without training.

    Examples:

        tune-ner export results/demo-1 --onnx

        tune-ner export results/demo-1 --onnx --quantize int8 --output models/demo

        tune-ner export results/demo-1 --ensemble 3
    """
    with reported_errors() as console:
        if onnx == (ensemble is not None):
            raise OutputError(
                "expected either --onnx or --ensemble N; best/ of a run is the best model in the format of transformers"
            )
        if ensemble:
            if quantize != "none":
                raise OutputError("found --quantize with --ensemble; expected it with --onnx")
            from tune_ner.api import load_results

            folder = load_results(model).export_ensemble(
                ensemble, output, note=lambda text: print_line(console, text, "note", "yellow")
            )
        else:
            folder = _export_onnx(model, quantize, output)
        size = format_bytes(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
        print_line(console, f"{folder} ({size})", "Written")


def _export_onnx(model: str, quantize: Quantization, output: Path | None) -> Path:
    from tune_ner.inference.model_dir import find_model_dir
    from tune_ner.inference.onnx_export import export_onnx

    quiet_transformers()
    suffix = "" if quantize == "none" else f"-{quantize}"
    return export_onnx(model, output or find_model_dir(model).with_name(f"onnx{suffix}"), quantize)
