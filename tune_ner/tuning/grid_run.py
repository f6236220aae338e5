"""The grid under Ray Tune: every trial of an experiment, side by side, each recorded when it ends."""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any

import ray
from pydantic import TypeAdapter
from ray import tune
from ray.tune.search import BasicVariantGenerator

from tune_ner.audit import AuditReport
from tune_ner.errors import ResourceError, TuneNerError
from tune_ner.runs import RunFolder, TrialRecord
from tune_ner.training import EpochFigures, TrialConfig
from tune_ner.tuning.events import RunEvents
from tune_ner.tuning.experiment import Experiment, audit_experiment
from tune_ner.tuning.halving import LAST, ConfigurationHalving
from tune_ner.tuning.resources import Machine, Node, ResourceWishes, TrialResources, trial_resources
from tune_ner.tuning.scheduling import Scheduling

_EPOCH = TypeAdapter(EpochFigures)
_HOUR_MS = "3600000"
_ENVIRONMENT = {
    # Ray Tune's own CSV, JSON and TensorBoard files would repeat the records.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # Nor is its own state of any use, which it writes every ten seconds: records are kept here, trial by trial.
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
    # Ctrl-C reaches the command, which writes the tables of what is finished.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # The newer output prints its tables even at verbosity 0.
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    # Ray writes its own state every ten seconds and its counts every minute, some two hundred megabytes in a day.
    "RAY_debug_dump_period_milliseconds": _HOUR_MS,
    "RAY_event_stats_print_interval_ms": _HOUR_MS,
}


def plan_resources(experiment: Experiment, wishes: ResourceWishes, address: str | None = None) -> TrialResources:
    """What each trial would get, on this machine or on the cluster at `address`; nothing is run.

    Raises:
        ResourceError: a wish that cannot be fulfilled, or no cluster at `address`.
    """
    if address is None:
        return _resources(experiment, wishes, Machine.local())
    with _ray_session(address, None, dashboard=False):
        return _resources(experiment, wishes, _cluster_machine())


def run_grid(
    experiment: Experiment,
    folder: RunFolder,
    wishes: ResourceWishes = ResourceWishes(),  # noqa: B008 - frozen
    events: RunEvents | None = None,
    *,
    scheduling: Scheduling = Scheduling(),  # noqa: B008 - frozen
    audits: Mapping[int | None, AuditReport] | None = None,
    address: str | None = None,
    dashboard: bool = False,
) -> list[TrialRecord]:
    """Run every trial of the grid under Ray Tune, and record each one when it ends.

    The trials that are expected to take longest start first. A trial that fails does so alone; its record says
    why. The records come in the order of the grid.

    Args:
        experiment: the prepared space.
        folder: a folder that is yet to be created; see `RunFolder.available`.
        wishes: what the user asks for each trial.
        events: told what happens while it happens.
        scheduling: whether trials that are behind are stopped; each leaves a record with its epochs.
        audits: what `audit_experiment` found, if it was asked already; it is kept with the run.
        address: a running Ray cluster; without it, Ray is started on this machine and ended with the run.
        dashboard: whether a Ray started here has its dashboard.

    Raises:
        ResourceError: a wish that cannot be fulfilled, or no cluster at `address`.
        RunFolderError: the folder or a record cannot be written.
    """
    events = events or RunEvents()
    audits = audit_experiment(experiment) if audits is None else audits
    machine = None if address else Machine.local()
    if machine:
        _resources(experiment, wishes, machine)  # a wish that cannot be fulfilled is refused before Ray starts
    with _ray_session(address, machine, dashboard) as page:
        reference = _shared(experiment)
        resources = _shared_out(experiment, reference, wishes, machine or _cluster_machine())
        folder.create(experiment.space.to_yaml())
        folder.write_audits({fold: report.as_dict() for fold, report in audits.items()})
        events.run_started(resources, page)
        recorder = _Recorder(experiment, folder, events)
        _fit(experiment, reference, resources, scheduling, recorder)
    order = {trial.trial_id: place for place, trial in enumerate(experiment.trials)}
    return sorted(recorder.records, key=lambda record: order[record.trial_id])


def _shared(experiment: Experiment) -> Any:
    """The experiment in the object store, once for all workers, what every tokenizer makes of its corpus included."""
    _ = experiment.tokenized
    return ray.put(experiment)


def _shared_out(experiment: Experiment, reference: Any, wishes: ResourceWishes, machine: Machine) -> TrialResources:
    """What each trial gets; where the user does not divide the GPUs, by the memory that trials are seen to take.

    The largest trial of each encoder is tried for a moment, on a whole GPU.
    """
    resources = _resources(experiment, wishes, machine)
    if not resources.gpus or wishes.gpus_per_trial is not None:
        return resources
    measure = ray.remote(num_cpus=resources.cpus, num_gpus=1, max_retries=0)(_training_memory)
    largest = {trial.model: trial for trial in sorted(experiment.trials, key=lambda each: each.batch_size)}
    measured = [_outcome(measure.remote(trial, [reference])) for trial in largest.values()]
    if 0 in measured:
        return resources  # the estimate has to do
    need = replace(experiment.need, measured=max(measured))
    return trial_resources(machine, need, wishes, len(experiment.trials))


