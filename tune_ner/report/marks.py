"""Marks that several figures share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from tune_ner.evaluation.confidence_intervals import Interval
from tune_ner.report.figure import INK, Chart, rows

EXACT_F1 = "F1 of exact spans"

_ROW, _BAR, _GAP, _LEAST_HEIGHT, _LABEL = 24, 14, 16, 60, 400  # pixels

_TOLD: Mapping[str, alt.Tooltip] = {
    **{name: alt.Tooltip(f"{name}:N", title=" ") for name in ("what", "trial")},
    **{name: alt.Tooltip(f"{name}:N") for name in ("split", "configuration", "evaluator", "status", "stage")},
    **{name: alt.Tooltip(f"{name}:Q") for name in ("seconds",)},
    "f1": alt.Tooltip("f1:Q", title="F1", format=".4f"),
    "low": alt.Tooltip("low:Q", title="95 % from", format=".3f"),
    "high": alt.Tooltip("high:Q", title="to", format=".3f"),
    "best": alt.Tooltip("best:Q", title="best so far", format=".4f"),
    "number": alt.Tooltip("number:Q", title="trial"),
    "difference": alt.Tooltip("difference:Q", format="+.4f"),
    "share": alt.Tooltip("share:Q", format=".0%"),
    "pairs": alt.Tooltip("pairs:Q", title="matched pairs"),
}


def tooltip(*names: str) -> list[alt.Tooltip]:
    """What a mark tells of itself, by the fields of its row."""
    return [_TOLD[name] for name in names]


def interval_row(interval: Interval) -> dict[str, float]:
    """A figure and its interval as fields of a row."""
    figures = {"f1": interval.estimate, "low": interval.low, "high": interval.high}
    return {name: round(value, 5) for name, value in figures.items()}


def parts_with_intervals(values: Sequence[Mapping[str, Any]]) -> Chart:
    """Validation and test F1 as points with their intervals, one row a configuration."""
    parts = ["validation", "test"]
    base = alt.Chart(rows(values)).encode(
        y=alt.Y("what:N", sort=None, title=None),
        yOffset=alt.YOffset("split:N", sort=parts),
        color=alt.Color("split:N", sort=parts, title=None),
    )
    scale = alt.Scale(zero=False)
    interval = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=EXACT_F1, scale=scale), x2="high:Q")
    point = base.mark_point(size=60, filled=True, opacity=1).encode(
        x=alt.X("f1:Q", scale=scale),
        shape=alt.Shape("split:N", sort=parts, legend=None),
        tooltip=tooltip("what", "split", "f1", "low", "high"),
    )
    return rows_high(alt.layer(interval, point), len({value["what"] for value in values}))


def grouped_bars(
    values: Sequence[Mapping[str, Any]], x: alt.X, group: str, order: Sequence[str], told: Sequence[str]
) -> Chart:
    """Bars beside each other within each row, with intervals where the rows have such."""
    base = alt.Chart(rows(values)).encode(
        y=alt.Y("what:N", sort=None, title=None), yOffset=alt.YOffset(f"{group}:N", sort=list(order))
    )
    drawn = base.mark_bar(opacity=0.85).encode(
        x=x,
        color=alt.Color(f"{group}:N", sort=list(order), title=None, legend=alt.Legend(columns=1, labelLimit=_LABEL)),
        tooltip=tooltip(*told),
    )
    layers: list[alt.Chart] = [drawn]
    if all("low" in value for value in values):
        layers.append(base.mark_rule(strokeWidth=1.5, color=INK).encode(x="low:Q", x2="high:Q"))
    groups = len({value["what"] for value in values})
    return alt.layer(*layers).properties(height=groups * (_GAP + _BAR * len(order)))


def rows_high(chart: Chart, count: int) -> Chart:
    """The chart as high as `count` rows need."""
    return chart.properties(height=max(_LEAST_HEIGHT, _ROW * count))
