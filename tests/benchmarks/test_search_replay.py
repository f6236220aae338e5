"""TPE against random draws on the recorded surface."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.search_replay import POINTS, SPACE, SURFACE, Surface, as_good_as, compare, pays_from, replay
from tune_ner.config.search_space import SearchSpace

SEEDS = range(20)
TRIALS = 40


@pytest.fixture(scope="module")
def surface() -> Surface:
    return Surface.read()


@pytest.fixture(scope="module")
def curves(surface: Surface) -> dict[str, list[list[float]]]:
    return {name: [replay(surface, name, seed, TRIALS) for seed in SEEDS] for name in ("tpe", "random")}


def test_the_surface_is_what_was_recorded(surface: Surface) -> None:
    table = pd.read_csv(SURFACE)
    means = table.filter(like="validation_f1").mean(axis=1)
    found = [surface.at(dict(zip(POINTS, point, strict=False))) for point in table.itertuples(index=False)]
    assert found == pytest.approx(list(means))
    assert surface.best == means.max()
    assert len(table) == np.prod([len(values) for values in POINTS.values()])


@given(
    st.sampled_from(POINTS["tagging_scheme"]),
    st.floats(1e-4, 3e-2),
    st.integers(4, 32),
    st.floats(0, 0.3),
    st.floats(0, 0.3),
)
def test_nothing_between_its_points_is_above_the_optimum(
    scheme: str, rate: float, batch: int, dropout: float, warmup: float
) -> None:
    values = dict(zip(POINTS, (scheme, rate, batch, dropout, warmup), strict=True))
    assert 0 <= Surface.read().at(values) <= Surface.read().best + 1e-12


def test_the_grid_that_was_recorded_spans_the_space() -> None:
    space = SearchSpace.model_validate(SPACE)
    for name, found in space.distributions.items():
        assert (found.low, found.high) == (POINTS[name][0], POINTS[name][-1])
    assert space.tagging_scheme == POINTS["tagging_scheme"]


def test_the_same_seed_searches_the_same_way(surface: Surface) -> None:
    assert replay(surface, "tpe", 3, 20, at_once=2) == replay(surface, "tpe", 3, 20, at_once=2)
    assert replay(surface, "tpe", 3, 20) != replay(surface, "tpe", 4, 20)


def test_what_is_found_never_falls_and_stays_below_the_optimum(
    surface: Surface, curves: dict[str, list[list[float]]]
) -> None:
    for runs in curves.values():
        assert np.all(np.diff(runs) >= 0)
        assert np.max(runs) <= surface.best + 1e-12


def test_tpe_is_nearer_to_the_optimum_than_random_draws_at_equal_budget(
    surface: Surface, curves: dict[str, list[list[float]]]
) -> None:
    below = {name: surface.best - np.array(runs) for name, runs in curves.items()}
    start = pays_from(below)
    assert start is not None
    assert 10 < start <= 30  # the first ten of TPE are drawn at random
    assert as_good_as(below) < TRIALS
    last = list(compare(curves, surface.best))[-1]
    assert last["trials"] == TRIALS
    assert float(last["p"]) < 0.05


def test_a_sampler_that_is_not_ahead_does_not_pay() -> None:
    same = np.tile(np.linspace(1, 0, 12), (20, 1))
    assert pays_from({"tpe": same, "random": same}) is None
    better = same - np.where(np.arange(12) >= 8, 0.01 * np.arange(1, 21)[:, None], 0)
    assert pays_from({"tpe": better, "random": same}) == 9
