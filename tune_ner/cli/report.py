"""`python -m tune_ner report RUN [RUN ...]`: what finished runs found, and where their time went."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tune_ner.cli.console import reported_errors
from tune_ner.errors import RunFolderError
from tune_ner.utils.console import new_console, print_line, print_text


def report(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN", help="Run folders, such as results/demo-1 or s3://bucket/runs/demo-1.")
    ],
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    ensemble: Annotated[
        int | None,
        typer.Option(
            help="Also evaluate the models of the best N configurations as one, by their mean probabilities.",
            metavar="N",
            min=1,
            show_default="none",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Write the comparison of several runs as a page, such as comparison.html.", dir_okay=False),
    ] = None,
) -> None:
    """Report finished runs from their records, rewrite their tables, charts and pages, and compare several runs.

    Examples:

        tune-ner report results/demo-1

        tune-ner report results/demo-1 --ensemble 3

        tune-ner report results/with-brackets results/without --output both.html

        tune-ner report results/demo-1 --markdown > demo-1.md
    """
    with reported_errors() as console:
        from tune_ner.report.html_report import open_runs, report_sections, write_comparison
        from tune_ner.report.sections import markdown_of, print_sections

        found = open_runs(runs)
        if output and len(found) < 2:
            raise RunFolderError(f"--output {output}: only one run given; expected two runs or more to compare")
        if output and not output.parent.is_dir():
            raise RunFolderError(f"--output {output}: folder {output.parent} does not exist; create it first")
        for run in found:
            if ensemble:
                run.ensemble(ensemble)
        sections = report_sections(found)
        if markdown:
            print_text(console, markdown_of(sections))
        else:
            print_sections(console, sections)
        for run in found:
            try:
                run.run_dir.upload()
            except RunFolderError as error:  # many may read a store and not write to it
                print_line(new_console(sys.stderr), f"report not uploaded: {error}", "note")
        if output:
            print_line(console, str(write_comparison(found, output)), "Comparison")
    from tune_ner.api import exit_code

    raise typer.Exit(max(exit_code(run.records) for run in found))
