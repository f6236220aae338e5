"""Vega-Lite charts in the style of the report, and the parts that several charts share."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C")
"""Colours that color-blind readers can distinguish (Okabe and Ito 2008, "Color Universal Design")."""

INK = "#1d1f22"  # replaced by the page's style in the dark
_ROW_HEIGHT, _LEAST_HEIGHT = 24, 60  # pixels
_FILE_WIDTH = 460
_PNG_SCALE = 2.0  # about 190 dots per inch in a column of 9 cm
_INVALID_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_VEGA_LITE = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
_FITTED: Mapping[str, Any] = {"autosize": {"type": "fit-x", "contains": "padding"}}
_TEXT = {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
_STYLE: Mapping[str, Any] = {
    "background": None,
    "font": "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Arial, sans-serif",
    "range": {"category": list(PALETTE)},
    "view": {"stroke": None},
    "axis": {**_TEXT, "labelLimit": 320, "grid": True},
    "axisXQuantitative": {"tickCount": 6, "labelFlush": False},
    "axisY": {"domain": False, "ticks": False},
    "legend": {**_TEXT, "orient": "top", "columns": 3, "labelLimit": 260},
    "point": {"filled": True, "opacity": 0.8, "size": 60},
}
NOT_ZERO = alt.Scale(zero=False)
_TOOLTIPS = {
    "score": ("F1", ".4f"),
    "low": ("95 % interval from", ".3f"),
    "high": ("to", ".3f"),
    "best": ("best so far", ".4f"),
    "difference": ("difference", "+.4f"),
    "share": ("share", ".0%"),
    "loss": ("loss", ".4f"),
    **{name: (name, "") for name in ("number", "epoch", "seconds", "pairs")},
}

AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        name: the name of its files.
        caption: a sentence that describes it.
        spec: its Vega-Lite specification without a style.
        data: name of the data set that the page's script replaces; empty if the data is fixed.
    """

    name: str
    caption: str
    spec: Mapping[str, Any]
    data: str = ""

    @classmethod
    def of(cls, name: str, caption: str, chart: AnyChart, data: str = "") -> Chart:
        """Return the chart with the width of its place on the page."""
        # validating a chart against the Vega-Lite schema takes a second
        spec = chart.properties(width="container").to_dict(validate=False)
        return cls(name, caption, _without_invalid_characters(spec), data)

    def page_spec(self) -> dict[str, Any]:
        """Return the specification in the style of the page."""
        return {**self.spec, **_FITTED, "config": dict(_STYLE)}

    def altair(self) -> AnyChart:
        """Return the chart for a notebook."""
        spec = {key: value for key, value in self.spec.items() if key not in ("$schema", "config")}
        chart = alt.Chart.from_dict({**spec, "width": _FILE_WIDTH})
        styled: AnyChart = chart.configure(**{**_STYLE, "background": "white"})
        return styled

    @cached_property
    def svg(self) -> str:
        """The chart as SVG on a white background."""
        return vl_convert.vegalite_to_svg(self._file_spec(), vl_version=_VEGA_LITE)

    def png(self) -> bytes:
        """Return the chart as PNG on a white background."""
        return vl_convert.svg_to_png(self.svg, scale=_PNG_SCALE)

    def _file_spec(self) -> dict[str, Any]:
        return {**self.page_spec(), "background": "white", "padding": 8, "width": _FILE_WIDTH}


def _without_invalid_characters(value: Any) -> Any:
    """Return a specification with U+FFFD for the characters that SVG cannot hold, at which vl-convert aborts.

    Escapes would not do: Vega evaluates them in its expressions.
    """
    if isinstance(value, str):
        return _INVALID_IN_XML.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {key: _without_invalid_characters(item) for key, item in value.items()}
    return [_without_invalid_characters(item) for item in value] if isinstance(value, list) else value


@lru_cache(maxsize=1)
def chart_script() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script that needs no network.

    Making it takes a second, so it is kept in `$XDG_CACHE_HOME/tune_ner` (`~/.cache/tune_ner`).
    """
    file = _cache_folder() / f"vega-lite-{_VEGA_LITE}-{version('vl-convert-python')}.js"
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8")
    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=_VEGA_LITE)
    with suppress(OSError, RuntimeError):  # without a cache it is made again
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_text(script, encoding="utf-8")
        unfinished.replace(file)
    return script


def _cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(root) if root else Path.home() / ".cache") / "tune_ner"
    except RuntimeError:  # no home folder
        return Path(os.devnull)


def score_title(metric: str) -> str:
    """Return the title of an axis for a metric: `validation span F1` for `span_f1`."""
    return f"validation {metric.replace('_f1', ' F1')}"


def by_title(rows: Rows, colour: alt.Color | None = None) -> alt.Chart:
    """Return a chart with one line per title, in the order of the rows."""
    chart: alt.Chart = alt.Chart(inline(rows)).encode(
        y=alt.Y("title:N", sort=None, title=None), color=colour or alt.Undefined
    )
    return chart


def interval_lines(base: alt.Chart, title: str) -> alt.Chart:
    """Return horizontal lines from `low` to `high`."""
    lines: alt.Chart = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=title, scale=NOT_ZERO), x2="high:Q")
    return lines


def with_height(chart: AnyChart, rows: Rows) -> AnyChart:
    """Return the chart with the height that its titles need."""
    return chart.properties(height=max(_LEAST_HEIGHT, _ROW_HEIGHT * len({row["title"] for row in rows})))


def colours(field: str, values: list[str] | None = None, **settings: Any) -> alt.Color:
    """Return colours in the order of `values`, by default in that of the rows."""
    scale = alt.Scale(domain=values) if values else alt.Undefined
    return alt.Color(f"{field}:N", title=None, sort=values, scale=scale, **settings)


def tooltips(*fields: str) -> list[alt.Tooltip]:
    """Return what a mark shows about its row when the pointer is over it."""
    return [
        alt.Tooltip(f"{field}:Q", title=_TOOLTIPS[field][0], format=_TOOLTIPS[field][1])
        if field in _TOOLTIPS
        else alt.Tooltip(f"{field}:N", title=" " if field in ("title", "trial") else field)
        for field in fields
    ]


def inline(rows: Rows) -> alt.InlineData:
    """Return rows as data within the specification, without the row limit of data frames."""
    return alt.InlineData(values=[dict(row) for row in rows])
