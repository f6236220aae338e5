"""Significance tests: compared with exact permutation and scipy, with simulations, and in edge cases."""

from itertools import product
from math import isfinite

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from tests.evaluation.simulation import RIGHT, WRONG, Floats, f1, simulated
from tune_ner.evaluation.confidence_intervals import f1_interval
from tune_ner.evaluation.samples import read_counts
from tune_ner.evaluation.seed_variance import NO_SEED_VARIANCE, SeedVariance, moderate_variances
from tune_ner.evaluation.significance import (
    contrast,
    detectable_difference,
    holm,
    not_significantly_worse,
    paired_difference,
    standard_error,
)

shapes = st.tuples(st.integers(1, 3), st.integers(1, 6), st.just(3))


def test_p_value_equals_the_exact_permutation_test() -> None:
    random = np.random.default_rng(8)
    a, b = simulated(random, 10, 0.9)[0], simulated(random, 10, 0.4)[0]
    b[:, 2] = np.maximum(0, a[:, 0] + a[:, 2] - b[:, 0])
    observed = abs(f1(a) - f1(b))
    exact = np.mean(
        [
            abs(f1(np.where(swap, b, a)) - f1(np.where(swap, a, b))) >= observed - 1e-9
            for swap in (np.array(coins)[:, np.newaxis] for coins in product([True, False], repeat=10))
        ]
    )
    assert 0 < exact < 0.5
    assert paired_difference(a, b, resamples=40_000).p_value == pytest.approx(exact, abs=0.01)


