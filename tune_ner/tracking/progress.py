"""Progress of a run: a live view in a terminal, and one line per trial elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from statistics import fmean
from types import TracebackType

from rich import progress
from rich.console import Console, Group
from rich.live import Live
from rich.table import Column
from rich.text import Text

from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.tracking.console import describe_trials, print_note
from tune_ner.training.result import EpochMetrics
from tune_ner.tuning.events import RunEvents, RunStart
from tune_ner.utils.console import print_line
from tune_ner.utils.text import plural, visible

_HOUR = 3600
_EPOCH_WIDTH, _SCORE_WIDTH = len("epoch 10/10"), len("validation seqeval F1 0.000")
_WIDE = 80  # columns of a terminal


class _TimeEstimate:
    """Estimate of the time that a run still needs, from the cost of its trials and the rate so far."""

    def __init__(self, cost: Callable[[TrialConfig], float]) -> None:
        self._cost = cost
        self._trials_left = 0
        self._total: float | None = None  # summed cost of the trials of this session
        self._time_limit: float | None = None
        self._confirmations = 0
        self._costs: dict[str, float] = {}
        self._done: dict[str, float] = {}
        self._skipped = 0.0  # cost of epochs that were not trained
        self._started: float | None = None

    def start_run(self, start: RunStart) -> None:
        """Set the size of the run."""
        self._trials_left = start.trials - start.recorded
        self._total, self._time_limit, self._confirmations = start.cost, start.seconds, start.confirmations

    def start_trial(self, trial: TrialConfig) -> None:
        """Add a trial; the first one starts the clock."""
        self._started = self._started or time.monotonic()
        self._costs[trial.trial_id] = self._cost(trial)

    def end_epoch(self, trial: TrialConfig, epoch: int) -> None:
        """Count the epochs of a trial as done."""
        self._done[trial.trial_id] = epoch / trial.epochs * self._costs[trial.trial_id]

    def end_trial(self, record: TrialRecord) -> None:
        """Count the epochs of an ended trial as done, and its other epochs as skipped."""
        cost = self._costs.setdefault(record.trial_id, self._cost(record.config))
        self._done[record.trial_id] = len(record.curve) / record.config.epochs * cost
        self._skipped += cost - self._done[record.trial_id]

    def start_confirmation(self, trials: int) -> None:
        """Replace the rest of the search by trials that confirm its best configurations."""
        spent = sum(self._done.values()) + self._skipped
        self._total = spent + trials * fmean(self._costs.values()) if self._costs else None
        self._trials_left, self._time_limit, self._confirmations = trials, None, 0

    @property
    def seconds_left(self) -> float | None:
        """The estimated time left; None before the end of the first epoch."""
        done = sum(self._done.values())
        if not done or self._started is None:
            return None
        elapsed = time.monotonic() - self._started
        mean_cost = fmean(self._costs.values())
        total = self._total if self._total is not None else self._trials_left * mean_cost
        seconds = elapsed / done * max(0.0, total - self._skipped - done)
        if self._time_limit is not None:
            seconds = min(seconds, max(0.0, self._time_limit - elapsed))
        return seconds + elapsed / done * self._confirmations * mean_cost


class Progress(RunEvents):
    """Progress of the trials of a run.

    The live view has a progress bar, the best trial so far, the address of Ray's dashboard, and a row for each running
    trial. A trial keeps its row, and the next trial takes the row of one that ended.

    Args:
        console: a terminal for the live view, or a file.
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
        self._estimate = _TimeEstimate(cost)
        self._best: tuple[float, str] | None = None
        self._dashboard = ""
        self._bar = progress.Progress(
            progress.TextColumn("trials"),
            progress.BarColumn(bar_width=30 if console.width >= _WIDE else 10),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TextColumn("{task.fields[left]}"),
            console=console,
        )
        self._task = self._bar.add_task("", total=0, left="starting Ray")
        self._rows = progress.Progress(
            progress.TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            # fixed widths, so that nothing moves when the first score arrives
            progress.TextColumn("{task.fields[epoch]}", table_column=Column(min_width=_EPOCH_WIDTH, no_wrap=True)),
            progress.TextColumn("{task.fields[score]}", table_column=Column(min_width=_SCORE_WIDTH, no_wrap=True)),
            console=console,
        )
        self._row_of: dict[str, progress.TaskID] = {}
        self._free_rows: list[progress.TaskID] = []
        # rich would print the output of libraries in the terminal; `RunLog` writes it to the log instead
        live = Live(get_renderable=self._view, console=console, redirect_stdout=False, redirect_stderr=False)
        self._live = live if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for row in self._rows.task_ids:
            self._rows.remove_task(row)
        self._dashboard = ""
        self._bar.update(self._task, left="")
        if self._live:
            self._live.stop()

    def on_run_start(self, start: RunStart) -> None:
        """Print how many trials run at once and the address of Ray's dashboard."""
        self._estimate.start_run(start)
        self._bar.update(self._task, total=start.trials, completed=start.recorded)
        if start.recorded:
            print_line(self._console, f"{start.recorded} of {plural(start.trials, 'trial')} ran in earlier sessions.")
        if left := start.trials - start.recorded:
            print_line(self._console, describe_trials(left, start.resources, at_most=start.seconds is not None))
        self._dashboard = f"Ray dashboard: {start.dashboard}{_token_hint()}" if start.dashboard else ""
        if start.dashboard and not self._live:
            print_line(self._console, self._dashboard)
        self._refresh()

    def on_note(self, message: str) -> None:
        """Print the message."""
        print_note(self._console, message)

    def on_confirmation_start(self, trials: int) -> None:
        """Print the number of trials that confirm the best configurations, and count only these from now on."""
        print_line(self._console, f"The search is over. Retraining its best configurations: {plural(trials, 'trial')}.")
        self._estimate.start_confirmation(trials)
        self._bar.update(self._task, total=trials, completed=0)
        self._refresh()

    def on_trial_start(self, trial: TrialConfig) -> None:
        """Show the trial in the live view."""
        self._estimate.start_trial(trial)
        if trial.trial_id not in self._row_of:
            row = self._free_rows.pop(0) if self._free_rows else self._rows.add_task("", epoch="", score="")
            self._row_of[trial.trial_id] = row
        title = _shorten(self._title(trial), self._console.width - _EPOCH_WIDTH - _SCORE_WIDTH - 2)
        self._rows.update(self._row_of[trial.trial_id], description=title, epoch="starting")
        self._refresh()

    def on_epoch_end(self, trial: TrialConfig, metrics: EpochMetrics) -> None:
        """Show the trial's epoch and validation score in the live view."""
        self._estimate.end_epoch(trial, metrics.epoch)
        score = _format_score(trial, metrics.score(trial.selection_metric))
        self._rows.update(self._row_of[trial.trial_id], epoch=f"epoch {metrics.epoch}/{trial.epochs}", score=score)
        self._refresh()

    def on_trial_end(self, record: TrialRecord) -> None:
        """Print how the trial ended."""
        if (row := self._row_of.pop(record.trial_id, None)) is not None:
            self._rows.update(row, description="", epoch="", score="")
            self._free_rows.append(row)
        self._estimate.end_trial(record)
        self._bar.advance(self._task)
        title = self._title(record.config)
        if record.is_trained and record.best_score is not None:
            best = (record.best_score, f"best so far: {_format_score(record.config, record.best_score)}, {title}")
            self._best = max(self._best or best, best, key=lambda found: found[0])
        task = self._bar.tasks[0]
        count = f"[{int(task.completed):>{len(str(task.total))}}/{task.total}] "
        left = "" if self._live else f", {self._time_left()}"
        outcome = Text.assemble(": ", _describe_end(record), f", {record.seconds:.1f} s{left}")
        if self._live:
            title = _shorten(title, self._console.width - len(count) - len(outcome))
        self._console.print(Text(count + title) + outcome, soft_wrap=not self._live)
        self._refresh()

    def _title(self, trial: TrialConfig) -> str:
        return visible(self._title_of(trial))

    def _time_left(self) -> str:
        seconds = self._estimate.seconds_left
        if seconds is None:
            return "time left unknown"
        minutes = int(seconds) // 60
        if seconds >= _HOUR:
            return f"about {minutes // 60} h {minutes % 60:02d} min left"
        return f"about {minutes}:{int(seconds) % 60:02d} left"

    def _refresh(self) -> None:
        self._bar.update(self._task, left=self._time_left())

    def _view(self) -> Group:
        """Return the live view; rich calls this in a thread several times a second and crops it to the terminal."""
        lines = [self._best[1] if self._best else "", self._dashboard]
        shown = (Text(_shorten(line, self._console.width), no_wrap=True) for line in lines if line)
        return Group(self._bar, *shown, self._rows)


