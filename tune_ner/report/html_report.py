"""The HTML report of a run, and the page that compares several runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from tune_ner.data.corpus import SplitName
from tune_ner.errors import ModelError, RunFolderError
from tune_ner.report.charts import (
    comparison_chart,
    effects_chart,
    entity_types_chart,
    history_chart,
    hyperparameter_charts,
    importances_chart,
    leaderboard_chart,
    seen_entities_chart,
    stages_chart,
    time_chart,
)
from tune_ner.report.confusion_matrix import confusion_matrix_chart
from tune_ner.report.error_explorer import EXPLORED_SPLITS, errors_of
from tune_ner.report.html_page import Page, PageSection
from tune_ner.report.learning_curves import curves_data, learning_curve_charts
from tune_ner.report.parallel_coordinates import parallel_coordinates_chart
from tune_ner.report.sections import (
    Item,
    Section,
    Sentence,
    audit_section,
    caveats_of,
    comparison_section,
    effect_sections,
    ensemble_section,
    entity_types_tables,
    files_section,
    leaderboard_section,
    notes_section,
    overview_section,
    run_sections,
    search_sections,
    timings_section,
)
from tune_ner.report.vega import Chart
from tune_ner.results.comparison import Runs, unique_names
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_log import LOGGER
from tune_ner.results.run_results import Results
from tune_ner.results.summary import describe_data
from tune_ner.results.table_files import write_tables
from tune_ner.utils.io import atomic_write
from tune_ner.utils.text import plural

PAGE_FILE = "report.html"
CHARTS_FOLDER = "figures"

_FILES = {
    "best/": "the best model",
    "leaderboard.csv": "leaderboard: one row per configuration",
    "leaderboard.md": "leaderboard as Markdown",
    "leaderboard.tex": "leaderboard as LaTeX",
    "figures/": "the charts of this page as SVG and PNG",
    "ensembles.csv": "ensembles of the best configurations",
    "ner_results_with_lr.csv": "one row per trial",
    "curves.csv": "learning curves: one row per epoch",
    "expected_best.csv": "expected best validation score by the number of configurations",
    "timings.csv": "time and memory by encoder",
    "optimization_history.csv": "optimization history of the search",
    "importances.csv": "hyperparameter importances",
    "refined_space.yaml": "refined search space",
    "space.yaml": "search space with all defaults",
    "audit.json": "all findings of the data audit",
    "trials.jsonl": "the record of every trial",
    "predictions/": "predicted spans and label probabilities of every trial",
    "run.log": "log of the run and of its libraries",
}


def write_report(results: Results, note: Callable[[str], None]) -> Path | RunFolderError:
    """Write `report.html` and `figures/` into the run folder and return the page's path.

    An error does not fail the run: it is logged, and returned if it concerns the page. `note` is called with a message
    if the charts cannot be written.
    """
    folder, page = results.run_dir.path, run_page(results)
    try:
        page.write_charts(folder / CHARTS_FOLDER)
    except RunFolderError as error:
        LOGGER.warning("charts not written: %s", error)
        note(f"charts not written: {error}")
    try:
        return atomic_write(folder / PAGE_FILE, page.html())
    except RunFolderError as error:
        LOGGER.warning("report not written: %s", error)
        return error


def write_comparison(runs: Sequence[Results], file: Path) -> Path:
    """Write a page that compares several runs and return its path.

    Raises:
        RunFolderError: the file cannot be written; an existing file is unchanged.
    """
    return atomic_write(file, comparison_page(unique_names(runs), file).html())


def run_page(results: Results) -> Page:
    """Return the page of a run."""
    errors = {split_name: vars(errors_of(results, split_name)) for split_name in EXPLORED_SPLITS}
    data = {"curves": curves_data(results), "errors": errors}
    sections, caveats = _run_sections(results), caveats_of(results)
    return Page(f"Run {results.name}", sections, data, _subtitle(results), caveats, results.headline)


def comparison_page(runs: Runs, file: Path) -> Page:
    """Return a page that compares several runs, with links from `file` to the page of each run."""
    folder = file.absolute().parent
    targets = {name: os.path.relpath(run.run_dir.path.absolute() / PAGE_FILE, folder) for name, run in runs.items()}
    charts, comparison = _present(comparison_chart(runs)), comparison_section(runs).content
    links = {quote(target): f"run {name}" for name, target in targets.items()}
    sections = [
        PageSection("comparison", "Comparison", charts=charts, details=comparison),
        PageSection("reports", "Reports", links=links),
    ]
    return Page("Comparison of runs", sections)


def _run_sections(results: Results) -> list[PageSection]:
    search, timings, curves = results.search, timings_section(results), learning_curve_charts(results)
    sections = [
        _leaderboard(results),
        PageSection(
            "hyperparameters",
            "Hyperparameter effects",
            charts=_present(
                effects_chart(results), *hyperparameter_charts(results), parallel_coordinates_chart(results)
            ),
            details=effect_sections(results),
        ),
        PageSection(
            "search",
            "Search",
            charts=_present(history_chart(search), importances_chart(search)) if search else (),
            details=search_sections(results),
        ),
        PageSection("curves", "Learning curves", charts=curves, explorer="curves" if curves else ""),
        PageSection(
            "entities",
            "Entities",
            charts=_present(entity_types_chart(results), confusion_matrix_chart(results), seen_entities_chart(results)),
            details=entity_types_tables(results),
        ),
        PageSection("errors", "Errors", explorer="errors" if results.entries else ""),
        PageSection("audit", "Data audit", audit_section(results.audits).content),
        PageSection(
            "time",
            "Time and memory",
            charts=_present(time_chart(results), stages_chart(results)),
            details=timings.content if timings else (),
        ),
        PageSection("run", "Run", overview_section(results).content),
    ]
    written = {name for name in _FILES if (results.run_dir.path / name).exists()}
    if any(section.charts for section in sections):
        written.add(f"{CHARTS_FOLDER}/")
    links = {name: text for name, text in _FILES.items() if name in written}
    return [*sections, PageSection("files", "Files", links=links)]


def _leaderboard(results: Results) -> PageSection:
    """Return the section with the leaderboard and notes on trials that are not on it."""
    notes = notes_section(results, results.planned_trials)
    below = notes.content if notes else ()
    leaderboard = leaderboard_section(results)
    if not leaderboard:
        text = "No trial was completed: there is no leaderboard and there are no predictions to show."
        return PageSection("leaderboard", "Leaderboard", (Sentence(text, tone="warning"), *below))
    table, *sentences = leaderboard.content
    ensembles = ensemble_section(results)
    folded: dict[str, Sequence[Item]] = {"How certain is this ranking?": sentences}
    if ensembles:
        folded["Is an ensemble better?"] = ensembles.content
    return PageSection(
        "leaderboard",
        "Leaderboard",
        charts=_present(leaderboard_chart(results)),
        details=[table, *below],
        folded=folded,
    )


def _subtitle(results: Results) -> str:
    """Return the data, the number of trials and the end of the last one."""
    ended = max((record.finished_at[:16].replace("T", " ") for record in results.records), default="")
    data = describe_data(results.space)
    # a file without its folders, which the section on the run shows
    short = data if ":" in data.partition(",")[0] else data.rpartition("/")[2]
    return " · ".join(filter(None, [short, plural(len(results.records), "trial"), ended and f"{ended} UTC"]))


def _present(*charts: Chart | None) -> tuple[Chart, ...]:
    return tuple(chart for chart in charts if chart)


_SPLITS: tuple[SplitName, ...] = ("validation", "test")


def open_runs(paths: Sequence[str | Path]) -> list[Results]:
    """Read runs completely; a folder that is named twice is read once.

    All errors are raised here, before anything is printed or written.

    Raises:
        RunFolderError: a folder is not a run folder, or one of its files is unreadable.
    """
    folders = {folder.path.resolve(): folder for folder in map(RunDir.open, paths)}
    runs = [Results(folder) for folder in folders.values()]
    for run in runs:
        _check(run)
    return runs


def report_sections(runs: Sequence[Results]) -> list[Section]:
    """Rewrite the tables, charts and pages of runs, and return the sections of their report."""
    sections: list[Section] = []
    for run in runs:
        notes: list[str] = []
        try:
            write_tables(run)
        except RunFolderError as error:
            notes.append(f"tables not written: {error}")
        except ModelError as error:
            notes.append(f"model card not written: {error}")
        page = write_report(run, notes.append)
        sections += [*run_sections(run), files_section(run, page, notes)]
    return [*sections, comparison_section(unique_names(runs))] if len(runs) > 1 else sections


def _check(run: Results) -> None:
    """Read all files of a run, and check that the trials of a fold predicted the same sentences."""
    seen: dict[tuple[int | None, SplitName], tuple[str, list[int]]] = {}
    for record in run.records:
        for split_name in _SPLITS if record.result else ():
            indices = run.cache.predictions(record.trial_id, split_name).indices
            first, expected = seen.setdefault((record.config.fold, split_name), (record.trial_id, indices))
            if not indices or indices != expected:
                raise RunFolderError(
                    f"{run.run_dir.predictions}: {record.trial_id}.jsonl has {len(indices)} {split_name} sentences and "
                    f"{first}.jsonl {len(expected)}; expected the same ones, so one of the files is damaged"
                )
    assert run.audits is not None
    assert run.entries is not None
