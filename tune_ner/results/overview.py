"""What a run was: its data, its space, how its trials ended, and what the audit found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, get_args

from tune_ner.config.distributions import NumberDistribution, format_distribution
from tune_ner.config.search_space import SearchSpace, SplitSettings
from tune_ner.results.leaderboard import RunResults
from tune_ner.results.records import Status, TrialRecord
from tune_ner.results.selection import axis_values
from tune_ner.utils.renderers import Layout

SEVERITY_COLOURS = {"error": "bold red", "warning": "yellow"}

_MOST_VALUES = 8


def print_overview(layout: Layout, results: RunResults) -> None:
    """Print a run's name, data, trials by status and space."""
    space = results.space
    layout.title(f"Run {results.folder.name}")
    layout.facts(
        {
            "data": data_of(space),
            **({} if isinstance(space, str) else {"split": split_of(space.split)}),
            "trials": _trials(results.records, trials_of(space, results.records)),
            **(_axes_of_records(results.records) if isinstance(space, str) else searched_axes(space)),
        }
    )
    if isinstance(space, str):
        layout.line(space, "note", "yellow")
    if results.folder.torn:
        layout.line(f"{results.folder.trials_file}: the last record is torn and left out", "note", "yellow")


def data_of(space: SearchSpace | str) -> str:
    """Which corpus, and what was done with the marks in it."""
    return "not known" if isinstance(space, str) else f"{space.data}, markup {space.markup}"


def trials_of(space: SearchSpace | str, records: Sequence[TrialRecord]) -> int:
    """How many trials the run was to have; those that ended where its space is not known."""
    if isinstance(space, str) or space.distributions:
        return len(records)
    return math.prod(len(values) for values in space.grid_values.values())


def split_of(split: SplitSettings) -> str:
    """How the sentences were divided."""
    if split.folds:
        return f"{split.folds} folds ({split.method}), seed {split.seed}"
    return f"{split.method}: test {split.test_size:g}, validation {split.validation_size:g}, seed {split.seed}"


def _trials(records: Sequence[TrialRecord], planned: int) -> str:
    counts = {status: sum(record.status == status for record in records) for status in get_args(Status)}
    counts["not run"] = max(0, planned - len(records))
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none"


def searched_axes(space: SearchSpace) -> dict[str, str]:
    """What was searched, axis by axis, and what was the same for all trials."""
    axes = space.hyperparameters
    fixed = {name: values for name, values in axes.items() if isinstance(values, list) and len(values) == 1}
    return {
        **{name: _listed(values) for name, values in axes.items() if name not in fixed},
        "fixed": ", ".join(f"{name} {_listed(values)}" for name, values in fixed.items()),
    }


def _axes_of_records(records: Sequence[TrialRecord]) -> dict[str, str]:
    names = ("model", "tagging_scheme", "learning_rate", "seed")
    return {name: _listed(axis_values(records, name)) for name in names if records}


def _listed(values: list[Any] | NumberDistribution) -> str:
    if not isinstance(values, list):
        return format_distribution(values)
    shown = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values[:_MOST_VALUES])
    return shown if len(values) <= _MOST_VALUES else f"{shown}, … ({len(values)})"


@dataclass(frozen=True)
class ToldFinding:
    """A finding of the audit, and the folds that share it (None: the one split)."""

    severity: str
    title: str
    count: int
    total: int
    suggestion: str
    folds: tuple[int | None, ...]


def told_findings(audits: Mapping[int | None, Mapping[str, Any]]) -> list[ToldFinding]:
    """The errors, then the warnings of all folds, equal ones once."""
    shared: dict[tuple[Any, ...], list[int | None]] = {}
    for severity in SEVERITY_COLOURS:
        for fold, audit in audits.items():
            for finding in audit["findings"]:
                if finding["severity"] == severity:
                    key = tuple(finding[name] for name in ("severity", "title", "count", "total", "suggestion"))
                    shared.setdefault(key, []).append(fold)
    return [
        ToldFinding(severity, title, count, total, suggestion, tuple(dict.fromkeys(folds)))
        for (severity, title, count, total, suggestion), folds in shared.items()
    ]


def worst_of(audits: Mapping[int | None, Mapping[str, Any]]) -> str:
    """The severity of the worst finding of all folds, `none` without any, `not audited` without an audit."""
    found = {str(audit["severity"] or "none") for audit in audits.values()}
    return next((worst for worst in ("error", "warning", "info", "none") if worst in found), "not audited")


def print_audit_section(layout: Layout, audits: Mapping[int | None, Mapping[str, Any]]) -> None:
    """Print the summary of the audit, and each error and warning with what to do."""
    layout.heading("Audit of the data")
    if not audits:
        layout.line("not audited")
        return
    summaries: dict[tuple[str, str], list[int | None]] = {}
    for fold, audit in audits.items():
        summaries.setdefault((audit["summary"], str(audit["severity"])), []).append(fold)
    for (summary, worst), folds in summaries.items():
        layout.line(f"{_of_folds(folds, audits)}{summary}", colour=SEVERITY_COLOURS.get(worst, "green"))
    for suggestion, findings in groupby(told_findings(audits), key=lambda finding: finding.suggestion):
        for finding in findings:
            concerned = f" ({finding.count:,} of {finding.total:,})" if finding.count != finding.total else ""
            what = f"{_of_folds(finding.folds, audits)}{finding.title}{concerned}"
            layout.item(what, finding.severity, SEVERITY_COLOURS[finding.severity])
        layout.item(suggestion, "suggestion", "dim")


def _of_folds(folds: Sequence[int | None], audits: Mapping[int | None, Any]) -> str:
    """Which folds something holds for; nothing where it holds for all."""
    if len(folds) == len(audits):
        return ""
    return f"fold{'' if len(folds) == 1 else 's'} {', '.join(map(str, folds))}: "
