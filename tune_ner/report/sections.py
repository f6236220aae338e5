"""Sections of a report on a run: titles, sentences and tables, from its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from tune_ner.errors import RunFolderError
from tune_ner.results.comparison import Runs, print_comparison
from tune_ner.results.effects import summary_lines
from tune_ner.results.leaderboard import RunResults
from tune_ner.results.overview import print_audit_section, print_overview, trials_of
from tune_ner.results.records import TrialRecord
from tune_ner.results.search_analysis import print_confirmation, print_what_mattered
from tune_ner.results.summary import print_answers, print_early_end, print_failures, print_other_trials, print_ranking
from tune_ner.results.time_sheets import print_timings
from tune_ner.utils.renderers import Sheet

Tone = Literal["plain", "good", "warning", "error", "quiet"]


@dataclass(frozen=True)
class Sentence:
    """A sentence with a label in front of it."""

    text: str
    label: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Table:
    """A DataFrame under its title; `hide_first` are the columns that a narrow console hides first."""

    frame: pd.DataFrame
    title: str = ""
    hide_first: tuple[str, ...] = ()


Item = Sentence | Table | Mapping[str, str]
"""Content of a section; a mapping is a list of names and values."""


@dataclass(frozen=True)
class Section:
    """A titled part of a report; `is_run` marks the first section of a run or of a comparison."""

    title: str
    content: tuple[Item, ...]
    is_run: bool = False


def overview_section(results: RunResults) -> Section:
    """Return the data, the trials by status and the search space of a run."""
    return Section(f"Run {results.folder.name}", _recorded(partial(print_overview, results=results)), is_run=True)


def audit_section(audits: Mapping[int | None, Mapping[str, Any]]) -> Section:
    """Return the verdict on the data, and each error and warning with a suggestion."""
    return Section("Data audit", _recorded(partial(print_audit_section, audits=audits)))


def leaderboard_section(results: RunResults) -> Section | None:
    """Return the leaderboard and sentences on how far to trust it; None without a completed trial."""
    if not results.leaderboard_entries:
        return None
    return Section("Leaderboard", _recorded(partial(print_ranking, results=results)))


def effect_sections(results: RunResults) -> list[Section]:
    """Return one section per question about a hyperparameter, with its answer."""
    if not results.leaderboard_entries:
        return []
    return _recorded_sections(partial(print_answers, results=results))


def search_sections(results: RunResults) -> list[Section]:
    """Return the confirmation of a search's best configurations and the importance of its hyperparameters."""
    if not results.search:
        return []
    return [
        *_recorded_sections(partial(print_confirmation, search=results.search)),
        *_recorded_sections(partial(print_what_mattered, search=results.search)),
    ]


def notes_section(results: RunResults, trials: int) -> Section | None:
    """Return notes on failed, pruned and missing trials of a run of `trials` trials; None without any."""
    content = (
        *_recorded(partial(print_other_trials, records=results.records)),
        *_recorded(partial(print_early_end, results=results, trials=trials)),
    )
    return Section("Notes", content) if content else None


def brief_section(results: RunResults, trials: int) -> Section:
    """Return failures, missing trials and the best configuration of a run of `trials` trials."""
    found = results.leaderboard_entries
    best = summary_lines(found, results.records)[:1] if found else []
    content = (
        *_recorded(partial(print_failures, records=results.records)),
        *_recorded(partial(print_early_end, results=results, trials=trials)),
        *map(Sentence, best),
    )
    return Section("", content)


def timings_section(records: Sequence[TrialRecord]) -> Section | None:
    """Return seconds by stage, training speed and memory; None without a trial."""
    content = _recorded(partial(print_timings, records=records))
    return Section("Time and memory", content) if content else None


def files_section(results: RunResults, page: Path | RunFolderError, notes: Sequence[str] = ()) -> Section:
    """Return the paths of the results, the best model and the page; `notes` are about files that were not written."""
    best = [record.trial_id for entry in results.leaderboard_entries[:1] for record in entry.records]
    exported = results.folder.models.exported
    other = "" if exported in best else f" (of trial {exported}, which is not of the best configuration)"
    paths = {
        "Results": f"{results.folder.path}",
        "Model": f"{results.folder.models.best}{other}" if exported else "",
        "Report": f"{page}" if isinstance(page, Path) else "",
    }
    problems = [*notes, *([f"report not written: {page}"] if isinstance(page, RunFolderError) else [])]
    warnings = (Sentence(problem, "note", "warning") for problem in problems)
    return Section("", (*warnings, *(Sentence(path, label) for label, path in paths.items() if path)))


def comparison_section(runs: Runs) -> Section:
    """Return the best configuration of each run, the differences between the runs, and their shared configurations."""
    return Section("Comparison of runs", _recorded(partial(print_comparison, runs=runs)), is_run=True)


def outcome_sections(results: RunResults, trials: int) -> list[Section]:
    """Return the sections printed at the end of a run of `trials` trials."""
    sections = (
        leaderboard_section(results),
        *effect_sections(results),
        *search_sections(results),
        notes_section(results, trials),
    )
    return [section for section in sections if section]


def run_sections(results: RunResults) -> list[Section]:
    """Return all sections of the report on a run."""
    sections = (
        overview_section(results),
        audit_section(results.evidence.audits),
        *outcome_sections(results, trials_of(results.space, results.records)),
        timings_section(results.records),
    )
    return [section for section in sections if section]


_TONES: Mapping[str, Tone] = {
    "bold red": "error",
    "red": "error",
    "yellow": "warning",
    "green": "good",
    "dim": "quiet",
}


class _Recorder:
    """A layout that keeps sentences and tables as sections."""

    width = None

    def __init__(self) -> None:
        self.sections: list[tuple[str, list[Item]]] = [("", [])]

    def title(self, text: str) -> None:
        """Ignore the title."""

    def heading(self, text: str) -> None:
        """Start a section."""
        self.sections.append((text, []))

    def facts(self, facts: Mapping[str, str]) -> None:
        """Add a mapping."""
        self.sections[-1][1].append(dict(facts))

    def line(self, text: str, label: str = "", colour: str = "") -> None:
        """Add a sentence."""
        self.sections[-1][1].append(Sentence(text, label, _TONES.get(colour, "plain")))

    item = line

    def table(self, sheet: Sheet) -> None:
        """Add a table."""
        names = [f"{column.group} {column.heading}".strip() for column in sheet.columns]
        frame = pd.DataFrame([list(row) for row in sheet.rows], columns=names, dtype=str)
        first = sorted((c for c in sheet.columns if c.leaves is not None), key=lambda column: column.leaves or 0)
        self.sections[-1][1].append(Table(frame, sheet.title, tuple(column.heading for column in first)))

    def gap(self) -> None:
        """Ignore the gap."""


def _recorded_sections(print_to: Callable[[Any], None]) -> list[Section]:
    recorder = _Recorder()
    print_to(recorder)
    return [Section(title, tuple(content)) for title, content in recorder.sections if content]


def _recorded(print_to: Callable[[Any], None]) -> tuple[Item, ...]:
    return tuple(item for section in _recorded_sections(print_to) for item in section.content)
