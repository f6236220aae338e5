"""Several runs beside each other: what each one found, and the configurations that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tune_ner.results.leaderboard import LeaderboardEntry, RunResults
from tune_ner.results.overview import data_of, trials_of, worst_of
from tune_ner.results.ranking_sheet import configuration_cells, configuration_columns
from tune_ner.results.selection import varied_axes
from tune_ner.results.test_set_log import used_test_splits
from tune_ner.results.time_sheets import clock
from tune_ner.results.timings import run_span
from tune_ner.utils.renderers import MISSING, Column, Layout, Sheet

Runs = Mapping[str, RunResults]
"""Results by the name that tells each run from the others."""

_CONFIGURATION = {"model": "Model", "tagging_scheme": "Tagging Scheme", "learning_rate": "Learning Rate"}
# Names of data and weights, and what tells replicates apart: no hyperparameters.
_NO_AXES = frozenset({"data_fingerprint", "model_fingerprint", "seed", "fold"})
_RUN_WIDTH = len(" val F1 test F1 0.00–0.00")


def named_apart(runs: Sequence[RunResults]) -> dict[str, RunResults]:
    """The runs by name, or by path where a name stands twice."""
    names = [run.folder.name for run in runs]
    return {
        name if names.count(name) == 1 else str(run.folder.path): run for name, run in zip(names, runs, strict=True)
    }


def runs_table(runs: Runs) -> pd.DataFrame:
    """One row a run: data, trials, its best configuration with its figures, the audit's severity, wall seconds.

    `Planned` are the trials of its space, `Stopped` those that the scheduler ended, `Test Parts` the
    fingerprints of its test parts, one a fold. The figures of a run without a finished trial are missing.
    """
    rows = [{"Run": name, **_run_row(run)} for name, run in runs.items()]
    return pd.DataFrame(rows)


def _run_row(run: RunResults) -> dict[str, Any]:
    best = run.leaderboard_entries[0] if run.leaderboard_entries else None
    return {
        "Data": data_of(run.space),
        "Trials": len(run.records),
        "Planned": trials_of(run.space, run.records),
        "Stopped": sum(record.status == "pruned" for record in run.records),
        "Best": best.records[0].config.titled(varied_axes(run.records), replicate=False) if best else None,
        **_figures(best),
        "Audit": worst_of(run.evidence.audits),
        "Wall Seconds": run_span(run.records).wall,
        "Test Parts": ", ".join(sorted(used_test_splits(run.folder.path))),
    }


def _figures(entry: LeaderboardEntry | None) -> dict[str, Any]:
    parts = {"Validation": entry and entry.validation, "Test": entry and entry.test}
    return {
        title: value
        for split_name, interval in parts.items()
        for title, value in (
            (f"{split_name} F1", interval and interval.estimate),
            (f"{split_name} F1 Low", interval and interval.low),
            (f"{split_name} F1 High", interval and interval.high),
        )
    }


def run_differences(runs: Runs) -> dict[str, list[str]]:
    """What is one value, or one set of seeds or folds, in each run but not the same in all: its values by run.

    Encoder, tagging scheme and learning rate are never among them: they name a configuration.
    """
    values = {
        name: [list(dict.fromkeys(getattr(record.config, name) for record in run.records)) for run in runs.values()]
        for name in _axes(runs)
    }
    differences = {
        name: [str(of_run[0]) for of_run in by_run]
        for name, by_run in values.items()
        if name not in _CONFIGURATION and all(len(of_run) == 1 for of_run in by_run) and _differ(by_run)
    }
    for name in ("seed", "fold"):
        sets = [sorted({getattr(r.config, name) for r in run.records} - {None}) for run in runs.values()]
        if _differ(sets):
            differences[name] = [", ".join(map(str, of_run)) or "none" for of_run in sets]
    return differences


def _axes(runs: Runs) -> list[str]:
    names = {name: None for run in runs.values() for r in run.records for name in type(r.config).model_fields}
    return [name for name in names if name not in _NO_AXES]


def _differ(values: Sequence[Sequence[Any]]) -> bool:
    return any(value != values[0] for value in values)


def common_table(runs: Runs) -> pd.DataFrame:
    """One row for each configuration that every run finished, in the order of the first run's ranking.

    Columns: the axes, and for each run, under a second level, its `Validation F1` and `Test F1` with
    their intervals. What `run_differences` names does not tell configurations apart.
    """
    apart = run_differences(runs)
    key = [name for name in _axes(runs) if name not in apart]
    by_run = {
        name: {tuple(getattr(s.ranked.configuration, axis) for axis in key): s for s in run.leaderboard_entries}
        for name, run in runs.items()
    }
    first = next(iter(by_run.values()), {})
    shared = [values for values in first if all(values in found for found in by_run.values())]
    varied = [axis for place, axis in enumerate(key) if len({values[place] for values in shared}) > 1]
    axes = [*_CONFIGURATION, *(axis for axis in varied if axis not in _CONFIGURATION)]
    rows = [
        {("", _CONFIGURATION.get(axis, axis)): values[key.index(axis)] for axis in axes}
        | {(run, title): value for run in runs for title, value in _figures(by_run[run][values]).items()}
        for values in shared
    ]
    columns = [("", _CONFIGURATION.get(axis, axis)) for axis in axes]
    columns += [(run, title) for run in runs for title in _figures(None)]
    return pd.DataFrame(rows, columns=pd.MultiIndex.from_tuples(columns))


def print_comparison(layout: Layout, runs: Runs) -> None:
    """Print several runs beside each other, what sets them apart, and the configurations that they share."""
    layout.title("The runs compared")
    layout.table(runs_sheet(runs_table(runs)))
    for name, values in run_differences(runs).items():
        told = "; ".join(f"{run}: {value}" for run, value in zip(runs, values, strict=True))
        layout.line(f"the runs differ in {name} ({told}).", "note", "yellow")
    for note in _test_part_notes(runs):
        layout.line(note, "note", "yellow")
    table = common_table(runs)
    if table.empty:
        layout.line(
            "No configuration finished in every run: only those are laid beside each other figure by figure. Run one "
            "space on both data, or take the other run's best into this one's space."
        )
    for names in _beside(table, list(runs), layout.width) if len(table) else ():
        layout.gap()
        layout.table(common_sheet(table, names))


def _test_part_notes(runs: Runs) -> list[str]:
    parts = {name: used_test_splits(run.folder.path) for name, run in runs.items() if run.leaderboard_entries}
    unknown = [name for name, used in parts.items() if not used]
    notes = [f"on which test part {', '.join(unknown)} was measured is not known."] if unknown else []
    known = {name: used for name, used in parts.items() if used}
    if len(set(known.values())) > 1:
        told = "; ".join(f"{name}: {_few(sorted(used))}" for name, used in known.items())
        notes.append(
            f"the test parts differ ({told}): texts or gold spans are not the same, and figures on different test "
            "parts are not comparable."
        )
    return notes


def _few(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{values[0]} and {len(values) - 1} more"


def _beside(table: pd.DataFrame, names: Sequence[str], width: int | None) -> list[list[str]]:
    """The runs in groups, each as large as fits into a line behind the configurations."""
    columns, rows = _configurations(pd.DataFrame(table[""]))
    taken = sum(
        1 + (column.min_width or max(len(column.heading), *(len(row[place]) for row in rows)))
        for place, column in enumerate(columns)
    )
    most = len(names) if width is None else max(1, (width - taken - 2) // _RUN_WIDTH)
    return [list(names[start : start + most]) for start in range(0, len(names), most)]


def runs_sheet(table: pd.DataFrame) -> Sheet:
    """The runs as a person reads them; see `runs_table`."""
    return Sheet(
        "The best configuration of each run, by validation",
        (
            Column("run", wraps=True),
            Column("data", wraps=True),
            Column("trials", right=True),
            Column("best", wraps=True),
            *(Column(heading, right=True) for heading in ("val F1\n95 %", "test F1\n95 %")),
            Column("audit", wraps=True),
            Column("wall", right=True),
        ),
        tuple(
            (
                str(row["Run"]),
                str(row["Data"]).replace(", ", "\n"),
                _of(row["Trials"], row["Planned"]) + (f"\n{row['Stopped']} stopped" if row["Stopped"] else ""),
                MISSING if pd.isna(row["Best"]) else str(row["Best"]),
                "\n".join(_interval_cells(row, "Validation F1")),
                "\n".join(_interval_cells(row, "Test F1")),
                str(row["Audit"]),
                MISSING if pd.isna(row["Wall Seconds"]) else clock(row["Wall Seconds"]),
            )
            for _, row in table.iterrows()
        ),
    )


def common_sheet(table: pd.DataFrame, runs: Sequence[str]) -> Sheet:
    """The shared configurations with the figures of some of the runs; see `common_table`."""
    columns, configurations = _configurations(pd.DataFrame(table[""]))
    figures = (Column(heading, right=True, group=run) for run in runs for heading in ("val F1", "test F1", "95 %"))
    return Sheet(
        "Configurations that every run finished",
        (*columns, *figures),
        tuple(
            (*cells, *(cell for run in runs for cell in _run_cells(row[run])))
            for cells, (_, row) in zip(configurations, table.iterrows(), strict=True)
        ),
    )


def _configurations(axes: pd.DataFrame) -> tuple[tuple[Column, ...], list[tuple[str, ...]]]:
    varied = [name for name in axes.columns if name not in _CONFIGURATION.values()]
    rows = [configuration_cells(row, varied) for _, row in axes.iterrows()]
    return configuration_columns(axes["Model"], varied), rows


def _run_cells(row: pd.Series[Any]) -> tuple[str, ...]:
    return _interval_cells(row, "Validation F1")[0], *_interval_cells(row, "Test F1")


def _interval_cells(row: pd.Series[Any], figure: str) -> tuple[str, str]:
    """A figure, and its interval."""
    if pd.isna(row[figure]):
        return MISSING, ""
    return f"{row[figure]:.3f}", f"{row[f'{figure} Low']:.2f}–{row[f'{figure} High']:.2f}"


def _of(trials: int, planned: int) -> str:
    return f"{trials}" if trials >= planned else f"{trials} of {planned}"
