"""Records → data frames and CSV files: one row a trial, one row an epoch, one row a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tune_ner.runs import RunFolder, TrialRecord

NOTEBOOK_COLUMNS = ["Model", "Tagging Scheme", "Learning Rate", "Precision", "Recall", "F1"]
"""The six columns of the notebook's table; precision, recall and F1 are those of the test part."""

_FIXED = frozenset({"data_fingerprint", "model_fingerprint", "precision"})
_TITLES = {"model": "Model", "tagging_scheme": "Tagging Scheme", "learning_rate": "Learning Rate", "seed": "Seed"}
_ALWAYS = frozenset({*_TITLES, "epochs"})
_FIGURES = {"precision": "Precision", "recall": "Recall", "f1": "F1", "accuracy": "Accuracy"}


def trials_table(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """One row a trial: the notebook's six columns, then accuracy, validation figures, how and how long.

    Sorted by model, tagging scheme, learning rate, the other axes that vary, and seed. The figures of a failed
    trial are missing, and its `Error` says why.
    """
    varied = varied_axes(records)
    rows = [_trial_row(record, varied) for record in records]
    columns = [
        *NOTEBOOK_COLUMNS,
        "Accuracy",
        *(f"Validation {title}" for title in _FIGURES.values()),
        *varied,
        "Seed",
        "Epochs",
        "Best Epoch",
        "Seconds",
        "Precision Used",
        "Status",
        "Error",
        "Trial",
    ]
    table = pd.DataFrame(rows, columns=columns).astype({"Best Epoch": "Int64"})
    return table.sort_values([*NOTEBOOK_COLUMNS[:3], *varied, "Seed"], ignore_index=True)


def curves_table(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """One row an epoch of a finished trial: losses and validation figures."""
    varied = varied_axes(records)
    rows = [
        {
            **_axes_row(record, varied),
            "Epoch": epoch.epoch,
            "Training Loss": epoch.training_loss,
            "Validation Loss": epoch.loss,
            **{f"Validation {title}": getattr(epoch, name) for name, title in _FIGURES.items()},
            "Trial": record.trial_id,
        }
        for record in records
        if record.result
        for epoch in record.result.epochs
    ]
    columns = [*NOTEBOOK_COLUMNS[:3], *varied, "Seed", "Epoch", "Training Loss", "Validation Loss"]
    columns += [*(f"Validation {title}" for title in _FIGURES.values()), "Trial"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values([*NOTEBOOK_COLUMNS[:3], *varied, "Seed", "Epoch"], ignore_index=True)


def ranking(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """One row a configuration, the best mean validation F1 first; seeds are replicates, never candidates.

    Columns: the axes but the seed, `Trials` (finished replicates), mean and standard deviation (ddof 1, missing
    for one replicate) of validation and test F1, mean test precision and recall, mean best epoch and seconds.
    Test figures stand beside and never enter the order; ties go by lower mean validation loss.
    """
    varied = varied_axes(records)
    axes = [*NOTEBOOK_COLUMNS[:3], *varied]
    rows = [
        {
            **_trial_row(record, varied),
            "Validation Loss": record.result.epochs[record.result.best_epoch - 1].loss,
        }
        for record in records
        if record.result
    ]
    columns = [*axes, "Validation F1", "F1", "Precision", "Recall", "Best Epoch", "Seconds", "Validation Loss"]
    groups = pd.DataFrame(rows, columns=columns).groupby(axes, sort=True)
    table = groups.agg(
        **{
            "Trials": ("F1", "size"),
            "Validation F1": ("Validation F1", "mean"),
            "Validation F1 SD": ("Validation F1", "std"),
            "Test F1": ("F1", "mean"),
            "Test F1 SD": ("F1", "std"),
            "Test Precision": ("Precision", "mean"),
            "Test Recall": ("Recall", "mean"),
            "Best Epoch": ("Best Epoch", "mean"),
            "Seconds": ("Seconds", "mean"),
            "Validation Loss": ("Validation Loss", "mean"),
        }
    ).reset_index()
    return table.sort_values(["Validation F1", "Validation Loss"], ascending=[False, True], ignore_index=True)


def varied_axes(records: Sequence[TrialRecord]) -> list[str]:
    """The hyperparameters, besides those that every table shows, that differ between the trials."""
    configs = [record.config.model_dump() for record in records]
    names = [name for name in (configs[0] if configs else {}) if name not in _ALWAYS | _FIXED]
    if len({config["epochs"] for config in configs}) > 1:
        names.append("epochs")
    return [name for name in names if len({config[name] for config in configs}) > 1]


def write_tables(folder: RunFolder) -> list[Path]:
    """Derive `ner_results_with_lr.csv` and `curves.csv` from a run's records; gives the files written."""
    records = folder.records()
    tables = {"ner_results_with_lr.csv": trials_table(records), "curves.csv": curves_table(records)}
    for name, table in tables.items():
        table.to_csv(folder.path / name, index=False)
    return [folder.path / name for name in tables]


def _axes_row(record: TrialRecord, varied: Sequence[str]) -> dict[str, Any]:
    config = record.config.model_dump()
    return {title: config[name] for name, title in _TITLES.items()} | {name: config[name] for name in varied}


def _trial_row(record: TrialRecord, varied: Sequence[str]) -> dict[str, Any]:
    row = {
        **_axes_row(record, varied),
        "Epochs": record.config.epochs,
        "Seconds": round(record.seconds, 3),
        "Status": record.status,
        "Error": record.error,
        "Trial": record.trial_id,
    }
    if result := record.result:
        row |= {title: getattr(result.test, name) for name, title in _FIGURES.items()}
        row |= {f"Validation {title}": getattr(result.validation, name) for name, title in _FIGURES.items()}
        row |= {"Best Epoch": result.best_epoch, "Precision Used": result.precision_used}
    return row
