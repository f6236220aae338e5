"""The figures of `timings.csv` as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tune_ner.results.records import TrialRecord
from tune_ner.results.timings import STAGES, cost_axes, older_stages, run_span, timings_table
from tune_ner.utils.renderers import MISSING, Column, Layout, Sheet

_SHORT = {"evaluate": "eval"}
_UNITS = ("B", "kB", "MB", "GB", "TB")
_HOUR = 3600


def print_timings(layout: Layout, records: Sequence[TrialRecord]) -> None:
    """Print where a run's time went, and how fast and in how much memory its trials were trained."""
    if not records:
        return
    layout.heading("Where the time goes")
    done = [record for record in records if record.result]
    if done:
        table, varied = timings_table(records), _shown_axes(done)
        layout.table(stages_sheet(table, varied))
        layout.table(speed_sheet(table, varied))
    for note in _notes(done):
        layout.line(note, "note", "yellow")
    span = run_span(records)
    if span.wall is not None and span.at_once is not None:
        layout.line(
            f"The run took {duration(span.wall)} from the first start to the last end, its trials together "
            f"{duration(span.trials)}: {span.at_once:.1f} at once on average."
        )


def stages_sheet(table: pd.DataFrame, varied: Sequence[str]) -> Sheet:
    """Mean seconds of a trial by stage, and below them the share of each; see `timings_table`."""
    stages = (*STAGES, "other")
    columns = (Column("n", right=True), Column(""), *(Column(_SHORT.get(s, s), right=True) for s in (*stages, "all")))
    rows: list[tuple[str, ...]] = []
    for _, row in table.iterrows():
        what = _what(row, varied)
        seconds = [_seconds(row[f"{stage.title()} Seconds"]) for stage in stages]
        shares = [_percent(row[f"{stage.title()} Share"]) for stage in stages]
        rows.append((*what, str(row["Trials"]), "s", *seconds, _seconds(row["Seconds"])))
        rows.append((*("" for _ in what), "", "%", *shares, _percent(1.0 if row["Seconds"] else None)))
    return Sheet("Mean seconds of a trial by stage, and their share", (*_what_columns(varied), *columns), tuple(rows))


def speed_sheet(table: pd.DataFrame, varied: Sequence[str]) -> Sheet:
    """Speed and memory of training; see `timings_table`."""
    headings = ("tokens/s", "with padding", "peak memory")
    return Sheet(
        "Subwords trained on per second, and peak memory",
        (*_what_columns(varied), *(Column(heading, right=True) for heading in headings)),
        tuple((*_what(row, varied), *_speed(row)) for _, row in table.iterrows()),
    )


def _speed(row: pd.Series[Any]) -> tuple[str, ...]:
    if row["Without Cost"] == row["Trials"]:
        return ("not recorded", *[MISSING] * 2)
    return (
        _whole(row["Tokens per Second"]),
        _whole(row["Computed Tokens per Second"]),
        MISSING if pd.isna(row["Peak Memory Bytes"]) else size(row["Peak Memory Bytes"]),
    )


def _notes(done: Sequence[TrialRecord]) -> list[str]:
    notes = []
    if older := older_stages(done):
        notes.append(f"an older version recorded {', '.join(older)}, which count as other here.")
    lacking = sum(1 for record in done if record.result and record.result.profile is None)
    if lacking:
        notes.append(
            f"{lacking} of {len(done)} finished trials recorded no tokens and no memory; an older version ran them."
        )
    return notes


def _shown_axes(done: Sequence[TrialRecord]) -> list[str]:
    results = [record.result for record in done if record.result]
    named = {"Device": "device", "Threads": "threads", "Precision Used": "precision_used"}
    differ = [title for title, name in named.items() if len({getattr(result, name) for result in results}) > 1]
    return [*cost_axes(done), *differ]


def _what_columns(varied: Sequence[str]) -> tuple[Column, ...]:
    return Column("model", wraps=True, min_width=14), Column("batching"), *(Column(name, wraps=True) for name in varied)


def _what(row: pd.Series[Any], varied: Sequence[str]) -> tuple[str, ...]:
    return str(row["Model"]), str(row["Batching"]), *(str(row[name]) for name in varied)


def duration(seconds: float) -> str:
    """A time as a person says it: `4.2 s`, `3 min 07 s`, `2 h 05 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // _HOUR:,} h {whole % _HOUR // 60:02d} min"


def clock(seconds: float) -> str:
    """A time in hours, minutes and seconds: `0:03:07`."""
    whole = round(seconds)
    return f"{whole // _HOUR}:{whole % _HOUR // 60:02d}:{whole % 60:02d}"


def size(count: float) -> str:
    """Bytes with a decimal unit: `512 MB`, `1.3 GB`."""
    for unit in _UNITS:
        if count < 999.5 or unit == _UNITS[-1]:
            break
        count /= 1000
    return f"{count:.1f} {unit}" if count < 9.95 and unit != "B" else f"{count:,.0f} {unit}"


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
