"""Learning curves: validation F1 and loss of every epoch, as the page's script and two figures read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from tune_ner.report.figure import Figure
from tune_ner.results.records import TrialRecord
from tune_ner.results.selection import hyperparameter_values, varied_hyperparameters
from tune_ner.utils.text import format_value

MOST_DRAWN = 12
"""Curves that are drawn at first, and in the files: those of the best trials by validation F1."""

DATA = "curves"
"""The name of the data set of both figures."""

_MOST_VALUES = 40
_ALWAYS = ("model", "tagging_scheme", "learning_rate", "seed", "fold")


def trials_with_curves(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that trained an epoch, the best by validation F1 first."""
    return sorted((record for record in records if record.curve), key=lambda record: -(record.best_score or 0.0))


def curves_data(records: Sequence[TrialRecord]) -> dict[str, Any]:
    """The curves as the page's script reads them.

    `axes` are those with two values or more, few enough to choose from; a trial has the place of its value on each.
    A loss that is no number is None.
    """
    trials, varied = trials_with_curves(records), varied_hyperparameters(records)
    axes = _axes(trials, varied)
    return {
        "most": MOST_DRAWN,
        "axes": [{"name": name.replace("_", " "), "values": values} for name, values in axes.items()],
        "trials": [
            {
                "title": record.config.titled(varied),
                "status": record.status,
                "axes": [values.index(_value_of(record, name)) for name, values in axes.items()],
                "f1": [_measured(epoch.score(record.config.selection_metric)) for epoch in record.curve],
                "loss": [_measured(epoch.validation_loss) for epoch in record.curve],
            }
            for record in trials
        ],
    }


def curve_figures(records: Sequence[TrialRecord]) -> tuple[Figure, ...]:
    """Validation F1 and validation loss by epoch; nothing where no trial trained an epoch."""
    trials, varied = trials_with_curves(records), varied_hyperparameters(records)
    values = [
        {
            "trial": record.config.titled(varied),
            "colour": record.config.model,
            "epoch": epoch.epoch,
            "f1": _measured(epoch.score(record.config.selection_metric)),
            "loss": _measured(epoch.validation_loss),
        }
        for record in trials[:MOST_DRAWN]
        for epoch in record.curve
    ]
    if not values:
        return ()
    return (
        _figure("curves_f1", "f1", "validation F1 (seqeval)", "Validation F1 after each epoch.", values),
        _figure("curves_loss", "loss", "validation loss", "Validation loss after each epoch.", values),
    )


def _figure(name: str, field: str, title: str, caption: str, values: Sequence[dict[str, Any]]) -> Figure:
    """Lines that stand out when the pointer is near."""
    near = alt.selection_point(name="near", on="pointerover", nearest=True, fields=["trial"], empty=False)
    base = alt.Chart(alt.InlineData(values=list(values), name=DATA)).encode(
        x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, format="d")),
        y=alt.Y(f"{field}:Q", title=title, scale=alt.Scale(zero=False)),
        color=alt.Color("colour:N", title=None, legend=alt.Legend(columns=2)),
        detail="trial:N",
    )
    lines = base.mark_line().encode(
        size=alt.when(near).then(alt.value(3.5)).otherwise(alt.value(1.5)),
        opacity=alt.when(near).then(alt.value(1)).otherwise(alt.value(0.65)),
    )
    points = (
        base.mark_point(size=36, filled=True)
        .encode(
            opacity=alt.when(near).then(alt.value(1)).otherwise(alt.value(0.5)),
            tooltip=[
                alt.Tooltip("trial:N", title=" "),
                alt.Tooltip("epoch:Q"),
                alt.Tooltip("f1:Q", title="F1", format=".4f"),
                alt.Tooltip("loss:Q", format=".4f"),
            ],
        )
        .add_params(near)
    )
    return Figure.of(name, caption, alt.layer(lines, points).properties(height=260), DATA)


def _axes(trials: Sequence[TrialRecord], varied: Sequence[str]) -> dict[str, list[str]]:
    axes = {
        name: list(dict.fromkeys(map(format_value, hyperparameter_values(trials, name))))
        for name in (*_ALWAYS, *varied)
    }
    axes["status"] = sorted({record.status for record in trials})
    return {name: values for name, values in axes.items() if 1 < len(values) <= _MOST_VALUES}


def _value_of(record: TrialRecord, name: str) -> str:
    return format_value(record.status if name == "status" else getattr(record.config, name))


def _measured(figure: float) -> float | None:
    return round(figure, 5) if math.isfinite(figure) else None
