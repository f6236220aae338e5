"""A page of sections and charts as one HTML file, which needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from tune_ner.errors import RunFolderError
from tune_ner.report.sections import Item, Section, Sentence, Table
from tune_ner.report.vega import Chart, chart_script
from tune_ner.results.headline import Headline
from tune_ner.utils.io import atomic_write
from tune_ner.utils.tables import column_texts, is_right_aligned
from tune_ner.utils.text import html_with_code, visible_lines

_TEMPLATES = "templates"
_SCRIPTS = ("tables.js", "charts.js", "errors.js")


@dataclass(frozen=True)
class PageSection:
    """A section of a page.

    Attributes:
        anchor: its id in the page's HTML.
        title: its heading.
        content: sentences, tables and subsections above the charts.
        charts: its charts.
        details: sentences, tables and subsections below the charts.
        links: file names relative to the page, each with a description.
        explorer: `curves` or `errors` if a script fills a part of the section.
        folded: what is shown only if the reader opens it, by its heading.
    """

    anchor: str
    title: str
    content: Sequence[Item | Section] = ()
    charts: Sequence[Chart] = ()
    details: Sequence[Item | Section] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    explorer: str = ""
    folded: Mapping[str, Sequence[Item | Section]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.content or self.charts or self.details or self.links or self.explorer)


@dataclass(frozen=True)
class Page:
    """A page: title, subtitle, sections, and data for its scripts (see `templates/*.js`) by name.

    `headline` and `alerts` are shown below the title.
    """

    title: str
    sections: Sequence[PageSection]
    data: Mapping[str, Any] = field(default_factory=dict)
    subtitle: str = ""
    alerts: Sequence[Sentence] = ()
    headline: Headline | None = None

    def html(self) -> str:
        """Return the page as one HTML file with style, scripts and data in it; all texts are escaped.

        Its content security policy runs only the page's own scripts and loads nothing from elsewhere.
        """
        shown = [section for section in self.sections if not section.is_empty]
        charts = {chart.name: chart.page_spec() for section in shown for chart in section.charts}
        scripts = [*([_escaped_chart_script()] if charts else []), *map(_template_file, _SCRIPTS)]
        template = _environment().get_template("page.html.j2")
        return template.render(
            page=self,
            sections=shown,
            data={"charts": charts, **self.data},
            style=Markup(_template_file("page.css")),
            scripts=list(map(Markup, scripts)),
            script_sources=" ".join(map(_csp_hash, scripts)),
        )

    def write_charts(self, folder: Path) -> list[Path]:
        """Write every chart as SVG and PNG into a folder and return the files.

        Raises:
            RunFolderError: a file cannot be written.
        """
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{folder}: cannot be created: {error.strerror or error}") from error
        return [
            atomic_write(folder / f"{chart.name}.{suffix}", content)
            for section in self.sections
            for chart in section.charts
            for suffix, content in (("svg", chart.svg), ("png", chart.png()))
        ]


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
    environment.filters |= {"with_code": html_with_code, "columns": _columns, "breakable": _breakable}
    return environment


def _columns(table: Table) -> list[tuple[str, list[str], bool]]:
    """Return the name, the cells and the alignment of each column."""
    columns = ((str(name), column_texts(table.frame[name])) for name in table.frame.columns)
    return [(name, cells, is_right_aligned(cells)) for name, cells in columns]


def _breakable(name: str) -> Markup:
    """Return a name that a browser may break after each `_`."""
    return escape(visible_lines(name)).replace("_", Markup("_<wbr>"))


@lru_cache(maxsize=1)
def _escaped_chart_script() -> str:
    # `</script` would close the element wherever it occurs; in a JavaScript string, `<\/` means the same
    return chart_script().replace("</script", r"<\/script")


@lru_cache
def _template_file(name: str) -> str:
    return files("tune_ner.report").joinpath(_TEMPLATES, name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    """Return a script's source expression for a content security policy (CSP level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
