"""Ray's rules by which trials end before their last epoch, but of configurations instead of trials."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule, TrialScheduler

from tune_ner.config.hyperparameters import SelectionMetric
from tune_ner.results.records import TrialRecord
from tune_ner.tuning.scheduling import SchedulerConfig

LAST = "last"
"""Key of a report after which a trial trains no more: its last epoch's, and that of its record."""

FAILED = "failed"
"""Key of the report with a record: whether the trial failed, so that its figure is none."""

_REPLICATE = ("seed", "fold")
if TYPE_CHECKING:
    _Rule = TrialScheduler
else:
    _Rule = object


@dataclass(frozen=True, eq=False)
class EarlierTrial:
    """A trial of an earlier start of the run: what Ray's rules look at, and what it reported."""

    trial_id: str
    config: Mapping[str, Any]
    record: TrialRecord

    @property
    def reports(self) -> list[dict[str, Any]]:
        """What was compared with others: all epochs, but for the last one of a trial that was not stopped."""
        stopped = self.record.status == "pruned"
        judged = self.record.curve if stopped else self.record.curve[:-1]
        metric = self.record.config.selection_metric
        return [{"epoch": epoch.epoch, f"validation_{metric}": epoch.score(metric)} for epoch in judged]


def stopping_rule(
    scheduler_config: SchedulerConfig,
    epochs: int,
    selection_metric: SelectionMetric = "span_f1",
    earlier: Sequence[EarlierTrial] = (),
) -> TrialScheduler | None:
    """The rule where the longest trial has `epochs`; None where nothing is ever stopped, which is Ray's default.

    It knows what `earlier` trials reported, so that those of a run that goes on are compared with them.
    """
    if not scheduler_config.rungs(epochs):
        return None
    kind = ConfigurationHalving if scheduler_config.scheduler == "asha" else ConfigurationMedian
    rule = kind(scheduler_config, epochs, selection_metric)
    rule.remember(earlier)
    return rule


class _ByConfiguration(_Rule):
    """Stops the configurations that are behind, all replicates of one alike.

    Were every seed judged for itself, the lucky ones of a configuration would go on and the others be stopped, and
    the mean over those that finish would flatter it. So the first replicate to be judged decides for all: they
    go on unasked, or are stopped at their next epoch.

    Nothing is decided on a report with `LAST`: the training is paid for, and the test part is what is left.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)  # type: ignore[no-untyped-call]
        self._leaders: dict[Hashable, Any] = {}
        self._behind: set[Hashable] = set()

    def remember(self, earlier: Sequence[EarlierTrial]) -> None:
        """Take up what these trials reported; what became of them is decided."""
        for trial in earlier:
            self.on_trial_add(None, trial)
            for report in trial.reports:
                self.on_trial_result(None, trial, report)
                self._take_back()
        self._behind = {_configuration(trial) for trial in earlier if trial.record.status == "pruned"}

    def _take_back(self) -> None:
        """What the latest report has led to is no decision."""
        self._behind.clear()

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """The first replicate's name is the one under which Ray keeps the configuration's figures."""
        super().on_trial_add(tune_controller, trial)
        self._leaders.setdefault(_configuration(trial), trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether the trial goes on after this report."""
        if result.get(LAST):
            return str(TrialScheduler.CONTINUE)
        configuration = _configuration(trial)
        if configuration in self._behind:
            return str(TrialScheduler.STOP)
        action = str(super().on_trial_result(tune_controller, self._leaders[configuration], result))
        if action == TrialScheduler.STOP:
            self._behind.add(configuration)
        return action

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Ray's own would forget the configuration, or take a record for one more epoch."""


class ConfigurationHalving(_ByConfiguration, ASHAScheduler):
    """ASHA: at its rungs, a configuration that is not among the best of those that came by is stopped."""

    def __init__(self, scheduler_config: SchedulerConfig, epochs: int, selection_metric: SelectionMetric) -> None:
        super().__init__(
            **_measure(selection_metric),
            max_t=epochs,
            grace_period=scheduler_config.grace(epochs),
            reduction_factor=scheduler_config.reduction_factor,
            stop_last_trials=False,  # it would stop every trial at its last epoch, before its record
        )


class ConfigurationMedian(_ByConfiguration, MedianStoppingRule):
    """The median rule (Golovin et al. 2017, "Google Vizier", section 3.2.1): a configuration whose best figure is below
    the median of the others' running means is stopped. A replicate's epoch that another has reported adds nothing.
    """

    def __init__(self, scheduler_config: SchedulerConfig, epochs: int, selection_metric: SelectionMetric) -> None:
        super().__init__(
            **_measure(selection_metric),
            grace_period=scheduler_config.grace(epochs),
            min_samples_required=_FEWEST_OTHERS,
        )
        self._reported: dict[Hashable, int] = {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether the trial goes on after this report."""
        configuration, epoch = _configuration(trial), result["epoch"]
        known = configuration not in self._behind and epoch <= self._reported.get(configuration, 0)
        if known:
            return str(TrialScheduler.CONTINUE)
        self._reported[configuration] = epoch
        return super().on_trial_result(tune_controller, trial, result)

    def _take_back(self) -> None:
        super()._take_back()
        self._stopped_trials.clear()

    def _on_insufficient_samples(self, tune_controller: Any, trial: Any, time: float) -> str:
        """Ray's own lets the trial wait for others; it would begin anew afterwards."""
        return str(TrialScheduler.CONTINUE)


_FEWEST_OTHERS = 3


def _measure(selection_metric: SelectionMetric) -> dict[str, Any]:
    return {"time_attr": "epoch", "metric": f"validation_{selection_metric}", "mode": "max"}


def _configuration(trial: Any) -> Hashable:
    return frozenset((name, value) for name, value in trial.config.items() if name not in _REPLICATE)
