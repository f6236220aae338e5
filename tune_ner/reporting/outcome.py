"""What a run found: the ranked table, what it says and how surely, and why trials failed or were stopped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tune_ner.reporting.encoding import batching_notes, encoding_notes
from tune_ner.reporting.layout import Column, Layout, Sheet
from tune_ner.reporting.questions import answers, summary_lines
from tune_ner.reporting.search_results import print_confirmation, print_what_mattered
from tune_ner.reporting.standing import RunResults
from tune_ner.reporting.tables import ranking
from tune_ner.runs import TrialRecord, varied_axes

_MODEL_WIDTH = 18


def print_outcome(layout: Layout, results: RunResults, trials: int) -> None:
    """Print the ranked table, what it says, what became of the other trials, and where the results of `trials` lie."""
    records = results.records
    if results.standings:
        layout.table(ranking_sheet(ranking(results), varied_axes(records)))
        for line in summary_lines(results.standings, records):
            layout.line(line)
        for question, sentences in answers(results.evidence, records):
            layout.heading(question)
            for sentence in sentences:
                layout.item(sentence)
        layout.gap()
    if results.search:
        print_confirmation(layout, results.search)
        print_what_mattered(layout, results.search)
        layout.gap()
    if stopped := stopped_note(records):
        layout.line(stopped, "note", "yellow")
    for record in records:
        if record.error:
            layout.line(f"{record.config.titled(varied_axes(records))}: {record.error}", record.status, "red")
    for note in (*encoding_notes(records), *batching_notes(records)):
        layout.line(note, "note", "yellow")
    if len(records) < trials:
        name = results.folder.name
        layout.line(
            f"{len(records)} of {trials} trials ended; the same command with --name {name} goes on",
            "stopped early",
            "yellow",
        )
    layout.line(f"Results: {results.folder.path}")
    if results.folder.models.exported:
        layout.line(f"Model: {results.folder.models.best}")


def stopped_note(records: Sequence[TrialRecord]) -> str:
    """What the scheduler stopped, and that no mean and no answer rests on it; empty where it stopped nothing."""
    epochs = sorted(len(record.curve) for record in records if record.status == "stopped")
    if not epochs:
        return ""
    after = f"{epochs[0]}" if epochs[0] == epochs[-1] else f"{epochs[0]} to {epochs[-1]}"
    return (
        f"{len(epochs)} of {len(records)} trials were stopped after {after} epochs for being behind; they have no test "
        "figure, and everything above is about the others"
    )


def ranking_sheet(table: pd.DataFrame, varied: Sequence[str]) -> Sheet:
    """The configurations by mean validation F1, test figures beside; see `tune_ner.reporting.ranking`."""
    several = bool((table["Trials"] + table["Failed"] + table["Stopped"] > 1).any())
    spread = ", mean ± SD of n" if several else ""
    figures = ("val F1", "=", "test F1", "95 %", "seen", "unseen", "gain", "s", *(("n",) if several else ()))
    return Sheet(
        f"Ranked by validation F1 of exact spans{spread} (=: not told from the best)",
        (
            Column("#", right=True),
            *configuration_columns(table["Model"], varied),
            *(Column(heading, right=True) for heading in figures),
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
        "=" if row["Like Best"] is True else "",
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
