"""Table files of a run: CSV, Markdown, LaTeX, the refined search space and the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from tune_ner.config.hyperparameters import HYPERPARAMETERS, has_effect
from tune_ner.results.effects import ComparedEffect
from tune_ner.results.model_card import CARD_FILE, model_card
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.results.search_analysis import REFINED_SPACE_FILE
from tune_ner.results.selection import MAIN_HYPERPARAMETERS
from tune_ner.results.tables import STAGES
from tune_ner.utils.io import atomic_write
from tune_ner.utils.tables import csv_table, is_right_aligned, markdown_table
from tune_ner.utils.text import MISSING, format_bytes, format_clock, format_value, short_value, signed, visible


def write_tables(results: Results) -> list[Path]:
    """Write the tables of a run and return the files.

    Always written: `ner_results_with_lr.csv`, `curves.csv`, `leaderboard.csv`, `expected_best.csv` and `timings.csv`.
    With a completed trial: `leaderboard.md` and `leaderboard.tex`. For a search: `optimization_history.csv` and, with
    enough trials, `importances.csv` and `refined_space.yaml`. With an exported model: its card in `best/`.

    Raises:
        RunFolderError: a file cannot be written; it is unchanged.
        ModelError: `best/` is corrupt; all files but the model card are written.
    """
    tables = {
        "ner_results_with_lr.csv": results.trials(),
        "curves.csv": results.curves(),
        "leaderboard.csv": results.leaderboard(),
        "expected_best.csv": results.expected_best(),
        "timings.csv": results.timings(),
    }
    texts: dict[str, str] = {}
    if results.entries:
        leaderboard = format_leaderboard(results)
        texts["leaderboard.md"] = f"{markdown_table(leaderboard)}\n"
        texts["leaderboard.tex"] = latex_table(leaderboard, f"Leaderboard of run {results.name}, ranked on validation.")
    if search := results.search:
        tables["optimization_history.csv"] = search.history
        if search.importances is not None:
            tables["importances.csv"] = search.importances
        if refined := search.refined_yaml():
            texts[REFINED_SPACE_FILE] = refined
    texts = {name: csv_table(table) for name, table in tables.items()} | texts
    written = [atomic_write(results.run_dir.path / name, text) for name, text in texts.items()]
    if card := model_card(results):
        written.append(atomic_write(results.run_dir.models.best / CARD_FILE, card))
    return written


def latex_table(table: pd.DataFrame, caption: str) -> str:
    r"""Return a table of text as a LaTeX `table` for documents with `\usepackage{booktabs}`; markup is escaped."""
    style = table.map(visible).rename(columns=visible).style.hide(axis="index")
    style = style.format(escape="latex").format_index(axis="columns", escape="latex")
    text = style.to_latex(
        hrules=True,
        column_format="".join("r" if is_right_aligned(list(table[name])) else "l" for name in table.columns),
        caption=visible(caption),
        position_float="centering",
    )
    return str(text).replace("−", "$-$")  # LaTeX does not know the character


OPTIONAL_COLUMNS = ("seconds", "rank", "seen recall", "unseen recall", "vs. baseline", "95 % interval")
"""Columns of the leaderboard that narrow terminals leave out, the first one first."""

_HEADINGS = {"tagging_scheme": "scheme", "learning_rate": "lr"}

COLUMN_HELP = {
    **{_HEADINGS.get(name, name): each.row.help for name, each in HYPERPARAMETERS.items()},
    "#": "Rank by the mean validation score over seeds and folds.",
    "validation span F1": "F1 of exact spans on validation: mean ± standard deviation over seeds and folds.",
    "validation seqeval F1": "Micro-averaged F1 of entities on validation, as seqeval computes it from word labels.",
    "tied": "yes: not significantly worse than the best on validation (paired randomization test, Holm's correction).",
    "test span F1": "F1 of exact spans on test: mean ± standard deviation over seeds and folds.",
    "95 % interval": "95 % interval of test span F1.",
    "rank": "95 % interval of the rank on validation, from bootstrap resamples.",
    "seen recall": "Recall of test entities whose text is an entity in train, too.",
    "unseen recall": "Recall of test entities whose text is no entity in train.",
    "vs. baseline": "Test span F1 minus that of the best baseline without an encoder.",
    "seconds": "Mean wall time of a trial.",
    "runs": "Completed trials: seeds times folds.",
}
"""What the columns of the leaderboard mean, by their heading."""


def format_leaderboard(results: Results) -> pd.DataFrame:
    """Return the leaderboard as text; the selection metric has its own column unless it is span F1."""
    table = results.leaderboard()
    trials = table["n_completed"] + table["n_failed"] + table["n_pruned"]
    by_seqeval = {"validation seqeval F1": table["validation_seqeval_f1"].map(_f1)}
    columns: dict[str, Any] = {
        "#": table["rank"].map(str),
        **_configuration(table, results.varied),
        **(by_seqeval if results.selection_metric == "seqeval_f1" else {}),
        "validation span F1": _with_deviation(table, "validation_span_f1"),
        "tied": table["tied"].map(lambda tied: "not compared" if pd.isna(tied) else "yes" if tied else "no"),
        "test span F1": _with_deviation(table, "test_span_f1"),
        "95 % interval": _intervals(table, "test_span_f1"),
        "rank": _ranks(table),
        "seen recall": table["test_seen_recall"].map(_f1),
        "unseen recall": table["test_unseen_recall"].map(_f1),
        "vs. baseline": table["improvement_over_baseline"].map(lambda f1: MISSING if pd.isna(f1) else signed(f1)),
        "seconds": table["seconds"].map(_seconds),
    }
    if (trials > 1).any():
        columns["runs"] = [_of(done, every) for done, every in zip(table["n_completed"], trials, strict=True)]
    return pd.DataFrame(columns, dtype=str)


def shared_hyperparameters(results: Results) -> list[str]:
    """Return the main hyperparameters that are the same in all rows of the leaderboard; none if there is one row."""
    table = results.leaderboard()
    return [name for name in MAIN_HYPERPARAMETERS if len(table) > 1 and table[name].nunique(dropna=False) == 1]


def shared_values(results: Results) -> str:
    """Return the values that are the same in all rows of the leaderboard, such as `tiny:1x32 · BIO · lr 0.001`."""
    varied = set(MAIN_HYPERPARAMETERS).difference(shared_hyperparameters(results))
    return results.entries[0].records[0].config.titled(replicate=False, without=varied)


def format_stages(timings: pd.DataFrame) -> pd.DataFrame:
    """Return the mean seconds per stage and their shares as text, from `Results.timings()`."""
    rows = []
    for _, row in timings.iterrows():
        setting = _cost_setting(timings, row)
        seconds = {stage: _seconds(row[f"{stage}_seconds"]) for stage in (*STAGES, "other")}
        shares = {stage: _percent(row[f"{stage}_share"]) for stage in (*STAGES, "other")}
        whole = _percent(1.0 if row["seconds"] else None)
        rows.append(
            {**setting, "trials": f"{row['n_trials']}", "unit": "s", **seconds, "all": _seconds(row["seconds"])}
        )
        rows.append({**dict.fromkeys(setting, ""), "trials": "", "unit": "%", **shares, "all": whole})
    return pd.DataFrame(rows, dtype=str)


def format_speed(timings: pd.DataFrame) -> pd.DataFrame:
    """Return the training speed and peak memory as text, from `Results.timings()`."""
    rows = [
        {
            **_cost_setting(timings, row),
            "tokens/s": _whole(row["tokens_per_second"]),
            "with padding": _whole(row["computed_tokens_per_second"]),
            "peak memory": MISSING if pd.isna(row["peak_memory_bytes"]) else format_bytes(row["peak_memory_bytes"]),
        }
        for _, row in timings.iterrows()
    ]
    return pd.DataFrame(rows, dtype=str)


def format_effects(tested: Mapping[str, Sequence[ComparedEffect]]) -> pd.DataFrame:
    """Return a row for each pair of values: their difference in test F1 at the best settings and on average.

    Each has its interval, and `*` if it is significant.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for name, found in tested.items():
        for each in found:
            low, high = signed(each.interval.low), signed(each.interval.high)
            interval = f"{signed(each.effect.difference.difference)} ({low} to {high})"
            column = "at best settings" if each.effect.settings else "on average"
            row = rows.setdefault((name, each.effect.title), {"at best settings": "", "on average": ""})
            row[column] = f"{interval}{'*' if each.is_significant else ' '}"
    frame = pd.DataFrame([{"hyperparameter": name, "values": title, **cells} for (name, title), cells in rows.items()])
    return frame.loc[:, (frame != "").any()] if len(frame) else frame


