"""A figure: one Vega-Lite specification, drawn by the page's script and, for papers, into SVG and PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C")
"""Colours that can be told apart by the colour-blind (Okabe and Ito 2008, "Color Universal Design")."""

INK = "#1d1f22"
"""The colour of what has no colour of its own; the page's style turns it in the dark."""

VEGA_LITE = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
"""The version of Vega-Lite that the specifications are written in."""

_FILE_WIDTH = 460
_PNG_SCALE = 2.0  # about 190 dots an inch in a column of 9 cm
_FITTED: Mapping[str, Any] = {"autosize": {"type": "fit-x", "contains": "padding"}}
_STYLE: Mapping[str, Any] = {
    "background": None,
    "font": "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Arial, sans-serif",
    "range": {"category": list(PALETTE)},
    "view": {"stroke": None},
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 320, "grid": True},
    "axisXQuantitative": {"tickCount": 6},
    "axisY": {"domain": False, "ticks": False},
    "legend": {
        "orient": "top",
        "columns": 3,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 260,
    },
}


Chart = alt.Chart | alt.LayerChart | alt.FacetChart


@dataclass(frozen=True)
class Figure:
    """A Vega-Lite specification without a style of its own; `name` is that of its files, `caption` what it shows.

    Where `data` is given, the specification reads a data set of this name, which the page's script fills; the rows
    that are in it already are those of the files.
    """

    name: str
    caption: str
    spec: Mapping[str, Any]
    data: str = ""

    @classmethod
    def of(cls, name: str, caption: str, chart: Chart, data: str = "") -> Figure:
        """The figure of a chart as wide as its place on the page."""
        # checking a chart against Vega-Lite's schema takes a second
        return cls(name, caption, chart.properties(width="container").to_dict(validate=False), data)

    def svg(self) -> str:
        """The figure as a file for a paper, as vectors."""
        return vl_convert.vegalite_to_svg(self._for_paper(), vl_version=VEGA_LITE)

    def png(self) -> bytes:
        """The figure as a file for a paper, as pixels."""
        return vl_convert.vegalite_to_png(self._for_paper(), vl_version=VEGA_LITE, scale=_PNG_SCALE)

    def on_page(self) -> dict[str, Any]:
        """The specification with the page's style."""
        return {**self.spec, **_FITTED, "config": dict(_STYLE)}

    def _for_paper(self) -> dict[str, Any]:
        on_white = {"background": "white", "padding": 8, "width": _FILE_WIDTH}
        return {**self.spec, **_FITTED, **on_white, "config": dict(_STYLE)}


def script() -> str:
    """Vega, Vega-Lite and their embedding as one script that needs no network."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)


def rows(values: Sequence[Mapping[str, Any]]) -> alt.InlineData:
    """The rows of a figure, without the limit and the guesses of a data frame."""
    return alt.InlineData(values=[dict(value) for value in values])
