"""Charts of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import altair as alt
import pandas as pd

from tune_ner.evaluation.confidence_intervals import Interval
from tune_ner.report.vega import (
    INK,
    NOT_ZERO,
    PALETTE,
    Chart,
    Rows,
    by_title,
    colours,
    inline,
    interval_lines,
    score_title,
    tooltips,
    with_height,
)
from tune_ner.results.audits import BestBaseline, best_baseline
from tune_ner.results.leaderboard import LeaderboardEntry
from tune_ner.results.prediction_cache import Novelty
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.results.search_analysis import SearchAnalysis
from tune_ner.results.selection import MAIN_HYPERPARAMETERS, hyperparameter_values
from tune_ner.results.table_files import shared_hyperparameters
from tune_ner.results.tables import STAGES
from tune_ner.utils.text import format_value, visible

MOST_ENTRIES = 20
"""Configurations in the chart of the leaderboard."""

_MOST_COMPARED = 4  # configurations in the charts by entity type
_MOST_CATEGORIES = 12  # values of a hyperparameter; one with more numbers is drawn on a continuous axis
_BAR, _GAP, _SCATTER_HEIGHT = 14, 16, 220  # pixels


def leaderboard_chart(results: Results) -> Chart | None:
    """Draw validation and test span F1 of the best configurations; None without a completed trial."""
    entries = _best(results, MOST_ENTRIES)
    shown = f"the best {len(entries)} configurations" if len(entries) < len(results.entries) else "all configurations"
    caption = f"Span F1 with 95 % intervals of {shown}, in the order of the leaderboard."
    baseline = best_baseline(results.audits)
    if baseline:
        caption += f" The dashed line is the test span F1 of the best baseline without an encoder, {baseline.name}."
    return _chart_by_split("leaderboard", caption, entries, baseline)


def comparison_chart(runs: Mapping[str, Results]) -> Chart | None:
    """Draw validation and test span F1 of the best configuration of each run; None without a completed trial."""
    best = {visible(name): run.entries[0] for name, run in runs.items() if run.entries}
    return _chart_by_split("comparison", "Span F1 of the best configuration of each run, with 95 % intervals.", best)


def _chart_by_split(
    name: str, caption: str, entries: Mapping[str, LeaderboardEntry], baseline: BestBaseline | None = None
) -> Chart | None:
    rows = [
        {"title": title, "split": split_name, **_interval(interval)}
        for title, entry in entries.items()
        for split_name, interval in (("validation", entry.validation), ("test", entry.test))
    ]
    if not rows:
        return None
    splits = ["validation", "test"]
    base = by_title(rows, colours("split", splits)).encode(yOffset=alt.YOffset("split:N", sort=splits))
    points = base.mark_point().encode(
        x=alt.X("score:Q", scale=NOT_ZERO),
        shape=alt.Shape("split:N", sort=splits, legend=None),
        tooltip=tooltips("title", "split", "score", "low", "high"),
    )
    layers = [interval_lines(base, "span F1"), points]
    if baseline:
        frame = pd.DataFrame([{"title": f"best baseline ({baseline.name})", "score": baseline.f1}])
        dash = alt.StrokeDash("title:N", title=None, scale=alt.Scale(range=[[4, 4]]))
        rule = alt.Chart(frame).mark_rule(strokeWidth=1.5, color="#767676")
        layers.append(rule.encode(x="score:Q", strokeDash=dash, tooltip=tooltips("title", "score")))
    return Chart.of(name, caption, with_height(alt.layer(*layers), rows))


def entity_types_chart(results: Results) -> Chart | None:
    """Draw test span F1 of each entity type for the best configurations; None without a completed trial."""
    entries = _best(results, _MOST_COMPARED)
    types = dict.fromkeys(
        name
        for entry in entries.values()
        for record in entry.records
        if record.result
        for name in record.result.metrics["test"].spans.per_type
    )
    rows = [
        {"title": name, "group": title, **_interval(results.cache.interval(entry.records, "test", label=name))}
        for name in types
        for title, entry in entries.items()
    ]
    caption = f"Test span F1 of each entity type with 95 % intervals, for the best {len(entries)} configurations."
    return _grouped_bars("entity_types", caption, rows, list(entries))


def seen_entities_chart(results: Results) -> Chart | None:
    """Draw test recall of entities that occur in train and of new ones; None without a completed trial."""
    entries = _best(results, _MOST_COMPARED)
    has_intervals = bool(results.audits)
    novelties: tuple[Novelty, ...] = ("seen", "unseen")
    rows = []
    for novelty in novelties:
        scores = {
            title: [getattr(r.result.metrics["test"], novelty) for r in entry.records if r.result]
            for title, entry in entries.items()
        }
        counts = {score.support for found in scores.values() for score in found}
        count = f"{min(counts)}" if len(counts) == 1 else f"about {round(fmean(counts))}" if counts else ""
        for title, entry in entries.items():
            row: dict[str, Any] = {"title": f"{novelty} ({count} entities)", "group": title}
            if has_intervals:
                row |= _interval(results.cache.recall(entry.records, "test", novelty))
            else:
                row |= {"score": fmean(s.recall for s in scores[title])}
            rows.append(row)
    intervals = ", with Wilson's 95 % intervals" if has_intervals else ""
    caption = f"Test recall of entities that occur in train (seen) and of new ones (unseen){intervals}."
    return _grouped_bars(
        "seen_entities",
        caption,
        rows,
        list(entries),
        alt.X("score:Q", title="test recall", scale=alt.Scale(domain=[0, 1])),
    )


def effects_chart(results: Results) -> Chart | None:
    """Draw the main effects of the hyperparameters on test span F1; None if none of them varies."""
    rows = [
        {
            "title": effect.title,
            "hyperparameter": hyperparameter_title(name),
            "difference": effect.difference.difference,
            "low": effect.difference.low,
            "high": effect.difference.high,
            "pairs": effect.pairs,
        }
        for name, effects in results.effects.items()
        for effect in effects
    ]
    if not rows:
        return None
    zero = alt.Chart(inline([{"zero": 0}])).mark_rule(strokeDash=[4, 3], color=INK).encode(x="zero:Q")
    base = by_title(rows, colours("hyperparameter"))
    points = base.mark_point().encode(
        x="difference:Q",
        shape=alt.Shape("hyperparameter:N", legend=None, sort=None),
        tooltip=tooltips("title", "difference", "low", "high", "pairs"),
    )
    caption = (
        "Difference in test span F1 between matched pairs of trials that are equal in all other hyperparameters, with "
        "95 % intervals, each on its own. The sentences below have the wider intervals of all comparisons together."
    )
    chart = alt.layer(zero, interval_lines(base, "difference in test span F1"), points)
    return Chart.of("hyperparameter_effects", caption, with_height(chart, rows))


def hyperparameter_charts(results: Results) -> tuple[Chart, ...]:
    """Draw the validation score of every completed trial by its hyperparameters.

    One chart shows all hyperparameters with few values, further ones each hyperparameter on a continuous axis.
    """
    trials = completed_trials(results)
    values = {name: hyperparameter_values(trials, name) for name in (*MAIN_HYPERPARAMETERS, *results.varied)}
    is_number = {name: all(isinstance(value, int | float) for value in found) for name, found in values.items()}
    sampled = results.space.distributions if results.space else {}
    continuous = [
        name
        for name, found in values.items()
        if len(found) > 1 and is_number[name] and (len(found) > _MOST_CATEGORIES or name in sampled)
    ]
    categories = [n for n, found in values.items() if n not in continuous and 1 < len(found) <= _MOST_CATEGORIES]
    rows = [
        {
            "title": f"{hyperparameter_title(name)} {value_text(value)}",
            "hyperparameter": hyperparameter_title(name),
            **_trial(record, results),
        }
        for name in categories
        for value in values[name]
        for record in trials
        if getattr(record.config, name) == value
    ]
    charts = [_values_chart(rows, results)] if rows else []
    return (*charts, *(_scatter_by_value(name, trials, results) for name in continuous))


def _values_chart(rows: Rows, results: Results) -> Chart:
    base = by_title(rows, colours("hyperparameter"))
    x = alt.X("score:Q", title=score_title(results.selection_metric), scale=NOT_ZERO)
    trials = base.mark_tick(thickness=1.5, opacity=0.6).encode(x=x, tooltip=tooltips("trial", "score"))
    means = base.mark_point(size=80, opacity=1, stroke=INK, strokeWidth=1).encode(
        x=alt.X("mean(score):Q", scale=NOT_ZERO), shape=alt.Shape("hyperparameter:N", legend=None, sort=None)
    )
    caption = "Completed trials at each value of the hyperparameters (ticks) and their mean (points)."
    return Chart.of("hyperparameter_values", caption, with_height(alt.layer(trials, means), rows))


def _scatter_by_value(name: str, trials: Sequence[TrialRecord], results: Results) -> Chart:
    distribution = results.space.distributions.get(name) if results.space else None
    is_logarithmic = distribution.log if distribution else name == "learning_rate"
    scale = alt.Scale(type="log") if is_logarithmic else NOT_ZERO
    rows = [{"value": getattr(record.config, name), **_trial(record, results)} for record in trials]
    x = alt.X("value:Q", title=hyperparameter_title(name), scale=scale, axis=alt.Axis(format="~g"))
    caption = f"Completed trials by {hyperparameter_title(name)}; other hyperparameters vary, too."
    return Chart.of(f"hyperparameter_{name}", caption, _scatter(rows, x, results, ("trial", "score")))


def history_chart(search: SearchAnalysis) -> Chart | None:
    """Draw the score of every trial of a search and the best so far; None without a completed trial."""
    table = search.history.dropna(subset=["best_so_far"])
    scores = table[search.selection_metric]
    rows = [
        {"number": int(number), "score": None if pd.isna(score) else float(score), "best": best}
        for number, score, best in zip(table["trial"], scores, table["best_so_far"], strict=True)
    ]
    if not rows:
        return None
    title = score_title(search.selection_metric.removeprefix("validation_"))
    base = alt.Chart(inline(rows), height=_SCATTER_HEIGHT).encode(
        x=alt.X("number:Q", title="trial of the search", axis=alt.Axis(tickMinStep=1, format="d"))
    )
    points = base.mark_point().encode(
        y=alt.Y("score:Q", title=title, scale=NOT_ZERO), tooltip=tooltips("number", "score", "best")
    )
    best = base.mark_line(interpolate="step-after", color=PALETTE[1]).encode(y="best:Q")
    caption = "Score of every trial of the search (points) and the best score so far (line)."
    return Chart.of("optimization_history", caption, alt.layer(points, best))


def importances_chart(search: SearchAnalysis) -> Chart | None:
    """Draw the importance of each searched hyperparameter; None if there are too few trials."""
    if search.importances is None:
        return None
    evaluators = {"fanova": "fANOVA", "ped_anova": "PED-ANOVA"}
    rows = [
        {"title": hyperparameter_title(row["hyperparameter"]), "group": evaluator, "share": float(row[name])}
        for _, row in search.importances.iterrows()
        for name, evaluator in evaluators.items()
    ]
    caption = "Importance of each searched hyperparameter for the validation score."
    x = alt.X("share:Q", title="importance", axis=alt.Axis(format="%"))
    return _grouped_bars("hyperparameter_importances", caption, rows, list(evaluators.values()), x)


def time_chart(results: Results) -> Chart | None:
    """Draw the score of each trial by its wall time; None without a trained epoch."""
    rows = [
        {"seconds": round(record.seconds, 2), "status": record.status, **_trial(record, results)}
        for record in results.records
        if record.best_score is not None
    ]
    if not rows:
        return None
    x = alt.X("seconds:Q", title="wall time of the trial (s)")
    chart = _scatter(rows, x, results, ("trial", "seconds", "score", "status"))
    return Chart.of("trial_time", "Wall time of each trial and its score at the best epoch.", chart)


def stages_chart(results: Results) -> Chart | None:
    """Draw the mean seconds of a trial by stage for each encoder and batching; None without a completed trial."""
    stages = [*STAGES, "other"]
    rows = [
        {"title": f"{row['model']}, {row['batching']}", "stage": stage, "seconds": round(seconds, 3), "order": place}
        for _, row in results.timings().iterrows()
        for place, stage in enumerate(stages)
        if not pd.isna(seconds := row[f"{stage}_seconds"])
    ]
    if not rows:
        return None
    bars = by_title(rows, colours("stage", stages)).mark_bar()
    chart = bars.encode(
        x=alt.X("sum(seconds):Q", title="mean seconds of a trial"),
        order="order:Q",
        tooltip=tooltips("title", "stage", "seconds"),
    )
    return Chart.of("trial_stages", "Mean seconds of a trial by stage.", with_height(chart, rows))


def _grouped_bars(name: str, caption: str, rows: Rows, groups: list[str], x: alt.X | None = None) -> Chart | None:
    """Draw bars side by side for each title, with intervals if all rows have them; None without rows."""
    if not rows:
        return None
    x = x or alt.X("score:Q", title="test span F1", scale=alt.Scale(domain=[0, 1]))
    base = by_title(rows).encode(yOffset=alt.YOffset("group:N", sort=groups))
    has_intervals = all("low" in row for row in rows)
    shown = [field for field in ("title", "group", "score", "share", "low", "high") if field in rows[0]]
    colour = colours("group", groups, legend=alt.Legend(columns=1, labelLimit=400))
    layers: list[alt.Chart] = [base.mark_bar(opacity=0.85).encode(x=x, color=colour, tooltip=tooltips(*shown))]
    if has_intervals:
        layers.append(base.mark_rule(strokeWidth=1.5, color=INK).encode(x="low:Q", x2="high:Q"))
    titles = len({row["title"] for row in rows})
    return Chart.of(name, caption, alt.layer(*layers).properties(height=titles * (_GAP + _BAR * len(groups))))


def _scatter(rows: Rows, x: alt.X, results: Results, shown: Sequence[str]) -> alt.Chart:
    """Draw the score of trials, coloured by encoder."""
    chart: alt.Chart = (
        alt.Chart(inline(rows), height=_SCATTER_HEIGHT)
        .mark_point()
        .encode(
            x=x,
            y=alt.Y("score:Q", title=score_title(results.selection_metric), scale=NOT_ZERO),
            color=colours("model", [str(model) for model in hyperparameter_values(results.records, "model")]),
            tooltip=tooltips(*shown),
        )
    )
    return chart


def _interval(interval: Interval) -> dict[str, float]:
    values = {"score": interval.estimate, "low": interval.low, "high": interval.high}
    return {name: round(value, 5) for name, value in values.items()}


def _trial(record: TrialRecord, results: Results) -> dict[str, Any]:
    return {
        "trial": record.config.titled(results.varied),
        "model": record.config.model,
        "score": record.best_score,
    }


def completed_trials(results: Results) -> list[TrialRecord]:
    """Return the completed trials that compare hyperparameters.

    Those of models with an encoder, if there are any; for a search those that it sampled, without those that confirm
    the best.
    """
    trained = [record for record in results.records if record.best_score is not None and record.is_trained]
    trained = [record for record in trained if not record.config.is_baseline] or trained
    return [record for record in trained if record.phase == "search"] or trained


def _best(results: Results, most: int) -> dict[str, LeaderboardEntry]:
    """Return the best entries of the leaderboard by their rank and the values in which entries differ."""
    shared = shared_hyperparameters(results)
    return {
        f"#{place} {entry.configuration.titled(results.varied, replicate=False, without=shared)}".strip(): entry
        for place, entry in enumerate(results.entries[:most], start=1)
    }


def hyperparameter_title(hyperparameter: str) -> str:
    """Return the name of a hyperparameter as a chart shows it."""
    return hyperparameter.replace("_", " ")


def value_text(value: object) -> str:
    """Return the value of a hyperparameter as a chart shows it; None stands for the encoder's own."""
    return "default" if value is None else format_value(value)
