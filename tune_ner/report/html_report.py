"""The page of a run and its figures as files in its folder, and the comparison of several as a file anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tune_ner.errors import RunFolderError
from tune_ner.report.comparison_page import comparison_sections
from tune_ner.report.curves import curves_data
from tune_ner.report.error_explorer import SPLIT_NAMES, errors_of
from tune_ner.report.rendering import Page, html_of
from tune_ner.report.sections import sections_of
from tune_ner.results.comparison import named_apart
from tune_ner.results.leaderboard import RunResults
from tune_ner.results.overview import data_of
from tune_ner.results.run_log import LOGGER
from tune_ner.utils.io import atomic_write
from tune_ner.utils.renderers import Layout
from tune_ner.utils.text import visible

PAGE_FILE = "report.html"
FIGURES_FOLDER = "figures"


def _about(results: RunResults) -> str:
    """Which data, how many trials, and when the last of them ended."""
    ended = max((record.finished_at[:16].replace("T", " ") for record in results.records), default="")
    trials = f"{len(results.records):,} trial{'' if len(results.records) == 1 else 's'}"
    data = data_of(results.space)
    # a file without its folders, which "The run" has
    short = data if ":" in data.partition(",")[0] else data.rpartition("/")[2]
    return " · ".join(filter(None, [visible(short), trials, ended and f"{ended} UTC"]))


@dataclass(frozen=True)
class RunPage:
    """The page of a run, made when it is first asked for."""

    results: RunResults

    @cached_property
    def page(self) -> Page:
        """What it shows."""
        title = f"Run {visible(self.results.folder.name)}"
        return Page(title, sections_of(self.results), _data(self.results), _about(self.results))

    def write(self) -> Path:
        """Write `report.html` into the run folder; gives the file.

        Raises:
            RunFolderError: it cannot be written; it is then as it was before.
        """
        return atomic_write(self.results.folder.path / PAGE_FILE, html_of(self.page))

    def write_figures(self) -> list[Path]:
        """Write every figure of the page as SVG and PNG into `figures/` of the run folder; gives the files.

        Raises:
            RunFolderError: one cannot be written.
        """
        folder = self.results.folder.path / FIGURES_FOLDER
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{folder}: cannot be made: {error.strerror or error}") from error
        written: list[Path] = []
        for figure in (figure for section in self.page.sections for figure in section.figures):
            written.append(atomic_write(folder / f"{figure.name}.svg", figure.svg()))
            written.append(atomic_write(folder / f"{figure.name}.png", figure.png()))
        return written


def write_page(results: RunResults) -> Path:
    """Write the page of a run; see `RunPage.write`."""
    return RunPage(results).write()


def write_comparison(runs: Sequence[RunResults], file: Path) -> Path:
    """Write several runs beside each other as a page; gives the file.

    Raises:
        RunFolderError: it cannot be written; it is then as it was before.
    """
    return atomic_write(file, html_of(Page("Runs compared", comparison_sections(named_apart(runs), file))))


def print_page(layout: Layout, page: RunPage) -> None:
    """Write a page and print where it lies, or why there is none: it is worth no run's tables and no exit code."""
    try:
        file = page.write()
    except RunFolderError as error:
        layout.line(str(error), "page not written", "yellow")
    else:
        layout.line(f"Page: {file}")


def print_figures(layout: Layout, page: RunPage) -> None:
    """Write the figures of a page and print where they lie, or why there are none."""
    try:
        files = page.write_figures()
    except RunFolderError as error:
        layout.line(str(error), "figures not written", "yellow")
    else:
        names = ", ".join(dict.fromkeys(file.stem for file in files)) or "none"
        layout.line(f"Figures: {names} written to {page.results.folder.path / FIGURES_FOLDER}")


def _data(results: RunResults) -> Mapping[str, Any]:
    """What the scripts of the page read besides its figures."""
    return {
        "curves": curves_data(results.records),
        "errors": {split_name: errors_of(results, split_name).as_plain() for split_name in SPLIT_NAMES},
    }


def written_page(results: RunResults, noted: Callable[[str], None]) -> Path | RunFolderError:
    """The page of a run once it and its figures are written; `noted` is told of figures that cannot be.

    Why either cannot be is worth neither the run's tables nor its exit code.
    """
    page = RunPage(results)
    try:
        page.write_figures()
    except RunFolderError as error:
        LOGGER.warning("figures not written: %s", error)
        noted(f"figures not written: {error}")
    try:
        return page.write()
    except RunFolderError as error:
        LOGGER.warning("page not written: %s", error)
        return error
