"""Sections and data → one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from tune_ner.report.figure import script
from tune_ner.report.html_blocks import Section

_TEMPLATES = "templates"
_SCRIPTS = ("tables.js", "figures.js", "errors.js")


@dataclass(frozen=True)
class Page:
    """What a page shows: `about` below its title, `data` as its script reads it, by name; see `templates/*.js`."""

    title: str
    sections: Sequence[Section]
    data: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""


def html_of(page: Page) -> str:
    """The page as one file: style, scripts and data within it, every text escaped.

    Its content security policy lets run what stands here and nothing else, and fetch nothing.
    """
    shown = [section for section in page.sections if not section.empty]
    figures = {figure.name: figure.on_page() for section in shown for figure in section.figures}
    scripts = [*([_figure_script()] if figures else []), *map(_file, _SCRIPTS)]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            sections=shown,
            data={"figures": figures, **page.data},
            style=Markup(_file("page.css")),
            scripts=[Markup(text) for text in scripts],
            script_sources=" ".join(map(_source_of, scripts)),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tune_ner.report", _TEMPLATES),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # `tojson` makes `<`, `>`, `&` and `'` escapes, so that no text can end the element that holds it.
    environment.policies["json.dumps_kwargs"] = {
        "ensure_ascii": False,
        "allow_nan": False,
        "separators": (",", ":"),
    }
    environment.filters["with_code"] = _with_code
    return environment


def _with_code(text: str) -> Markup:
    """A text whose `code` is set as code."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece) for place, piece in enumerate(pieces)
    )


@lru_cache(maxsize=1)
def _figure_script() -> str:
    # within an element, `</script` would end it wherever it stands; in a string of JavaScript, `<\/` is the same
    return script().replace("</script", r"<\/script")


@lru_cache
def _file(name: str) -> str:
    return files("tune_ner.report").joinpath(_TEMPLATES, name).read_text(encoding="utf-8")


def _source_of(text: str) -> str:
    """A script as a content security policy names it (CSP level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
