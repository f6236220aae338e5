"""Confidence intervals: compared with scipy where it has an equivalent, with simulations, and in edge cases."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from tests.evaluation.simulation import MISSED, RIGHT, WRONG, Ints, f1, simulated
from tune_ner.data.corpus import Span
from tune_ner.evaluation.confidence_intervals import f1_interval, half_width
from tune_ner.evaluation.samples import read_counts
from tune_ner.evaluation.span_metrics import sentence_counts

shapes = st.tuples(st.integers(1, 3), st.integers(1, 6), st.just(3))
counts = arrays.arrays(np.int64, shapes, elements=st.integers(0, 3))


def test_interval_for_independent_entities_equals_wilson() -> None:
    # one entity per sentence, either correct or replaced: F1 is a binomial share
    run = np.array([RIGHT] * 300 + [WRONG] * 100)
    ours = f1_interval(run, resamples=20_000)
    expected = stats.binomtest(300, 400).proportion_ci(0.95, method="wilson")
    assert ours.estimate == pytest.approx(0.75)
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=2e-3)


@pytest.mark.parametrize(("row", "right"), [(RIGHT, 40), (WRONG, 0), (MISSED, 0)])
def test_interval_without_variance_equals_wilson_for_the_entities(row: tuple[int, int, int], right: int) -> None:
    interval = f1_interval(np.array([row] * 40))
    expected = stats.binomtest(right, 40).proportion_ci(0.95, method="wilson")
    assert interval.estimate == right / 40
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_identical_seeds_do_not_narrow_the_interval() -> None:
    once = np.array([RIGHT] * 20)
    assert f1_interval(np.stack([once] * 5)) == f1_interval(once)
    mixed = np.array([RIGHT] * 20 + [MISSED] * 10)
    assert f1_interval(np.stack([mixed] * 5)) == f1_interval(mixed)


def test_folds_with_different_sentences_narrow_the_interval() -> None:
    fold = np.array([RIGHT] * 20 + [MISSED] * 10)
    single, folds = f1_interval(fold), f1_interval([fold] * 4)
    assert folds.estimate == single.estimate
    ratio = (single.high - single.low) / (folds.high - folds.low)
    assert ratio == pytest.approx(sqrt(4), rel=0.15)
    assert f1_interval([fold[:20]] * 4).low == pytest.approx(f1_interval(np.array([RIGHT] * 80)).low)


def test_folds_of_different_sizes_with_several_seeds() -> None:
    random = np.random.default_rng(3)
    folds = [simulated(random, size, 0.8, systems=3) for size in (40, 60)]
    expected = np.mean([f1(run) for fold in folds for run in fold])
    assert f1_interval(folds).estimate == pytest.approx(expected)


def test_sentences_of_a_document_are_drawn_together() -> None:
    # ten documents, each all correct or all wrong: ten independent observations
    run = np.array(([RIGHT] * 10 + [WRONG] * 10) * 5)
    ids = np.repeat(np.arange(10), 10)
    grouped, ungrouped = f1_interval(run, groups=ids), f1_interval(run)
    assert grouped.high - grouped.low > 2 * (ungrouped.high - ungrouped.low)
    once = f1_interval(run[::10])
    assert (grouped.low, grouped.high) == pytest.approx((once.low, once.high))


def test_document_shared_between_runs_is_drawn_for_both() -> None:
    random = np.random.default_rng(4)
    stacked = simulated(random, 60, 0.8, systems=2)
    ids = np.arange(60)
    listed = f1_interval([stacked[0], stacked[1]], groups=[ids, ids])
    assert listed == f1_interval(stacked, groups=ids)


def test_resampling_is_reproducible() -> None:
    run = simulated(np.random.default_rng(5), 50, 0.8)
    assert f1_interval(run, seed=1) == f1_interval(run, seed=1)
    assert f1_interval(run, seed=1) != f1_interval(run, seed=2)


def test_higher_level_gives_a_wider_interval() -> None:
    run = simulated(np.random.default_rng(6), 50, 0.8)
    low, high = f1_interval(run, level=0.8), f1_interval(run, level=0.99)
    assert high.low < low.low < low.estimate < low.high < high.high


@pytest.mark.parametrize("quality", [0.5, 0.8, 0.95])
def test_95_percent_interval_has_95_percent_coverage(quality: float) -> None:
    random = np.random.default_rng(7)
    covered = 0
    for _ in range(400):
        interval = f1_interval(simulated(random, 80, quality), resamples=200)
        covered += interval.low <= quality <= interval.high
    assert 0.92 <= covered / 400 <= 0.98  # 95 % ± 3 standard errors


@given(counts)
@settings(max_examples=60, deadline=None)
def test_interval_contains_the_estimate_and_stays_in_range(run: Ints) -> None:
    interval = f1_interval(run, resamples=50)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1
    assert interval.low < interval.high
    assert interval.estimate == pytest.approx(np.mean([f1(row) if row.any() else 0.0 for row in run]))


def test_interval_without_gold_entities_is_zero_to_one() -> None:
    for row in ((0, 0, 0), (0, 2, 0)):
        interval = f1_interval(np.array([row] * 5))
        assert (interval.low, interval.high, interval.estimate) == (0.0, 1.0, 0.0)


def test_sentence_counts_are_accepted() -> None:
    gold = [[Span(0, 3, "DRUG")], [Span(4, 6, "BODY")], []]
    interval = f1_interval(sentence_counts(gold, [gold[0], [], [Span(0, 1, "BODY")]]))
    assert interval.estimate == pytest.approx(0.5)


def test_seed_variance_widens_the_interval() -> None:
    random = np.random.default_rng(15)
    similar = f1_interval(simulated(random, 400, 0.8, 3))
    different = f1_interval(simulated(random, 400, np.array([0.7, 0.8, 0.9]), 3))
    assert different.high - different.low > 3 * (similar.high - similar.low)


def test_half_width_equals_wilson() -> None:
    for right, entities in ((80, 100), (3, 4), (970, 1000)):
        limits = stats.binomtest(right, entities).proportion_ci(0.95, method="wilson")
        assert half_width(entities, right / entities) == pytest.approx((limits.high - limits.low) / 2)


@given(st.integers(0, 5000), st.floats(0, 1))
def test_half_width_shrinks_with_more_entities(entities: int, share: float) -> None:
    assert 0 < half_width(entities + 1, share) < half_width(entities, share) <= 1


def test_half_width_without_entities_is_one() -> None:
    assert half_width(0) == 1.0
    with pytest.raises(ValueError, match="got entities=-1"):
        half_width(-1)
    with pytest.raises(ValueError, match=r"f1=1\.5"):
        half_width(5, 1.5)


def test_mean_f1_of_runs() -> None:
    seeds = simulated(np.random.default_rng(14), 50, 0.8, systems=4)
    sample = read_counts(seeds)
    assert sample.f1_scores == pytest.approx([f1(seed) for seed in seeds])
    assert sample.mean_f1 == pytest.approx(np.mean([f1(seed) for seed in seeds]))


@pytest.mark.parametrize(
    ("runs", "groups", "message"),
    [
        (np.zeros((2, 4), int), None, "shape"),
        (np.zeros((1, 0, 3), int), None, "shape"),
        (np.zeros((0, 4, 3), int), None, "shape"),
        (np.array([(-1, 0, 0)]), None, "-1"),
        ([], None, "empty"),
        (np.array([RIGHT] * 3), [0, 1], "one id per sentence"),
        ([np.array([RIGHT] * 3)] * 2, [[0, 1, 2]], "one id per sentence"),
    ],
)
def test_malformed_counts_raise_value_error(runs: Ints, groups: list[int] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        f1_interval(runs, groups=groups)


@pytest.mark.parametrize(("level", "resamples"), [(0.0, 10), (1.0, 10), (95.0, 10), (0.95, 0)])
def test_level_or_resamples_out_of_range_raise_value_error(level: float, resamples: int) -> None:
    with pytest.raises(ValueError, match=r"expected 0 < level < 1 and resamples >= 1"):
        f1_interval(np.array([RIGHT]), level=level, resamples=resamples)
