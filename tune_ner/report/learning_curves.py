"""Learning curves: validation score and loss by epoch, as charts and as data for the filters of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from tune_ner.report.vega import Chart, Rows, score_title, tooltips
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.results.selection import MAIN_HYPERPARAMETERS, hyperparameter_values
from tune_ner.utils.text import format_value

MOST_DRAWN = 12
"""Curves drawn at first and in the files: those of the best trials by validation score."""

DATA = "curves"
"""Name of the data set of the charts, which the page's script replaces."""

_MOST_VALUES = 40  # of a hyperparameter that curves can be filtered by
_MOST_TICKS = 12
_SCALE = alt.Scale(zero=False, nice=False, padding=8)  # pixels, so that no point is cut off at the edge


def best_curves(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that were trained for an epoch, the best by validation score first."""
    return sorted((record for record in records if record.curve), key=lambda record: -(record.best_score or 0.0))


def curves_data(results: Results) -> dict[str, Any]:
    """Return the curves as `templates/charts.js` reads them.

    `filters` are the hyperparameters with several values, few enough to choose from, and the status; a trial has the
    index of its value in each of them.
    """
    trials = best_curves(results.records)
    names = (*MAIN_HYPERPARAMETERS, "seed", "fold", *results.varied)
    filters = {name: list(dict.fromkeys(map(format_value, hyperparameter_values(trials, name)))) for name in names}
    filters["status"] = sorted({record.status for record in trials})
    filters = {name: values for name, values in filters.items() if 1 < len(values) <= _MOST_VALUES}
    return {
        "most": MOST_DRAWN,
        "filters": [{"name": name.replace("_", " "), "values": values} for name, values in filters.items()],
        "trials": [
            {
                "title": record.config.titled(results.varied),
                "values": [values.index(_value(record, name)) for name, values in filters.items()],
                "scores": [epoch["score"] for epoch in _epochs(record)],
                "losses": [epoch["loss"] for epoch in _epochs(record)],
            }
            for record in trials
        ],
    }


def _value(record: TrialRecord, name: str) -> str:
    return record.status if name == "status" else format_value(getattr(record.config, name))


def learning_curve_charts(results: Results) -> tuple[Chart, ...]:
    """Draw validation score and validation loss by epoch for the best trials."""
    rows = [
        {"trial": record.config.titled(results.varied), "colour": record.config.model, **epoch, **_range(epoch)}
        for record in best_curves(results.records)[:MOST_DRAWN]
        for epoch in _epochs(record)
    ]
    if not rows:
        return ()
    title, last = score_title(results.selection_metric), max(len(record.curve) for record in results.records)
    ticks = list(range(1, last + 1, math.ceil(last / _MOST_TICKS)))
    return (
        _curve_chart("learning_curves", "score", title, rows, ticks),
        _curve_chart("learning_curves_loss", "loss", "validation loss", rows, ticks),
    )


def _epochs(record: TrialRecord) -> list[dict[str, float | None]]:
    """Return epoch, validation score and validation loss of each epoch; None for values that are not finite."""
    metric = record.config.selection_metric
    return [
        {"epoch": epoch.epoch, "score": _finite(epoch.score(metric)), "loss": _finite(epoch.validation_loss)}
        for epoch in record.curve
    ]


def _range(epoch: Mapping[str, float | None]) -> dict[str, float | None]:
    return {f"{field}_{end}": epoch[field] for field in ("score", "loss") for end in ("low", "high")}


def _curve_chart(name: str, field: str, title: str, rows: Rows, ticks: list[int]) -> Chart:
    hovered = alt.selection_point("hovered", on="pointerover", clear="pointerout", fields=["trial"], empty=False)
    base = alt.Chart(alt.InlineData(values=list(rows), name=DATA), height=260).encode(
        x=alt.X("epoch:Q", axis=alt.Axis(values=ticks, format="d"), scale=_SCALE),
        y=alt.Y(f"{field}:Q", title=title, scale=_SCALE),
        color=alt.Color("colour:N", title=None, legend=alt.Legend(columns=4, symbolOpacity=1)),
        detail="trial:N",
    )
    lines = base.mark_line().encode(
        size=alt.when(hovered).then(alt.value(3.5)).otherwise(alt.value(1.5)),
        opacity=alt.when(hovered).then(alt.value(1)).otherwise(alt.value(0.65)),
    )
    points = base.mark_point(size=90).encode(tooltip=tooltips("trial", "epoch", "score", "loss"))
    # the page's script replaces the rows by means with a range; that of a trial is its value
    ranges = base.mark_area(opacity=0.18).encode(
        y=alt.Y(f"{field}_low:Q", title=title, scale=_SCALE), y2=f"{field}_high:Q"
    )
    use = "Drag to move, Ctrl and the wheel to zoom, double-click to reset."
    caption = f"{title[0].upper()}{title[1:]} after each epoch. {use}"
    return Chart.of(name, caption, alt.layer(ranges, lines, points.add_params(hovered)), DATA)


def _finite(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None
