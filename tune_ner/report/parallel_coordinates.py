"""Parallel coordinates: each trial is a line through its hyperparameters, which a reader selects with the pointer."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import altair as alt

from tune_ner.report.charts import completed_trials, hyperparameter_title, value_text
from tune_ner.report.vega import INK, AnyChart, Chart, inline, score_title, tooltips
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.results.selection import MAIN_HYPERPARAMETERS, hyperparameter_values

MOST_TRIALS = 200
"""Trials in the chart, those with the best scores."""

_MOST_CATEGORIES = 12
_FEWEST_AXES = 2
_HEIGHT = 280
_COLOURS = ("#f3b35c", "#b3376b", "#20124d")  # from the lowest to the highest score
_SELECTION = "selection"


def parallel_coordinates_chart(results: Results) -> Chart | None:
    """Draw the completed trials as lines through the values of the hyperparameters that vary, and their score.

    None with fewer than two trials or hyperparameters that vary.
    """
    trials = sorted(completed_trials(results), key=lambda record: -(record.best_score or 0.0))[:MOST_TRIALS]
    names = [name for name in (*MAIN_HYPERPARAMETERS, *results.varied) if len(hyperparameter_values(trials, name)) > 1]
    if len(trials) < 2 or len(names) < _FEWEST_AXES:
        return None
    axes = [_Axis.of(name, trials, results) for name in names]
    score = score_title(results.selection_metric)
    axes.append(_Axis.of_numbers(score, [record.best_score or 0.0 for record in trials], is_logarithmic=False))
    rows = [
        {"trial": record.config.titled(results.varied), "score": record.best_score, "axis": axis.title, "place": place}
        for number, record in enumerate(trials)
        for axis in axes
        for place in [axis.places[number]]
    ]
    labels = [{"axis": axis.title, "place": place, "label": label} for axis in axes for place, label in axis.labels]
    order = [axis.title for axis in axes]
    shown = f"one of the best {MOST_TRIALS} trials" if len(completed_trials(results)) > MOST_TRIALS else "a trial"
    has_baselines = any(record.config.is_baseline for record in results.records)
    others = "; baselines are left out" if has_baselines and not trials[0].config.is_baseline else ""
    caption = (
        f"Each line is {shown} that completed, coloured by its {score}{others}. Drag over a part of an "
        "axis to highlight the trials that pass there; double-click to show all."
    )
    return Chart.of("parallel_coordinates", caption, _drawn(rows, labels, order, score))


class _Axis:
    """An axis: the place of each trial on it, from 0 to 1, and its labels with their places."""

    def __init__(self, title: str, places: Sequence[float], labels: Sequence[tuple[float, str]]) -> None:
        self.title = title
        self.places = [round(place, 4) for place in places]
        self.labels = [(round(place, 4), label) for place, label in labels]

    @classmethod
    def of(cls, name: str, trials: Sequence[TrialRecord], results: Results) -> _Axis:
        values = hyperparameter_values(trials, name)
        own = [getattr(record.config, name) for record in trials]
        distribution = results.space.distributions.get(name) if results.space else None
        are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        if are_numbers and (distribution or len(values) > _MOST_CATEGORIES):
            is_logarithmic = distribution.log if distribution else name == "learning_rate"
            return cls.of_numbers(hyperparameter_title(name), own, is_logarithmic and min(values) > 0)
        places = {value: index / (len(values) - 1) for index, value in enumerate(values)}
        step = max(1, len(values) // _MOST_CATEGORIES)
        labels = [(places[value], value_text(value)) for value in values[::step]]
        return cls(hyperparameter_title(name), [places[value] for value in own], labels)

    @classmethod
    def of_numbers(cls, title: str, values: Sequence[float], is_logarithmic: bool) -> _Axis:
        low, high = min(values), max(values)

        def place(value: float) -> float:
            if high == low:
                return 0.5
            if is_logarithmic:
                return log(value / low) / log(high / low)
            return (value - low) / (high - low)

        middle = (low * high) ** 0.5 if is_logarithmic else (low + high) / 2
        return cls(title, [place(value) for value in values], [(place(v), f"{v:.3g}") for v in {low, middle, high}])


def _drawn(rows: list[dict[str, Any]], labels: list[dict[str, Any]], order: list[str], score: str) -> AnyChart:
    selection = alt.selection_interval(name=_SELECTION, encodings=["x", "y"])
    # a trial is selected if its line passes through the rectangle at one of the axes
    passes = (
        f"!isDefined({_SELECTION}.place) || (indexof({_SELECTION}.axis, datum.axis) >= 0 && "
        f"inrange(datum.place, {_SELECTION}.place))"
    )
    x = alt.X("axis:N", sort=order, title=None, axis=alt.Axis(labelAngle=-20, orient="top", grid=True, domain=False))
    y = alt.Y("place:Q", axis=None, scale=alt.Scale(domain=[-0.04, 1.04], nice=False))
    scores = [row["score"] for row in rows]
    shade = alt.Color(
        "score:Q",
        title=score,
        scale=alt.Scale(domain=[min(scores), max(scores)], range=list(_COLOURS)),
        legend=alt.Legend(gradientLength=160, format=".3f"),
    )
    lines = (
        alt.Chart(inline(rows))
        .transform_calculate(passes=passes)
        .transform_joinaggregate(is_selected="max(passes)", groupby=["trial"])
        .mark_line(strokeWidth=1.6)
        .encode(
            x=x,
            y=y,
            detail="trial:N",
            color=shade,
            opacity=alt.condition("datum.is_selected", alt.value(0.85), alt.value(0.06)),
            tooltip=tooltips("trial", "score"),
        )
        .add_params(selection)
    )
    text = alt.Chart(inline(labels)).mark_text(align="left", dx=4, dy=-7, fontSize=11, color=INK)
    return alt.layer(lines, text.encode(x=x, y=y, text="label:N")).properties(height=_HEIGHT)
