"""Several runs beside each other as the sections of a page."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from urllib.parse import quote

from tune_ner.report.figure import Figure
from tune_ner.report.html_blocks import Links, Section, blocks_of
from tune_ner.report.marks import interval_row, parts_with_intervals
from tune_ner.results.comparison import Runs, print_comparison
from tune_ner.utils.text import visible


def comparison_sections(runs: Runs, file: Path) -> list[Section]:
    """The best of each run as a figure, the terminal's comparison, and links from `file` to the runs' own pages."""
    figure = best_figure(runs)
    said = blocks_of(partial(print_comparison, runs=runs))[1:]
    return [
        Section("runs", "The runs compared", figures=(figure,) if figure else (), after=said),
        Section("pages", "Pages of the runs", (Links(_pages(runs, file.absolute().parent)),)),
    ]


def best_figure(runs: Runs) -> Figure | None:
    """Validation and test F1 of the best configuration of each run; None where no run finished a trial."""
    values = [
        {"what": visible(name), "split": split_name, **interval_row(interval)}
        for name, run in runs.items()
        for best in run.leaderboard_entries[:1]
        for split_name, interval in (("validation", best.validation), ("test", best.test))
    ]
    if not values:
        return None
    caption = "F1 of exact spans of the best configuration of each run, with 95 % intervals."
    return Figure.of("runs", caption, parts_with_intervals(values))


def _pages(runs: Runs, folder: Path) -> dict[str, str]:
    targets = {name: os.path.relpath(run.folder.path.absolute() / "report.html", folder) for name, run in runs.items()}
    return {quote(target): f"run {visible(name)}" for name, target in targets.items()}
