"""Decisions of ASHA and the median rule, without starting Ray."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.schedulers import FIFOScheduler

from tests.factories import a_config, a_pruned_trial, a_record
from tune_ner.results.records import TrialRecord
from tune_ner.tuning.options import SchedulerConfig
from tune_ner.tuning.schedulers import build_scheduler
from tune_ner.tuning.trainable import IS_LAST, tune_config

CONTINUE, STOP = "CONTINUE", "STOP"
ASHA = SchedulerConfig("asha", grace_period=2)
MEDIAN = SchedulerConfig("median")


class Reports:
    """Sends reports of trials, identified by learning rate and seed, to a scheduler."""

    def __init__(self, epochs: int = 5, config: SchedulerConfig = ASHA, earlier: Sequence[TrialRecord] = ()) -> None:
        scheduler = build_scheduler(config, epochs, "span_f1", earlier)
        self.scheduler: Any = scheduler or FIFOScheduler()
        self.trials: dict[tuple[float, int], Any] = {}

    def report(self, rate: float, epoch: int, score: float, seed: int = 1, is_last: bool = False) -> str:
        trial = self.trials.get((rate, seed))
        if not trial:
            config = tune_config(a_config(learning_rate=rate, seed=seed))
            trial = self.trials[rate, seed] = SimpleNamespace(trial_id=f"{rate}-{seed}", config=config)
            self.scheduler.on_trial_add(None, trial)
        report = {"epoch": epoch, "validation_span_f1": score, IS_LAST: is_last}
        return str(self.scheduler.on_trial_result(None, trial, report))

    def run(self, rate: float, seed: int, curve: Sequence[float]) -> TrialRecord:
        """Report a trial until it is complete or pruned."""
        for epoch, score in enumerate(curve, start=1):
            if self.report(rate, epoch, score, seed, is_last=epoch == len(curve)) == STOP:
                return a_pruned_trial(curve[:epoch], learning_rate=rate, seed=seed)
        return a_record(curve, learning_rate=rate, seed=seed)


def test_asha_continues_the_first_at_a_rung_and_prunes_worse_ones() -> None:
    reports = Reports()
    assert reports.report(0.1, 2, 0.5) == CONTINUE
    assert reports.report(0.2, 2, 0.4) == STOP
    assert reports.report(0.3, 2, 0.6) == CONTINUE


def test_equal_scores_continue() -> None:
    reports = Reports()
    assert [reports.report(rate, 2, 0.0) for rate in (0.1, 0.2, 0.3)] == [CONTINUE] * 3


def test_nothing_is_pruned_before_the_grace_period_and_between_rungs() -> None:
    reports = Reports()
    for rate, score in ((0.1, 0.9), (0.2, 0.9)):
        assert reports.report(rate, 2, score) == CONTINUE
    assert reports.report(0.3, 1, 0.0) == CONTINUE
    assert reports.report(0.2, 3, 0.0) == CONTINUE
    assert reports.report(0.2, 4, 0.0) == CONTINUE


@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 6, 8, 18, 54])
def test_no_trial_is_pruned_at_its_last_epoch_or_on_its_record(epochs: int) -> None:
    reports = Reports(epochs)
    reports.report(0.1, epochs, 0.9, is_last=True)
    assert reports.report(0.2, epochs, 0.0, is_last=True) == CONTINUE
    assert reports.report(0.2, epochs, 0.0, is_last=True) == CONTINUE


def test_last_reports_are_not_compared() -> None:
    reports = Reports()
    reports.report(0.1, 2, 0.9, is_last=True)
    reports.scheduler.on_trial_complete(None, reports.trials[0.1, 1], {"epoch": 5, "validation_span_f1": 0.9})
    assert reports.report(0.2, 2, 0.1) == CONTINUE


def test_all_seeds_of_a_configuration_continue_or_are_pruned() -> None:
    reports = Reports()
    assert reports.report(0.1, 2, 0.5) == CONTINUE
    assert reports.report(0.1, 2, 0.1, seed=2) == CONTINUE
    assert reports.report(0.2, 2, 0.4) == STOP
    assert reports.report(0.2, 2, 0.9, seed=2) == STOP
    assert reports.report(0.2, 1, 0.9, seed=3) == STOP


def test_a_configuration_counts_once_at_a_rung() -> None:
    reports = Reports(epochs=8)
    reports.report(0.1, 2, 0.5)
    reports.report(0.1, 2, 0.5, seed=2)
    reports.scheduler.on_trial_complete(None, reports.trials[0.1, 1], {})
    assert reports.report(0.1, 3, 0.0, seed=2) == CONTINUE
    assert reports.report(0.1, 6, 0.0, seed=2) == CONTINUE
    assert reports.report(0.3, 2, 0.6) == CONTINUE
    assert reports.report(0.3, 6, 0.6) == CONTINUE


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("epochs", range(1, 60))
def test_ray_prunes_at_the_rungs_of_the_configuration(epochs: int, factor: int) -> None:
    config = SchedulerConfig("asha", reduction_factor=factor)
    assert config.rungs(epochs) == [epoch for epoch in range(1, epochs) if _prunes_at(config, epochs, epoch)]


def _prunes_at(config: SchedulerConfig, epochs: int, rung: int) -> bool:
    """Return whether a trial that is good before an epoch and bad at it is pruned there."""
    reports = Reports(epochs, config)
    for rate, score in ((0.5, 0.5), (0.4, 0.1)):
        decisions = [reports.report(rate, epoch, 0.5 if epoch < rung else score) for epoch in range(1, rung + 1)]
    return decisions[-1] == STOP


def test_the_median_rule_prunes_below_the_median_of_three_others() -> None:
    reports = Reports(config=MEDIAN)
    for rate, score in ((0.1, 0.2), (0.2, 0.4), (0.3, 0.6)):
        assert reports.report(rate, 1, score) == CONTINUE
    assert reports.report(0.4, 1, 0.3) == STOP
    assert reports.report(0.5, 1, 0.5) == CONTINUE


def test_the_median_rule_waits_for_no_trial_and_ignores_last_reports() -> None:
    reports = Reports(config=MEDIAN)
    reports.report(0.1, 1, 0.9)
    assert reports.report(0.2, 1, 0.0) == CONTINUE
    reports.report(0.3, 1, 0.9)
    assert reports.report(0.4, 5, 0.0, is_last=True) == CONTINUE


def test_the_median_rule_prunes_all_seeds_of_a_configuration() -> None:
    reports = Reports(config=MEDIAN)
    for rate, score in ((0.1, 0.2), (0.2, 0.4), (0.3, 0.6)):
        reports.report(rate, 1, score)
        assert reports.report(rate, 1, 0.0, seed=2) == CONTINUE
    assert reports.report(0.4, 1, 0.3) == STOP
    assert reports.report(0.4, 1, 0.9, seed=2) == STOP


CURVES = st.lists(st.lists(st.sampled_from((0.0, 0.2, 0.4, 0.6, 0.8)), min_size=5, max_size=5), min_size=2, max_size=8)


@settings(deadline=None)
@given(CURVES, st.integers(0, 15), st.sampled_from([SchedulerConfig("asha"), ASHA, MEDIAN]))
def test_a_resumed_run_prunes_the_same_trials(curves: list[list[float]], cut: int, config: SchedulerConfig) -> None:
    trials = [((number + 1) / 100, seed, curve) for number, curve in enumerate(curves) for seed in (1, 2)]
    undisturbed, first = Reports(config=config), Reports(config=config)
    expected = [len(undisturbed.run(*trial).curve) for trial in trials]
    earlier = [first.run(*trial) for trial in trials[:cut]]
    second = Reports(config=config, earlier=earlier)
    later = [second.run(*trial) for trial in trials[cut:]]
    assert [len(record.curve) for record in (*earlier, *later)] == expected
