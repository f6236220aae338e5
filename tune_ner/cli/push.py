"""`tune-ner push MODEL OWNER/NAME`: upload a model to the Hugging Face Hub."""

from __future__ import annotations

from typing import Annotated

import typer

from tune_ner.cli.console import reported_errors
from tune_ner.cli.options import with_options
from tune_ner.utils.console import print_line


@with_options
def push(
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A run folder, for its best model, or a model folder.")],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The repository on the Hub.")],
    license_name: Annotated[str, typer.Option("--license", help="License, such as cc-by-4.0.", prompt=True)],
    language: Annotated[str, typer.Option(help="Code of the language, such as sv.", prompt=True)],
    public: Annotated[bool, typer.Option("--public", help="Create a public repository, not a private one.")] = False,
) -> None:
    """Upload a trained model with its card to the Hugging Face Hub. No text is uploaded.

    License and language are written into the card; what is not given is asked for. `hf auth login` stores the token
    that is needed.

    Examples:

        tune-ner push results/demo-1 mylab/ner --license mit --language sv

        tune-ner push best mylab/ner --license mit --language sv --public
    """
    with reported_errors() as console:
        from tune_ner.inference import hub_upload

        url = hub_upload.push(model, repository, license_name=license_name, language=language, public=public)
        print_line(console, url, "Uploaded")
