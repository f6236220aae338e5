"""The run loop of grids and searches: trials run under Ray Tune, and each is recorded when it ends."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, filterfalse, islice
from typing import Any

import ray
from ray import tune
from ray.tune.search import ConcurrencyLimiter

from tune_ner.audit.findings import AuditReport
from tune_ner.config.hyperparameters import SelectionMetric, is_baseline
from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.best_model import ModelFiles
from tune_ner.results.records import Phase, TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.tuning.best_model_store import export_best, lacks_model, start_store
from tune_ner.tuning.callbacks import Interrupts, RecordWriter, Watchdog, handle_interrupts
from tune_ner.tuning.events import Listeners, LoggedEvents, RunEvents, RunStart
from tune_ner.tuning.experiment import Experiment, audit_experiment
from tune_ner.tuning.options import RunOptions, SchedulerConfig, SearchSettings
from tune_ner.tuning.prometheus import RunMetrics
from tune_ner.tuning.ray_session import cluster_machine, ray_session
from tune_ner.tuning.resources import Machine, TrialResources, trial_resources
from tune_ner.tuning.samplers import GridSampler, Sampler, StudySampler
from tune_ner.tuning.schedulers import build_scheduler
from tune_ner.tuning.tensorboard import TensorBoardFiles
from tune_ner.tuning.trainable import FAILED, WorkerContext, measure_memory, retrain, train, trial_of

STUDY_FILE = "study.db"

Audits = Mapping[int | None, AuditReport]


def plan(experiment: Experiment, options: RunOptions, trials: int) -> TrialResources:
    """Return the resources that each of `trials` trials would get; nothing is run.

    Raises:
        ResourceError: the requested resources are not available, or the cluster cannot be reached.
    """
    if options.address is None:
        return trial_resources(Machine.local(), experiment.memory, options.resources, trials)
    with ray_session(options.address, None, dashboard=False):
        return trial_resources(cluster_machine(), experiment.memory, options.resources, trials)


def run_experiment(
    experiment: Experiment,
    run_dir: RunDir,
    search: SearchSettings | None = None,
    options: RunOptions = RunOptions(),  # noqa: B008 - frozen
    events: RunEvents | None = None,
    audits: Audits | None = None,
) -> list[TrialRecord]:
    """Run a grid, or a search with the confirmation of its best configurations.

    If the run folder exists, the run is resumed: trials with a record are not run again. A trial that fails does not
    affect the others.

    Args:
        experiment: the prepared experiment.
        run_dir: the run folder, new or of an earlier session.
        search: budget and sampler of a search; None for a grid.
        options: resources, scheduler, handling of failures.
        events: listens to the run.
        audits: result of `audit_experiment`, stored with a new run; computed by default.

    Returns:
        The records of all sessions without predicted spans, which are in files: of a grid in its order, of a search in
        the order in which the trials ended.

    Raises:
        SpaceError: the search space has nothing to search.
        StudyError: the study cannot be opened, or has another search space.
        ResourceError: the requested resources are not available, or the cluster cannot be reached.
        RunFolderError: the run folder cannot be written, another process uses it, or its run was started with another
            search space, other data, encoders or libraries.
    """
    if search:
        experiment.space.check_search()
    listeners = events or RunEvents(), LoggedEvents(), TensorBoardFiles(run_dir.path, experiment.title)
    run = _Run(experiment, run_dir, search, options, Listeners(*listeners))
    with run.resumed() as found:
        sampler = run.sampler() if search and search.storage else None
        if not run.search_trials and not run.final_trials and not (options.export and lacks_model(run_dir, found)):
            if search:
                (sampler or run.sampler()).reconcile(run.records)
        else:
            with run.session(audits) as session:
                if search:
                    session.search(sampler or run.sampler(), search, found)
                session.train_final()
    if search:
        return run.records
    order = {trial.trial_id: position for position, trial in enumerate(experiment.trials)}
    return sorted(run.records, key=lambda record: order[record.trial_id])


@dataclass
class _Run:
    """A run: its records, and the trials that are left."""

    experiment: Experiment
    run_dir: RunDir
    search: SearchSettings | None
    options: RunOptions
    events: RunEvents
    records: list[TrialRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.config = self.experiment.run_config(self.options.scheduler)

    @contextmanager
    def resumed(self) -> Iterator[list[TrialRecord]]:
        """Lock an existing run folder, and read the records of earlier sessions.

        Yields:
            All of them; `records` are those whose trials are not run again.
        """
        if not self.run_dir.path.exists():
            yield []
            return
        with self.run_dir.lock(self.config):
            if self.run_dir.repair_last_line():
                self.events.on_note(
                    f"{self.run_dir.trials_file}: the last line was truncated and is removed; its trial is run again"
                )
            found = self.run_dir.records()
            retry_failed = self.options.failures.retry_failed
            self.records = [record for record in found if not (retry_failed and record.status == "failed")]
            yield found

    def sampler(self) -> StudySampler:
        """Open the study of a search, by default in a file of the run folder."""
        assert self.search
        storage = self.search.storage or f"sqlite:///{self.run_dir.path / STUDY_FILE}"
        return StudySampler(self.experiment, self.search, storage, self.run_dir.name)

    def of_phase(self, phase: Phase) -> list[TrialRecord]:
        """Return the records of a phase."""
        return [record for record in self.records if record.phase == phase]

    @property
    def search_trials(self) -> int:
        """Number of trials that the search may still run."""
        if self.search is None:
            return 0
        done, target = self.of_phase("search"), self.search.target_f1
        is_reached = target is not None and any((record.best_score or 0.0) >= target for record in done)
        return 0 if is_reached else max(0, self.search.trials - len(done))

    @property
    def final_trials(self) -> list[TrialConfig]:
        """Trials that are left to be measured on test, in the order in which they start."""
        done = {record.trial_id for record in self.records}
        trials = self.experiment.schedule if self.search is None else self._confirmations(self.search)
        return [trial for trial in trials if trial.trial_id not in done]

    def _confirmations(self, search: SearchSettings) -> list[TrialConfig]:
        """Return the best configurations of the search with seeds that it did not use, the best configuration first."""
        trained = [record for record in self.of_phase("search") if record.is_trained]
        best = sorted(trained, key=lambda record: -(record.best_score or 0.0))[: search.confirm]
        (used,) = self.experiment.space.seed
        seeds = list(islice((seed for seed in count(1) if seed != used), search.confirm_seeds))
        return [record.config.model_copy(update={"seed": seed}) for record in best for seed in seeds]

    @contextmanager
    def session(self, audits: Audits | None) -> Iterator[_Session]:
        """Start Ray, create a new run folder, and export the best model at the end."""
        experiment, options, search, left = self.experiment, self.options, self.search, self.final_trials
        audits = audit_experiment(experiment) if audits is None else audits
        trials = search.trials if search else len(left)
        machine = None if options.address else Machine.local()
        if machine:  # refuse requests before Ray starts
            trial_resources(machine, experiment.memory, options.resources, trials)
        with ray_session(options.address, machine, options.dashboard) as dashboard, ExitStack() as stack:
            _ = experiment.tokenized  # computed once, for all workers
            reference = ray.put(experiment)
            resources = allocate(experiment, reference, options, machine or cluster_machine(), trials)
            if not self.run_dir.path.exists():
                self.run_dir.create(experiment.space.to_yaml(), self.config, audits)
                stack.enter_context(self.run_dir.lock(self.config))
            session = _Session(self, reference, resources)
            session.events.on_run_start(
                RunStart(
                    resources,
                    dashboard,
                    trials=search.trials if search else len(experiment.trials),
                    recorded=min(trials, len(self.of_phase("search"))) if search else len(self.records),
                    cost=None if search else sum(map(experiment.cost, left)),
                    seconds=search.seconds if search else None,
                    confirmations=search.confirm * search.confirm_seeds if search else 0,
                )
            )
            yield session
            if options.export:
                export_best(self.run_dir, self.records, session.store, session.retrain, self.events)
            self.run_dir.remove_checkpoints()


class _Session:
    """Ray with the experiment in its object store, on which sets of trials run one after another.

    Attributes:
        events: listeners to the run, its Prometheus metrics included.
        store: the `BestModelStore`; None if no trial is measured on test, or no model exported.
    """

    def __init__(self, run: _Run, experiment: Any, resources: TrialResources) -> None:
        metrics = RunMetrics(run.run_dir.name, run.experiment.space.selection_metric, run.records)
        self.events = Listeners(metrics, run.events)
        self.store: Any = None
        self._run = run
        self._experiment = experiment
        self._resources = resources
        self._writer = RecordWriter(run.experiment, run.run_dir, self.events, run.records)
        self._failures = run.options.failures

    def search(self, sampler: StudySampler, search: SearchSettings, found: Sequence[TrialRecord]) -> None:
        """Run the search until its budget is spent; its trials are measured on validation only.

        Args:
            sampler: the sampler.
            search: the budget.
            found: the records of earlier sessions, those of trials to run again included.
        """
        done = self._run.of_phase("search")
        sampler.resume(done, [record for record in found if record.phase == "search" and record not in done])
        if trials := self._run.search_trials:
            stopper = _SearchStopper(search, self._run.experiment.space.selection_metric)
            self._fit(sampler, trials, "search", self._run.options.scheduler, stopper)
        sampler.reconcile(self._run.records)

    def train_final(self) -> None:
        """Run the trials of a grid, or those that confirm a search; they are measured on test."""
        trials = self._run.final_trials
        if not trials:
            return
        scheduler = SchedulerConfig() if self._run.search else self._run.options.scheduler
        if self._run.search:
            self.events.on_confirmation_start(len(trials))
        if self._run.options.export:
            self.store = start_store(self._run.run_dir, self._run.records)
        for retries_left in range(self._failures.max_failures, -1, -1):
            self._writer.retries_left = retries_left
            self._fit(GridSampler(trials), len(trials), "final", scheduler)
            trials = self._writer.take_never_started()
            if not trials:
                return

    def retrain(self, record: TrialRecord) -> ModelFiles:
        """Train the trial of a record again and return its model.

        Raises:
            RayError: the training failed.
        """
        cpus, gpus, retries = self._resources.cpus, self._resources.gpus, self._failures.max_failures
        task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=retries)(retrain)
        files: ModelFiles = ray.get(task.remote(record, [self._experiment]))
        return files

    def _fit(
        self, sampler: Sampler, trials: int, phase: Phase, config: SchedulerConfig, stopper: tune.Stopper | None = None
    ) -> None:
        self._writer.phase = phase
        space, earlier = self._run.experiment.space, self._run.of_phase(phase)
        with tempfile.TemporaryDirectory(prefix="tune-ner-ray-") as storage, handle_interrupts() as interrupts:
            tuner = tune.Tuner(
                self._trainable(phase),
                tune_config=tune.TuneConfig(
                    search_alg=ConcurrencyLimiter(sampler, self._resources.concurrent),
                    num_samples=trials,
                    scheduler=build_scheduler(config, space.largest("epochs"), space.selection_metric, earlier),
                    reuse_actors=True,
                    trial_name_creator=partial(_title, tuple(space.varied_hyperparameters)),
                    trial_dirname_creator=lambda trial: str(trial.trial_id),
                ),
                run_config=tune.RunConfig(
                    name=self._run.run_dir.name,
                    storage_path=storage,
                    verbose=0,
                    progress_reporter=tune.CLIReporter(),  # that for notebooks clears the cell's output
                    failure_config=tune.FailureConfig(max_failures=self._failures.max_failures),
                    callbacks=self._callbacks(interrupts),
                    stop=stopper,
                ),
            )
            try:
                tuner.fit()
            except KeyboardInterrupt:
                interrupts.raise_again()
                raise
            except Exception:
                if self._writer.error:
                    raise self._writer.error from None
                raise

    def _callbacks(self, interrupts: Interrupts) -> list[tune.Callback]:
        callbacks: list[tune.Callback] = [self._writer, interrupts]
        if self._failures.trial_timeout is not None:
            watchdog = Watchdog(self._failures.trial_timeout, self.events)
            self._writer.watch(watchdog)
            callbacks.append(watchdog)
        return callbacks

    def _trainable(self, phase: Phase) -> Any:
        run_dir = self._run.run_dir
        context = WorkerContext(
            run=run_dir.name,
            experiment=self._experiment,
            threads=self._resources.cpus,
            hyperparameters=tuple(self._run.experiment.space.varied_hyperparameters),
            phase=phase,
            checkpoints=run_dir.checkpoints.absolute(),
            checkpoint_every=self._failures.checkpoint_every,
            store=self.store,
        )
        trainable = tune.with_parameters(train, context=context)
        trainable.__name__ = f"trials of {run_dir.name}"  # shown in Ray's dashboard
        return tune.with_resources(trainable, {"cpu": self._resources.cpus, "gpu": self._resources.gpus})


def _title(hyperparameters: Sequence[str], trial: Any) -> str:
    """Return the title of a trial for Ray's dashboard."""
    return trial_of(trial.config).titled(hyperparameters)


