"""Progress while trials run: a live view in a terminal, a plain line a trial elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from operator import attrgetter
from statistics import fmean
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.tracking.console import describe_resources, print_note
from tune_ner.training.result import EpochMetrics
from tune_ner.tuning.events import RunEvents, RunStart
from tune_ner.utils.text import visible

_HOUR = 3600
_BAR_WIDTH, _SHORT_BAR_WIDTH = 30, 10
_NARROW = 80
# best, dashboard, bar, the count of what is not shown, and the line that the cursor stands on
_LINES_BESIDE_TRIALS = 5
_STATE_WIDTHS = (len("epoch 10/10"), len("validation_seqeval_f1 0.0000"))
_GAP = 2


class _Pace:
    """How much of a run is done, and how long the rest will take at this rate."""

    def __init__(self, cost: Callable[[TrialConfig], float]) -> None:
        self._cost = cost
        self._left = 0
        self._work: float | None = None
        self._budget: float | None = None
        self._confirmations = 0
        self._costs: dict[str, float] = {}
        self._done: dict[str, float] = {}
        self._saved = 0.0
        self._started: float | None = None

    def begin(self, start: RunStart) -> None:
        """Take the size of the run."""
        self._left = start.trials - start.recorded
        self._work = start.cost
        self._budget = start.seconds
        self._confirmations = start.confirmations

    def started(self, trial: TrialConfig) -> None:
        """A trial was taken up."""
        self._started = self._started or time.monotonic()
        self._costs[trial.trial_id] = self._cost(trial)

    def measured(self, trial: TrialConfig, epoch: int) -> None:
        """So many of a trial's epochs are over."""
        self._done[trial.trial_id] = epoch / trial.epochs * self._costs[trial.trial_id]

    def ended(self, record: TrialRecord) -> None:
        """A trial that ended early leaves the total less; one that failed says nothing about the others' time."""
        cost = self._costs.setdefault(record.trial_id, self._cost(record.config))
        self._done[record.trial_id] = len(record.curve) / record.config.epochs * cost
        self._saved += cost - self._done[record.trial_id]

    def confirming(self, trials: int) -> None:
        """What was searched for is found, so many trials are left."""
        spent = sum(self._done.values()) + self._saved
        self._work = spent + trials * fmean(self._costs.values()) if self._costs else None
        self._left, self._budget, self._confirmations = trials, None, 0

    @property
    def seconds_left(self) -> float | None:
        """None before a first epoch has ended."""
        done = sum(self._done.values())
        if not done or self._started is None:
            return None
        elapsed = time.monotonic() - self._started
        each = fmean(self._costs.values())
        work = self._work if self._work is not None else self._left * each
        seconds = elapsed / done * max(0.0, work - self._saved - done)
        if self._budget is not None:
            seconds = min(seconds, max(0.0, self._budget - elapsed))
        return seconds + elapsed / done * self._confirmations * each


