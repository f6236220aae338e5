"""Records → data frames and CSV files: one row a trial, one row an epoch, one row a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.leaderboard import Evidence, LeaderboardEntry, RunResults
from tune_ner.results.model_card import CARD_FILE, model_card
from tune_ner.results.paper_tables import latex_of, markdown_of
from tune_ner.results.ranking_sheet import ranking_sheet
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.search_analysis import NARROWED_FILE
from tune_ner.results.selection import varied_axes
from tune_ner.results.timings import timings_table
from tune_ner.utils.io import atomic_write

NOTEBOOK_COLUMNS = ["Model", "Tagging Scheme", "Learning Rate", "Precision", "Recall", "F1"]
"""The six columns of the notebook's table; precision, recall and F1 are those of the test part."""

_TITLES = {"model": "Model", "tagging_scheme": "Tagging Scheme", "learning_rate": "Learning Rate", "seed": "Seed"}
_STANDING_COLUMNS = [
    "Trials",
    "Failed",
    "Stopped",
    "Validation F1",
    "Validation F1 SD",
    "Validation F1 Low",
    "Validation F1 High",
    "Like Best",
    "Test F1",
    "Test F1 SD",
    "Test F1 Low",
    "Test F1 High",
    "Seen F1",
    "Unseen F1",
    "Clean Test F1",
    "Gain",
    "Best Epoch",
    "Seconds",
]
_FIGURES = {"precision": "Precision", "recall": "Recall", "f1": "F1", "accuracy": "Accuracy"}


