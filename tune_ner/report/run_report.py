"""The report of finished runs: everything that their records tell, run by run, then beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tune_ner.data.corpus import SplitName
from tune_ner.errors import ModelError, RunFolderError
from tune_ner.report.html_report import RunPage, print_figures, print_page
from tune_ner.results.comparison import named_apart, print_comparison
from tune_ner.results.leaderboard import RunResults
from tune_ner.results.overview import print_audit_section, print_overview, trials_of
from tune_ner.results.run_dir import RunDir
from tune_ner.results.summary import print_outcome
from tune_ner.results.tables import write_tables
from tune_ner.results.time_sheets import print_timings
from tune_ner.utils.renderers import Layout

_PARTS: tuple[SplitName, ...] = ("validation", "test")


def open_runs(paths: Sequence[Path]) -> list[RunResults]:
    """Read runs whole, a folder that is named twice once.

    Whatever is wrong with one of them comes out here, before anything is printed or written.

    Raises:
        RunFolderError: a folder is no run's, or one of its files cannot be read.
    """
    folders = {folder.path.resolve(): folder for folder in map(RunDir.existing, paths)}
    runs = [RunResults(folder) for folder in folders.values()]
    for run in runs:
        _check(run)
    return runs


def print_run(layout: Layout, run: RunResults) -> None:
    """Print what a run was, what it found and where its time went."""
    print_overview(layout, run)
    print_audit_section(layout, run.evidence.audits)
    layout.gap()
    print_outcome(layout, run, trials_of(run.space, run.records))
    print_timings(layout, run.records)


def print_report(layout: Layout, runs: Sequence[RunResults]) -> None:
    """Print each run, rewrite its tables, figures and page, and lay several runs beside each other."""
    for run in runs:
        print_run(layout, run)
        _rewrite_tables(layout, run)
        page = RunPage(run)
        print_figures(layout, page)
        print_page(layout, page)
    if len(runs) > 1:
        print_comparison(layout, named_apart(runs))


def _rewrite_tables(layout: Layout, run: RunResults) -> None:
    try:
        written = write_tables(run)
    except RunFolderError as error:
        layout.line(str(error), "tables not rewritten", "yellow")
    except ModelError as error:
        layout.line(str(error), "card not rewritten", "yellow")
    else:
        layout.line(f"Tables: {', '.join(file.name for file in written)} written to {run.folder.path}")


def _check(run: RunResults) -> None:
    """Read all of a run, and see that the trials of a fold predicted the same sentences."""
    seen: dict[tuple[int | None, SplitName], tuple[str, list[int]]] = {}
    for record in run.records:
        for split_name in _PARTS if record.result else ():
            indices = run.evidence.predictions(record.trial_id, split_name).indices
            first, expected = seen.setdefault((record.config.fold, split_name), (record.trial_id, indices))
            if not indices or indices != expected:
                raise RunFolderError(
                    f"{run.folder.predictions}: {record.trial_id}.jsonl has {len(indices)} {split_name} sentences and "
                    f"{first}.jsonl {len(expected)}; expected the same ones, so that one of the files is damaged"
                )
    assert run.evidence.audits is not None
    assert run.leaderboard_entries is not None
