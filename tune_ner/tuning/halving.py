"""ASHA as Ray has it, but of configurations instead of trials."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from tune_ner.tuning.scheduling import Scheduling

LAST = "last"
"""Key of a report after which a trial trains no more: its last epoch's, and that of its record."""

_REPLICATE = ("seed", "fold")


class ConfigurationHalving(ASHAScheduler):
    """Stops the configurations that are behind, all replicates of one alike.

    Were every seed judged for itself, the lucky ones of a configuration would go on and the others be stopped, and
    the mean over those that finish would flatter it. So the first replicate to reach a rung decides for all: they
    go on unasked, or are stopped at their next epoch.

    Nothing is decided on a report with `LAST`: the training is paid for, and the test part is what is left.
    """

    def __init__(self, scheduling: Scheduling, epochs: int) -> None:
        super().__init__(
            time_attr="epoch",
            metric="validation_f1",
            mode="max",
            max_t=epochs,
            grace_period=scheduling.grace(epochs),
            reduction_factor=scheduling.reduction_factor,
            stop_last_trials=False,  # it would stop every trial at its last epoch, before its record
        )
        self._leaders: dict[Hashable, Any] = {}
        self._stopped: set[Hashable] = set()

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """The first replicate's name is the one under which Ray keeps the configuration's figures."""
        super().on_trial_add(tune_controller, trial)
        self._leaders.setdefault(_configuration(trial), trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether the trial goes on after this report."""
        if result.get(LAST):
            return str(TrialScheduler.CONTINUE)
        configuration = _configuration(trial)
        if configuration in self._stopped:
            return str(TrialScheduler.STOP)
        action = str(super().on_trial_result(tune_controller, self._leaders[configuration], result))
        if action == TrialScheduler.STOP:
            self._stopped.add(configuration)
        return action

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Ray's own would forget the configuration, and take a record for one more epoch."""


def _configuration(trial: Any) -> Hashable:
    return frozenset((name, value) for name, value in trial.config.items() if name not in _REPLICATE)