def _outcome(measurement: Any) -> int:
    try:
        return int(ray.get(measurement))
    except ray.exceptions.RayError:  # whatever is wrong with this encoder, its trial will say so
        return 0


def _training_memory(trial: TrialConfig, reference: list[Any]) -> int:
    """What runs in a worker to measure a trial."""
    from tune_ner.training.inputs import tokenization, trial_inputs
    from tune_ner.training.memory import training_memory

    experiment = _fetched(reference[0])
    encoder, split = experiment.encoders[trial.model], experiment.splits[trial.fold]
    inputs = trial_inputs(trial, encoder, experiment.corpus, split, experiment.tokenized.get(tokenization(trial)))
    return training_memory(trial, encoder, inputs)


def _fit(
    experiment: Experiment, reference: Any, resources: TrialResources, scheduling: Scheduling, recorder: _Recorder
) -> None:
    points = [_point(experiment, trial) for trial in experiment.schedule]
    with tempfile.TemporaryDirectory(prefix="tune-ner-ray-") as storage, _interrupts() as interrupts:
        tuner = tune.Tuner(
            _trainable(reference, resources),
            param_space=dict.fromkeys(experiment.space.axes),  # each point fills in all of them
            tune_config=tune.TuneConfig(
                # In the order of the points; a `grid_search` over them would copy them all for each one.
                search_alg=BasicVariantGenerator(points_to_evaluate=points, max_concurrent=resources.concurrent),
                num_samples=len(points),
                scheduler=_scheduler(experiment, scheduling),
                reuse_actors=True,
                trial_dirname_creator=lambda trial: str(trial.trial_id),
            ),
            run_config=tune.RunConfig(
                name=recorder.run, storage_path=storage, verbose=0, callbacks=[recorder, interrupts]
            ),
        )
        tuner.fit()


def _point(experiment: Experiment, trial: TrialConfig) -> dict[str, Any]:
    """The point of the space that gives this trial."""
    return {name: getattr(trial, name) for name in experiment.space.axes}


def _scheduler(experiment: Experiment, scheduling: Scheduling) -> ConfigurationHalving | None:
    """None where nothing is ever stopped, which is Ray's default."""
    epochs = max(experiment.space.epochs)
    return ConfigurationHalving(scheduling, epochs) if scheduling.rungs(epochs) else None


def _resources(experiment: Experiment, wishes: ResourceWishes, machine: Machine) -> TrialResources:
    return trial_resources(machine, experiment.need, wishes, len(experiment.trials))


