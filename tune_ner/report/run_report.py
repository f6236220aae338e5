"""The report on finished runs: everything that their records hold, run by run, then compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tune_ner.data.corpus import SplitName
from tune_ner.errors import ModelError, RunFolderError
from tune_ner.report.html_report import write_report
from tune_ner.report.sections import Section, comparison_section, files_section, run_sections
from tune_ner.results.comparison import unique_names
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.results.table_files import write_tables

_SPLITS: tuple[SplitName, ...] = ("validation", "test")


def open_runs(paths: Sequence[Path]) -> list[Results]:
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
