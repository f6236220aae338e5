"""`tune-ner serve MODEL`: answer requests over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tune_ner.cli.console import quiet_transformers, reported_errors
from tune_ner.cli.options import with_options
from tune_ner.config.hyperparameters import Precision
from tune_ner.errors import OutputError
from tune_ner.utils.console import print_line
from tune_ner.utils.extras import imported


@with_options
def serve(
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A run folder, for its best model, or a model folder.")],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all, without any authentication.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 8080,
    max_texts: Annotated[int, typer.Option(help="Largest number of texts of a request.", min=1)] = 1000,
    max_characters: Annotated[int, typer.Option(help="Largest number of characters of a request.", min=1)] = 1_000_000,
    precision: Annotated[
        Precision, typer.Option(help="Half precision (fp16, bf16, or auto) is faster where the hardware has it.")
    ] = "fp32",
) -> None:
    """Answer requests for the entities of texts over HTTP, also those of Label Studio.

    POST /predict takes {"texts": ["..."]}; /docs describes all requests. Texts of concurrent requests are computed
    together.

    Examples:

        tune-ner serve results/demo-1

        tune-ner serve results/demo-1/onnx --port 9090
    """
    with reported_errors() as console:
        for package in ("fastapi", "uvicorn"):
            imported(package, "serve", "`tune-ner serve`", OutputError)
        import uvicorn

        from tune_ner.inference.predictor import Predictor
        from tune_ner.inference.server import new_app

        quiet_transformers()
        predictor = Predictor.load(model, precision=precision)
        app = new_app(predictor, model_name(model), max_texts=max_texts, max_characters=max_characters)
        print_line(console, f"http://{host}:{port}, with a description of the requests at /docs", "Serving")
        uvicorn.run(app, host=host, port=port, log_level="warning")


def model_name(model: str) -> str:
    """Return the name of a model: that of its run, with its format; or that of its folder."""
    path = Path(model).absolute()
    if path.name == "best":
        return path.parent.name
    return f"{path.parent.name}-{path.name}" if path.name.startswith("onnx") else path.name
