"""Pruning by Ray's ASHA and median rule, applied to configurations instead of single trials."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from tune_ner.config.hyperparameters import SelectionMetric
from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.results.selection import configuration_of
from tune_ner.tuning.options import SchedulerConfig
from tune_ner.tuning.trainable import IS_LAST, trial_of

_MIN_SAMPLES = 3


def build_scheduler(
    config: SchedulerConfig, epochs: int, selection_metric: SelectionMetric, earlier: Iterable[TrialRecord] = ()
) -> TrialScheduler | None:
    """Return the scheduler of trials of at most `epochs` epochs; None, Ray's default, if it would prune none.

    Args:
        config: the kind of scheduler.
        epochs: epochs of the longest trial.
        selection_metric: the metric by which configurations are compared.
        earlier: trials that ended before; new trials are compared with them as if they had run in this session.
    """
    if not config.rungs(epochs):
        return None
    common: dict[str, Any] = {
        "time_attr": "epoch",
        "metric": f"validation_{selection_metric}",
        "mode": "max",
        "grace_period": config.first_rung(epochs),
    }
    rule: TrialScheduler
    if config.name == "asha":
        # stop_last_trials would end trials at their last epoch, before their record
        rule = ASHAScheduler(max_t=epochs, reduction_factor=config.reduction_factor, stop_last_trials=False, **common)
    else:
        # With an infinite slice, a trial never pauses to wait for others; it would start over afterwards.
        common["min_time_slice"] = math.inf
        rule = MedianStoppingRule(min_samples_required=_MIN_SAMPLES, **common)
    return ConfigurationScheduler(rule, earlier)


@dataclass(eq=False)
class _Configuration:
    """A configuration as Ray's rules see it: a trial with an id.

    Attributes:
        trial_id: id of its first run.
        epochs: epochs that one of its runs has reported.
        pruned: whether its runs are stopped at their next report.
    """

    trial_id: str
    epochs: int = 0
    pruned: bool = False


class ConfigurationScheduler(FIFOScheduler):
    """Prunes configurations with low scores, together with all their seeds and folds.

    If every seed were judged separately, the lucky seeds of a configuration would survive and inflate its mean. So the
    first run of a configuration that reports an epoch decides for all of them.

    Nothing is decided on the last report of a trial: its training is done, only the test measurement is left.

    Args:
        rule: Ray's scheduler; it sees one trial per configuration.
        earlier: records of earlier trials, which are compared with the new ones.
    """

    def __init__(self, rule: TrialScheduler, earlier: Iterable[TrialRecord] = ()) -> None:
        super().__init__()
        self._rule: Any = rule
        self._configurations: dict[TrialConfig, _Configuration] = {}
        for record in earlier:
            self._replay(record)

    def _replay(self, record: TrialRecord) -> None:
        """Let the rule know the scores of an earlier trial, without a decision on it."""
        configuration = self._known(record.config)
        metric = record.config.selection_metric
        # The last epoch of a trial that was not pruned was never compared.
        compared = record.curve if record.status == "pruned" else record.curve[:-1]
        for epoch in compared:
            if epoch.epoch > configuration.epochs:
                configuration.epochs = epoch.epoch
                report = {"epoch": epoch.epoch, f"validation_{metric}": epoch.score(metric)}
                # the end of a trial adds its last report to the rule's scores; ASHA forgets the trial
                self._rule.on_trial_complete(None, configuration, report)
                self._rule.on_trial_add(None, configuration)
        configuration.pruned |= record.status == "pruned"

    def _known(self, trial: TrialConfig) -> _Configuration:
        key = configuration_of(trial)
        if key not in self._configurations:
            self._configurations[key] = _Configuration(trial.trial_id)
            self._rule.on_trial_add(None, self._configurations[key])
        return self._configurations[key]

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return Ray's decision on a trial after a report: continue or stop."""
        if result.get(IS_LAST):
            return str(TrialScheduler.CONTINUE)
        configuration = self._known(trial_of(trial.config))
        if not configuration.pruned and result["epoch"] > configuration.epochs:
            configuration.epochs = result["epoch"]
            decision = self._rule.on_trial_result(tune_controller, configuration, result)
            configuration.pruned = decision == TrialScheduler.STOP
        return str(TrialScheduler.STOP if configuration.pruned else TrialScheduler.CONTINUE)
