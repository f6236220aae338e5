"""Which sections the page of a run has, in the order in which a reader needs them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from tune_ner.report.axis_figures import effects_figure, slice_figures, values_figure
from tune_ner.report.course_figures import growth_figure, importances_figure, stages_figure, time_figure
from tune_ner.report.curves import curve_figures
from tune_ner.report.figure import Figure
from tune_ner.report.html_blocks import Block, Links, Paragraph, Section, blocks_of
from tune_ner.report.standing_figures import forms_figure, ranking_figure, types_figure
from tune_ner.results.leaderboard import RunResults
from tune_ner.results.overview import print_audit_section, print_overview, trials_of
from tune_ner.results.search_analysis import SearchResults, print_confirmation, print_what_mattered
from tune_ner.results.summary import print_answers, print_other_trials, print_ranking
from tune_ner.results.time_sheets import print_timings

_Source = TypeVar("_Source")

_NOTHING_FINISHED = "No trial finished, so that nothing is ranked and no error can be shown."
_FILES = {
    "best/": "the best model",
    "ranking.csv": "one row a configuration: means, intervals, replicates",
    "ranking.md": "the ranked table for a document",
    "ranking.tex": "the ranked table for a paper",
    "figures/": "the figures as SVG and PNG",
    "ner_results_with_lr.csv": "one row a trial",
    "curves.csv": "one row an epoch",
    "timings.csv": "where the time went",
    "best_so_far.csv": "how the best of the search grew",
    "importances.csv": "how much each searched axis mattered",
    "narrowed.yaml": "the space to search next",
    "space.yaml": "the space, every default spelt out",
    "audit.json": "all that the audit found",
    "trials.jsonl": "the record of every trial",
    "predictions/": "what each trial found, sentence by sentence",
    "run.log": "what happened, and what the libraries said",
}


def sections_of(results: RunResults) -> list[Section]:
    """The sections of a run's page; those that it has nothing for are empty."""
    return [
        Section("audit", "Audit", _without_first(partial(print_audit_section, audits=results.evidence.audits))),
        _ranking(results),
        _questions(results),
        *([_search(results.search)] if results.search else []),
        _curves(results),
        _effects(results),
        Section("types", "Types and forms", figures=_drawn(types_figure, forms_figure)(results)),
        _errors(results),
        _time(results),
        Section("run", "The run", _overview(results)),
        Section("files", "Files", _links(results)),
    ]


def _ranking(results: RunResults) -> Section:
    notes = blocks_of(partial(print_other_trials, records=results.records))
    unfinished = _unfinished(results)
    if not results.leaderboard_entries:
        return Section("ranking", "Ranking", (*unfinished, Paragraph(_NOTHING_FINISHED, tone="warning"), *notes))
    table, *said = blocks_of(partial(print_ranking, results=results))
    return Section("ranking", "Ranking", (*unfinished, *said), (ranking_figure(results),), (table, *notes))


def _unfinished(results: RunResults) -> tuple[Block, ...]:
    planned = trials_of(results.space, results.records)
    if len(results.records) >= planned:
        return ()
    return (Paragraph(f"{len(results.records)} of {planned} trials ended.", "half-finished", "warning"),)


def _questions(results: RunResults) -> Section:
    if not results.leaderboard_entries:
        return Section("questions", "Questions")
    return Section("questions", "Questions", blocks_of(partial(print_answers, results=results)))


def _search(search: SearchResults) -> Section:
    return Section(
        "search",
        "Search",
        blocks_of(partial(print_confirmation, search=search)),
        _drawn(growth_figure, importances_figure)(search),
        blocks_of(partial(print_what_mattered, search=search)),
    )


def _curves(results: RunResults) -> Section:
    drawn = curve_figures(results.records)
    return Section("curves", "Learning curves", figures=drawn, explorer="curves" if drawn else "")


def _effects(results: RunResults) -> Section:
    drawn = (*_drawn(effects_figure, values_figure)(results), *slice_figures(results))
    return Section("effects", "Main effects", figures=drawn)


def _errors(results: RunResults) -> Section:
    return Section("errors", "Errors", explorer="errors" if results.leaderboard_entries else "")


def _time(results: RunResults) -> Section:
    drawn = _drawn(time_figure, stages_figure)(results)
    return Section("time", "Time", figures=drawn, after=_without_first(partial(print_timings, records=results.records)))


def _overview(results: RunResults) -> tuple[Block, ...]:
    return _without_first(partial(print_overview, results=results))


def _links(results: RunResults) -> tuple[Block, ...]:
    there = {name: what for name, what in _FILES.items() if (results.folder.path / name).exists()}
    return (Links(there),) if there else ()


def _without_first(print_to: Callable[..., None]) -> tuple[Block, ...]:
    """What a function prints below its heading, which the section has."""
    return blocks_of(print_to)[1:]


def _drawn(*makers: Callable[[_Source], Figure | None]) -> Callable[[_Source], tuple[Figure, ...]]:
    return lambda source: tuple(figure for maker in makers if (figure := maker(source)))
