"""The page of a run as a file in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tune_ner.errors import RunFolderError, visible
from tune_ner.reporting.layout import Layout
from tune_ner.reporting.page.curves import curves_data
from tune_ner.reporting.page.rendering import Page, html_of
from tune_ner.reporting.page.sections import sections_of
from tune_ner.reporting.page.span_errors import PARTS, errors_of
from tune_ner.reporting.standing import RunResults
from tune_ner.reporting.whole_files import write_text

PAGE_FILE = "report.html"


def write_page(results: RunResults) -> Path:
    """Write `report.html` into the run folder; gives the file.

    Raises:
        RunFolderError: it cannot be written; it is then as it was before.
    """
    return write_text(results.folder.path / PAGE_FILE, html_of(page_of(results)))


def print_page(layout: Layout, results: RunResults) -> None:
    """Write the page and print where it lies, or why there is none: it is worth no run's tables and no exit code."""
    try:
        file = write_page(results)
    except RunFolderError as error:
        layout.line(str(error), "page not written", "yellow")
    else:
        layout.line(f"Page: {file}")


def page_of(results: RunResults) -> Page:
    """What the page of a run shows."""
    return Page(f"Run {visible(results.folder.name)}", sections_of(results), _data(results))


def _data(results: RunResults) -> dict[str, Any]:
    """What the scripts of the page read besides its figures."""
    return {
        "curves": curves_data(results.records),
        "errors": {part: errors_of(results, part).as_plain() for part in PARTS},
    }
