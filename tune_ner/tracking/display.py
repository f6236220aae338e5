"""What a command tells of a run, from the data to its outcome: to a person, to one who wants no more than the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rich.console import Console

from tune_ner.audit.findings import AuditReport
from tune_ner.errors import RunFolderError
from tune_ner.report.sections import brief_section, files_section, outcome_sections
from tune_ner.report.text import print_sections
from tune_ner.results.run_results import Results
from tune_ner.results.test_set_log import EarlierUse
from tune_ner.tracking.console import print_audit, print_data, print_note, print_plan
from tune_ner.tracking.progress import LiveProgress
from tune_ner.tracking.search_plan import SearchPlan, print_search_plan
from tune_ner.tuning.events import RunEvents
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.options import SchedulerConfig
from tune_ner.tuning.resources import TrialResources
from tune_ner.utils.console import print_line


class Display:
    """A display that tells nothing; others override what they tell. Called in this order, by the command."""

    def data(self, experiment: Experiment) -> None:
        """The corpus was read and divided."""

    def audit(self, audits: Mapping[int | None, AuditReport], uses: Sequence[EarlierUse]) -> None:
        """The data was audited, for each fold; runs that measured on its test part before."""

    def plan(self, experiment: Experiment, resources: TrialResources, scheduler_config: SchedulerConfig) -> None:
        """A grid was asked for its plan alone."""

    def search_plan(self, plan: SearchPlan) -> None:
        """A search was asked for its plan alone."""

    def on_note(self, message: str) -> None:
        """Something that a user should know, at any time: a sentence without its full stop."""

    def following(self, experiment: Experiment) -> AbstractContextManager[RunEvents]:
        """A listener for the time in which trials run."""
        return nullcontext(RunEvents())

    def ended(self, results: Results, trials: int, page: Path | RunFolderError, exit_code: int) -> None:
        """The run of `trials` trials is over, its tables are written and its page, or why it is not, and the command
        exits with this code.
        """


class TerminalDisplay(Display):
    """Everything: tables, the live view (plain lines where there is no terminal), the ranking and what it says."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def data(self, experiment: Experiment) -> None:
        """Print what the corpus holds."""
        print_data(self._console, experiment)

    def audit(self, audits: Mapping[int | None, AuditReport], uses: Sequence[EarlierUse]) -> None:
        """Print the verdict."""
        print_audit(self._console, audits, uses)

    def plan(self, experiment: Experiment, resources: TrialResources, scheduler_config: SchedulerConfig) -> None:
        """Print every trial in the order of their start."""
        print_plan(self._console, experiment, resources, scheduler_config)

    def search_plan(self, plan: SearchPlan) -> None:
        """Print the axes, when the search ends, and what it confirms."""
        print_search_plan(self._console, plan)

    def on_note(self, message: str) -> None:
        """Print it, above the live view where there is one."""
        print_note(self._console, message)

    def following(self, experiment: Experiment) -> LiveProgress:
        """The live view."""
        return LiveProgress(self._console, experiment.cost, experiment.title)

    def ended(self, results: Results, trials: int, page: Path | RunFolderError, exit_code: int) -> None:
        """Print the leaderboard, what follows from it, and the paths of the results."""
        print_sections(self._console, [*outcome_sections(results, trials), files_section(results, page)])


class QuietDisplay(Display, RunEvents):
    """The end alone: what went wrong and what was noted, the best, and where the results lie."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._notes: list[str] = []

    def plan(self, experiment: Experiment, resources: TrialResources, scheduler_config: SchedulerConfig) -> None:
        """Print how many trials there would be."""
        print_line(self._console, f"{len(experiment.trials)} trials, {resources.concurrent} at once")

    def search_plan(self, plan: SearchPlan) -> None:
        """Print how many trials there would be."""
        print_line(self._console, f"At most {plan.search.trials} trials, {plan.resources.concurrent} at once")

    def on_note(self, message: str) -> None:
        """Keep it for the end."""
        self._notes.append(message)

    def following(self, experiment: Experiment) -> AbstractContextManager[RunEvents]:
        """This display listens itself."""
        return nullcontext(self)

    def ended(self, results: Results, trials: int, page: Path | RunFolderError, exit_code: int) -> None:
        """Print notes, failures, the best configuration and the paths of the results."""
        for note in self._notes:
            print_line(self._console, note, "note", "yellow")
        print_sections(self._console, [brief_section(results, trials), files_section(results, page)])
