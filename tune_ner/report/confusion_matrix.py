"""Chart of the types that the best configuration confuses."""

from __future__ import annotations

import altair as alt
import numpy as np

from tune_ner.data.corpus import SplitName
from tune_ner.evaluation.error_analysis import confusion_counts
from tune_ner.report.vega import INK, Chart, inline, tooltips
from tune_ner.results.run_results import Results
from tune_ner.utils.text import plural

MOST_TYPES = 20
"""Types in the chart: the most frequent ones; pairs with others are left out."""

MISSED, SPURIOUS = "(missed)", "(spurious)"
_CELL = 30  # pixels
_SHADE = "#0072B2"
_DARK = 0.55  # share from which the number is white


def confusion_matrix_chart(results: Results, split_name: SplitName = "test") -> Chart | None:
    """Draw the pairs of gold and predicted spans of the best configuration by their types.

    None without a completed trial or without spans.
    """
    rows, trials = _rows(results, split_name)
    if not rows:
        return None
    order = list(dict.fromkeys(str(row["gold"]) for row in rows))
    columns = list(dict.fromkeys(str(row["predicted"]) for row in rows))
    base = alt.Chart(inline(rows)).encode(
        x=alt.X(
            "predicted:N", sort=columns, title="predicted", axis=alt.Axis(labelAngle=-40, orient="top", grid=False)
        ),
        y=alt.Y("gold:N", sort=order, title="gold", axis=alt.Axis(grid=False)),
    )
    shade = alt.Color("share:Q", scale=alt.Scale(domain=[0, 1], range=["transparent", _SHADE]), legend=None)
    cells = base.mark_rect().encode(color=shade, tooltip=tooltips("gold", "predicted", "count", "share"))
    numbers = base.mark_text(fontSize=12).encode(
        text=alt.Text("count:Q", format="~r"),
        color=alt.condition(f"datum.share > {_DARK}", alt.value("white"), alt.value(INK)),
        opacity=alt.condition("datum.count > 0", alt.value(1), alt.value(0.35)),
    )
    mean = f", mean of {plural(trials, 'trial')}" if trials > 1 else ""
    caption = (
        f"Types of gold spans and of the predicted spans that overlap them, in {split_name}, for the best configuration"
        f"{mean}. The shade is the share of the row."
    )
    return Chart.of(f"confusion_matrix_{split_name}", caption, (cells + numbers).properties(height=_CELL * len(order)))


def _rows(results: Results, split_name: SplitName) -> tuple[list[dict[str, str | float]], int]:
    """Return one row per cell, and the number of trials that it is a mean of."""
    counts: list[np.ndarray] = []
    types: list[str] = []
    for entry in results.entries[:1]:
        found = [results.cache.predictions(record.trial_id, split_name) for record in entry.records]
        labels = (span.label for one in found for rows in (one.gold, one.predicted) for spans in rows for span in spans)
        types = sorted(set(labels))
        counts = [confusion_counts(one.gold, one.predicted, types) for one in found]
    if not types:
        return [], 0
    mean = np.mean(counts, axis=0)
    frequent = sorted(np.argsort(-mean[:-1].sum(axis=1), kind="stable")[:MOST_TYPES])
    kept = [*frequent, len(types)]
    golds, guesses = [*types, SPURIOUS], [*types, MISSED]
    shares = mean / np.maximum(mean.sum(axis=1, keepdims=True), 1e-9)
    rows: list[dict[str, str | float]] = [
        {
            "gold": golds[row],
            "predicted": guesses[column],
            "count": round(float(mean[row, column]), 1),
            "share": round(float(shares[row, column]), 4),
        }
        for row in kept
        for column in kept
        if (row, column) != (len(types), len(types))
    ]
    return rows, len(counts)
