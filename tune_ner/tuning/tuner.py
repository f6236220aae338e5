"""Trials of an experiment under Ray Tune: side by side, each recorded when it ends."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import BasicVariantGenerator, ConcurrencyLimiter, Searcher

from tune_ner.audit.findings import AuditReport
from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.best_model import ModelFiles
from tune_ner.results.records import TrialRecord
from tune_ner.results.resume import Protocol
from tune_ner.results.run_dir import RunDir
from tune_ner.tuning.best_model_store import export_winner, start_keeper
from tune_ner.tuning.callbacks import RecordWriter, heard_interrupts
from tune_ner.tuning.events import Listeners, LoggedEvents, RunEvents
from tune_ner.tuning.experiment import Experiment, audit_experiment
from tune_ner.tuning.ray_session import cluster_machine, ray_session
from tune_ner.tuning.recovery import FailureConfig
from tune_ner.tuning.resources import Machine, ResourceRequest, TrialResources, trial_resources
from tune_ner.tuning.schedulers import EarlierTrial, stopping_rule
from tune_ner.tuning.scheduling import SchedulerConfig
from tune_ner.tuning.tensorboard import TensorBoardFiles
from tune_ner.tuning.trainable import RunPlace, measure_memory, train, train_again


class Runner:
    """An experiment in the object store of a Ray that runs: sets of its trials are trained on it, one after another."""

    def __init__(
        self,
        experiment: Experiment,
        reference: Any,
        resources: TrialResources,
        record_writer: RecordWriter,
        failure_config: FailureConfig,
        exported_to: RunDir | None,
    ) -> None:
        self._experiment = experiment
        self._reference = reference
        self._resources = resources
        self._recorder = record_writer
        self._recovery = failure_config
        self._exported_to = exported_to
        self._keeper: Any = None

    @property
    def records(self) -> list[TrialRecord]:
        """The records of all trials that ended so far, in that order."""
        return self._recorder.records

    def run(
        self, trials: Sequence[TrialConfig], scheduler_config: SchedulerConfig, earlier: Sequence[TrialRecord] = ()
    ) -> None:
        """Train these trials, started in their order and compared with `earlier` ones, and measure them on test."""
        if self._exported_to and trials:
            self._keeper = start_keeper(self._exported_to)
        self._recorder.phase = "final"
        self._recorder.expect(len(trials))
        for tries_left in range(self._recovery.max_failures, -1, -1):
            self._recorder.tries_left = tries_left
            points = [self._experiment.point(trial) for trial in trials]
            # In the order of the points; a `grid_search` over them would copy them all for each one.
            generator = BasicVariantGenerator(points_to_evaluate=points, max_concurrent=self._resources.concurrent)
            self._fit(
                generator, len(points), self._rule(scheduler_config, [*earlier, *self.records]), measure_test=True
            )
            trials = self._recorder.never_begun()
            if not trials:
                return

    def search(
        self,
        searcher: Searcher,
        trials: int,
        scheduler_config: SchedulerConfig,
        stopper: tune.Stopper,
        earlier: Sequence[TrialRecord],
    ) -> None:
        """Train as many trials as said, each where the searcher suggests, until the stopper says that it is enough;
        they are measured on validation alone, and compared with `earlier` ones.
        """
        self._recorder.phase = "search"
        limited = ConcurrencyLimiter(searcher, self._resources.concurrent)
        self._fit(limited, trials, self._rule(scheduler_config, earlier), False, stopper)

    def _rule(self, scheduler_config: SchedulerConfig, earlier: Sequence[TrialRecord]) -> TrialScheduler | None:
        known = [EarlierTrial(record.trial_id, self._experiment.point(record.config), record) for record in earlier]
        space = self._experiment.space
        return stopping_rule(scheduler_config, space.largest("epochs"), space.selection_metric, known)

    def export(self, events: RunEvents) -> None:
        """Leave the winner's model in the run folder, if the run is to leave one."""
        if self._exported_to:
            export_winner(self._exported_to, self._keeper, self._train_again, events)

    def _train_again(self, record: TrialRecord) -> ModelFiles:
        """The model of a trial that ended before, trained once more.

        Raises:
            RayError: it could not be.
        """
        task = ray.remote(
            num_cpus=self._resources.cpus,
            num_gpus=self._resources.gpus,
            max_retries=self._recovery.max_failures,
        )(train_again)
        files: ModelFiles = ray.get(task.remote(record, [self._reference]))
        return files

    def _fit(
        self,
        algorithm: Any,
        trials: int,
        rule: TrialScheduler | None,
        measure_test: bool,
        stopper: tune.Stopper | None = None,
    ) -> None:
        # A set without trials is done; Tune would take 0 for one.
        if not trials:
            return
        with tempfile.TemporaryDirectory(prefix="tune-ner-ray-") as storage, heard_interrupts() as interrupts:
            tuner = tune.Tuner(
                self._trainable(measure_test),
                param_space=dict.fromkeys(self._experiment.space.hyperparameters),  # each point fills in all of them
                tune_config=tune.TuneConfig(
                    search_alg=algorithm,
                    num_samples=trials,
                    scheduler=rule,
                    reuse_actors=True,
                    trial_name_creator=partial(_title, self._experiment.space.varied_hyperparameters),
                    trial_dirname_creator=lambda trial: str(trial.trial_id),
                ),
                run_config=tune.RunConfig(
                    name=self._recorder.run,
                    storage_path=storage,
                    verbose=0,
                    failure_config=tune.FailureConfig(max_failures=self._recovery.max_failures),
                    callbacks=[self._recorder, interrupts],
                    stop=stopper,
                ),
            )
            try:
                tuner.fit()
            except KeyboardInterrupt:
                interrupts.raise_again()
                raise
            except Exception:
                if self._recorder.error:
                    raise self._recorder.error from None
                raise

    def _trainable(self, measure_test: bool) -> Any:
        # Tune would fetch the experiment anew for each trial, a reused worker keeps it; within a list, the reference
        # reaches the worker as one.
        place = RunPlace(
            self._recorder.run,
            tuple(self._experiment.space.varied_hyperparameters),
            self._recorder.checkpoints,
            self._recovery.checkpoint_every,
            self._keeper,
        )
        with_data = tune.with_parameters(
            train, reference=[self._reference], threads=self._resources.cpus, measure_test=measure_test, place=place
        )
        # Ray's pages call the workers so
        with_data.__name__ = f"trials of {self._recorder.run}"
        return tune.with_resources(with_data, {"cpu": self._resources.cpus, "gpu": self._resources.gpus})


