"""The figures of a run's course: the time of its trials, and how a search grew."""

from __future__ import annotations

import altair as alt
import pandas as pd

from tune_ner.report.figure import Figure, rows
from tune_ner.report.marks import grouped_bars, rows_high, tooltip
from tune_ner.results.run_results import Results
from tune_ner.results.search_analysis import SearchAnalysis
from tune_ner.results.selection import varied_hyperparameters
from tune_ner.results.timings import STAGES, timings_table


def time_figure(results: Results) -> Figure | None:
    """What each trial took, beside what it reached."""
    varied = varied_hyperparameters(results.records)
    values = [
        {
            "trial": record.config.titled(varied),
            "model": record.config.model,
            "seconds": round(record.seconds, 2),
            "f1": record.best_score,
            "status": record.status,
        }
        for record in results.records
        if record.best_score is not None
    ]
    if not values:
        return None
    chart = (
        alt.Chart(rows(values))
        .mark_point(size=60, filled=True, opacity=0.75)
        .encode(
            x=alt.X("seconds:Q", title="wall time of the trial, s"),
            y=alt.Y("f1:Q", title="validation F1 (seqeval)", scale=alt.Scale(zero=False)),
            color=alt.Color("model:N", title=None, sort=None),
            tooltip=tooltip("trial", "seconds", "f1", "status"),
        )
        .properties(height=220)
    )
    return Figure.of("time", "Wall time of each trial and the validation F1 of its best epoch.", chart)


def stages_figure(results: Results) -> Figure | None:
    """Mean seconds of a trial by stage, for each encoder and way of batching."""
    table = timings_table(results.records)
    values = [
        {"what": f"{row['model']}, {row['batching']}", "stage": stage, "seconds": round(seconds, 3), "place": place}
        for _, row in table.iterrows()
        for place, stage in enumerate((*STAGES, "other"))
        if not pd.isna(seconds := row[f"{stage}_seconds"])
    ]
    if not values:
        return None
    chart = (
        alt.Chart(rows(values))
        .mark_bar()
        .encode(
            y=alt.Y("what:N", sort=None, title=None),
            x=alt.X("sum(seconds):Q", title="mean seconds of a trial"),
            color=alt.Color("stage:N", title=None, sort=[*STAGES, "other"]),
            order="place:Q",
            tooltip=tooltip("what", "stage", "seconds"),
        )
    )
    count = len({value["what"] for value in values})
    return Figure.of("stages", "Where the time of a trial goes.", rows_high(chart, count))


def growth_figure(search: SearchAnalysis) -> Figure | None:
    """Validation F1 of every trial of a search, and the best so far."""
    table = search.history.dropna(subset=["best_so_far"])
    values = [
        {"number": int(row["trial"]), "f1": _number(row[search.selection_metric]), "best": row["best_so_far"]}
        for _, row in table.iterrows()
    ]
    if not values:
        return None
    x = alt.X("number:Q", title="trial of the search", axis=alt.Axis(tickMinStep=1))
    base = alt.Chart(rows(values)).encode(x=x)
    y = alt.Y("f1:Q", title="validation F1 (seqeval)", scale=alt.Scale(zero=False))
    trials = base.mark_point(size=40, filled=True, opacity=0.6).encode(y=y, tooltip=tooltip("number", "f1", "best"))
    best = base.mark_line(interpolate="step-after").encode(y="best:Q", color=alt.value("#D55E00"))
    caption = "Every trial of the search (points) and the best so far (line)."
    return Figure.of("best_so_far", caption, alt.layer(trials, best).properties(height=220))


def importances_figure(search: SearchAnalysis) -> Figure | None:
    """How much each searched axis mattered, by both evaluators."""
    if search.importances is None:
        return None
    evaluators = [str(name) for name in search.importances.columns if name != "hyperparameter"]
    values = [
        {"what": str(row["hyperparameter"]), "evaluator": name, "share": float(row[name])}
        for _, row in search.importances.iterrows()
        for name in evaluators
    ]
    x = alt.X("share:Q", title="share of importance", axis=alt.Axis(format="%"))
    chart = grouped_bars(values, x, "evaluator", evaluators, ("what", "evaluator", "share"))
    return Figure.of("importances", "Importance of each searched axis for validation F1.", chart)


def _number(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
