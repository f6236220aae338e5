"""Sections of a report on a run: titles, sentences and tables, from its results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal

import pandas as pd
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from tune_ner.errors import RunFolderError
from tune_ner.results.audits import Audits, shared_findings, shared_summaries
from tune_ner.results.comparison import Runs, common_table, comparison_notes, runs_table
from tune_ner.results.run_results import Results
from tune_ner.results.summary import describe_run
from tune_ner.results.table_files import (
    COLUMN_HELP,
    OPTIONAL_COLUMNS,
    format_common,
    format_effects,
    format_entity_types,
    format_importances,
    format_leaderboard,
    format_runs,
    format_speed,
    format_stages,
    shared_values,
)
from tune_ner.results.tables import run_time
from tune_ner.utils.console import print_line, print_table
from tune_ner.utils.tables import escape_markdown, markdown_table
from tune_ner.utils.text import plural, visible

Tone = Literal["plain", "good", "warning", "error", "quiet"]

_COMPARISON_HIDDEN = ("wall time", "pruned", "audit", "trials")
_SEVERITY_TONES: Mapping[str | None, Tone] = {"error": "error", "warning": "warning"}


@dataclass(frozen=True)
class Sentence:
    """A sentence with a label in front of it."""

    text: str
    label: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Table:
    """A DataFrame under its title.

    Attributes:
        frame: the table.
        title: its title.
        hide_first: the columns that a narrow console hides first.
        help: what columns mean, by their heading; the page shows it.
    """

    frame: pd.DataFrame
    title: str = ""
    hide_first: tuple[str, ...] = ()
    help: Mapping[str, str] = field(default_factory=dict)


Item = Sentence | Table | Mapping[str, str]
"""Content of a section; a mapping is a list of names and values."""


@dataclass(frozen=True)
class Section:
    """A titled part of a report; `is_run` marks the first section of a run or of a comparison."""

    title: str
    content: tuple[Item, ...]
    is_run: bool = False


def overview_section(results: Results) -> Section:
    """Return the data, the trials by status and the search space of a run."""
    problems = [results.space_problem] if results.space_problem else []
    if results.run_dir.is_truncated:
        problems.append(f"{results.run_dir.trials_file}: the last record is truncated and ignored.")
    facts = describe_run(results.space, results.records)
    return Section(f"Run {results.name}", (facts, *map(_note, problems)), is_run=True)


def audit_section(audits: Audits) -> Section:
    """Return each error and warning with a suggestion; without any, the verdict on the data."""
    verdicts = [Sentence(text, tone=_SEVERITY_TONES.get(worst, "good")) for worst, text in shared_summaries(audits)]
    findings: list[Sentence] = []
    for suggestion, group in groupby(shared_findings(audits), key=lambda finding: finding.suggestion):
        for finding in group:
            count = f" ({finding.count:,} of {finding.total:,})" if finding.count != finding.total else ""
            findings.append(Sentence(f"{finding.title}{count}", finding.severity, _SEVERITY_TONES[finding.severity]))
        findings.append(Sentence(suggestion, "suggestion", "quiet"))
    return Section("Data audit", tuple(findings or verdicts) or (Sentence("The data was not audited."),))


def caveats_of(results: Results) -> tuple[Sentence, ...]:
    """Return the reasons not to rely on the results."""
    return tuple(Sentence(text, "warning", "error") for text in results.caveats)


def leaderboard_section(results: Results, *, is_brief: bool = False) -> Section | None:
    """Return the leaderboard and sentences on how far to trust it; None without a completed trial."""
    if not results.entries:
        return None
    shared = shared_values(results)
    metric = results.selection_metric.replace("_f1", " F1").replace("_", " ")
    title = f"Ranked by validation {metric}{f'; all with {shared}' if shared else ''}"
    table = Table(format_leaderboard(results), title, OPTIONAL_COLUMNS, COLUMN_HELP)
    summary = results.brief_summary if is_brief else results.summary
    return Section("Leaderboard", (table, *map(Sentence, (*summary, *results.warnings))))


def entity_types_tables(results: Results) -> list[Table]:
    """Return test scores of the best configuration by entity type; no table without a completed trial."""
    title = "Test span scores of the best configuration, mean over its trials"
    return [Table(format_entity_types(best.records), title) for best in results.entries[:1]]


def effect_sections(results: Results) -> list[Section]:
    """Return one section per question about a hyperparameter, with its answer."""
    return [Section(question, tuple(map(Sentence, answer))) for question, answer in results.answers.items()]


def effects_section(results: Results) -> Section | None:
    """Return a table of the differences between values of each hyperparameter; None without any."""
    tested = [each for found in results.compared_effects.values() for each in found]
    if not tested:
        return None
    comparisons = tested[0].comparisons
    kind = f"95 % intervals{f', simultaneous over {comparisons} comparisons' if comparisons > 1 else ''}"
    table = Table(format_effects(results.compared_effects), f"Test span F1 of one value minus that of another ({kind})")
    star = "* significant after Holm's correction. " if any(each.is_significant for each in tested) else ""
    explained = Sentence(f"{star}The report page explains the differences, with interactions.", tone="quiet")
    return Section("Which values are better?", (table, explained))


def ensemble_section(results: Results) -> Section | None:
    """Return the ensembles that were evaluated; None without any."""
    content = [Sentence(text) for each in results.ensembles for text in each.sentences()]
    if len(results.ensembles) > 1:
        text = f"{len(results.ensembles)} ensembles were evaluated on test; choose one by its validation score."
        content.append(Sentence(text, "note"))
    return Section("Ensembles", tuple(content)) if content else None


def search_sections(results: Results) -> list[Section]:
    """Return the confirmation of a search's best configurations and the importance of its hyperparameters."""
    search = results.search
    if not search:
        return []
    confirmation = tuple(map(Sentence, search.confirmation_sentences()))
    content: list[Item] = list(map(Sentence, search.sentences()))
    if search.importances is not None:
        title = f"Importance of each hyperparameter in percent, from {plural(len(search.completed), 'trial')}"
        content.insert(0, Table(format_importances(search.importances), title))
    sections = (
        Section("Confirmation with new seeds", confirmation),
        Section("Hyperparameter importance", tuple(content)),
    )
    return [section for section in sections if section.content]


