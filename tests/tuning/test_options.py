from typing import Any

import pytest

from tune_ner.errors import SchedulingError
from tune_ner.tuning.options import SchedulerConfig, SearchSettings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "ascha"}, r"--scheduler ascha: .*'asha'"),
        ({"name": ""}, r"--scheduler : "),
        ({"grace_period": 0}, r"--grace-period 0 "),
        ({"reduction_factor": 1}, r"--reduction-factor 1;"),
    ],
)
def test_invalid_schedulers_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SchedulingError, match=message):
        SchedulerConfig(**values)


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(1, []), (2, [1]), (3, [1]), (5, [1, 3]), (9, [1, 3]), (10, [1, 3, 9]), (20, [1, 3, 9])]
)
def test_asha_has_rungs_before_the_last_epoch(epochs: int, rungs: list[int]) -> None:
    assert SchedulerConfig("asha").rungs(epochs) == rungs
    assert SchedulerConfig("fifo").rungs(epochs) == []


def test_rungs_depend_on_grace_period_and_reduction_factor() -> None:
    assert SchedulerConfig("asha", grace_period=2).rungs(20) == [2, 6, 18]
    assert SchedulerConfig("asha", reduction_factor=4).rungs(20) == [1, 4, 16]
    assert SchedulerConfig("asha", grace_period=7).rungs(5) == [4]


def test_the_median_rule_compares_after_every_epoch_but_the_last() -> None:
    assert SchedulerConfig("median", grace_period=2).rungs(5) == [2, 3, 4]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trials": 0}, "--trials 0"),
        ({"seconds": 0.0}, "--time 0s"),
        ({"target_f1": 0.0}, "--target-f1 0:"),
        ({"target_f1": 1.5}, "--target-f1 1.5:"),
        ({"sampler": "tpee"}, r"--sampler tpee: .*'tpe'"),
        ({"confirm": 0}, "--confirm 0 with --confirm-seeds 3"),
        ({"confirm_seeds": 0}, "--confirm 3 with --confirm-seeds 0"),
    ],
)
def test_invalid_search_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SchedulingError, match=message):
        SearchSettings(**values)
