"""Audit reports as console output, plain text, an HTML fragment and an HTML page."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import TYPE_CHECKING

import pandas as pd
from markupsafe import Markup
from rich.console import Console

from tune_ner.utils.console import new_console, print_line, print_table
from tune_ner.utils.text import html_with_code, visible

if TYPE_CHECKING:
    from tune_ner.audit.findings import AuditReport, Example, Finding

_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_COLOURS = {"error": "#c0392b", "warning": "#b7791f", "info": "#2b6cb0"}
_PAGE = Markup(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Audit of {title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
th, td {{ padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #8884; }}
th:first-child, td:first-child {{ text-align: left; }}
mark {{ background: #ffd54f; color: #111; border-radius: .2rem; }}
code {{ overflow-wrap: anywhere; }}
li {{ overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>Audit of {title}</h1>
{body}
</body>
</html>
"""
)


def print_summary(console: Console, report: AuditReport) -> None:
    """Print the summary line."""
    style = "green" if report.severity in (None, "info") else _STYLES[report.severity]
    print_line(console, report.summary, style=style)


def print_report(console: Console, report: AuditReport, *, details: bool = False) -> None:
    """Print the summary, the sizes of the splits, the findings by what to do, and the scores of the baselines.

    Errors and warnings have one example each, notes none; with `details`, all have their effect and their examples.
    """
    print_summary(console, report)
    console.print()
    print_table(console, _formatted(report.splits_table()), f"Data: {report.corpus}")
    for suggestion, findings in group_by_suggestion(report.findings).items():
        for finding in findings:
            print_line(console, f"{finding.title}{_affected(finding)}", finding.severity, _STYLES[finding.severity])
            if details:
                print_line(console, finding.effect, "effect", "dim", indent=2)
            shown = len(finding.examples) if details else int(finding.severity != "info")
            for example in finding.examples[:shown]:
                print_line(console, visible(example.text), _short_location(example.location), "dim", indent=4)
        if details or any(finding.severity != "info" for finding in findings):
            print_line(console, suggestion, "suggestion", "dim", indent=2)
            console.print()
    console.print()
    print_table(console, _formatted(report.baselines_table()), "Baselines without an encoder")
    for note in report.notes:
        print_line(console, note, "note", "yellow")


def report_text(report: AuditReport) -> str:
    """Return what `print_report` prints with details, wrapped to the terminal and without colours."""
    output, width = StringIO(), shutil.get_terminal_size().columns
    print_report(new_console(output, width=width, force_terminal=True, color_system=None), report, details=True)
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines())


def report_html(report: AuditReport) -> str:
    """Return the report as an HTML fragment; the details of a finding are collapsed."""
    blocks = [
        Markup("<p><b>{}</b></p>").format(visible(report.summary)),
        _html_table(report.splits_table()),
        *(_group_html(suggestion, findings) for suggestion, findings in group_by_suggestion(report.findings).items()),
        Markup("<p>Baselines without an encoder:</p>"),
        _html_table(report.baselines_table()),
        *(Markup("<p>Note: {}</p>").format(visible(note)) for note in report.notes),
    ]
    return str(Markup("\n").join(blocks))


def page_html(reports: Mapping[int | None, AuditReport]) -> str:
    """Return the reports of all folds (None for a single split) as an HTML page that needs nothing else."""
    title = visible(next(iter(reports.values())).corpus)
    heading = Markup("<h2>Fold {}</h2>\n")
    body = Markup("\n").join(
        Markup("{}{}").format("" if fold is None else heading.format(fold), Markup(report_html(report)))
        for fold, report in reports.items()
    )
    return str(_PAGE.format(title=title, body=body))


def group_by_suggestion(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Return the findings by what to do about them, in the order of the first of each group."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.suggestion, []).append(finding)
    return groups


def _group_html(suggestion: str, findings: list[Finding]) -> Markup:
    shown = Markup("\n").join(map(_finding_html, findings))
    return Markup("<div>{}<p><b>Suggestion:</b> {}</p></div>").format(shown, html_with_code(suggestion))


def _finding_html(finding: Finding) -> Markup:
    item = Markup("<li><code>{}</code> {}</li>")
    examples = [item.format(_short_location(each.location), _example_html(each)) for each in finding.examples]
    return Markup(
        '<details{}><summary><b style="color:{}">{}</b>: {}{}</summary><p>{}</p><ul>{}</ul></details>'
    ).format(
        "" if finding.severity == "info" else " open",
        _COLOURS[finding.severity],
        finding.severity,
        visible(finding.title),
        _affected(finding),
        visible(finding.effect),
        Markup("").join(examples),
    )


def _example_html(example: Example) -> Markup:
    """Return the text of an example with its span marked."""
    if example.highlight is None:
        return Markup("{}").format(visible(example.text))
    start, end = example.highlight
    text = example.text
    return Markup("{}<mark>{}</mark>{}").format(visible(text[:start]), visible(text[start:end]), visible(text[end:]))


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