def _shorten(text: str, width: int) -> str:
    """Return a text with an ellipsis in its middle if it is too long; model and seed of a title stay visible."""
    if len(text) <= width:
        return text
    kept = max(0, width - 1)
    return f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"


def _format_score(trial: TrialConfig, score: float) -> str:
    return f"validation {trial.selection_metric.replace('_f1', ' F1')} {score:.3f}"


def _describe_end(record: TrialRecord) -> Text:
    epochs = f"after epoch {len(record.curve)} of {record.config.epochs}"
    if record.is_trained and record.best_score is not None:
        best = f" (epoch {record.result.best_epoch})" if record.result else ""
        stopped = f", stopped early {epochs}" if record.status == "early_stopped" else ""
        return Text(f"{_format_score(record.config, record.best_score)}{best}{stopped}")
    if record.status == "pruned":
        return Text.assemble(("pruned", "yellow"), f" {epochs}")
    return Text(record.status, style="yellow" if record.status == "diverged" else "red")


def _token_hint() -> str:
    """Return the command that prints the token that the dashboard asks for; empty if it asks for none."""
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":  # Ray sets it where it finds a token
        return ""
    command = "ray" if shutil.which("ray") else os.path.relpath(Path(sys.executable).with_name("ray"))
    return f" (token: {command} get-auth-token)"