def _title(axes: Sequence[str], trial: Any) -> str:
    """What Ray shows of a trial; of its configuration, a title needs what stands in the space."""
    return TrialConfig.model_construct(**trial.config).titled(axes)


def heard(experiment: Experiment, folder: RunDir, events: RunEvents | None) -> RunEvents:
    """All that listen to a run: the caller's listener, the package's log, and TensorBoard's files."""
    own = LoggedEvents(), TensorBoardFiles(folder.path, experiment.title)
    return Listeners(*([events] if events else []), *own)


@contextmanager
def going_on(folder: RunDir, run_config: Protocol, events: RunEvents) -> Iterator[list[TrialRecord]]:
    """The records of an earlier start of a run, which is this process's alone; none of a run that is yet to begin.

    Raises:
        RunFolderError: another process has it, it began with something else, or a file of it is damaged.
    """
    if not folder.path.exists():
        yield []
        return
    with folder.driven(run_config):
        if folder.mend_last_line():
            events.noted(f"{folder.trials_file}: the last line was torn and is dropped; its trial is run again")
        yield folder.records()


@contextmanager
def running(
    experiment: Experiment,
    folder: RunDir,
    request: ResourceRequest,
    events: RunEvents,
    *,
    run_config: Protocol,
    trials: int,
    failure_config: FailureConfig,
    audits: Mapping[int | None, AuditReport] | None,
    address: str | None,
    dashboard: bool,
    export: bool,
) -> Iterator[Runner]:
    """A runner on a Ray of this machine, or on the cluster at `address`.

    Args:
        experiment: what trials are of.
        folder: where records go; made unless it is there.
        protocol: what a later start must have in common with this one.
        wishes: what the user asks for each trial.
        events: told what happens while it happens.
        trials: how many there will be at most.
        recovery: what to do about trials that do not end as they should.
        audits: what `audit_experiment` found, if it was asked already; it is kept with the run.
        address: a running Ray cluster; without it, Ray is started on this machine and ended on leaving.
        dashboard: whether a Ray started here has its dashboard.
        export: whether the winner's model is left in the folder.

    Raises:
        ResourceError: a wish that cannot be fulfilled, or no cluster at `address`.
        RunFolderError: the folder or a record cannot be written.
    """
    audits = audit_experiment(experiment) if audits is None else audits
    machine = None if address else Machine.local()
    if machine:
        # a wish that cannot be fulfilled is refused before Ray starts
        trial_resources(machine, experiment.need, request, trials)
    with ray_session(address, machine, dashboard) as page:
        _ = experiment.tokenized  # so that it goes with the experiment
        reference = ray.put(experiment)
        resources = _shared_out(experiment, reference, request, machine or cluster_machine(), trials)
        with ExitStack() as stack:
            if not folder.path.exists():
                found = {fold: report.as_dict() for fold, report in audits.items()}
                folder.create(experiment.space.to_yaml(), run_config, found)
                stack.enter_context(folder.driven(run_config))
            events.run_started(resources, page)
            record_writer = RecordWriter(experiment, folder, events)
            runner = Runner(experiment, reference, resources, record_writer, failure_config, folder if export else None)
            yield runner
            runner.export(events)
            folder.remove_checkpoints()


def _shared_out(
    experiment: Experiment, reference: Any, request: ResourceRequest, machine: Machine, trials: int
) -> TrialResources:
    """What each trial gets; where the user does not divide the GPUs, by the memory that trials are seen to take.

    The largest trial of each encoder is tried for a moment, on a whole GPU.
    """
    resources = trial_resources(machine, experiment.need, request, trials)
    if not resources.gpus or request.gpus_per_trial is not None:
        return resources
    measure = ray.remote(num_cpus=resources.cpus, num_gpus=1, max_retries=0)(measure_memory)
    largest = [experiment.largest_trial(model) for model in experiment.encoders]
    measured = [_outcome(measure.remote(trial, [reference])) for trial in largest]
    if 0 in measured:
        return resources  # the estimate has to do
    return trial_resources(machine, replace(experiment.need, measured=max(measured)), request, trials)


def _outcome(measurement: Any) -> int:
    try:
        return int(ray.get(measurement))
    except ray.exceptions.RayError:  # whatever is wrong with this encoder, its trial will say so
        return 0
