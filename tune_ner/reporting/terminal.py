"""What a person sees before the end of a run: the data, the plan, and progress while trials run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from statistics import fmean
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tune_ner.audit import AuditReport
from tune_ner.data import PARTS
from tune_ner.runs import EarlierUse, TrialRecord
from tune_ner.training import EpochFigures, TrialConfig
from tune_ner.tuning.events import RunEvents
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.resources import TrialResources
from tune_ner.tuning.scheduling import Scheduling


def print_data(console: Console, experiment: Experiment) -> None:
    """Print what the corpus holds, part by part, and how it was read."""
    corpus = experiment.corpus
    fold, split = next(iter(experiment.splits.items()))
    table = Table(
        box=None,
        pad_edge=False,
        title=f"Data: {_plain(corpus.name)}{_fold(fold, experiment)}",
        title_justify="left",
        title_style="bold",
    )
    for heading in ("part", "sentences", "entities", *map(_plain, corpus.types)):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    for part in PARTS:
        counts = corpus.entity_counts(split[part])
        numbers = [len(split[part]), sum(counts.values()), *counts.values()]
        table.add_row(part, *(f"{number:,}" for number in numbers))
    console.print(table)
    for note in corpus.notes:
        console.print(f"[yellow]note:[/] {_plain(note)}", highlight=False, soft_wrap=True)


def _fold(fold: int | None, experiment: Experiment) -> str:
    return "" if fold is None else f", fold {fold} of {len(experiment.splits)}"


def print_plan(
    console: Console,
    experiment: Experiment,
    resources: TrialResources,
    scheduling: Scheduling = Scheduling(),  # noqa: B008 - frozen
) -> None:
    """Print every trial in the order of their start, what each gets, and what they leave on the disk."""
    trials = experiment.schedule
    table = Table(box=None, pad_edge=False, title=_PLAN_TITLE, title_justify="left", title_style="bold")
    axes = {name: values for name, values in experiment.space.axes.items() if len(values) > 1 or name in _PLAN_AXES}
    for heading in ("#", "trial", *axes):
        table.add_column(heading, justify="right" if heading == "#" else "left", no_wrap=heading == "trial")
    for number, trial in enumerate(trials, start=1):
        table.add_row(str(number), trial.trial_id, *(_plain(f"{getattr(trial, name)}") for name in axes))
    console.print(table)
    console.print(describe_resources(resources, len(trials)), highlight=False, soft_wrap=True)
    if rungs := scheduling.rungs(experiment.space.most("epochs")):
        after = " and ".join(f"{rung}" for rung in rungs)
        console.print(
            f"ASHA: after epoch {after}, about the best 1 in {scheduling.reduction_factor} configurations go on, and "
            "the first to come.",
            highlight=False,
            soft_wrap=True,
        )
    console.print(
        f"Memory: about {_gigabytes(experiment.need.on_cpu)} a trial on a CPU, by estimate.",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"Disk: about {experiment.disk_bytes / 1e6:.1f} MB of records and predicted spans, and the winner's weights.",
        highlight=False,
    )


_PLAN_TITLE = "Trials, the longest first"
_PLAN_AXES = ("model", "tagging_scheme", "learning_rate", "seed")


def describe_resources(resources: TrialResources, trials: int) -> str:
    """One sentence on what a trial gets and how many run at once."""
    gpus = f" and {resources.gpus:g} GPU" if resources.gpus else ""
    cpus = "1 CPU thread" if resources.cpus == 1 else f"{resources.cpus} CPU threads"
    if trials == 1:
        return f"1 trial with {cpus}{gpus}."
    return f"{trials} trials, {resources.concurrent} at once, each with {cpus}{gpus}."


def print_audit(console: Console, audits: Mapping[int | None, AuditReport], uses: Sequence[EarlierUse]) -> None:
    """Print the verdict on the data, and whether the test part is still fresh."""
    colours = {"error": "bold red", "warning": "yellow"}
    for verdict, worst in dict.fromkeys((report.verdict, report.worst) for report in audits.values()):
        colour = colours.get(worst or "", "green")
        console.print(f"[{colour}]{_plain(verdict)}[/]", highlight=False, soft_wrap=True)
    if uses:
        told = ", ".join(f"{use.run} ({use.trials} trials)" for use in uses)
        console.print(
            f"[yellow]test part used before[/] by {_plain(told)}: whoever read those figures may have chosen by them; "
            "a fresh test part is worth more.",
            highlight=False,
            soft_wrap=True,
        )


class LiveProgress(RunEvents):
    """Progress while trials run: a live view in a terminal, a plain line a trial elsewhere."""

    def __init__(
        self,
        console: Console,
        trials: int,
        cost: Callable[[TrialConfig], float],
        work: float | None = None,
        *,
        title: Callable[[TrialConfig], str] = attrgetter("title"),
        earlier: int = 0,
        seconds: float | None = None,
        confirmations: int = 0,
    ) -> None:
        """What is shown while trials run.

        Args:
            console: where.
            trials: how many there will be, at most, those of an earlier start included.
            cost: how long a trial takes beside the others.
            work: that of all trials together; by default as much each as those that started have on average.
            title: what a trial is called.
            earlier: how many ended before.
            seconds: when no more trials are begun, however few there were.
            confirmations: how many trials follow then; see `RunEvents.confirming`.
        """
        self._console = console
        self._trials = trials
        self._cost = cost
        self._work = work
        self._title = title
        self._earlier = earlier
        self._seconds = seconds
        self._confirmations = confirmations
        self._costs: dict[str, float] = {}
        self._saved = 0.0
        self._running: dict[str, str] = {}
        self._done: dict[str, float] = {}
        self._started: float | None = None
        self._best: tuple[float, str] | None = None
        self._bar = Progress(
            TextColumn("trials"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
        )
        self._task = self._bar.add_task("", total=trials, completed=earlier, left="")
        self._live = Live(self._view(), console=console, refresh_per_second=4) if console.is_terminal else None

    def __enter__(self) -> LiveProgress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.clear()
        if self._live:
            self._live.update(self._view())
            self._live.stop()

    def run_started(self, resources: TrialResources, dashboard: str) -> None:
        """Say what runs at once and where Ray's dashboard is."""
        if self._earlier:
            self._console.print(f"{self._earlier} of {self._trials} trials ended before.", highlight=False)
        most = "At most " if self._seconds is not None else ""
        if left := self._trials - self._earlier:
            told = describe_resources(resources, left)
            self._console.print(f"{most}{told}", highlight=False, soft_wrap=True)
        if dashboard:
            self._console.print(f"Ray dashboard: {dashboard}", highlight=False, soft_wrap=True)

    def noted(self, what: str) -> None:
        """Print it."""
        self._console.print(f"[yellow]note:[/] {_plain(what)}", highlight=False, soft_wrap=True)

    def confirming(self, trials: int) -> None:
        """Say so, and count these trials alone."""
        self._console.print(f"{trials} trials with fresh seeds confirm the best.", highlight=False, soft_wrap=True)
        spent = sum(self._done.values()) + self._saved
        self._work = spent + trials * fmean(self._costs.values()) if self._costs else None
        self._trials, self._earlier, self._seconds, self._confirmations = trials, 0, None, 0
        self._bar.update(self._task, total=trials, completed=0)
        self._refresh()

    def trial_started(self, trial: TrialConfig) -> None:
        """Show the trial among the running ones."""
        self._started = self._started or time.monotonic()
        self._costs[trial.trial_id] = self._cost(trial)
        self._running[trial.trial_id] = f"{self._title(trial)}: starting"
        self._refresh()

    def epoch_ended(self, trial: TrialConfig, figures: EpochFigures) -> None:
        """Show the trial's epoch and its validation F1."""
        self._done[trial.trial_id] = figures.epoch / trial.epochs * self._costs[trial.trial_id]
        self._running[trial.trial_id] = (
            f"{self._title(trial)}: epoch {figures.epoch}/{trial.epochs}, validation F1 {figures.f1:.4f}"
        )
        self._refresh()

    def trial_ended(self, record: TrialRecord) -> None:
        """Print how the trial ended."""
        trial, title = record.config, self._title(record.config)
        self._running.pop(record.trial_id, None)
        self._count_done(record)
        self._bar.advance(self._task)
        if record.result:
            f1 = record.result.scores["validation"].spans.f1  # what the ranking goes by
            self._best = max(self._best or (f1, title), (f1, title), key=lambda best: best[0])
            early = "" if len(record.curve) == trial.epochs else ", stopped early"
            outcome = f"validation F1 {f1:.4f} (epoch {record.result.best_epoch}){early}"
        elif record.status == "searched":
            f1 = max(epoch.f1 for epoch in record.curve)
            self._best = max(self._best or (f1, title), (f1, title), key=lambda best: best[0])
            outcome = f"validation F1 {f1:.4f}"
        elif record.status == "stopped":
            outcome = f"[yellow]stopped[/] after epoch {len(record.curve)} of {trial.epochs}"
        elif record.status == "diverged":
            outcome = "[yellow]diverged[/]"
        else:
            outcome = "[red]failed[/]"
        task = self._bar.tasks[0]
        line = f"[{int(task.completed):>{len(str(task.total))}}/{task.total}] "
        left = "" if self._live else f", {self._time_left()}"
        text = f"{_plain(line)}{_plain(title)}: {outcome}, {record.seconds:.1f} s{left}"
        self._console.print(text, highlight=False, soft_wrap=True)
        self._refresh()

    def _count_done(self, record: TrialRecord) -> None:
        """A trial that ended early leaves the total less; one that failed says nothing about the others' time."""
        cost = self._costs.setdefault(record.trial_id, self._cost(record.config))
        self._done[record.trial_id] = len(record.curve) / record.config.epochs * cost
        self._saved += cost - self._done[record.trial_id]

    def _time_left(self) -> str:
        done = sum(self._done.values())
        if not done or self._started is None:
            return "time left unknown"
        elapsed = time.monotonic() - self._started
        each = fmean(self._costs.values())
        work = self._work if self._work is not None else (self._trials - self._earlier) * each
        seconds = elapsed / done * max(0.0, work - self._saved - done)
        if self._seconds is not None:
            seconds = min(seconds, max(0.0, self._seconds - elapsed))
        seconds += elapsed / done * self._confirmations * each
        return f"about {int(seconds) // 60}:{int(seconds) % 60:02d} left"

    def _refresh(self) -> None:
        self._bar.update(self._task, left=self._time_left())
        if self._live:
            self._live.update(self._view())

    def _view(self) -> RenderableType:
        lines: list[RenderableType] = [Text(f"  {line}", overflow="ellipsis") for line in self._running.values()]
        best = f"best so far: {self._best[1]}: validation F1 {self._best[0]:.4f}" if self._best else ""
        return Group(*lines, *([Text(best)] if best else []), self._bar)


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB"


def _plain(text: str) -> str:
    """Text that rich prints as it stands, square brackets included."""
    return escape(text)
