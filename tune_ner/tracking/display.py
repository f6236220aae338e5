"""Displays of a run: everything on the console, or only its outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rich.console import Console

from tune_ner.audit.findings import AuditReport
from tune_ner.errors import RunFolderError
from tune_ner.report.sections import brief_section, files_section, outcome_sections, print_sections
from tune_ner.results.run_results import Results
from tune_ner.results.test_set_log import EarlierUse
from tune_ner.tracking.console import Plan, describe_trials, print_audit, print_data, print_note, print_plan
from tune_ner.tracking.progress import Progress
from tune_ner.tuning.events import RunEvents
from tune_ner.tuning.experiment import Experiment


class Display:
    """Base class of displays: shows nothing. Methods are called in the order in which they are defined."""

    def show_data(self, experiment: Experiment) -> None:
        """Show the corpus and its splits."""

    def show_audit(self, audits: Mapping[int | None, AuditReport], uses: Sequence[EarlierUse]) -> None:
        """Show the audit of each fold, and earlier runs that used the same test set."""

    def show_plan(self, plan: Plan) -> None:
        """Show the plan of a dry run."""

    def on_note(self, message: str) -> None:
        """Show a message, at any time: a sentence without a full stop."""

    def listen(self, experiment: Experiment) -> AbstractContextManager[RunEvents]:
        """Return a listener for the time in which trials run."""
        return nullcontext(RunEvents())

    def show_results(self, results: Results, trials: int, page: Path | RunFolderError, exit_code: int) -> None:
        """Show the results of a run of `trials` trials; `page` is its report or the reason why there is none."""


class ConsoleDisplay(Display):
    """Shows everything: data, audit, plan, progress and results.

    Trials are shown in a live view in a terminal, and with one line each in a file, a pipe or a notebook.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def show_data(self, experiment: Experiment) -> None:
        """Print the number of sentences and entities of each split."""
        print_data(self._console, experiment)

    def show_audit(self, audits: Mapping[int | None, AuditReport], uses: Sequence[EarlierUse]) -> None:
        """Print the summary of the audit."""
        print_audit(self._console, audits, uses)

    def show_plan(self, plan: Plan) -> None:
        """Print the trials of a grid, or the ranges and the budget of a search."""
        print_plan(self._console, plan)

    def on_note(self, message: str) -> None:
        """Print the message, above the live view if there is one."""
        print_note(self._console, message)

    def listen(self, experiment: Experiment) -> Progress:
        """Return the view of the running trials."""
        return Progress(self._console, experiment.cost, experiment.title)

    def show_results(self, results: Results, trials: int, page: Path | RunFolderError, exit_code: int) -> None:
        """Print the leaderboard, what follows from it, and the paths of the results."""
        print_sections(self._console, [*outcome_sections(results, trials), files_section(results, page)])


class QuietDisplay(Display, RunEvents):
    """Shows notes, failures and the best configuration at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._notes: list[str] = []

    def show_plan(self, plan: Plan) -> None:
        """Print the number of trials."""
        trials = plan.search.trials if plan.search else len(plan.experiment.trials)
        self._console.print(describe_trials(trials, plan.resources, at_most=plan.search is not None), soft_wrap=True)

    def on_note(self, message: str) -> None:
        """Keep the message until the end."""
        self._notes.append(message)

    def listen(self, experiment: Experiment) -> AbstractContextManager[RunEvents]:
        """Return this display, which keeps the notes of the run."""
        return nullcontext(self)

    def show_results(self, results: Results, trials: int, page: Path | RunFolderError, exit_code: int) -> None:
        """Print notes, failures, the best configuration and the paths of the results."""
        for note in self._notes:
            print_note(self._console, note)
        print_sections(self._console, [brief_section(results, trials), files_section(results, page)])