def allocate(
    experiment: Experiment, reference: Any, options: RunOptions, machine: Machine, trials: int
) -> TrialResources:
    """Return the resources of each trial; unless the user set them, GPUs are shared by measured memory.

    The largest trial of each encoder is measured on a GPU of its own, unless the estimate leaves no doubt.
    """
    request = options.resources
    resources = trial_resources(machine, experiment.memory, request, trials)
    if not resources.gpus or request.gpus_per_trial is not None or experiment.memory.surely_fits(machine.gpu_memory):
        return resources
    measure = ray.remote(num_cpus=resources.cpus, num_gpus=1, max_retries=0)(measure_memory)
    measured = 0
    for model in filterfalse(is_baseline, experiment.encoders):
        try:
            measured = max(measured, ray.get(measure.remote(experiment.largest_trial(model), [reference])))
        except ray.exceptions.RayError:  # the trials of the encoder will report the error
            return resources
    return trial_resources(machine, replace(experiment.memory, measured=measured), request, trials)


class _SearchStopper(tune.Stopper):
    """Ends a search when its time is over or its target is reached; running trials are recorded as pruned."""

    def __init__(self, search: SearchSettings, selection_metric: SelectionMetric) -> None:
        self._search = search
        self._score = f"validation_{selection_metric}"
        self._start = time.monotonic()
        self._best = 0.0

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        if FAILED in result:  # a report with a record: the trial that reaches the target is to have one
            self._best = max(self._best, result[self._score])
        return False

    def stop_all(self) -> bool:
        seconds, target = self._search.seconds, self._search.target_f1
        is_late = seconds is not None and time.monotonic() - self._start >= seconds
        return is_late or (target is not None and self._best >= target)