def test_p_value_equals_scipy_permutation_test() -> None:
    # one entity per sentence, either correct or replaced: F1 is the mean over sentences, as in scipy's statistic
    random = np.random.default_rng(9)
    one, other = random.random(60) < 0.85, random.random(60) < 0.7
    a, b = (np.array([RIGHT if hit else WRONG for hit in hits]) for hits in (one, other))
    expected = stats.permutation_test(
        (one.astype(float), other.astype(float)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=40_000,
        rng=np.random.default_rng(0),
    )
    ours = paired_difference(a, b, resamples=40_000)
    assert ours.difference == pytest.approx(expected.statistic)
    assert ours.p_value == pytest.approx(expected.pvalue, abs=0.01)


def test_clear_difference_is_significant_and_antisymmetric() -> None:
    random = np.random.default_rng(10)
    good, poor = simulated(random, 150, 0.9, 1), simulated(random, 150, 0.5, 1)
    forward, backward = paired_difference(good, poor), paired_difference(poor, good)
    assert forward.p_value == pytest.approx(1 / 10_001)
    assert 0 < forward.low < forward.difference < forward.high < 1
    assert (backward.difference, backward.p_value) == pytest.approx((-forward.difference, forward.p_value))
    assert (backward.low, backward.high) == pytest.approx((-forward.high, -forward.low))


def test_paired_test_is_more_powerful_than_two_intervals() -> None:
    # both fail on the same thirty sentences, and b on eight more
    a = np.array([RIGHT] * 70 + [WRONG] * 30)
    b = np.array([RIGHT] * 62 + [WRONG] * 38)
    assert f1_interval(a).low < f1_interval(b).high
    difference = paired_difference(a, b)
    assert difference.p_value < 0.02
    assert difference.low > 0


def test_permuting_documents_is_coarser_than_permuting_sentences() -> None:
    a, b = np.array([RIGHT] * 30), np.array([RIGHT] * 15 + [WRONG] * 15)
    assert paired_difference(a, b).p_value < 0.001
    # three documents have eight permutations, two of which are as extreme as the observed one
    ids = np.repeat([0, 1, 2], 10)
    assert paired_difference(a, b, groups=ids).p_value == pytest.approx(2 / 4, abs=0.02)


def test_equal_configurations_do_not_differ_but_the_interval_keeps_a_width() -> None:
    counts = np.array([RIGHT] * 10)
    difference = paired_difference(counts, counts)
    assert (difference.difference, difference.p_value) == (0.0, 1.0)
    assert difference.low == pytest.approx(-difference.high)
    assert difference.high == pytest.approx(1 - f1_interval(counts).low)


def test_false_positive_rate_is_5_percent() -> None:
    random = np.random.default_rng(11)
    false_positives = uncovered = 0
    for _ in range(400):
        a, b = simulated(random, 80, 0.8, systems=2)
        difference = paired_difference(a, b, resamples=300)
        false_positives += difference.p_value <= 0.05
        uncovered += not difference.low <= 0 <= difference.high
    assert 0.015 <= false_positives / 400 <= 0.085
    assert 0.015 <= uncovered / 400 <= 0.085


@given(st.data(), shapes)
@settings(max_examples=60, deadline=None)
def test_difference_lies_within_its_interval(data: st.DataObject, shape: tuple[int, ...]) -> None:
    a, b = (data.draw(arrays.arrays(np.int64, shape, elements=st.integers(0, 3))) for _ in "ab")
    found = paired_difference(a, b, resamples=50)
    assert all(map(isfinite, (found.difference, found.low, found.high, found.p_value)))
    assert -1 <= found.low <= found.difference <= found.high <= 1
    assert 1 / 51 <= found.p_value <= 1


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, 0.005], family=4) == pytest.approx([0.03, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(ValueError, match="family of 1"):
        holm([0.1, 0.2], family=1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_like_the_stepwise_procedure(p_values: list[float], alpha: float) -> None:
    rejected: set[int] = set()
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        # Holm's original rule: stop at the first p-value that is too large
        if (len(p_values) - rank) * p_values[index] > alpha:
            break
        rejected.add(int(index))
    assert {index for index, p in enumerate(holm(p_values)) if p <= alpha} == rejected


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferroni(p_values: list[float]) -> None:
    for p, adjusted in zip(p_values, holm(p_values), strict=True):
        assert p <= adjusted <= min(1.0, len(p_values) * p)


def test_clearly_worse_configurations_are_left_out_and_the_order_is_kept() -> None:
    random = np.random.default_rng(12)
    good, poor = simulated(random, 150, 0.9, systems=3), simulated(random, 150, 0.4, systems=2)
    named = {"poor": poor[:1], "a": good[:1], "b": good[1:2], "poorer": poor[1:], "c": good[2:]}
    assert not_significantly_worse(named, "a") == ["a", "b", "c"]
    assert not_significantly_worse(named, "poor") == list(named), "no configuration is worse than the worst"
    assert not_significantly_worse({"only": poor}, "only") == ["only"]


def test_difference_significant_in_isolation_is_not_significant_among_many() -> None:
    a = np.array([RIGHT] * 70 + [WRONG] * 30)
    b = np.array([RIGHT] * 62 + [WRONG] * 38)
    assert not_significantly_worse({"a": a, "b": b}, "a") == ["a"]
    family = {"a": a, **{f"b{index}": b for index in range(11)}}
    assert paired_difference(a, b).p_value * 11 > 0.05
    assert not_significantly_worse(family, "a") == list(family)


def test_the_truly_best_of_twelve_is_kept() -> None:
    random = np.random.default_rng(13)
    lost = kept_equal = 0
    for number in range(100):
        # the first is better than some, or equal to all
        quality = np.array([0.8, *[0.78] * 5, *[0.7] * 6]) if number % 2 else np.full(12, 0.8)
        drawn = simulated(random, 80, quality, systems=12)
        named = {str(index): counts for index, counts in enumerate(drawn)}
        best = max(named, key=lambda name: f1(named[name]))
        kept = not_significantly_worse(named, best, resamples=4000)
        lost += "0" not in kept
        kept_equal += len(kept) if number % 2 == 0 else 0
    assert lost <= 4
    assert kept_equal > 0.9 * 50 * 12


def test_unknown_best_and_unequal_shapes_raise_value_error() -> None:
    counts = np.array([[RIGHT] * 4])
    with pytest.raises(ValueError, match="'c'"):
        not_significantly_worse({"a": counts, "b": counts}, "c")
    with pytest.raises(ValueError, match="counts of b"):
        paired_difference(counts, counts[:, :3])
    with pytest.raises(ValueError, match="the same runs"):
        not_significantly_worse({"a": counts, "b": np.concatenate([counts, counts])}, "a")


@pytest.mark.parametrize("seeds", [3, 5])
def test_false_positive_rate_with_seed_variance(seeds: int) -> None:
    random = np.random.default_rng(16)
    false_positives = of_models = 0
    for _ in range(300):
        models = simulated(random, 150, random.normal(0.8, 0.03, 2 * seeds), 2 * seeds)
        false_positives += paired_difference(models[:seeds], models[seeds:], resamples=300).p_value <= 0.05
        of_models += paired_difference(models[0], models[1], resamples=300).p_value <= 0.05
    assert false_positives / 300 <= 0.085
    assert of_models / 300 >= 0.1  # what a test with a single seed would report


def test_runs_with_different_hyperparameters_are_compared_in_pairs() -> None:
    # a large effect of the learning rate must not count as noise in the difference between two schemes
    random = np.random.default_rng(17)
    models = simulated(random, 300, np.array([0.5, 0.7, 0.9, 0.35, 0.55, 0.75]), 6)
    one, other = models[:3, np.newaxis], models[3:, np.newaxis]
    found = paired_difference(list(one), list(other), groups=[np.arange(300)] * 3)
    assert found.low > 0.02
    assert found.p_value <= 0.05
    as_seeds = paired_difference(models[:3], models[3:])
    assert as_seeds.p_value > 0.05


def test_similar_variances_are_replaced_by_their_mean() -> None:
    random = np.random.default_rng(18)
    variances, freedom = moderate_variances(np.array([1.0, 1.1, 0.9, 1.0]), np.full(4, 2.0))
    assert variances == pytest.approx([1.0] * 4)
    assert freedom == pytest.approx([8.0] * 4)
    # variances drawn from a prior with 8 degrees of freedom are shrunk accordingly
    truth = 8 / random.chisquare(8, 4000)
    drawn, freedom = moderate_variances(truth * random.chisquare(4, 4000) / 4, np.full(4000, 4.0))
    assert freedom[0] == pytest.approx(12, abs=1)
    assert np.log(drawn).std() < np.log(truth).std()


@example(np.array([5e-324, 0.0]), 1)
@given(arrays.arrays(np.float64, st.integers(1, 8), elements=st.floats(0, 1)), st.integers(1, 9))
def test_moderated_variances_are_finite(variances: Floats, freedom: int) -> None:
    drawn, total = moderate_variances(variances, np.full(len(variances), float(freedom)))
    assert np.isfinite(drawn).all()
    assert (drawn >= 0).all()
    assert (freedom <= total).all()
    assert (total <= freedom * len(variances)).all()


def test_contrast_of_differences_is_tested() -> None:
    random = np.random.default_rng(21)
    samples = [read_counts(simulated(random, 300, quality)) for quality in (0.9, 0.5, 0.7, 0.7)]
    found = contrast(samples, [1, -1, -1, 1], [NO_SEED_VARIANCE] * 4)
    expected = samples[0].mean_f1 - samples[1].mean_f1 - samples[2].mean_f1 + samples[3].mean_f1
    assert found.difference == pytest.approx(expected)
    assert found.low < expected < found.high
    assert found.p_value < 0.001
    wider = contrast(samples, [1, -1, -1, 1], [SeedVariance.known(0.1**2)] * 4)
    assert wider.p_value > 0.01
    assert contrast(samples[:1] * 2, [1, -1], [NO_SEED_VARIANCE] * 2).p_value == 1.0


def test_false_positive_rate_of_contrasts() -> None:
    random = np.random.default_rng(22)
    rejected = 0
    for _ in range(400):
        samples = [read_counts(simulated(random, 100, quality)) for quality in (0.8, 0.7, 0.6, 0.5)]
        rejected += contrast(samples, [1, -1, -1, 1], [NO_SEED_VARIANCE] * 4, resamples=200).p_value <= 0.05
    assert 0.02 <= rejected / 400 <= 0.085


def test_detectable_difference_is_found_in_four_of_five_cases() -> None:
    random = np.random.default_rng(23)
    pairs = [[read_counts(counts[np.newaxis]) for counts in simulated(random, 200, 0.7, systems=2)] for _ in range(20)]
    error = float(np.median([standard_error(one, other, [NO_SEED_VARIANCE] * 2) for one, other in pairs]))
    size = detectable_difference(error)
    found = 0
    for _ in range(200):
        one, other = (simulated(random, 200, quality) for quality in (0.7 + size / 2, 0.7 - size / 2))
        found += paired_difference(one, other, resamples=300).p_value <= 0.05
    assert 0.7 <= found / 200 <= 0.9
    assert detectable_difference(error, comparisons=11) > size
    assert standard_error(pairs[0][0], pairs[0][1], [SeedVariance.known(0.05**2)] * 2) > 0.05 * 2**0.5
