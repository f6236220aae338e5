"""Selection bias, probability of being best, ranks and expected best scores: against definitions and simulations."""

from itertools import product

import numpy as np
import pytest

from tests.evaluation.simulation import MISSED, RIGHT, f1, simulated
from tune_ner.evaluation.ranking import bias_corrected_f1, expected_best, rank_uncertainty
from tune_ner.evaluation.samples import read_counts
from tune_ner.evaluation.seed_variance import NO_SEED_VARIANCE, SeedVariance


def test_clearly_best_configuration_has_rank_one() -> None:
    random = np.random.default_rng(1)
    samples = [read_counts(simulated(random, 200, quality)) for quality in (0.9, 0.6, 0.3)]
    best, middle, worst = rank_uncertainty(samples, [NO_SEED_VARIANCE] * 3)
    assert (best.best_probability, best.low, best.high) == (1.0, 1, 1)
    assert (middle.best_probability, middle.low, middle.high) == (0.0, 2, 2)
    assert (worst.low, worst.high) == (3, 3)


def test_equal_configurations_share_the_first_place() -> None:
    counts = simulated(np.random.default_rng(2), 60, 0.7)
    found = rank_uncertainty([read_counts(counts)] * 4, [NO_SEED_VARIANCE] * 4)
    assert [each.best_probability for each in found] == pytest.approx([0.25] * 4)
    assert {(each.low, each.high) for each in found} == {(1, 1)}


def test_variance_between_seeds_makes_ranks_uncertain() -> None:
    random = np.random.default_rng(3)
    samples = [read_counts(simulated(random, 200, quality)) for quality in (0.9, 0.7)]
    found = rank_uncertainty(samples, [SeedVariance.known(0.3**2)] * 2)
    assert 0.55 < found[0].best_probability < 0.9
    assert {(each.low, each.high) for each in found} == {(1, 2)}


def test_selection_bias_is_removed() -> None:
    random = np.random.default_rng(4)
    best, corrected = [], []
    for number in range(40):
        samples = [read_counts(simulated(random, 60, 0.7)) for _ in range(12)]
        best.append(max(sample.mean_f1 for sample in samples))
        corrected.append(bias_corrected_f1(samples, resamples=200, seed=number))
    assert np.mean(best) > 0.74
    assert np.mean([value for value in corrected if value is not None]) == pytest.approx(0.7, abs=0.015)


def test_bias_of_choosing_epochs_is_removed() -> None:
    random = np.random.default_rng(6)
    best, corrected = [], []
    for number in range(40):
        seeds = [[simulated(random, 60, 0.7, systems=8) for _ in range(2)] for _ in range(4)]
        best.append(max(np.mean([max(map(f1, epochs)) for epochs in trials]) for trials in seeds))
        samples = [read_counts(trials, [np.arange(60)] * 2) for trials in seeds]
        corrected.append(bias_corrected_f1(samples, resamples=200, seed=number))
    assert np.mean(best) > 0.75
    assert np.mean([value for value in corrected if value is not None]) == pytest.approx(0.7, abs=0.015)


def test_each_trial_has_its_own_best_epoch() -> None:
    good, bad = np.array([[RIGHT] * 20, [MISSED] * 20]), np.array([[MISSED] * 20, [RIGHT] * 20])
    sample = read_counts([good, bad], [np.arange(20)] * 2)
    assert bias_corrected_f1([sample]) == 1.0


def test_a_single_configuration_has_no_selection_bias() -> None:
    counts = simulated(np.random.default_rng(5), 100, 0.8)
    assert bias_corrected_f1([read_counts(counts)]) == pytest.approx(f1(counts[0]), abs=0.01)
    assert bias_corrected_f1([read_counts(np.array([RIGHT]))]) is None


def test_expected_best_is_the_mean_maximum_of_all_draws() -> None:
    scores = [0.2, 0.5, 0.5, 0.9]
    found = expected_best(scores)
    for size in (1, 2, 3, 4):
        assert found[size - 1] == pytest.approx(np.mean([max(draw) for draw in product(scores, repeat=size)]))
    assert expected_best([0.4]).tolist() == [0.4]
