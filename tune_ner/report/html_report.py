"""The HTML report of a run, and the page that compares several runs: one file each, which needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from tune_ner.errors import RunFolderError
from tune_ner.report.axis_figures import effects_figure, slice_figures, values_figure
from tune_ner.report.course_figures import growth_figure, importances_figure, stages_figure, time_figure
from tune_ner.report.curves import curve_figures, curves_data
from tune_ner.report.error_explorer import SPLIT_NAMES, errors_of
from tune_ner.report.figure import Figure, script
from tune_ner.report.sections import (
    Item,
    Section,
    Sentence,
    Table,
    audit_section,
    comparison_section,
    effect_sections,
    leaderboard_section,
    notes_section,
    overview_section,
    search_sections,
    timings_section,
)
from tune_ner.report.standing_figures import best_configurations_figure, forms_figure, ranking_figure, types_figure
from tune_ner.results.comparison import Runs, unique_names
from tune_ner.results.run_log import LOGGER
from tune_ner.results.run_results import Results
from tune_ner.results.summary import describe_data, planned_trials
from tune_ner.utils.io import atomic_write
from tune_ner.utils.tables import column_texts, is_right_aligned
from tune_ner.utils.text import plural, visible, visible_lines

PAGE_FILE = "report.html"
FIGURES_FOLDER = "figures"

_Source = TypeVar("_Source")

_TEMPLATES = "templates"
_SCRIPTS = ("tables.js", "figures.js", "errors.js")
_FILES = {
    "best/": "the best model",
    "leaderboard.csv": "leaderboard: one row per configuration",
    "leaderboard.md": "leaderboard as Markdown",
    "leaderboard.tex": "leaderboard as LaTeX",
    "figures/": "the charts of this page as SVG and PNG",
    "ner_results_with_lr.csv": "one row per trial",
    "curves.csv": "learning curves: one row per epoch",
    "timings.csv": "time and memory by encoder",
    "optimization_history.csv": "optimization history of the search",
    "importances.csv": "hyperparameter importances",
    "refined_space.yaml": "refined search space",
    "space.yaml": "search space with all defaults",
    "audit.json": "all findings of the data audit",
    "trials.jsonl": "the record of every trial",
    "predictions/": "predicted spans of every trial",
    "run.log": "log of the run and of its libraries",
}


@dataclass(frozen=True)
class PageSection:
    """A section of a page.

    Attributes:
        anchor: its id in the page's HTML.
        title: its heading.
        content: sentences, tables and subsections above the charts.
        figures: its charts.
        details: sentences, tables and subsections below the charts.
        links: file names relative to the page, each with a description.
        explorer: `curves` or `errors` if a script fills a part of the section.
    """

    anchor: str
    title: str
    content: Sequence[Item | Section] = ()
    figures: Sequence[Figure] = ()
    details: Sequence[Item | Section] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    explorer: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.content or self.figures or self.details or self.links or self.explorer)


@dataclass(frozen=True)
class Page:
    """A page: title, subtitle, sections, and data for its scripts (see `templates/*.js`) by name."""

    title: str
    sections: Sequence[PageSection]
    data: Mapping[str, Any] = field(default_factory=dict)
    subtitle: str = ""

    def html(self) -> str:
        """Return the page as one HTML file with style, scripts and data in it; all texts are escaped.

        Its content security policy runs only the page's own scripts and loads nothing from elsewhere.
        """
        shown = [section for section in self.sections if not section.is_empty]
        figures = {figure.name: figure.on_page() for section in shown for figure in section.figures}
        scripts = [*([_chart_script()] if figures else []), *map(_template_file, _SCRIPTS)]
        template = _environment().get_template("page.html.j2")
        return template.render(
            page=self,
            sections=shown,
            data={"figures": figures, **self.data},
            style=Markup(_template_file("page.css")),
            scripts=list(map(Markup, scripts)),
            script_sources=" ".join(map(_csp_hash, scripts)),
        )

    def write_figures(self, folder: Path) -> list[Path]:
        """Write every chart as SVG and PNG into a folder and return the files.

        Raises:
            RunFolderError: a file cannot be written.
        """
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{folder}: cannot be created: {error.strerror or error}") from error
        return [
            atomic_write(folder / f"{figure.name}.{suffix}", content)
            for section in self.sections
            for figure in section.figures
            for suffix, content in (("svg", figure.svg()), ("png", figure.png()))
        ]


def write_report(results: Results, note: Callable[[str], None]) -> Path | RunFolderError:
    """Write `report.html` and `figures/` into the run folder and return the page's path.

    An error does not fail the run: it is logged, and returned if it concerns the page. `note` is called with a message
    if the charts cannot be written.
    """
    folder, page = results.run_dir.path, run_page(results)
    try:
        page.write_figures(folder / FIGURES_FOLDER)
    except RunFolderError as error:
        LOGGER.warning("charts not written: %s", error)
        note(f"charts not written: {error}")
    try:
        return atomic_write(folder / PAGE_FILE, page.html())
    except RunFolderError as error:
        LOGGER.warning("report not written: %s", error)
        return error


def write_comparison(runs: Sequence[Results], file: Path) -> Path:
    """Write a page that compares several runs and return its path.

    Raises:
        RunFolderError: the file cannot be written; an existing file is unchanged.
    """
    return atomic_write(file, comparison_page(unique_names(runs), file).html())


def run_page(results: Results) -> Page:
    """Return the page of a run."""
    errors = {split_name: errors_of(results, split_name).as_plain() for split_name in SPLIT_NAMES}
    data = {"curves": curves_data(results.records), "errors": errors}
    return Page(f"Run {results.run_dir.name}", _run_page_sections(results), data, _subtitle(results))


def comparison_page(runs: Runs, file: Path) -> Page:
    """Return a page that compares several runs, with links from `file` to the page of each run."""
    folder = file.absolute().parent
    targets = {name: os.path.relpath(run.run_dir.path.absolute() / PAGE_FILE, folder) for name, run in runs.items()}
    figure = best_configurations_figure(runs)
    sections = [
        PageSection(
            "runs", "Comparison", figures=(figure,) if figure else (), details=comparison_section(runs).content
        ),
        PageSection("pages", "Reports", links={quote(target): f"run {name}" for name, target in targets.items()}),
    ]
    return Page("Comparison of runs", sections)


def _run_page_sections(results: Results) -> list[PageSection]:
    records, search = results.records, results.search
    curves = curve_figures(records)
    is_finished = bool(results.entries)
    timings = timings_section(results)
    sections = [
        PageSection("audit", "Data audit", audit_section(results.audits).content),
        _leaderboard(results),
        PageSection(
            "hyperparameters",
            "Hyperparameter effects",
            figures=(*_drawn(effects_figure, values_figure)(results), *slice_figures(results)),
            details=effect_sections(results),
        ),
        PageSection(
            "search",
            "Search",
            figures=_drawn(growth_figure, importances_figure)(search) if search else (),
            details=search_sections(results),
        ),
        PageSection("curves", "Learning curves", figures=curves, explorer="curves" if curves else ""),
        PageSection("entities", "Entity types", figures=_drawn(types_figure, forms_figure)(results)),
        PageSection("errors", "Errors", explorer="errors" if is_finished else ""),
        PageSection(
            "time",
            "Time and memory",
            figures=_drawn(time_figure, stages_figure)(results),
            details=timings.content if timings else (),
        ),
        PageSection("run", "Run", overview_section(results).content),
    ]
    has_figures = any(section.figures for section in sections)
    links = {
        name: text
        for name, text in _FILES.items()
        if (results.run_dir.path / name).exists() or (name == f"{FIGURES_FOLDER}/" and has_figures)
    }
    return [*sections, PageSection("files", "Files", links=links)]


def _leaderboard(results: Results) -> PageSection:
    records, planned = results.records, planned_trials(results.space, results.records)
    notes = notes_section(results, len(records))
    content: list[Item] = []
    if len(records) < planned:
        content.append(Sentence(f"{len(records)} of {planned} trials have ended.", "unfinished", "warning"))
    section = leaderboard_section(results)
    if not section:
        text = "No trial was completed: there is no leaderboard and there are no predictions to show."
        content.append(Sentence(text, tone="warning"))
        return PageSection("leaderboard", "Leaderboard", [*content, *(notes.content if notes else ())])
    table, *sentences = section.content
    details = [table, *(notes.content if notes else ())]
    return PageSection("leaderboard", "Leaderboard", [*content, *sentences], [ranking_figure(results)], details)


def _subtitle(results: Results) -> str:
    """Return the data, the number of trials and the end of the last one."""
    ended = max((record.finished_at[:16].replace("T", " ") for record in results.records), default="")
    data = describe_data(results.space)
    # a file without its folders, which the section on the run shows
    short = data if ":" in data.partition(",")[0] else data.rpartition("/")[2]
    return " · ".join(filter(None, [visible(short), plural(len(results.records), "trial"), ended and f"{ended} UTC"]))


def _drawn(*makers: Callable[[_Source], Figure | None]) -> Callable[[_Source], tuple[Figure, ...]]:
    return lambda source: tuple(figure for maker in makers if (figure := maker(source)))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tune_ner.report", _TEMPLATES),
        autoescape=select_autoescape(default=True),
        finalize=lambda value: visible_lines(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # `tojson` escapes `<`, `>`, `&` and `'`, so that no text can close the element that contains it.
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "allow_nan": False, "separators": (",", ":")}
    environment.filters |= {"with_code": _with_code, "columns": _columns}
    return environment


def _columns(table: Table) -> list[tuple[str, list[str], bool]]:
    """Return the name, the cells and the alignment of each column."""
    columns = ((str(name), column_texts(table.frame[name])) for name in table.frame.columns)
    return [(name, cells, is_right_aligned(cells)) for name, cells in columns]


def _with_code(text: str) -> Markup:
    """Return a text whose `code` is marked up as code."""
    pieces = visible_lines(text).split("`")
    if len(pieces) % 2 == 0:
        return escape(visible_lines(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece) for place, piece in enumerate(pieces)
    )


@lru_cache(maxsize=1)
def _chart_script() -> str:
    # `</script` would close the element wherever it occurs; in a JavaScript string, `<\/` means the same
    return script().replace("</script", r"<\/script")


@lru_cache
def _template_file(name: str) -> str:
    return files("tune_ner.report").joinpath(_TEMPLATES, name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    """Return a script's source expression for a content security policy (CSP level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