def format_entity_types(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """Return mean precision, recall and F1 of each entity type on test over trials, and its number of entities."""
    scores = [record.result.metrics["test"].spans.per_type for record in records if record.result]
    types = dict.fromkeys(name for each in scores for name in each)
    rows = []
    for name in types:
        found = [each[name] for each in scores if name in each]
        means = {
            "precision": fmean(one.precision for one in found),
            "recall": fmean(one.recall for one in found),
            "F1": fmean(one.f1 for one in found),
        }
        support = fmean(one.support for one in found)
        rows.append({"type": name, **{key: _f1(value) for key, value in means.items()}, "support": f"{support:,.0f}"})
    return pd.DataFrame(rows, dtype=str)


def format_importances(importances: pd.DataFrame) -> pd.DataFrame:
    """Return the importances in percent as text, from `SearchAnalysis.importances`."""
    shares = {
        heading: importances[name].map(lambda share: f"{100 * share:.0f}")
        for heading, name in (("fANOVA", "fanova"), ("PED-ANOVA", "ped_anova"))
    }
    return pd.DataFrame({"hyperparameter": importances["hyperparameter"], **shares}, dtype=str)


def format_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a comparison of runs as text, from `comparison.runs_table`."""
    trials = [_of(done, planned) for done, planned in zip(runs["n_trials"], runs["n_planned"], strict=True)]
    return pd.DataFrame(
        {
            "run": runs["run"],
            "data": runs["data"],
            "trials": trials,
            "pruned": runs["n_pruned"].map(str),
            "best configuration": runs["best"].fillna(MISSING),
            "validation span F1": runs["validation_span_f1"].map(_f1),
            "test span F1": runs["test_span_f1"].map(_f1),
            "95 % interval": _intervals(runs, "test_span_f1"),
            "audit": runs["audit"],
            "wall time": runs["wall_seconds"].map(lambda wall: MISSING if pd.isna(wall) else format_clock(wall)),
        },
        dtype=str,
    )


def format_common(common: pd.DataFrame) -> pd.DataFrame:
    """Return the shared configurations as text, from `comparison.common_table`; a configuration is shown once."""
    names = [str(name) for name in common.columns[: common.columns.get_loc("run")]]
    configurations = pd.DataFrame(_configuration(common, names[len(MAIN_HYPERPARAMETERS) :]), dtype=str)
    metrics = {
        "run": common["run"],
        "validation span F1": common["validation_span_f1"].map(_f1),
        "test span F1": common["test_span_f1"].map(_f1),
        "95 % interval": _intervals(common, "test_span_f1"),
    }
    return pd.DataFrame({**configurations.mask(common.duplicated(names), ""), **metrics}, dtype=str)


def _intervals(table: pd.DataFrame, metric: str) -> list[str]:
    """Return the intervals of a metric as text: `0.71–0.84`."""
    ends = zip(table[f"{metric}_low"], table[f"{metric}_high"], strict=True)
    return [MISSING if pd.isna(low) else f"{low:.2f}–{high:.2f}" for low, high in ends]


def _ranks(table: pd.DataFrame) -> list[str]:
    """Return the limits of the ranks as text: `1–4`."""
    limits = zip(table["rank_low"], table["rank_high"], strict=True)
    return [
        MISSING if pd.isna(low) else f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}" for low, high in limits
    ]


def _configuration(table: pd.DataFrame, varied: Sequence[str]) -> dict[str, Any]:
    """Return the hyperparameters that differ between the rows; without any, the main ones."""
    names = [name for name in (*MAIN_HYPERPARAMETERS, *varied) if table[name].nunique(dropna=False) > 1]
    # where all heads are equal, a hyperparameter that has no effect with them does not vary
    heads = table["head"] if "head" in table else ["linear"] * len(table)
    return {
        _HEADINGS.get(name, name): [
            short_value(value) if has_effect(name, model, head) else MISSING
            for value, model, head in zip(table[name], table["model"], heads, strict=True)
        ]
        for name in names or MAIN_HYPERPARAMETERS
    }


def _cost_setting(timings: pd.DataFrame, row: pd.Series[Any]) -> dict[str, str]:
    """Return the encoder, the batching and those other settings that differ between the rows."""
    settings = list(timings.columns[: timings.columns.get_loc("n_trials")])
    shown = [name for name in settings if name in ("model", "batching") or timings[name].nunique(dropna=False) > 1]
    return {name.replace("_", " "): format_value(row[name]) for name in shown}


def _with_deviation(table: pd.DataFrame, metric: str) -> list[str]:
    pairs = zip(table[metric], table[f"{metric}_sd"].astype(float), strict=True)
    return [_f1(mean) if pd.isna(deviation) else f"{mean:.3f} ± {deviation:.3f}" for mean, deviation in pairs]


def _of(done: int, every: int) -> str:
    return f"{done}" if done >= every else f"{done} of {every}"


def _f1(value: float) -> str:
    return MISSING if pd.isna(value) else f"{value:.3f}"


def _seconds(value: float | None) -> str:
    if value is None or pd.isna(value):
        return MISSING
    return f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def _percent(share: float | None) -> str:
    if share is None or pd.isna(share):
        return MISSING
    percent = 100 * share
    return f"{percent:.1f}" if 0 < percent < 0.95 else f"{percent:.0f}"


def _whole(value: float | None) -> str:
    return MISSING if value is None or pd.isna(value) else f"{value:,.0f}"
