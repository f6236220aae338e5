"""The figures of the axes: what difference each makes, and every trial at its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from tune_ner.config.search_space import SearchSpace
from tune_ner.report.figure import INK, Figure, rows
from tune_ner.report.marks import rows_high, tooltip
from tune_ner.results.effects import main_effects
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.results.selection import MAIN_HYPERPARAMETERS, hyperparameter_values, varied_hyperparameters
from tune_ner.utils.text import format_value

_MOST_VALUES = 12


def effects_figure(results: Results) -> Figure | None:
    """What difference an axis makes to test F1, everything else equal; None where no axis has two values."""
    values = [
        {
            "what": f"{format_value(effect.one)} less {format_value(effect.other)}",
            "axis": _named(axis),
            "difference": effect.difference.difference,
            "low": effect.difference.low,
            "high": effect.difference.high,
            "pairs": effect.pairs,
        }
        for axis in (*MAIN_HYPERPARAMETERS, *varied_hyperparameters(results.records))
        for effect in main_effects(results.cache, results.records, axis)
    ]
    if not values:
        return None
    zero = alt.Chart(rows([{"zero": 0}])).mark_rule(strokeDash=[4, 3], color=INK).encode(x="zero:Q")
    base = _by_axis(values)
    interval = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="difference in test F1"), x2="high:Q")
    point = base.mark_point(size=70, filled=True, opacity=1).encode(
        x="difference:Q", shape=_shape(), tooltip=tooltip("what", "difference", "low", "high", "pairs")
    )
    caption = "Difference in test F1 between matched pairs of trials, everything else equal, with 95 % intervals."
    return Figure.of("effects", caption, rows_high(alt.layer(zero, interval, point), len(values)))


def values_figure(results: Results) -> Figure | None:
    """Validation F1 of every trial at each value of each axis, and their mean; None where no axis has two values."""
    measured = _measured(results)
    values: list[dict[str, Any]] = []
    for axis in (*MAIN_HYPERPARAMETERS, *varied_hyperparameters(results.records)):
        at = hyperparameter_values(measured, axis)
        if 1 < len(at) <= _MOST_VALUES:
            ordered = sorted(measured, key=lambda record: at.index(getattr(record.config, axis)))
            values += [_row(axis, record) for record in ordered]
    if not values:
        return None
    base = _by_axis(values)
    x = alt.X("f1:Q", title="validation F1 (seqeval)", scale=alt.Scale(zero=False))
    trials = base.mark_tick(thickness=1.5, opacity=0.6).encode(x=x, tooltip=tooltip("trial", "f1"))
    means = base.mark_point(size=80, filled=True, opacity=1, stroke=INK, strokeWidth=1).encode(
        x=alt.X("mean(f1):Q", scale=alt.Scale(zero=False)), shape=_shape()
    )
    caption = "Each trial that was trained to its end at its values (ticks), and their mean (points)."
    count = len({value["what"] for value in values})
    return Figure.of("values", caption, rows_high(alt.layer(trials, means), count))


def slice_figures(results: Results) -> tuple[Figure, ...]:
    """Validation F1 of every trial by its value, for each axis of numbers that has too many for `values_figure`."""
    measured = _measured(results)
    axes = {
        axis: hyperparameter_values(measured, axis)
        for axis in (*MAIN_HYPERPARAMETERS, *varied_hyperparameters(results.records))
    }
    return tuple(
        _slice(axis, measured, _is_logarithmic(axis, results.space))
        for axis, values in axes.items()
        if len(values) > _MOST_VALUES and all(isinstance(value, int | float) for value in values)
    )


def _slice(axis: str, measured: Sequence[TrialRecord], logarithmic: bool) -> Figure:
    varied = varied_hyperparameters(measured)
    values = [
        {
            "value": getattr(record.config, axis),
            "f1": record.best_score,
            "trial": record.config.titled(varied),
            "model": record.config.model,
        }
        for record in measured
    ]
    scale = alt.Scale(type="log") if logarithmic else alt.Scale(zero=False)
    chart = (
        alt.Chart(rows(values))
        .mark_point(size=50, filled=True, opacity=0.65)
        .encode(
            x=alt.X("value:Q", title=_named(axis), scale=scale, axis=alt.Axis(format="~g")),
            y=alt.Y("f1:Q", title="validation F1 (seqeval)", scale=alt.Scale(zero=False)),
            color=alt.Color("model:N", title=None, sort=None),
            tooltip=tooltip("trial", "f1"),
        )
        .properties(height=220)
    )
    caption = f"Each trial that was trained to its end, by its {_named(axis)}; other axes vary from point to point."
    return Figure.of(f"values_{axis}", caption, chart)


def _is_logarithmic(axis: str, space: SearchSpace | None) -> bool:
    """Whether the values of an axis were chosen by their order of magnitude, as learning rates are."""
    drawn = space.distributions.get(axis) if space else None
    return drawn.log if drawn else axis == "learning_rate"


def _measured(results: Results) -> list[TrialRecord]:
    """Trials trained to their end; of a search those that it drew, for the best come again among the confirmed."""
    whole = [record for record in results.records if record.best_score is not None]
    drawn = [record for record in whole if record.phase == "search" and record.is_trained]
    return drawn or [record for record in whole if record.result is not None]


def _by_axis(values: Sequence[Mapping[str, Any]]) -> alt.Chart:
    """Rows in their order, each in the colour of its axis."""
    return alt.Chart(rows(values)).encode(
        y=alt.Y("what:N", sort=None, title=None), color=alt.Color("axis:N", title=None, sort=None)
    )


def _shape() -> alt.Shape:
    return alt.Shape("axis:N", legend=None, sort=None)


def _row(axis: str, record: TrialRecord) -> dict[str, Any]:
    what = f"{_named(axis)} {format_value(getattr(record.config, axis))}"
    return {"axis": _named(axis), "what": what, "f1": record.best_score, "trial": record.config.title}


def _named(axis: str) -> str:
    return axis.replace("_", " ")
