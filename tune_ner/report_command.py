"""`python -m tune_ner report RUN [RUN ...]`: what finished runs found, and where their time went."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tune_ner.commands import EXIT_FAILED_TRIALS, exit_code, told_errors


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders, such as results/demo-1.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
) -> None:
    """Report finished runs from their records, rewrite their tables, and lay several runs beside each other.

    Examples:

        tune-ner report results/demo-1

        tune-ner report results/with-brackets results/without

        tune-ner report results/demo-1 --markdown > demo-1.md
    """
    with told_errors() as console:
        from tune_ner import reporting

        found = reporting.open_runs(runs)
        layout = reporting.MarkdownLayout(console) if markdown else reporting.TerminalLayout(console)
        reporting.print_report(layout, found)
    records = [record for run in found for record in run.records]
    nothing = any(not run.standings for run in found)
    raise typer.Exit(EXIT_FAILED_TRIALS if nothing else exit_code(records, None))


if __name__ == "__main__":
    typer.run(report)