def notes_section(results: Results, trials: int) -> Section | None:
    """Return notes on failed, pruned and missing trials of a run of `trials` trials; None without any."""
    content = (*_failures(results), *map(_note, results.notes), *_missing_trials(results, trials))
    return Section("Notes", content) if content else None


def brief_section(results: Results, trials: int) -> Section:
    """Return caveats, failures, missing trials and the best configuration of a run of `trials` trials."""
    problems = (*_failures(results), *_missing_trials(results, trials))
    return Section("", (*caveats_of(results), *problems, *map(Sentence, results.summary[:1])))


def timings_section(results: Results) -> Section | None:
    """Return seconds by stage, training speed and memory; None without a trial."""
    timings, sentence = results.timings(), run_time(results.records).sentence
    tables = (
        Table(format_stages(timings), "Mean seconds of a trial by stage, and their share in percent"),
        Table(format_speed(timings), "Training speed and peak memory"),
    )
    content = (*(tables if len(timings) else ()), *([Sentence(sentence)] if sentence else []))
    return Section("Time and memory", content) if content else None


def files_section(results: Results, page: Path | RunFolderError, notes: Sequence[str] = ()) -> Section:
    """Return the paths of the results, the best model and the page; `notes` are about files that were not written."""
    best = [record.trial_id for entry in results.entries[:1] for record in entry.records]
    exported = results.run_dir.models.exported
    other = "" if exported in best else f" (of trial {exported}, which is not of the best configuration)"
    paths = {
        "Results": results.run_dir.location,
        "Model": f"{results.run_dir.models.best}{other}" if exported else "",
        "Report": f"{page}" if isinstance(page, Path) else "",
    }
    problems = [*notes, *([f"report not written: {page}"] if isinstance(page, RunFolderError) else [])]
    return Section("", (*map(_note, problems), *(Sentence(path, label) for label, path in paths.items() if path)))


