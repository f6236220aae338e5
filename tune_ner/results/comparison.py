"""Comparison of several runs: their best configurations, their differences, and the configurations that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tune_ner.results.audits import highest_severity
from tune_ner.results.leaderboard import LeaderboardEntry
from tune_ner.results.run_results import Results
from tune_ner.results.selection import MAIN_HYPERPARAMETERS
from tune_ner.results.summary import best_title, describe_data
from tune_ner.results.tables import run_time
from tune_ner.results.test_set_log import used_test_splits

Runs = Mapping[str, Results]
"""Results by a unique name; see `unique_names`."""

_NO_HYPERPARAMETERS = frozenset({"data_fingerprint", "model_fingerprint", "seed", "fold"})


def unique_names(runs: Sequence[Results]) -> dict[str, Results]:
    """Return the runs by name, or by path where several have the same name."""
    names = [run.name for run in runs]
    return {
        name if names.count(name) == 1 else str(run.run_dir.path): run for name, run in zip(names, runs, strict=True)
    }


def runs_table(runs: Runs) -> pd.DataFrame:
    """Return one row per run: data, trials, its best configuration with span F1 and intervals, audit, wall time.

    `n_planned` is the number of trials of its grid, `audit` the worst severity, and `test_sets` the fingerprints of its
    test sets, one per fold. Metrics are missing for a run without a completed trial.
    """
    return pd.DataFrame([{"run": name, **_run_row(run)} for name, run in runs.items()])


def _run_row(run: Results) -> dict[str, Any]:
    return {
        "data": describe_data(run.space),
        "n_trials": len(run.records),
        "n_planned": run.planned_trials,
        "n_pruned": sum(record.status == "pruned" for record in run.records),
        "best": best_title(run.entries, run.records) if run.entries else None,
        **_metrics(run.entries[0] if run.entries else None),
        "audit": highest_severity(run.audits),
        "wall_seconds": run_time(run.records).wall_seconds,
        "test_sets": ", ".join(sorted(used_test_splits(run.run_dir.path))),
    }


def _metrics(entry: LeaderboardEntry | None) -> dict[str, float | None]:
    return {
        f"{split_name}_span_f1{end}": getattr(getattr(entry, split_name), field) if entry else None
        for split_name in ("validation", "test")
        for end, field in (("", "estimate"), ("_low", "low"), ("_high", "high"))
    }


def run_differences(runs: Runs) -> dict[str, list[str]]:
    """Return the settings that differ between runs but not within them, with the value of each run.

    Seeds and folds are compared as sets. Model, tagging scheme and learning rate are left out: they identify a
    configuration.
    """
    values = {
        name: [list(dict.fromkeys(getattr(record.config, name) for record in run.records)) for run in runs.values()]
        for name in _hyperparameters(runs)
    }
    differences = {
        name: [str(of_run[0]) for of_run in by_run]
        for name, by_run in values.items()
        if name not in MAIN_HYPERPARAMETERS and all(len(of_run) == 1 for of_run in by_run) and _differ(by_run)
    }
    for name in ("seed", "fold"):
        sets = [sorted({getattr(r.config, name) for r in run.records} - {None}) for run in runs.values()]
        if _differ(sets):
            differences[name] = [", ".join(map(str, of_run)) or "none" for of_run in sets]
    return differences


def _hyperparameters(runs: Runs) -> list[str]:
    names = {name: None for run in runs.values() for r in run.records for name in type(r.config).model_fields}
    return [name for name in names if name not in _NO_HYPERPARAMETERS]


def _differ(values: Sequence[Sequence[Any]]) -> bool:
    return any(value != values[0] for value in values)


def common_table(runs: Runs) -> pd.DataFrame:
    """Return the configurations that every run completed, one row per configuration and run.

    Columns are the hyperparameters, `run`, and validation and test span F1 with intervals. Configurations are in the
    order of the first run's leaderboard. Settings that differ between runs (`run_differences`) are ignored when
    configurations are matched.
    """
    differences = run_differences(runs)
    keys = [name for name in _hyperparameters(runs) if name not in differences]
    by_run = {
        run: {tuple(getattr(entry.configuration, key) for key in keys): entry for entry in results.entries}
        for run, results in runs.items()
    }
    first = next(iter(by_run.values()), {})
    shared = [values for values in first if all(values in entries for entries in by_run.values())]
    varied = [key for place, key in enumerate(keys) if len({values[place] for values in shared}) > 1]
    shown = [*MAIN_HYPERPARAMETERS, *(key for key in varied if key not in MAIN_HYPERPARAMETERS)]
    rows = [
        {key: values[keys.index(key)] for key in shown} | {"run": run, **_metrics(entries[values])}
        for values in shared
        for run, entries in by_run.items()
    ]
    return pd.DataFrame(rows, columns=[*shown, "run", *_metrics(None)])


def comparison_notes(runs: Runs) -> list[str]:
    """Describe the settings and test sets in which the runs differ."""
    notes = [f"The runs differ in {name}: {_by_run(runs, values)}." for name, values in run_differences(runs).items()]
    used = {name: used_test_splits(run.run_dir.path) for name, run in runs.items() if run.entries}
    if unknown := [name for name, test_sets in used.items() if not test_sets]:
        notes.append(f"The test set of {', '.join(unknown)} is unknown.")
    known = {name: sorted(test_sets) for name, test_sets in used.items() if test_sets}
    if _differ(list(known.values())):
        notes.append(
            f"The test sets differ in their texts or gold spans ({_by_run(known, list(map(_some, known.values())))}); "
            "metrics on different test sets are not comparable."
        )
    if common_table(runs).empty:
        notes.append("No configuration was completed in every run. To compare runs, use the same search space.")
    return notes


def _by_run(names: Mapping[str, Any], values: Sequence[str]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in zip(names, values, strict=True))


def _some(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{values[0]} and {len(values) - 1} more"
