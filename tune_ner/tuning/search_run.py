"""The search: trials where Optuna suggests, until the budget is spent; then the best with fresh seeds, and on test."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice

from ray import tune

from tune_ner.audit.findings import AuditReport
from tune_ner.config.hyperparameters import SelectionMetric
from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import SchedulingError
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.tuning.best_model_store import lacks_model
from tune_ner.tuning.events import RunEvents
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.grid_run import kept
from tune_ner.tuning.recovery import FailureConfig
from tune_ner.tuning.resources import ResourceRequest
from tune_ner.tuning.samplers import SAMPLERS, Study, StudySearch, value_of
from tune_ner.tuning.schedulers import FAILED
from tune_ner.tuning.scheduling import SchedulerConfig
from tune_ner.tuning.tuner import going_on, heard, running
from tune_ner.utils.text import near_misses

STUDY_FILE = "study.db"


@dataclass(frozen=True)
class Budget:
    """When a search ends: after `trials`, after `seconds`, or once a trial's validation F1 reaches `target_f1`.

    Trials of a search that goes on count from its beginning, seconds from its last start.

    Raises:
        SchedulingError: there is nothing to spend, or the aim cannot be reached.
    """

    trials: int = 30
    seconds: float | None = None
    target_f1: float | None = None

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise SchedulingError(f"--trials {self.trials}: expected 1 or more")
        if self.seconds is not None and self.seconds <= 0:
            raise SchedulingError(f"--time {self.seconds:g}s: expected more than nothing, for instance 30m")
        if self.target_f1 is not None and not 0 < self.target_f1 <= 1:
            raise SchedulingError(f"--target-f1 {self.target_f1:g}: expected more than 0 and at most 1")


@dataclass(frozen=True)
class Strategy:
    """How a search draws, and what it confirms: the `top` configurations by validation, with `seeds` fresh seeds each.

    The best of many noisy trials is an overestimate, so that only what was trained anew is called the winner.

    Raises:
        SchedulingError: an unknown sampler, or nothing to confirm.
    """

    sampler: str = "tpe"
    sampler_seed: int = 0
    top: int = 3
    seeds: int = 3

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise SchedulingError(
                f"--sampler {self.sampler}: expected {' or '.join(SAMPLERS)}{near_misses(self.sampler, SAMPLERS)}"
            )
        if self.top < 1 or self.seeds < 1:
            raise SchedulingError(
                f"--confirm {self.top} with --confirm-seeds {self.seeds}: expected 1 or more of each, since only what "
                "is confirmed is measured on test"
            )


def run_search(
    experiment: Experiment,
    folder: RunDir,
    request: ResourceRequest = ResourceRequest(),  # noqa: B008 - frozen
    events: RunEvents | None = None,
    *,
    budget: Budget = Budget(),
    strategy: Strategy = Strategy(),
    scheduler_config: SchedulerConfig = SchedulerConfig(),  # noqa: B008 - frozen
    failure_config: FailureConfig = FailureConfig(),  # noqa: B008 - frozen
    storage: str | None = None,
    study: str | None = None,
    audits: Mapping[int | None, AuditReport] | None = None,
    address: str | None = None,
    dashboard: bool = False,
    export: bool = True,
) -> list[TrialRecord]:
    """Search a space under Ray Tune, record every trial when it ends, and confirm the best.

    Args:
        experiment: the prepared space.
        folder: a folder that is yet to be created, or that of a search which did not end.
        wishes: what the user asks for each trial.
        events: told what happens while it happens.
        budget: when to stop searching; what is confirmed comes on top.
        strategy: how to draw, and what to confirm.
        scheduling: whether trials that are behind are stopped.
        recovery: what to do about trials that do not end as they should.
        storage: where the study lies, a database URL; by default a file in the folder.
        study: its name there; by default that of the run.
        audits: what `audit_experiment` found, if it was asked already; it is kept with the run.
        address: a running Ray cluster; without it, Ray is started on this machine and ended with the run.
        dashboard: whether a Ray started here has its dashboard.
        export: whether the winner's model is left in `best/`.

    Returns:
        The records, in the order in which the trials ended.

    Raises:
        SpaceError: there is nothing to search.
        StudyError: the study cannot be opened, or is of another search.
        ResourceError: a wish that cannot be fulfilled, or no cluster at `address`.
        RunFolderError: the folder or a record cannot be written.
    """
    experiment.space.check_search()
    events = heard(experiment, folder, events)
    run_config = experiment.run_config(scheduler_config)
    elsewhere = _study(experiment, folder, storage, study) if storage else None
    with going_on(folder, run_config, events) as found:
        earlier = kept(found, failure_config.retry_failed)
        if _is_whole(experiment, earlier, budget, strategy) and not (export and lacks_model(folder, found)):
            (elsewhere or _study(experiment, folder, None, study)).reconcile(earlier)
            return earlier
        with running(
            experiment,
            folder,
            request,
            events,
            run_config=run_config,
            trials=budget.trials,
            failure_config=failure_config,
            audits=audits,
            address=address,
            dashboard=dashboard,
            export=export,
        ) as runner:
            own = elsewhere or _study(experiment, folder, None, study)
            own.reconcile(earlier)
            own.try_again([record for record in searched(experiment, found) if record not in earlier])
            searcher = StudySearch(own, strategy.sampler, strategy.sampler_seed, earlier)
            if left := _left(experiment, earlier, budget):
                runner.search(
                    searcher,
                    left,
                    scheduler_config,
                    _BudgetStopper(budget, experiment.space.selection_metric),
                    searched(experiment, earlier),
                )
            so_far = [*earlier, *runner.records]
            own.reconcile(so_far)
            if unconfirmed := _unconfirmed(experiment, so_far, strategy):
                events.confirming(len(unconfirmed))
            runner.run(unconfirmed, SchedulerConfig())
        return [*earlier, *runner.records]


def _study(experiment: Experiment, folder: RunDir, storage: str | None, name: str | None) -> Study:
    """The study of a run, by default in a file of its folder, which must be there."""
    place = storage or f"sqlite:///{folder.path / STUDY_FILE}"
    return Study(experiment, place, name or folder.name, folder.name)


def _left(experiment: Experiment, records: Sequence[TrialRecord], budget: Budget) -> int:
    """Trials that the search may still have."""
    if any(_reached(record, budget) for record in records):
        return 0
    return max(0, budget.trials - len(searched(experiment, records)))


def _unconfirmed(experiment: Experiment, records: Sequence[TrialRecord], strategy: Strategy) -> list[TrialConfig]:
    done = {record.trial_id for record in records}
    return [trial for trial in to_confirm(experiment, records, strategy) if trial.trial_id not in done]


def _is_whole(experiment: Experiment, records: Sequence[TrialRecord], budget: Budget, strategy: Strategy) -> bool:
    """Whether nothing is left to be searched or confirmed."""
    return not _left(experiment, records, budget) and not _unconfirmed(experiment, records, strategy)


def searched(experiment: Experiment, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials of the search itself, all of one seed; the others confirm some of them."""
    (seed,) = experiment.space.seed
    return [record for record in records if record.config.seed == seed]