def comparison_section(runs: Runs) -> Section:
    """Return the best configuration of each run, the differences between the runs, and their shared configurations."""
    best = Table(format_runs(runs_table(runs)), "Best configuration of each run", _COMPARISON_HIDDEN)
    common = common_table(runs)
    tables = [Table(format_common(common), "Configurations completed in every run")] if len(common) else []
    return Section("Comparison of runs", (best, *map(_note, comparison_notes(runs)), *tables), is_run=True)


def outcome_sections(results: Results, trials: int, *, is_complete: bool = False) -> list[Section]:
    """Return the outcome of a run of `trials` trials; unless it is complete, as briefly as at the end of the run."""
    caveats = caveats_of(results)
    sections = (
        Section("Before you use these results", caveats) if caveats else None,
        leaderboard_section(results, is_brief=not is_complete),
        ensemble_section(results),
        *(effect_sections(results) if is_complete else (effects_section(results),)),
        *search_sections(results),
        notes_section(results, trials),
    )
    return [section for section in sections if section]


def run_sections(results: Results) -> list[Section]:
    """Return all sections of the report on a run."""
    sections = (
        overview_section(results),
        audit_section(results.audits),
        *outcome_sections(results, results.planned_trials, is_complete=True),
        timings_section(results),
    )
    return [section for section in sections if section]


def _note(text: str) -> Sentence:
    return Sentence(text, "note", "warning")


def _failures(results: Results) -> tuple[Sentence, ...]:
    return tuple(Sentence(failure, tone="error") for failure in results.failures)


def _missing_trials(results: Results, trials: int) -> list[Sentence]:
    ended = len(results.records)
    if ended >= trials:
        return []
    text = f"{ended} of {trials} trials ended. To resume the run, repeat the command with --name {results.name}."
    return [Sentence(text, "interrupted", "warning")]


_STYLES: dict[Tone, str] = {"plain": "", "good": "green", "warning": "yellow", "error": "bold red", "quiet": "dim"}


def print_sections(console: Console, sections: Iterable[Section]) -> None:
    """Print sections: a run's title as a rule, other titles in bold, then their content."""
    is_titled = False
    for section in sections:
        if section.title or is_titled:
            console.print()
        is_titled = bool(section.title)
        if section.is_run:
            console.rule(Text(visible(section.title), style="bold"), align="left", characters="━")
        elif section.title:
            print_line(console, section.title, style="bold")
        for item in section.content:
            _print_item(console, item, indent=2 if section.title else 0)


def _print_item(console: Console, item: Item, indent: int) -> None:
    if isinstance(item, Sentence):
        print_line(console, item.text, item.label, _STYLES[item.tone], indent)
    elif isinstance(item, Table):
        print_table(console, item.frame, item.title, item.hide_first)
    else:
        grid = Grid.grid(padding=(0, 2))
        for name, value in item.items():
            grid.add_row(Text(visible(name), style="dim"), Text(visible(value)))
        console.print(grid)


def markdown_of(sections: Iterable[Section]) -> str:
    """Return sections as GitHub's Markdown; every sentence is an item of a list."""
    blocks: list[str] = []
    for section in sections:
        if section.title:
            blocks += ["", f"{'##' if section.is_run else '###'} {escape_markdown(section.title)}"]
        previous: type | None = None
        for item in section.content:
            if isinstance(item, Table):
                title = [f"**{escape_markdown(item.title)}**", ""] if item.title else []
                blocks += ["", *title, markdown_table(item.frame)]
            else:
                pairs = [(item.label, item.text)] if isinstance(item, Sentence) else item.items()
                blocks += [""] * (previous in (None, Table)) + [_list_item(label, text) for label, text in pairs]
            previous = Table if isinstance(item, Table) else list
    return "\n".join(blocks).strip() + "\n"


def _list_item(label: str, text: str) -> str:
    return f"- **{escape_markdown(label)}:** {escape_markdown(text)}" if label else f"- {escape_markdown(text)}"
