"""The figures of the best configurations: where they stand, by entity type, and on seen and unseen forms."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

import altair as alt

from tune_ner.evaluation.confidence_intervals import Interval, f1_interval
from tune_ner.report.figure import Figure
from tune_ner.report.marks import EXACT_F1, grouped_bars, interval_row, parts_with_intervals
from tune_ner.results.leaderboard import LeaderboardEntry
from tune_ner.results.prediction_cache import Novelty
from tune_ner.results.run_results import Results
from tune_ner.results.selection import varied_hyperparameters
from tune_ner.training.result import SplitMetrics
from tune_ner.utils.text import visible

MOST_RANKED = 20
"""Configurations that the figure of the standings shows."""

MOST_BY_TYPE = 4
"""Configurations whose entity types are drawn beside each other."""

_FORMS: tuple[Novelty, ...] = ("seen", "unseen")
_F1 = alt.X("f1:Q", title=f"test {EXACT_F1}", scale=alt.Scale(domain=[0, 1]))


def ranking_figure(results: Results) -> Figure:
    """Validation and test F1 of the best configurations with their intervals."""
    shown = _best(results, MOST_RANKED)
    values = [
        {"what": name, "split": split_name, **interval_row(interval)}
        for name, entry in shown.items()
        for split_name, interval in (("validation", entry.validation), ("test", entry.test))
    ]
    whole = len(results.entries)
    of = f"the best {len(shown)} of {whole} configurations" if len(shown) < whole else "all configurations"
    caption = f"F1 of exact spans with 95 % intervals, {of} in the order of their validation F1."
    return Figure.of("ranking", caption, parts_with_intervals(values))


def best_configurations_figure(runs: Mapping[str, Results]) -> Figure | None:
    """Validation and test F1 of the best configuration of each run; None where no run finished a trial."""
    values = [
        {"what": visible(name), "split": split_name, **interval_row(interval)}
        for name, run in runs.items()
        for best in run.entries[:1]
        for split_name, interval in (("validation", best.validation), ("test", best.test))
    ]
    if not values:
        return None
    caption = "F1 of exact spans of the best configuration of each run, with 95 % intervals."
    return Figure.of("runs", caption, parts_with_intervals(values))


def types_figure(results: Results) -> Figure | None:
    """Test F1 of each entity type for the best configurations, with intervals; None where nothing finished."""
    shown = _best(results, MOST_BY_TYPE)
    labels = dict.fromkeys(label for entry in shown.values() for label in _test_scores(entry)[0].spans.per_type)
    values = [
        {"what": label, "configuration": name, **interval_row(_type_interval(results, entry, label))}
        for label in labels
        for name, entry in shown.items()
    ]
    if not values:
        return None
    chart = grouped_bars(values, _F1, "configuration", list(shown), ("what", "configuration", "f1", "low", "high"))
    caption = f"Test F1 of each entity type with 95 % intervals, the best {len(shown)} configurations by validation."
    return Figure.of("types", caption, chart)


def forms_figure(results: Results) -> Figure | None:
    """Test F1 over entities whose surface form was an entity in train, and over those that are new."""
    shown = _best(results, MOST_BY_TYPE)
    known = bool(results.audits)
    values = [
        {
            "what": f"{form} (n = {_support(shown, form)})",
            "configuration": name,
            "f1": fmean(getattr(scores, form).f1 for scores in _test_scores(entry)),
            **(interval_row(_form_interval(results, entry, form)) if known else {}),
        }
        for form in _FORMS
        for name, entry in shown.items()
    ]
    if not values:
        return None
    ends = ("low", "high") if known else ()
    chart = grouped_bars(values, _F1, "configuration", list(shown), ("what", "configuration", "f1", *ends))
    with_ends = " with 95 % intervals" if known else ""
    caption = f"Test F1 over forms that were entities in train (seen) and over new ones (unseen){with_ends}."
    return Figure.of("forms", caption, chart)


def _best(results: Results, most: int) -> dict[str, LeaderboardEntry]:
    """The best configurations by what they are called."""
    varied = varied_hyperparameters(results.records)
    return {
        f"#{place} {entry.ranked.configuration.titled(varied, replicate=False)}": entry
        for place, entry in enumerate(results.entries[:most], start=1)
    }


def _type_interval(results: Results, entry: LeaderboardEntry, label: str) -> Interval:
    counts, sentences = results.cache.replicate_counts(entry.records, "test", label)
    return f1_interval(counts, groups=sentences)


def _form_interval(results: Results, entry: LeaderboardEntry, form: Novelty) -> Interval:
    counts, sentences = results.cache.replicate_counts(entry.records, "test", novelty=form)
    return f1_interval(counts, groups=sentences)


def _support(shown: Mapping[str, LeaderboardEntry], form: Novelty) -> str:
    """Entities of a form in the test part; of several parts, as of folds, their mean."""
    counts = {getattr(scores, form).support for entry in shown.values() for scores in _test_scores(entry)}
    return f"{min(counts)}" if len(counts) == 1 else f"about {round(fmean(counts))}"


def _test_scores(entry: LeaderboardEntry) -> list[SplitMetrics]:
    return [record.result.metrics["test"] for record in entry.records if record.result]