def to_confirm(experiment: Experiment, records: Sequence[TrialRecord], strategy: Strategy) -> list[TrialConfig]:
    """The best configurations of a search with fresh seeds, the best one first."""
    whole = [record for record in searched(experiment, records) if record.phase == "search" and record.is_trained]
    best = sorted(whole, key=lambda record: -(value_of(record) or 0.0))[: strategy.top]
    (used,) = experiment.space.seed
    seeds = list(islice((seed for seed in count(1) if seed != used), strategy.seeds))
    return [record.config.model_copy(update={"seed": seed}) for record in best for seed in seeds]


def _reached(record: TrialRecord, budget: Budget) -> bool:
    return budget.target_f1 is not None and (value_of(record) or 0.0) >= budget.target_f1


class _BudgetStopper(tune.Stopper):
    """Ends the search when its time is over or its aim is reached; running trials leave what they have."""

    def __init__(self, budget: Budget, selection_metric: SelectionMetric) -> None:
        self._budget = budget
        self._metric = f"validation_{selection_metric}"
        self._started = time.monotonic()
        self._best = 0.0

    def __call__(self, trial_id: str, result: dict[str, float]) -> bool:
        if FAILED in result:  # a report with a record; the trial that reaches the aim is to have one
            self._best = max(self._best, result[self._metric])
        return False

    def stop_all(self) -> bool:
        budget = self._budget
        late = budget.seconds is not None and time.monotonic() - self._started >= budget.seconds
        return late or (budget.target_f1 is not None and self._best >= budget.target_f1)
