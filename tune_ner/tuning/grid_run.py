"""The grid: every trial of an experiment, each recorded when it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tune_ner.audit.findings import AuditReport
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunFolder
from tune_ner.tuning.best_model_store import lacks_model
from tune_ner.tuning.events import RunEvents
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.ray_session import cluster_machine, ray_session
from tune_ner.tuning.recovery import Recovery
from tune_ner.tuning.resources import Machine, ResourceWishes, TrialResources, trial_resources
from tune_ner.tuning.scheduling import Scheduling
from tune_ner.tuning.tuner import going_on, heard, running


def plan_resources(
    experiment: Experiment, wishes: ResourceWishes, trials: int, address: str | None = None
) -> TrialResources:
    """What each of so many trials would get, on this machine or on the cluster at `address`; nothing is run.

    Raises:
        ResourceError: a wish that cannot be fulfilled, or no cluster at `address`.
    """
    if address is None:
        return trial_resources(Machine.local(), experiment.need, wishes, trials)
    with ray_session(address, None, dashboard=False):
        return trial_resources(cluster_machine(), experiment.need, wishes, trials)


def run_grid(
    experiment: Experiment,
    folder: RunFolder,
    wishes: ResourceWishes = ResourceWishes(),  # noqa: B008 - frozen
    events: RunEvents | None = None,
    *,
    scheduling: Scheduling = Scheduling(),  # noqa: B008 - frozen
    recovery: Recovery = Recovery(),  # noqa: B008 - frozen
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
    protocol = experiment.protocol(scheduling)
    order = {trial.trial_id: place for place, trial in enumerate(experiment.trials)}
    with going_on(folder, protocol, events) as earlier:
        done = {record.trial_id: record for record in kept(earlier, recovery.retry_failed)}
        left = [trial for trial in experiment.schedule if trial.trial_id not in done]
        if left or (export and lacks_model(folder, earlier)):
            with running(
                experiment,
                folder,
                wishes,
                events,
                protocol=protocol,
                trials=len(left),
                recovery=recovery,
                audits=audits,
                address=address,
                dashboard=dashboard,
                export=export,
            ) as runner:
                runner.run(left, scheduling, list(done.values()))
            done |= {record.trial_id: record for record in runner.records}
    return sorted(done.values(), key=lambda record: order[record.trial_id])


def kept(records: Sequence[TrialRecord], retry_failed: bool) -> list[TrialRecord]:
    """The records of an earlier start whose trials are not run again."""
    return [record for record in records if not (retry_failed and record.status == "failed")]