def trials_table(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """One row a trial: the notebook's six columns, then accuracy, validation figures, how and how long.

    Sorted by model, tagging scheme, learning rate, the other axes that vary, and seed. The figures of a failed
    trial are missing, and its `Error` says why; so are those of a stopped one, whose epochs are in `curves_table`.
    A searched trial has seqeval's validation figures of its best epoch, as a finished one, and no others.
    """
    varied, folds = varied_axes(records), _fold_column(records)
    rows = [_trial_row(record, varied) for record in records]
    columns = [
        *NOTEBOOK_COLUMNS,
        "Accuracy",
        *(f"Validation {title}" for title in _FIGURES.values()),
        *varied,
        "Seed",
        *folds,
        "Epochs",
        "Epochs Run",
        "Span F1",
        "Span F1 Macro",
        "Partial F1",
        "Type F1",
        "Strict F1",
        "Seen F1",
        "Unseen F1",
        "Invalid Transitions",
        "Validation Span F1",
        "Best Epoch",
        "Seconds",
        "Precision Used",
        "Status",
        "Error",
        "Trial",
    ]
    table = pd.DataFrame(rows, columns=columns).astype({"Best Epoch": "Int64", "Epochs Run": "Int64"})
    return table.sort_values([*NOTEBOOK_COLUMNS[:3], *varied, "Seed", *folds], ignore_index=True)


def load_results(path: Path | str) -> pd.DataFrame:
    """The trials of a run folder, or of every run in a folder of runs: `trials_table` with the run's name in front.

    Args:
        path: a run folder such as `results/demo-1`, or the folder that holds several.

    Raises:
        RunFolderError: there is no run, or a file of one is damaged.
    """
    folders = [RunDir.existing(run) for run in _runs_at(Path(path))]
    tables = []
    for folder in folders:
        table = trials_table(folder.records())
        table.insert(0, "Run", folder.name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _runs_at(path: Path) -> list[Path]:
    """The runs in a folder of runs; else the path itself, of which `RunFolder.existing` says what is wrong."""
    try:
        found = path.expanduser()
        is_run = (found / "trials.jsonl").exists()
        within = [] if is_run else sorted(file.parent for file in found.glob("*/trials.jsonl"))
    except (OSError, RuntimeError):
        return [path]
    return within or [path]


def curves_table(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """One row an epoch of a finished, searched or stopped trial: losses and validation figures."""
    varied, folds = varied_axes(records), _fold_column(records)
    rows = [
        {
            **_axes_row(record, varied),
            "Epoch": epoch.epoch,
            "Training Loss": epoch.training_loss,
            "Validation Loss": epoch.validation_loss,
            **{f"Validation {title}": getattr(epoch, _epoch_field(name)) for name, title in _FIGURES.items()},
            "Validation Span F1": epoch.validation_span_f1,
            "Trial": record.trial_id,
        }
        for record in records
        for epoch in record.curve
    ]
    columns = [*NOTEBOOK_COLUMNS[:3], *varied, "Seed", *folds, "Epoch", "Training Loss", "Validation Loss"]
    columns += [*(f"Validation {title}" for title in _FIGURES.values()), "Trial"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values([*NOTEBOOK_COLUMNS[:3], *varied, "Seed", *folds, "Epoch"], ignore_index=True)


def ranking(results: RunResults) -> pd.DataFrame:
    """One row a configuration, the best mean validation F1 first; seeds and folds are replicates of it.

    Columns: the axes, `Trials` (finished replicates), `Failed` and `Stopped`; mean validation and test F1 of exact
    spans with their standard deviation over replicates (ddof 1, missing for one) and 95 % interval; `Like Best`,
    whether validation cannot tell it from the first (empty where the two were not compared); test F1 over seen and
    unseen forms, and without the sentences that stand in train; `Gain`, test F1 less that of the best rule without a
    model; mean epochs and seconds. Test figures stand beside and never enter the order. Stopped replicates enter
    no mean.
    """
    varied = varied_axes(results.records)
    rows = [_standing_row(results.evidence, entry, varied) for entry in results.leaderboard_entries]
    return pd.DataFrame(rows, columns=[*NOTEBOOK_COLUMNS[:3], *varied, *_STANDING_COLUMNS])


def _standing_row(evidence: Evidence, entry: LeaderboardEntry, varied: Sequence[str]) -> dict[str, Any]:
    config = entry.ranked.configuration
    scores = [record.result.metrics["test"] for record in entry.records if record.result]
    test = [score.spans.f1 for score in scores]
    baseline = evidence.baseline_f1
    return {
        **_config_row(config, varied),
        "Trials": len(entry.records),
        "Failed": len(entry.ranked.failed),
        "Stopped": len(entry.ranked.pruned),
        "Validation F1": entry.ranked.mean_score,
        "Validation F1 SD": entry.ranked.deviation,
        "Validation F1 Low": entry.validation.low,
        "Validation F1 High": entry.validation.high,
        "Like Best": entry.tied,
        "Test F1": fmean(test),
        "Test F1 SD": stdev(test) if len(test) > 1 else None,
        "Test F1 Low": entry.test.low,
        "Test F1 High": entry.test.high,
        "Seen F1": fmean(score.seen.f1 for score in scores),
        "Unseen F1": fmean(score.unseen.f1 for score in scores),
        "Clean Test F1": fmean(_clean_f1(evidence, record) for record in entry.records),
        "Gain": None if baseline is None else fmean(test) - baseline,
        "Best Epoch": fmean(record.result.best_epoch for record in entry.records if record.result),
        "Seconds": fmean(record.seconds for record in entry.records),
    }


def _clean_f1(evidence: Evidence, record: TrialRecord) -> float:
    """Test F1 without the test sentences of which train holds a duplicate or near duplicate."""
    predictions = evidence.predictions(record.trial_id, "test")
    contaminated = evidence.contaminated(record.config.fold)
    kept = [row for row, index in enumerate(predictions.indices) if index not in contaminated]
    right, wrong, missed = evidence.counts(record, "test")[kept].sum(axis=0)
    return float(2 * right / max(1, 2 * right + wrong + missed))


def write_tables(results: RunResults) -> list[Path]:
    """Derive `ner_results_with_lr.csv`, `curves.csv`, `ranking.csv` and `timings.csv`; gives the files.

    Where a trial finished, `ranking.md` and `ranking.tex` are the ranked table for documents. A search has
    `best_so_far.csv` too, and where its trials tell enough `importances.csv` and `narrowed.yaml`. A model in `best/`
    has its card there.

    Raises:
        RunFolderError: a file cannot be written; it is then as it was before.
        ModelError: `best/` is damaged, so that there is no card; all else is written.
    """
    tables = {
        "ner_results_with_lr.csv": trials_table(results.records),
        "curves.csv": curves_table(results.records),
        "ranking.csv": ranking(results),
        "timings.csv": timings_table(results.records),
    }
    texts = {name: table.to_csv(index=False) for name, table in tables.items()}
    if results.leaderboard_entries:
        sheet = ranking_sheet(tables["ranking.csv"], varied_axes(results.records))
        texts |= {"ranking.md": markdown_of(sheet), "ranking.tex": latex_of(sheet)}
    if search := results.search:
        texts |= {name: table.to_csv(index=False) for name, table in search.tables().items()}
        if narrowed := search.narrowed_yaml():
            texts[NARROWED_FILE] = narrowed
    written = [atomic_write(results.folder.path / name, text) for name, text in texts.items()]
    if card := model_card(results):
        written.append(atomic_write(results.folder.models.best / CARD_FILE, card))
    return written


def _fold_column(records: Sequence[TrialRecord]) -> list[str]:
    return ["Fold"] if any(record.config.fold is not None for record in records) else []


def _config_row(config: TrialConfig, varied: Sequence[str]) -> dict[str, Any]:
    values = config.model_dump()
    return {title: values[name] for name, title in _TITLES.items()} | {name: values[name] for name in varied}


def _epoch_field(name: str) -> str:
    return "validation_accuracy" if name == "accuracy" else f"validation_seqeval_{name}"


def _axes_row(record: TrialRecord, varied: Sequence[str]) -> dict[str, Any]:
    return {**_config_row(record.config, varied), "Fold": record.config.fold}


def _trial_row(record: TrialRecord, varied: Sequence[str]) -> dict[str, Any]:
    row = {
        **_axes_row(record, varied),
        "Epochs": record.config.epochs,
        "Epochs Run": len(record.curve) or None,
        "Seconds": round(record.seconds, 3),
        "Status": record.status,
        "Error": record.error,
        "Trial": record.trial_id,
    }
    if result := record.result:
        row |= {title: getattr(result.metrics["test"].seqeval, name) for name, title in _FIGURES.items()}
        validation = result.metrics["validation"]
        row |= {f"Validation {title}": getattr(validation.seqeval, name) for name, title in _FIGURES.items()}
        test = result.metrics["test"]
        row |= {
            "Span F1": test.spans.f1,
            "Span F1 Macro": test.spans.macro_f1,
            "Partial F1": test.spans.matches["partial"].f1,
            "Type F1": test.spans.matches["type"].f1,
            "Strict F1": test.strict_seqeval.f1 if test.strict_seqeval else None,
            "Seen F1": test.seen.f1,
            "Unseen F1": test.unseen.f1,
            "Invalid Transitions": test.invalid_transitions,
            "Validation Span F1": validation.spans.f1,
        }
        row |= {"Best Epoch": result.best_epoch, "Precision Used": result.precision_used}
    elif record.phase == "search" and record.is_trained and record.curve:
        best = max(record.curve, key=lambda epoch: epoch.score(record.config.selection_metric))
        row["Validation Span F1"] = best.validation_span_f1
        row |= {f"Validation {title}": getattr(best, _epoch_field(name)) for name, title in _FIGURES.items()}
        row["Best Epoch"] = best.epoch
    return row
