"""Options of a run: resources, scheduler, failures, and the budget and sampler of a search."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tune_ner.errors import SchedulingError
from tune_ner.utils.text import near_misses

SCHEDULERS = ("fifo", "asha", "median")
SAMPLERS = ("tpe", "random")
MAX_FAILURES = 2

_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class ResourceRequest:
    """Resources requested for the trials; None leaves the choice to `trial_resources`."""

    cpus_per_trial: int | None = None
    gpus_per_trial: float | None = None
    max_concurrent: int | None = None


@dataclass(frozen=True)
class SchedulerConfig:
    """Scheduler that prunes configurations with low scores: `fifo` (never), `asha` or `median`.

    ASHA (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning") compares configurations at rungs:
    after `grace_period` epochs, after `reduction_factor` times as many, and so on. At a rung, it prunes a configuration
    that is not among the best `1 / reduction_factor` of those that reached the rung before; the first one always
    continues. The median rule prunes a configuration, after any epoch from `grace_period` on, if its best score is
    below the median of the running means of at least three others.

    The default first rung is the paper's smallest. With a factor of 3, close to the paper's 4, trials of five epochs
    have two rungs: after the first and the third epoch. docs/grid.md shows what pruning saves and what it costs.

    Raises:
        SchedulingError: the scheduler is unknown, or the numbers are too small.
    """

    name: str = "fifo"
    grace_period: int = 1
    reduction_factor: int = 3

    def __post_init__(self) -> None:
        if self.name not in SCHEDULERS:
            raise SchedulingError(
                f"--scheduler {self.name}: expected {', '.join(SCHEDULERS[:-1])} or {SCHEDULERS[-1]}"
                f"{near_misses(self.name, SCHEDULERS)}"
            )
        if self.grace_period < 1 or self.reduction_factor < 2:
            raise SchedulingError(
                f"found --grace-period {self.grace_period} and --reduction-factor {self.reduction_factor}; "
                "expected at least 1 epoch and at least 2"
            )

    def first_rung(self, epochs: int) -> int:
        """Return the first epoch after which trials may be pruned, if the longest trial has `epochs`.

        It is before the last epoch (unless there is only one), since pruning after the last saves nothing.
        """
        return max(1, min(self.grace_period, epochs - 1))

    def rungs(self, epochs: int) -> list[int]:
        """Return the epochs after which trials may be pruned, if the longest has `epochs`; empty for `fifo`."""
        found: list[int] = []
        rung = self.first_rung(epochs)
        while self.name != "fifo" and rung < epochs:
            found.append(rung)
            rung = rung * self.reduction_factor if self.name == "asha" else rung + 1
        return found


@dataclass(frozen=True)
class FailureConfig:
    """Handling of trials that fail or are interrupted.

    Attributes:
        max_failures: retries of a trial whose worker crashed.
        retry_failed: run trials again that failed in an earlier session.
        checkpoint_every: epochs between two checkpoints of a trial, from which it is resumed; None for no checkpoints.
        trial_timeout: seconds without a report after which a worker is killed and its trial retried; None to wait
            forever. Workers report after each epoch, so it must be longer than the start and an epoch of a trial.

    Raises:
        SchedulingError: the timeout is not positive.
    """

    max_failures: int = MAX_FAILURES
    retry_failed: bool = False
    checkpoint_every: int | None = None
    trial_timeout: float | None = None

    def __post_init__(self) -> None:
        if self.trial_timeout is not None and self.trial_timeout <= 0:
            raise SchedulingError(f"--trial-timeout {self.trial_timeout:g}s: expected more than 0, for instance 30m")


@dataclass(frozen=True)
class RunOptions:
    """Options of a grid or search that do not change the metrics of its trials.

    Attributes:
        resources: resources requested for the trials.
        scheduler: pruning of configurations with low scores.
        failures: handling of failed and interrupted trials.
        address: address of a running Ray cluster; None starts Ray on this machine for the duration of the run.
        dashboard: start Ray's dashboard on this machine.
        export: write the best model to `best/`.
    """

    resources: ResourceRequest = ResourceRequest()
    scheduler: SchedulerConfig = SchedulerConfig()
    failures: FailureConfig = FailureConfig()
    address: str | None = None
    dashboard: bool = False
    export: bool = True


@dataclass(frozen=True)
class SearchSettings:
    """Budget, sampler and confirmation of a search.

    The best score of many trials is an overestimate. Therefore the `confirm` best configurations are trained again with
    `confirm_seeds` seeds that the search did not use, and only these trials are ranked and measured on test.

    Attributes:
        trials: trials of the search, those of earlier sessions included.
        seconds: time limit of the search in this session.
        target_f1: end the search when a trial reaches this validation score.
        sampler: `tpe` or `random`.
        sampler_seed: seed of the sampler.
        confirm: configurations that are confirmed.
        confirm_seeds: seeds of each confirmed configuration.
        storage: database URL of the Optuna study; by default a file in the run folder.
        study: name of the study; by default the name of the run.

    Raises:
        SchedulingError: a value is out of range, or the sampler is unknown.
    """

    trials: int = 30
    seconds: float | None = None
    target_f1: float | None = None
    sampler: str = "tpe"
    sampler_seed: int = 0
    confirm: int = 3
    confirm_seeds: int = 3
    storage: str | None = None
    study: str | None = None

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise SchedulingError(f"--trials {self.trials}: expected 1 or more")
        if self.seconds is not None and self.seconds <= 0:
            raise SchedulingError(f"--time {self.seconds:g}s: expected more than 0, for instance 30m")
        if self.target_f1 is not None and not 0 < self.target_f1 <= 1:
            raise SchedulingError(f"--target-f1 {self.target_f1:g}: expected more than 0 and at most 1")
        if self.sampler not in SAMPLERS:
            raise SchedulingError(
                f"--sampler {self.sampler}: expected {' or '.join(SAMPLERS)}{near_misses(self.sampler, SAMPLERS)}"
            )
        if self.confirm < 1 or self.confirm_seeds < 1:
            raise SchedulingError(
                f"--confirm {self.confirm} with --confirm-seeds {self.confirm_seeds}: expected 1 or more of each; only "
                "confirmed configurations are measured on test"
            )


def parse_time(text: str, option: str = "--time") -> float:
    """Return the seconds of a time such as `30m`; `option` is named in the message.

    Raises:
        SchedulingError: not a number with `s`, `m`, `h` or `d`.
    """
    match = _TIME.fullmatch(text.strip())
    if not match:
        raise SchedulingError(f"{option} {text[:60]}: expected a number with s, m, h or d, for instance 30m")
    return float(match[1]) * _SECONDS[match[2]]
