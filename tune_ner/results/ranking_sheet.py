"""The ranked table as a person reads it, and the columns that name a configuration in any table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tune_ner.utils.renderers import Column, Sheet

_MODEL_WIDTH = 18
_LEAVES = {name: place for place, name in enumerate(("s", "seen", "unseen", "gain", "95 %"))}


def ranking_sheet(table: pd.DataFrame, varied: Sequence[str]) -> Sheet:
    """The configurations by mean validation F1, test figures beside; see `tune_ner.reporting.ranking`."""
    some_left = ", ?: not compared" if table["Like Best"].isna().any() else ""
    several = bool((table["Trials"] + table["Failed"] + table["Stopped"] > 1).any())
    spread = ", mean ± SD of n" if several else ""
    figures = ("val F1", "=", "test F1", "95 %", "seen", "unseen", "gain", "s", *(("n",) if several else ()))
    return Sheet(
        f"Ranked by validation F1 of exact spans{spread} (=: not told from the best{some_left})",
        (
            Column("#", right=True),
            *configuration_columns(table["Model"], varied),
            *(Column(heading, right=True, leaves=_LEAVES.get(heading)) for heading in figures),
        ),
        tuple(
            (str(place), *configuration_cells(row, varied), *_figures(row, several))
            for place, (_, row) in enumerate(table.iterrows(), start=1)
        ),
    )


def configuration_columns(models: Sequence[str] | pd.Series[Any], varied: Sequence[str]) -> tuple[Column, ...]:
    """Model, scheme, learning rate and the axes that vary; model names that are too long are wrapped."""
    return (
        model_column(models),
        Column("scheme"),
        Column("lr", right=True),
        *(Column(name) for name in varied),
    )


def model_column(models: Sequence[str] | pd.Series[Any]) -> Column:
    """A column of model names."""
    longest = max((len(str(model)) for model in models), default=0)
    return Column("model", wraps=True, min_width=min(longest, _MODEL_WIDTH))


def configuration_cells(row: pd.Series[Any], varied: Sequence[str]) -> tuple[str, ...]:
    """The cells of `configuration_columns`, from a row with the columns of `ranking`."""
    return (
        str(row["Model"]),
        str(row["Tagging Scheme"]),
        f"{row['Learning Rate']:g}",
        *(f"{row[name]:.3g}" if isinstance(row[name], float) else str(row[name]) for name in varied),
    )


def _figures(row: pd.Series[Any], several: bool) -> tuple[str, ...]:
    return (
        _with_spread(row["Validation F1"], row["Validation F1 SD"]),
        "?" if pd.isna(row["Like Best"]) else "=" * bool(row["Like Best"]),
        _with_spread(row["Test F1"], row["Test F1 SD"]),
        f"{row['Test F1 Low']:.2f}–{row['Test F1 High']:.2f}",
        f"{row['Seen F1']:.3f}",
        f"{row['Unseen F1']:.3f}",
        "" if pd.isna(row["Gain"]) else f"{row['Gain']:+.3f}",
        f"{row['Seconds']:.1f}",
        *((_replicates(row),) if several else ()),
    )


def _with_spread(mean: float, deviation: float) -> str:
    return f"{mean:.4f}" if pd.isna(deviation) else f"{mean:.4f} ± {deviation:.4f}"


def _replicates(row: pd.Series[Any]) -> str:
    others = row["Failed"] + row["Stopped"]
    return f"{row['Trials']}" + (f" of {row['Trials'] + others}" if others else "")
