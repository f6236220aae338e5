"""Audit reports as console output, plain text and HTML."""

from __future__ import annotations

import shutil
from io import StringIO
from typing import TYPE_CHECKING

import pandas as pd
from markupsafe import Markup
from rich.console import Console

from tune_ner.utils.console import new_console, print_line, print_table
from tune_ner.utils.text import visible

if TYPE_CHECKING:
    from tune_ner.audit.findings import AuditReport, Finding

_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_COLOURS = {"error": "#c0392b", "warning": "#b7791f", "info": "#2b6cb0"}


def print_summary(console: Console, report: AuditReport) -> None:
    """Print the summary line."""
    style = "green" if report.severity in (None, "info") else _STYLES[report.severity]
    print_line(console, report.summary, style=style)


def print_report(console: Console, report: AuditReport) -> None:
    """Print the summary, the sizes of the splits, all findings, and the scores of the baselines."""
    print_summary(console, report)
    console.print()
    print_table(console, _formatted(report.splits_table()), f"Data: {report.corpus}")
    for finding in report.findings:
        print_line(console, f"{finding.title}{_affected(finding)}", finding.severity, _STYLES[finding.severity])
        print_line(console, finding.effect, "effect", "dim", indent=2)
        print_line(console, finding.suggestion, "suggestion", "dim", indent=2)
        for example in finding.examples:
            print_line(console, visible(example.text), _short_location(example.location), "dim", indent=4)
        console.print()
    print_table(console, _formatted(report.baselines_table()), "Baselines without a model")
    for note in report.notes:
        print_line(console, note, "note", "yellow")


def report_text(report: AuditReport) -> str:
    """Return what `print_report` prints, wrapped to the terminal and without colours."""
    output, width = StringIO(), shutil.get_terminal_size().columns
    print_report(new_console(output, width=width, force_terminal=True, color_system=None), report)
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines())


def report_html(report: AuditReport) -> str:
    """Return the report as an HTML fragment; the details of a finding are collapsed."""
    blocks = [
        Markup("<p><b>{}</b></p>").format(visible(report.summary)),
        _html_table(report.splits_table()),
        *map(_finding_html, report.findings),
        Markup("<p>Baselines without a model:</p>"),
        _html_table(report.baselines_table()),
        *(Markup("<p>Note: {}</p>").format(visible(note)) for note in report.notes),
    ]
    return str(Markup("\n").join(blocks))


def _finding_html(finding: Finding) -> Markup:
    item = Markup("<li><code>{}</code> {}</li>")
    examples = [item.format(_short_location(example.location), visible(example.text)) for example in finding.examples]
    return Markup(
        '<details><summary><b style="color:{}">{}</b>: {}{}</summary>'
        "<p>{}<br><b>Suggestion:</b> {}</p><ul>{}</ul></details>"
    ).format(
        _COLOURS[finding.severity],
        finding.severity,
        visible(finding.title),
        _affected(finding),
        visible(finding.effect),
        visible(finding.suggestion),
        Markup("").join(examples),
    )


def _html_table(frame: pd.DataFrame) -> Markup:
    return Markup(_formatted(frame).map(visible).rename(columns=visible).to_html(index=False, border=0))


def _formatted(frame: pd.DataFrame) -> pd.DataFrame:
    def text(value: object) -> str:
        return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)

    return frame.map(text)


def _affected(finding: Finding) -> str:
    return f" ({finding.count:,} of {finding.total:,})" if finding.count != finding.total else ""


def _short_location(location: str) -> str:
    """Return file names without their folders: `a.txt:784 = a.txt:444`."""
    return " = ".join(piece.rpartition("/")[2] for piece in location.split(" = "))
