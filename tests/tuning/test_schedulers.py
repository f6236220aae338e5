"""What ASHA and the median rule stop, without a Ray that runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.schedulers import FIFOScheduler

from tests.factories import a_record, a_stopped_trial
from tune_ner.tuning.schedulers import LAST, ConfigurationHalving, ConfigurationMedian, EarlierTrial, stopping_rule
from tune_ner.tuning.scheduling import SchedulerConfig

CONTINUE, STOP = "CONTINUE", "STOP"
TWO = SchedulerConfig("asha", grace_period=2)


@dataclass(eq=False)
class Trial:
    """As much of Ray's trial as a scheduler looks at."""

    trial_id: str
    config: dict[str, Any] = field(default_factory=dict)


class Race:
    """Trials that report to a scheduler, by learning rate and seed."""

    def __init__(
        self, epochs: int = 5, scheduler_config: SchedulerConfig = TWO, earlier: Sequence[EarlierTrial] = ()
    ) -> None:
        rule = stopping_rule(scheduler_config, epochs, earlier=earlier)
        self.scheduler: Any = rule or FIFOScheduler()  # type: ignore[no-untyped-call]
        self.trials: dict[tuple[float, int], Trial] = {}

    def report(self, rate: float, epoch: int, f1: float, seed: int = 1, last: bool = False) -> str:
        trial = self.trials.get((rate, seed))
        if not trial:
            trial = Trial(f"{rate}-{seed}", {"learning_rate": rate, "seed": seed, "fold": None})
            self.trials[rate, seed] = trial
            self.scheduler.on_trial_add(None, trial)
        return str(self.scheduler.on_trial_result(None, trial, {"epoch": epoch, "validation_span_f1": f1, LAST: last}))


def test_the_first_at_a_rung_goes_on_and_who_is_behind_is_stopped() -> None:
    race = Race()
    assert race.report(0.1, 2, 0.5) == CONTINUE
    assert race.report(0.2, 2, 0.4) == STOP
    assert race.report(0.3, 2, 0.6) == CONTINUE


def test_a_tie_goes_on() -> None:
    race = Race()
    assert [race.report(rate, 2, 0.0) for rate in (0.1, 0.2, 0.3)] == [CONTINUE] * 3


def test_nothing_is_stopped_before_the_grace_period_and_between_rungs() -> None:
    race = Race()
    for rate, f1 in ((0.1, 0.9), (0.2, 0.9)):
        assert race.report(rate, 2, f1) == CONTINUE
    assert race.report(0.3, 1, 0.0) == CONTINUE
    assert race.report(0.2, 3, 0.0) == CONTINUE
    assert race.report(0.2, 4, 0.0) == CONTINUE


@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 6, 8, 18, 54])
def test_no_trial_is_stopped_at_its_last_epoch_or_on_its_record(epochs: int) -> None:
    race = Race(epochs)
    race.report(0.1, epochs, 0.9, last=True)
    assert race.report(0.2, epochs, 0.0, last=True) == CONTINUE
    assert race.report(0.2, epochs, 0.0, last=True) == CONTINUE


def test_a_last_report_is_no_measure_for_others() -> None:
    race = Race()
    race.report(0.1, 2, 0.9, last=True)
    race.scheduler.on_trial_complete(None, race.trials[0.1, 1], {"epoch": 5, "validation_span_f1": 0.9})
    assert race.report(0.2, 2, 0.1) == CONTINUE


def test_replicates_go_on_or_are_stopped_alike() -> None:
    race = Race()
    assert race.report(0.1, 2, 0.5) == CONTINUE
    assert race.report(0.1, 2, 0.1, seed=2) == CONTINUE
    assert race.report(0.2, 2, 0.4) == STOP
    assert race.report(0.2, 2, 0.9, seed=2) == STOP
    assert race.report(0.2, 1, 0.9, seed=3) == STOP


