"""Python interface of runs: `Tuner` runs a grid or a search and returns its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_ner.audit.findings import AuditReport
from tune_ner.config.loading import load_space, parse_space
from tune_ner.config.search_space import SearchSpace
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import AuditError, ModelError, RunFolderError, interrupt_code
from tune_ner.report.html_report import write_report
from tune_ner.results import run_results
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_log import LOGGER
from tune_ner.results.table_files import format_leaderboard, write_tables
from tune_ner.tracking.console import Plan
from tune_ner.tracking.display import ConsoleDisplay, Display
from tune_ner.tuning.early_start import ray_started_early
from tune_ner.tuning.events import Listeners
from tune_ner.tuning.experiment import Experiment, audit_experiment, earlier_test_uses, prepare
from tune_ner.tuning.options import (
    FailureConfig,
    ResourceRequest,
    RunOptions,
    SchedulerConfig,
    SearchSettings,
    parse_time,
)
from tune_ner.tuning.resources import Machine, trial_resources
from tune_ner.utils.console import new_console
from tune_ner.utils.text import near_misses

if TYPE_CHECKING:
    from tune_ner.report.plots import Plots
    from tune_ner.tracking.tracker import Tracker, TrackerName

EXIT_FAILED_TRIALS = 3
_PAGE_HEIGHT = 800
_GROUPS = {
    "cpus_per_trial": "resources",
    "gpus_per_trial": "resources",
    "max_concurrent": "resources",
    "scheduler": "scheduler",
    "grace_period": "scheduler",
    "reduction_factor": "scheduler",
    "max_failures": "failures",
    "retry_failed": "failures",
    "checkpoint_every": "failures",
    "trial_timeout": "failures",
    "address": "run",
    "dashboard": "run",
    "export": "run",
}


def run_options(**options: Any) -> RunOptions:
    """Return the options of a run from flat names, those of the command line.

    Args:
        options: `cpus_per_trial`, `gpus_per_trial`, `max_concurrent`, `scheduler`, `grace_period`,
            `reduction_factor`, `max_failures`, `retry_failed`, `checkpoint_every`, `trial_timeout` (seconds, or text
            such as `30m`), `address`, `dashboard`, `export`.

    Raises:
        TypeError: an unknown option.
        SchedulingError: a value is out of range.
    """
    groups: dict[str, dict[str, Any]] = {"resources": {}, "scheduler": {}, "failures": {}, "run": {}}
    for name, value in options.items():
        if name not in _GROUPS:
            raise TypeError(
                f"unknown option {name!r}{near_misses(name, _GROUPS)}; expected one of {', '.join(_GROUPS)}"
            )
        if name == "trial_timeout" and isinstance(value, str):
            value = parse_time(value, "--trial-timeout")
        groups[_GROUPS[name]]["name" if name == "scheduler" else name] = value
    return RunOptions(
        resources=ResourceRequest(**groups["resources"]),
        scheduler=SchedulerConfig(**groups["scheduler"]),
        failures=FailureConfig(**groups["failures"]),
        **groups["run"],
    )


@dataclass(frozen=True)
class Page:
    """A written report page; a notebook shows it inline."""

    path: Path

    def __repr__(self) -> str:
        return f"Page({str(self.path)!r})"

    def _repr_html_(self) -> str:
        content = escape(self.path.read_text(encoding="utf-8"), quote=True)
        return f'<iframe srcdoc="{content}" width="100%" height="{_PAGE_HEIGHT}" style="border: 0"></iframe>'


class Results(run_results.Results):
    """Results of a run: leaderboard, trials, best model, charts and report. A notebook shows a summary of them."""

    @property
    def plot(self) -> Plots:
        """The charts of the report as Altair charts: `results.plot.leaderboard()`."""
        from tune_ner.report.plots import Plots

        return Plots(self)

    def _repr_html_(self) -> str:
        sentences = [*self.caveats, *self.brief_summary]
        table = format_leaderboard(self).to_html(index=False, border=0) if self.entries else ""
        return f"<h4>{escape(self.name)}</h4>{table}" + "".join(f"<p>{escape(each)}</p>" for each in sentences)

    def report(self) -> Page:
        """Write the tables, the charts and `report.html`, and return the page, which a notebook shows inline.

        Raises:
            RunFolderError: a file cannot be written.
        """
        write_tables(self)
        page = write_report(self, LOGGER.warning)
        if isinstance(page, RunFolderError):
            raise page
        try:
            self.run_dir.upload()
        except RunFolderError as error:  # many may read a store and not write to it
            LOGGER.warning("report not uploaded: %s", error)
        return Page(page)

    def export_ensemble(
        self,
        configurations: int = 3,
        folder: str | Path | None = None,
        *,
        corpus: Any = None,
        note: Callable[[str], None] = LOGGER.warning,
        **options: Any,
    ) -> Path:
        """Write the models of the best configurations into one folder, which `Predictor.load` reads as an ensemble.

        Trials whose weights the run did not keep are trained again.

        Args:
            configurations: number of configurations, as for `ensemble`, which tells how good their ensemble is.
            folder: the new folder; `ensemble/` in the run folder by default.
            corpus: the corpus of the run, if it was in memory.
            note: called with what the user should know.
            options: resources of each trial, cluster and retries: see `run_options`.

        Returns:
            The folder.

        Raises:
            RunFolderError: as for `ensemble`; or the data or an encoder has changed since the run.
            ModelError: the folder exists or cannot be written, or a trial failed.
            SpaceError, DataError, EncoderError, ResourceError: the trials cannot be started.
        """
        from tune_ner.tuning.ensemble_export import export_ensemble

        records = self.ensemble_records(configurations)
        if self.space is None:
            raise RunFolderError(self.space_problem)
        target = Path(folder) if folder else self.run_dir.path / "ensemble"
        loaded = None if corpus is None else load_corpus(corpus, markup=self.space.markup)
        export_ensemble(self.run_dir, records, prepare(self.space, loaded), target, run_options(**options), note)
        return target


def load_results(path: str | Path) -> Results:
    """Return the results of a run folder such as `results/demo`, or of one in an object store (`s3://bucket/runs/demo`).

    Raises:
        RunFolderError: not a run folder, of another record format, or a record is corrupt.
    """
    results = Results(RunDir.open(path))
    assert results.records is not None  # read now, so that corrupt records are reported here
    return results


class Tuner:
    """Runs a grid or a search over a search space, and resumes it when called again.

    Args:
        corpus: anything that `load_corpus` accepts; None takes `data` of the search space.
        space: a mapping of hyperparameters, the name of a bundled search space, the path of a YAML file, or a
            `SearchSpace`.
        name: name of the run; an existing run is resumed. By default the search space and the time.
        results_dir: folder of the run folders: a path, or a URL of fsspec such as `s3://bucket/runs`.
        reading: how to read the corpus, as for `load_corpus`: `{"tag_column": 3, "group_by": "document"}`.
        display: shows the run; by default a progress bar and the leaderboard. `Display()` shows nothing.
        track: `mlflow` also logs to the server that MLFLOW_TRACKING_URI names, `wandb` to Weights & Biases,
            `trackio` with trackio.
        strict: raise `AuditError` instead of training if the audit finds an error.
        options: resources, scheduler, failures and cluster: see `run_options`.

    Raises:
        SpaceError: the search space is invalid; lists every error.
        DataError: the corpus cannot be read.
        RunFolderError: the name is invalid, the folder cannot be used, or another process works on the run.
        SchedulingError: an option is out of range.

    Example:
        >>> tuner = Tuner("corpus.jsonl", {"model": "tiny:1x32", "learning_rate": [1e-3, 2e-3]}, name="mine")
        >>> results = tuner.grid()
        >>> results.leaderboard()
    """

    def __init__(
        self,
        corpus: Any,
        space: SearchSpace | Mapping[str, Any] | str | Path,
        name: str | None = None,
        results_dir: str | Path = "results",
        *,
        reading: Mapping[str, Any] | None = None,
        display: Display | None = None,
        track: TrackerName | None = None,
        strict: bool = False,
        **options: Any,
    ) -> None:
        self.options = run_options(**options)
        self.space, label = _resolve_space(space, corpus, reading or {})
        self.run_dir = RunDir.new(results_dir, name or run_name(label), resume=True)
        in_memory = corpus is not None and not isinstance(corpus, str | Path)
        self._corpus = load_corpus(corpus, markup=self.space.markup, **(reading or {})) if in_memory else None
        self._display = ConsoleDisplay(new_console()) if display is None else display
        self._track = track
        self._strict = strict

    @cached_property
    def experiment(self) -> Experiment:
        """The corpus, its splits, the resolved encoders and the trials."""
        return prepare(self.space, self._corpus)

    def grid(self) -> Results:
        """Train every combination of the search space; trials with a record are not run again.

        Raises:
            SpaceError: a hyperparameter has a distribution, or there are too many combinations.
            ResourceError, EncoderError, SplitError, RunFolderError: the run cannot be started.
            AuditError: the run is strict and the audit finds an error.
            KeyboardInterrupt: Ctrl-C; the tables of the trials that ended are written.
        """
        return self.run()

    def search(self, trials: int = 30, time: str | float | None = None, **settings: Any) -> Results:
        """Sample configurations with Optuna, then retrain the best with new seeds and measure them on test.

        Args:
            trials: number of trials, those of earlier sessions included.
            time: time limit: seconds, or text such as `90s`, `30m`, `8h`, `2d`.
            settings: further fields of `SearchSettings`: `target_f1`, `confirm`, `confirm_seeds`, `sampler`,
                `sampler_seed`, `storage`, `study`.

        Raises:
            SpaceError: no hyperparameter has a distribution.
            SchedulingError: a setting is out of range.
            StudyError: the study cannot be opened, or has another search space.
            ResourceError, EncoderError, SplitError, RunFolderError: the run cannot be started.
            AuditError: the run is strict and the audit finds an error.
            KeyboardInterrupt: Ctrl-C; the tables of the trials that ended are written.
        """
        seconds = parse_time(time) if isinstance(time, str) else time
        return self.run(SearchSettings(trials, seconds, **settings))

    def show_plan(self, search: SearchSettings | None = None) -> None:
        """Show what a grid, or a search with these settings, would run."""
        self._check(search)
        self._audit()
        from tune_ner.tuning.tuner import plan

        trials = search.trials if search else len(self.experiment.trials)
        resources = plan(self.experiment, self.options, trials)
        self._display.show_plan(Plan(self.experiment, resources, self.options.scheduler, search))

    def run(self, search: SearchSettings | None = None) -> Results:
        """Run a grid, or a search with these settings: see `grid` and `search`."""
        self._check(search)
        with ExitStack() as stack:
            stack.enter_context(self.run_dir.synchronized(self._display.on_note))
            if self.options.address is None and not self.run_dir.path.exists():
                # errors in the data, the encoders and the resource request are raised before Ray starts
                trials = search.trials if search else len(self.experiment.trials)
                trial_resources(Machine.local(), self.experiment.memory, self.options.resources, trials)
                stack.enter_context(ray_started_early(dashboard=self.options.dashboard))
            return self._run(search)

    def _run(self, search: SearchSettings | None) -> Results:
        audits = self._audit()
        if self._strict:
            _refuse_errors(audits)
        from tune_ner.tuning.tuner import run_experiment

        trackers = self._trackers()
        interrupt: KeyboardInterrupt | None = None
        try:
            with self._display.listen(self.experiment) as progress:
                events = Listeners(progress, *trackers)
                run_experiment(self.experiment, self.run_dir, search, self.options, events, audits)
        except KeyboardInterrupt as error:
            interrupt = error
        if interrupt and not self.run_dir.path.exists():
            raise interrupt
        results = Results(self.run_dir)
        # a completed search may have fewer trials than its budget allows
        most = search.trials + search.confirm * search.confirm_seeds if search else len(self.experiment.trials)
        trials = len(results.records) if search and not interrupt else most
        finish_run(results, self._display, trackers, trials, interrupt)
        if interrupt:
            raise interrupt
        return results

    def _check(self, search: SearchSettings | None) -> None:
        if search:
            self.space.check_search()
        else:
            self.space.check_grid()

    def _audit(self) -> dict[int | None, AuditReport]:
        self._display.show_data(self.experiment)
        audits = audit_experiment(self.experiment)
        self._display.show_audit(audits, earlier_test_uses(self.experiment, self.run_dir))
        return audits

    def _trackers(self) -> list[Tracker]:
        if self._track is None:
            return []
        from tune_ner.tracking.tracker import new_tracker

        return [new_tracker(self._track, self.run_dir, self.experiment.title, self._display.on_note)]


def _refuse_errors(audits: Mapping[int | None, AuditReport]) -> None:
    titles = dict.fromkeys(finding.title for report in audits.values() for finding in report.at_least("error"))
    if titles:
        raise AuditError(
            f"not trained, because the run is strict and the audit found an error: {'; '.join(titles)}. See `tune-ner "
            "audit` for what to do."
        )


def finish_run(
    results: Results,
    display: Display,
    trackers: Sequence[Tracker],
    trials: int,
    interrupt: KeyboardInterrupt | None,
) -> int:
    """Write the tables, the charts and the page of a run of `trials` trials, report its end, and return its exit code.

    Raises:
        RunFolderError: a table cannot be written.
    """
    try:
        write_tables(results)
    except ModelError as error:  # the card is written last
        display.on_note(f"the model has no card: {error}")
    page = write_report(results, display.on_note)
    for tracker in trackers:
        tracker.finish(results, interrupt is not None)
    code = exit_code(results.records, interrupt)
    display.show_results(results, trials, page, code)
    return code


def run_name(label: str) -> str:
    """Return a run's name from a label and the time: `demo-20261123-181500`."""
    return f"{label}-{datetime.now():%Y%m%d-%H%M%S}"


def exit_code(records: Sequence[TrialRecord], interrupt: KeyboardInterrupt | None = None) -> int:
    """Return 0, 3 if a trial failed or none has a result, 130 after Ctrl-C, or 143 after SIGTERM."""
    if interrupt:
        return interrupt_code(interrupt)
    has_result = any(record.result for record in records)
    return 0 if has_result and all(record.status != "failed" for record in records) else EXIT_FAILED_TRIALS


def _resolve_space(
    space: SearchSpace | Mapping[str, Any] | str | Path, corpus: Any, reading: Mapping[str, Any]
) -> tuple[SearchSpace, str]:
    """Return the search space, and a name for runs of it."""
    data = {"data": {"path": str(corpus), **reading}} if isinstance(corpus, str | Path) else {}
    if isinstance(space, SearchSpace):
        return SearchSpace.model_validate({**dict(space), **data}), "run"
    if isinstance(space, Mapping):
        return parse_space({**space, **data}, "search space"), "run"
    return load_space(str(space), data), Path(space).stem
