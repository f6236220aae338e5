"""The grid: every trial of an experiment, each recorded when it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tune_ner.audit.findings import AuditReport
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.tuning.best_model_store import lacks_model
from tune_ner.tuning.events import RunEvents
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.ray_session import cluster_machine, ray_session
from tune_ner.tuning.recovery import FailureConfig
from tune_ner.tuning.resources import Machine, ResourceRequest, TrialResources, trial_resources
from tune_ner.tuning.scheduling import SchedulerConfig
from tune_ner.tuning.tuner import going_on, heard, running


def plan_resources(
    experiment: Experiment, request: ResourceRequest, trials: int, address: str | None = None
) -> TrialResources:
    """What each of so many trials would get, on this machine or on the cluster at `address`; nothing is run.

    Raises:
        ResourceError: a wish that cannot be fulfilled, or no cluster at `address`.
    """
    if address is None:
        return trial_resources(Machine.local(), experiment.need, request, trials)
    with ray_session(address, None, dashboard=False):
        return trial_resources(cluster_machine(), experiment.need, request, trials)


def run_grid(
    experiment: Experiment,
    folder: RunDir,
    request: ResourceRequest = ResourceRequest(),  # noqa: B008 - frozen
    events: RunEvents | None = None,
    *,
    scheduler_config: SchedulerConfig = SchedulerConfig(),  # noqa: B008 - frozen
    failure_config: FailureConfig = FailureConfig(),  # noqa: B008 - frozen
    audits: Mapping[int | None, AuditReport] | None = None,
    address: str | None = None,
    dashboard: bool = False,
    export: bool = True,
) -> list[TrialRecord]:
    """Run every trial of the grid under Ray Tune, and record each one when it ends.

    Where the folder is that of an earlier start, trials that have a record are not run again. The trials that are
    expected to take longest start first. A trial that fails does so alone; its record says why. The records come in the
    order of the grid.

    Args:
        experiment: the prepared space.
        folder: a folder that is yet to be created, or that of an earlier start; see `RunFolder.available`.
        wishes: what the user asks for each trial.
        events: told what happens while it happens.
        scheduling: whether trials that are behind are stopped; each leaves a record with its epochs.
        recovery: what to do about trials that do not end as they should.
        audits: what `audit_experiment` found, if it was asked already; it is kept with the run.
        address: a running Ray cluster; without it, Ray is started on this machine and ended with the run.
        dashboard: whether a Ray started here has its dashboard.
        export: whether the winner's model is left in `best/`.

    Raises:
        ResourceError: a wish that cannot be fulfilled, or no cluster at `address`.
        RunFolderError: the folder or a record cannot be written, another process works on the run, or it began with
            another space, data, encoders or libraries.
    """
    events = heard(experiment, folder, events)
    run_config = experiment.run_config(scheduler_config)
    order = {trial.trial_id: place for place, trial in enumerate(experiment.trials)}
    with going_on(folder, run_config, events) as earlier:
        done = {record.trial_id: record for record in kept(earlier, failure_config.retry_failed)}
        left = [trial for trial in experiment.schedule if trial.trial_id not in done]
        if left or (export and lacks_model(folder, earlier)):
            with running(
                experiment,
                folder,
                request,
                events,
                run_config=run_config,
                trials=len(left),
                failure_config=failure_config,
                audits=audits,
                address=address,
                dashboard=dashboard,
                export=export,
            ) as runner:
                runner.run(left, scheduler_config, list(done.values()))
            done |= {record.trial_id: record for record in runner.records}
    return sorted(done.values(), key=lambda record: order[record.trial_id])


def kept(records: Sequence[TrialRecord], retry_failed: bool) -> list[TrialRecord]:
    """The records of an earlier start whose trials are not run again."""
    return [record for record in records if not (retry_failed and record.status == "failed")]
