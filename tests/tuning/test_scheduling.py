"""The order in which trials start, and what the schedulers may be asked for."""

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.config.loading import parse_space
from tune_ner.errors import SchedulingError
from tune_ner.training.encoders import EncoderSize
from tune_ner.tuning.experiment import Experiment, prepare
from tune_ner.tuning.scheduling import SchedulerConfig, longest_first, trial_cost

SMALL, LARGE = EncoderSize(10_000, 32, 1, 1), EncoderSize(100_000, 128, 2, 4)


def prepared(**changes: Any) -> Experiment:
    content = {"data": "synthetic:100", "model": ["tiny:1x32", "tiny:2x64"], "learning_rate": [1e-3, 2e-3], **changes}
    return prepare(parse_space(content, "test"))


# ---- order


def test_the_cost_of_a_trial_by_hand() -> None:
    assert trial_cost(epochs=3, sentences=100, size=LARGE) == 3 * 100 * 12 * 2 * 128**2


def test_an_encoder_of_unknown_shape_costs_by_all_its_parameters() -> None:
    assert trial_cost(2, 10, EncoderSize(1000, 0, 0, 0)) == 20_000


def test_a_larger_vocabulary_costs_nothing() -> None:
    assert trial_cost(1, 10, EncoderSize(1, 64, 2, 2)) == trial_cost(1, 10, EncoderSize(10**9, 64, 2, 2))


@pytest.mark.parametrize(
    ("more", "less"),
    [((5, 100, SMALL), (4, 100, SMALL)), ((5, 100, SMALL), (5, 90, SMALL)), ((5, 100, LARGE), (5, 100, SMALL))],
)
def test_epochs_sentences_and_size_all_cost(more: Any, less: Any) -> None:
    assert trial_cost(*more) > trial_cost(*less)


@given(st.lists(st.tuples(st.floats(0, 1e15), st.integers(0, 3))))
def test_the_order_keeps_every_item_and_never_puts_a_much_longer_one_later(drawn: list[tuple[float, int]]) -> None:
    costs, ties = [cost for cost, _ in drawn], [(group,) for _, group in drawn]
    order = longest_first(range(len(drawn)), costs, ties)
    assert sorted(order) == list(range(len(drawn)))
    assert all(costs[earlier] >= 0.89 * costs[later] for earlier, later in pairwise(order))


def test_equal_costs_are_grouped_and_otherwise_as_they_were() -> None:
    ties = [(1,), (0,), (1,), (0,), (1,), (0,)]
    assert longest_first("abcdef", [1, 1, 2, 1.01, 1, 2], ties) == list("fcbdae")


def test_of_one_encoder_the_larger_learning_rates_start_first_and_replicates_together() -> None:
    experiment = prepared(learning_rate=[1e-4, 1e-2, 1e-3], seed=[1, 2])
    told = [(trial.model, trial.learning_rate) for trial in experiment.schedule]
    rates = [1e-2, 1e-3, 1e-4]
    assert list(dict.fromkeys(told)) == [("tiny:2x64", x) for x in rates] + [("tiny:1x32", x) for x in rates]
    seeds = [trial.seed for trial in experiment.schedule]
    assert seeds == [1, 2] * (len(seeds) // 2)


def test_the_largest_encoder_and_the_most_epochs_start_first() -> None:
    experiment = prepared(epochs=[2, 3], seed=[1, 2])
    told = [(trial.model, trial.epochs) for trial in experiment.schedule]
    assert list(dict.fromkeys(told)) == [("tiny:2x64", 3), ("tiny:2x64", 2), ("tiny:1x32", 3), ("tiny:1x32", 2)]
    assert [trial.seed for trial in experiment.schedule] == [1, 2] * 8
    assert {trial.trial_id for trial in experiment.schedule} == {trial.trial_id for trial in experiment.trials}


def test_encoders_of_equal_size_are_not_mixed_and_neither_are_folds_of_nearly_equal_size() -> None:
    experiment = prepared(model=["tiny:1x64", "tiny:1x064"], split={"folds": 3, "method": "grouped"}, epochs=[1, 4])
    assert len({len(split.train) for split in experiment.splits.values()}) > 1
    models = [trial.model for trial in experiment.schedule]
    assert sum(one != other for one, other in pairwise(models)) == 3


def test_longest_first_ends_a_grid_earlier() -> None:
    """Two machines that take the next trial when they are free: the last minutes are not one long trial alone."""
    draw = random.Random(0)
    costs = [draw.uniform(1, 3) for _ in range(20)] + [12.0]
    assert ended(longest_first(costs, costs, [(0,)] * len(costs))) < ended(costs)


def ended(costs: list[float]) -> float:
    machines = [0.0, 0.0]
    for cost in costs:
        machines[machines.index(min(machines))] += cost
    return max(machines)


# ---- what may be asked for


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"scheduler": "ascha"}, r"--scheduler ascha: expected fifo, asha or median \(did you mean 'asha'\?\)"),
        ({"scheduler": ""}, r"--scheduler : expected fifo, asha or median"),
        ({"grace_period": 0}, r"found --grace-period 0 .* expected at least 1"),
        ({"reduction_factor": 1}, r"--reduction-factor 1; expected .* at least 2"),
    ],
)
def test_a_scheduler_that_there_is_not_is_refused(wish: dict[str, Any], message: str) -> None:
    with pytest.raises(SchedulingError, match=message):
        SchedulerConfig(**wish)


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(1, []), (2, [1]), (3, [1]), (5, [1, 3]), (9, [1, 3]), (10, [1, 3, 9]), (20, [1, 3, 9])]
)
def test_the_epochs_at_which_trials_are_compared(epochs: int, rungs: list[int]) -> None:
    assert SchedulerConfig("asha").rungs(epochs) == rungs
    assert SchedulerConfig("fifo").rungs(epochs) == []


def test_a_later_first_rung_and_another_factor() -> None:
    assert SchedulerConfig("asha", grace_period=2).rungs(20) == [2, 6, 18]
    assert SchedulerConfig("asha", reduction_factor=4).rungs(20) == [1, 4, 16]
    assert SchedulerConfig("asha", grace_period=7).rungs(5) == [4]