def test_a_configuration_is_measured_once_at_a_rung_whichever_replicate_comes() -> None:
    race = Race(epochs=8)
    race.report(0.1, 2, 0.5)
    race.report(0.1, 2, 0.5, seed=2)
    race.scheduler.on_trial_complete(None, race.trials[0.1, 1], {})
    assert race.report(0.1, 3, 0.0, seed=2) == CONTINUE
    assert race.report(0.1, 6, 0.0, seed=2) == CONTINUE
    assert race.report(0.3, 2, 0.6) == CONTINUE
    assert race.report(0.3, 6, 0.6) == CONTINUE


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("epochs", range(1, 60))
def test_the_rungs_that_are_told_are_those_at_which_ray_decides(epochs: int, factor: int) -> None:
    scheduler_config = SchedulerConfig("asha", reduction_factor=factor)
    (bracket,) = ConfigurationHalving(scheduler_config, epochs, "span_f1")._brackets
    assert sorted(milestone for milestone, _ in bracket._rungs if milestone < epochs) == scheduler_config.rungs(epochs)


# ---- the median rule

MEDIAN = SchedulerConfig("median")


def test_who_is_below_the_median_of_three_others_is_stopped() -> None:
    race = Race(scheduler_config=MEDIAN)
    for rate, f1 in ((0.1, 0.2), (0.2, 0.4), (0.3, 0.6)):
        assert race.report(rate, 1, f1) == CONTINUE
    assert race.report(0.4, 1, 0.3) == STOP
    assert race.report(0.5, 1, 0.5) == CONTINUE
    assert isinstance(race.scheduler, ConfigurationMedian)


def test_the_median_rule_waits_for_nobody_and_minds_no_last_report() -> None:
    race = Race(scheduler_config=MEDIAN)
    race.report(0.1, 1, 0.9)
    assert race.report(0.2, 1, 0.0) == CONTINUE
    race.report(0.3, 1, 0.9)
    assert race.report(0.4, 5, 0.0, last=True) == CONTINUE


def test_replicates_are_stopped_alike_by_the_median_rule_too() -> None:
    race = Race(scheduler_config=MEDIAN)
    for rate, f1 in ((0.1, 0.2), (0.2, 0.4), (0.3, 0.6)):
        race.report(rate, 1, f1)
        assert race.report(rate, 1, 0.0, seed=2) == CONTINUE
    assert race.report(0.4, 1, 0.3) == STOP
    assert race.report(0.4, 1, 0.9, seed=2) == STOP


# ---- a run that goes on

CURVES = st.lists(st.lists(st.sampled_from((0.0, 0.2, 0.4, 0.6, 0.8)), min_size=5, max_size=5), min_size=2, max_size=8)


def ended(race: Race, rate: float, seed: int, curve: Sequence[float]) -> EarlierTrial:
    """A trial from its first epoch to its end, whichever that is."""
    point = {"learning_rate": rate, "seed": seed, "fold": None}
    for epoch, f1 in enumerate(curve, start=1):
        if race.report(rate, epoch, f1, seed, last=epoch == len(curve)) == STOP:
            return EarlierTrial(f"{rate}-{seed}", point, a_stopped_trial(curve[:epoch], learning_rate=rate, seed=seed))
    return EarlierTrial(f"{rate}-{seed}", point, a_record(curve, learning_rate=rate, seed=seed))


@settings(deadline=None)
@given(CURVES, st.integers(0, 15), st.sampled_from([SchedulerConfig("asha"), TWO, MEDIAN]))
def test_a_run_that_goes_on_stops_what_it_would_have_stopped(
    curves: list[list[float]], cut: int, scheduler_config: SchedulerConfig
) -> None:
    trials = [((place + 1) / 100, seed, curve) for place, curve in enumerate(curves) for seed in (1, 2)]
    undisturbed, first = Race(scheduler_config=scheduler_config), Race(scheduler_config=scheduler_config)
    whole = [len(ended(undisturbed, *trial).record.curve) for trial in trials]
    earlier = [ended(first, *trial) for trial in trials[:cut]]
    second = Race(scheduler_config=scheduler_config, earlier=earlier)
    assert whole == [
        len(trial.record.curve) for trial in (*earlier, *(ended(second, *trial) for trial in trials[cut:]))
    ]