class LiveProgress(RunEvents):
    """What is shown while the trials of a workload run.

    The live view has a row for each running trial, as many as the terminal's height allows, then the best so far, the
    dashboard's address and a bar. A trial keeps its row, and a row that becomes free goes to the next trial, so that
    nothing moves.

    Args:
        console: where.
        cost: relative duration of a trial.
        title: title of a trial.
    """

    def __init__(
        self,
        console: Console,
        cost: Callable[[TrialConfig], float],
        title: Callable[[TrialConfig], str] = attrgetter("title"),
    ) -> None:
        self._console = console
        self._title_of = title
        self._pace = _Pace(cost)
        self._rows: list[str | None] = []
        self._states: dict[str, tuple[str, str, str]] = {}
        self._best: tuple[float, str] | None = None
        self._dashboard = ""
        self._bar = Progress(
            TextColumn("trials"),
            BarColumn(bar_width=_BAR_WIDTH if console.width >= _NARROW else _SHORT_BAR_WIDTH),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
        )
        self._task = self._bar.add_task("", total=0, left="starting Ray")
        self._live = _live(console, self._view) if console.is_terminal else None

    def __enter__(self) -> LiveProgress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rows.clear()
        self._dashboard = ""
        self._bar.update(self._task, left="")
        if self._live:
            self._live.stop()

    def on_run_start(self, start: RunStart) -> None:
        """Print how many trials run at once and the address of Ray's dashboard."""
        self._pace.begin(start)
        self._bar.update(self._task, total=start.trials, completed=start.recorded)
        if start.recorded:
            self._print(f"{start.recorded} of {start.trials} trials ended before.")
        if left := start.trials - start.recorded:
            at_most = "At most " if start.seconds is not None else ""
            self._print(f"{at_most}{describe_resources(start.resources, left)}")
        self._dashboard = f"Ray dashboard: {start.dashboard}" if start.dashboard else ""
        if start.dashboard and not self._live:
            self._print(self._dashboard)
        self._refresh()

    def on_note(self, message: str) -> None:
        """Print it."""
        print_note(self._console, message)

    def on_confirmation_start(self, trials: int) -> None:
        """Say so, and count these trials alone."""
        self._print(f"{trials} trials with fresh seeds confirm the best.")
        self._pace.confirming(trials)
        self._bar.update(self._task, total=trials, completed=0)
        self._refresh()

    def on_trial_start(self, trial: TrialConfig) -> None:
        """Show the trial among the running ones."""
        self._pace.started(trial)
        if trial.trial_id not in self._rows:
            free = self._rows.index(None) if None in self._rows else len(self._rows)
            self._rows[free : free + 1] = [trial.trial_id]
        self._states[trial.trial_id] = (self._title(trial), "starting", "")
        self._refresh()

    def on_epoch_end(self, trial: TrialConfig, metrics: EpochMetrics) -> None:
        """Show the trial's epoch and its validation F1."""
        self._pace.measured(trial, metrics.epoch)
        score = f"validation_{trial.selection_metric} {metrics.score(trial.selection_metric):.4f}"
        state = (self._title(trial), f"epoch {metrics.epoch}/{trial.epochs}", score)
        self._states[trial.trial_id] = state
        self._refresh()

    def on_trial_end(self, record: TrialRecord) -> None:
        """Print how the trial ended."""
        title = self._title(record.config)
        if record.trial_id in self._rows:
            self._rows[self._rows.index(record.trial_id)] = None
        self._states.pop(record.trial_id, None)
        self._pace.ended(record)
        self._bar.advance(self._task)
        f1 = record.best_score if record.is_trained else None
        if f1 is not None:
            self._best = max(self._best or (f1, title), (f1, title), key=lambda best: best[0])
        task = self._bar.tasks[0]
        count = escape(f"[{int(task.completed):>{len(str(task.total))}}/{task.total}]")
        left = "" if self._live else f", {self._time_left()}"
        self._print_end(title, f": {_outcome(record, f1)}, {record.seconds:.1f} s{left}", count)
        self._refresh()

    def _title(self, trial: TrialConfig) -> str:
        return visible(self._title_of(trial))

    def _print(self, markup: str) -> None:
        self._console.print(markup, highlight=False, soft_wrap=not self._live)

    def _print_end(self, title: str, outcome: str, count: str) -> None:
        """One line; a terminal too narrow for it gets less of the title."""
        room = self._console.width - len(Text.from_markup(f"{count} {outcome}"))
        self._print(f"{count} {escape(_shortened(title, room) if self._live else title)}{outcome}")

    def _time_left(self) -> str:
        seconds = self._pace.seconds_left
        if seconds is None:
            return "time left unknown"
        minutes = int(seconds) // 60
        if seconds >= _HOUR:
            return f"about {minutes // 60} h {minutes % 60:02d} min left"
        return f"about {minutes}:{int(seconds) % 60:02d} left"

    def _refresh(self) -> None:
        self._bar.update(self._task, left=self._time_left())

    def _view(self) -> RenderableType:
        """The view as it is now; called by rich, in a thread of its own, some times a second."""
        lines = [self._dashboard] if self._dashboard else []
        if self._best:
            said = f"best so far: validation F1 {self._best[0]:.4f}, "
            lines.insert(0, said + _shortened(self._best[1], self._console.width - len(said)))
        return Group(self._running(), *(Text(line, no_wrap=True, overflow="ellipsis") for line in lines), self._bar)

    def _running(self) -> RenderableType:
        rows = list(self._rows)
        room = max(1, self._console.height - _LINES_BESIDE_TRIALS)
        states = [self._states.get(trial or "", ("", "", "")) for trial in rows[:room]]
        if hidden := sum(1 for trial in rows[room:] if trial):
            states.append((f"… and {hidden} more", "", ""))
        title_width = max(1, self._console.width - sum(_STATE_WIDTHS) - len(_STATE_WIDTHS) * _GAP)
        table = Table.grid(padding=(0, _GAP), pad_edge=False)
        table.add_column()
        # as wide before there is a figure as after
        for width in _STATE_WIDTHS:
            table.add_column(min_width=width)
        for title, epoch, f1 in states:
            table.add_row(*(Text(text, no_wrap=True) for text in (_shortened(title, title_width), epoch, f1)))
        return table


def _shortened(title: str, width: int) -> str:
    """A title without the beginning of its model, should it be too long: what tells trials apart stands at its end."""
    return title if len(title) <= width else f"…{title[len(title) - max(0, width - 1) :]}"


def _live(console: Console, view: Callable[[], RenderableType]) -> Live:
    # What is printed while trials run is a `RunLog`'s to catch; rich would put it on the screen.
    return Live(
        get_renderable=view, console=console, refresh_per_second=4, redirect_stdout=False, redirect_stderr=False
    )


def _outcome(record: TrialRecord, f1: float | None) -> str:
    """How a trial ended, in rich's markup."""
    if record.result:
        early = "" if len(record.curve) == record.config.epochs else ", stopped early"
        return f"validation_{record.config.selection_metric} {f1:.4f} (epoch {record.result.best_epoch}){early}"
    if record.is_trained:
        return f"validation_{record.config.selection_metric} {f1:.4f}"
    if record.status == "pruned":
        return f"[yellow]pruned[/] after epoch {len(record.curve)} of {record.config.epochs}"
    return "[yellow]diverged[/]" if record.status == "diverged" else "[red]failed[/]"
