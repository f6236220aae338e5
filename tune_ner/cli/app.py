"""`python -m tune_ner COMMAND` and the console script `tune-ner`."""

from __future__ import annotations

from typing import Annotated

import typer

from tune_ner import __version__
from tune_ner.cli.audit import audit
from tune_ner.cli.console import new_app
from tune_ner.cli.convert import convert
from tune_ner.cli.export import export
from tune_ner.cli.grid import grid
from tune_ner.cli.init import init
from tune_ner.cli.options import GroupedCommand
from tune_ner.cli.predict import predict
from tune_ner.cli.push import push
from tune_ner.cli.report import report
from tune_ner.cli.search import search
from tune_ner.cli.serve import serve
from tune_ner.cli.show import show
from tune_ner.cli.submit import PASSED_ON, submit

app = new_app(no_args_is_help=True)
for command in (init, grid, search, audit, report, predict, show, convert, export, serve, push):
    app.command(cls=GroupedCommand)(command)
app.command(cls=GroupedCommand, context_settings=PASSED_ON)(submit)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tune-ner {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Distributed hyperparameter search for named entity recognition, with results you can trust."""


def main() -> None:
    """Run the command that the arguments name."""
    app()