@contextmanager
def _ray_session(address: str | None, machine: Machine | None, dashboard: bool) -> Iterator[str]:
    """A local Ray with what `machine` has, or the cluster at `address`; yields the dashboard's address."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if address:
        _check_reachable(address)
    local: dict[str, Any] = {"include_dashboard": dashboard}
    if machine:
        local |= {"num_cpus": machine.cpus, "num_gpus": machine.gpus}
    try:
        context = ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if address else local),
        )
        # Why a trial ended is in its record; Tune would print a traceback of its own besides.
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise _unreachable(f"the cluster at {address}" if address else "a local Ray", str(error)) from error
    try:
        yield f"http://{context.dashboard_url}" if context.dashboard_url else ""
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself tries for minutes before it gives up."""
    if address.startswith("ray://"):
        raise ResourceError(
            f"--address {address}: Ray Client is not supported, since trials are recorded where the command runs; "
            "run the command on a node of the cluster with --address auto"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return  # `auto` and other names are Ray's to resolve
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise _unreachable(f"the cluster at {address}", str(error)) from error


def _unreachable(what: str, reason: str) -> ResourceError:
    return ResourceError(
        f"{what} cannot be reached: {reason}; check the address with `ray status`, and that RAY_AUTH_MODE=token is set "
        "here if the cluster asks for a token"
    )


def _cluster_machine() -> Machine:
    """What the connected cluster has; Ray does not know the memory of its GPUs."""
    have = ray.cluster_resources()  # type: ignore[no-untyped-call]
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return Machine(
        int(have.get("CPU", 1)),
        int(have.get("GPU", 0)),
        int(have.get("memory", 0)),
        gpu_memory=0,
        nodes=tuple(Node(int(each.get("CPU", 0)), float(each.get("GPU", 0))) for each in alive),
    )


def _trainable(reference: Any, resources: TrialResources) -> Any:
    # Tune would fetch the experiment anew for each trial, a reused worker keeps it; within a list, the reference
    # reaches the worker as one.
    with_data = tune.with_parameters(_train, reference=[reference], threads=resources.cpus)
    return tune.with_resources(with_data, {"cpu": resources.cpus, "gpu": resources.gpus})


@lru_cache(maxsize=1)
def _fetched(reference: Any) -> Experiment:
    """The experiment, fetched once for all trials of a worker."""
    experiment: Experiment = ray.get(reference)
    return experiment


def _train(config: dict[str, Any], reference: list[Any], threads: int) -> None:
    """What runs in a worker: one trial, its epochs reported as they end and its record at the end."""
    start = time.perf_counter()
    from tune_ner.training.inputs import tokenization
    from tune_ner.training.trial import run_trial

    experiment = _fetched(reference[0])
    trial = experiment.trial(config)
    encoder = experiment.encoders[trial.model]
    started = time.perf_counter() - start

    def report(figures: EpochFigures) -> None:
        tune.report(
            {
                "epoch": figures.epoch,
                "validation_f1": figures.f1,
                "figures": _EPOCH.dump_python(figures),
                LAST: _is_last(trial, figures),
            }
        )

    try:
        tokenized = experiment.tokenized.get(tokenization(trial))
        corpus, split = experiment.corpus, experiment.splits[trial.fold]
        result = run_trial(trial, encoder, corpus, split, report, threads, tokenized)
        result = replace(result, seconds={"start": started, **result.seconds})
        record = TrialRecord.finished(trial, result, time.perf_counter() - start)
    except TuneNerError as error:
        record = TrialRecord.failed(trial, str(error), time.perf_counter() - start)
    # The one place where a trial's failure, whatever it is, must not end the others. A scheduler's stop comes out of
    # `tune.report` as SystemExit, which is no Exception, and goes on to Ray.
    except Exception as error:  # noqa: BLE001
        message = f"{type(error).__name__}: {error}"
        record = TrialRecord.failed(trial, message, time.perf_counter() - start, traceback.format_exc())
    best = max((epoch.f1 for epoch in record.result.epochs), default=0.0) if record.result else 0.0
    tune.report({"epoch": trial.epochs, "validation_f1": best, "record": record.model_dump_json(), LAST: True})


def _is_last(trial: TrialConfig, figures: EpochFigures) -> bool:
    reached = trial.stop_at_f1 is not None and figures.f1 >= trial.stop_at_f1
    return reached or figures.epoch >= trial.epochs


class _Interrupts(tune.Callback):
    """Raises KeyboardInterrupt once more if Ctrl-C was pressed and the run still goes on.

    Where the first one is raised is a matter of chance. In a destructor, or in a callback that Python calls from C,
    nobody hears it.
    """

    def __init__(self) -> None:
        self._pressed = False

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def press(self, number: int, frame: Any) -> None:
        """The handler of the signal."""
        self._pressed = True
        raise KeyboardInterrupt

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self._pressed:
            raise KeyboardInterrupt


@contextmanager
def _interrupts() -> Iterator[_Interrupts]:
    """Ctrl-C handled by the callback, where Python lets a handler be set: in the main thread."""
    interrupts = _Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = signal.signal(signal.SIGINT, interrupts.press)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)


class _Recorder(tune.Callback):
    """Writes each trial's record in the driver, and passes on what happens."""

    def __init__(self, experiment: Experiment, folder: RunFolder, events: RunEvents) -> None:
        self.run = folder.path.name
        self._experiment = experiment
        self._folder = folder
        self._events = events
        self._started: dict[str, float] = {}
        self._epochs: dict[str, list[EpochFigures]] = {}
        self._recorded: set[str] = set()
        self.records: list[TrialRecord] = []

    def __getstate__(self) -> dict[str, Any]:
        # Tune saves its callbacks for a restore of its own; the display cannot be pickled and is not needed there.
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._started[trial.trial_id] = time.perf_counter()
        self._events.trial_started(self._experiment.trial(trial.config))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "record" in result:
            self._record(trial, TrialRecord.model_validate_json(result.pop("record")))
        elif "figures" in result:
            figures = _EPOCH.validate_python(result.pop("figures"))
            # A trial that ran out of GPU memory begins anew with smaller steps, and its epochs with it.
            self._epochs.setdefault(trial.trial_id, [])[figures.epoch - 1 :] = [figures]
            self._events.epoch_ended(self._experiment.trial(trial.config), figures)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The worker itself died; what a trial raises ends in a record of its own."""
        if trial.trial_id in self._recorded:
            return  # it died after its work was done
        cause = trial.get_pickled_error() or "no cause known"
        first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        config = self._experiment.trial(trial.config)
        self._record(trial, TrialRecord.failed(config, f"the worker died: {first}", self._seconds(trial)))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial that ends without a record was stopped by the scheduler."""
        if trial.trial_id not in self._recorded:
            config, epochs = self._experiment.trial(trial.config), self._epochs.get(trial.trial_id, [])
            self._record(trial, TrialRecord.stopped(config, epochs, self._seconds(trial)))

    def _seconds(self, trial: Any) -> float:
        return time.perf_counter() - self._started.get(trial.trial_id, time.perf_counter())

    def _record(self, trial: Any, record: TrialRecord) -> None:
        self._recorded.add(trial.trial_id)
        self._epochs.pop(trial.trial_id, None)
        self._folder.append(record, self._experiment.corpus, self._experiment.splits[record.config.fold])
        self.records.append(record if not record.result else _without_spans(record))
        self._events.trial_ended(record)


def _without_spans(record: TrialRecord) -> TrialRecord:
    """The record without its predicted spans, which lie in a file of their own."""
    assert record.result
    return record.model_copy(update={"result": replace(record.result, spans={})})
