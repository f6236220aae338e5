"""Variance of F1 between seeds: one configuration, several that share information, and given values."""

import numpy as np
import pytest

from tests.evaluation.simulation import simulated
from tune_ner.evaluation.samples import read_counts
from tune_ner.evaluation.seed_variance import (
    NO_SEED_VARIANCE,
    SeedVariance,
    pooled_seed_variances,
    seed_variance,
    seed_variances_of_differences,
)


def test_variance_of_seeds_is_estimated_without_that_of_documents() -> None:
    random = np.random.default_rng(1)
    found = []
    for _ in range(60):
        quality = random.normal(0.7, 0.04, 5)
        found.append(seed_variance(read_counts(simulated(random, 400, quality, systems=5))).variance * 5)
    assert np.mean(found) == pytest.approx(0.04**2, rel=0.25)


def test_configurations_with_few_seeds_share_their_variance() -> None:
    random = np.random.default_rng(2)
    samples = [read_counts(simulated(random, 300, random.normal(0.7, 0.03, 2), systems=2)) for _ in range(12)]
    single = [seed_variance(sample) for sample in samples]
    pooled = pooled_seed_variances(samples)
    assert np.std([each.variance for each in pooled]) < np.std([each.variance for each in single]) / 3
    assert {each.degrees_of_freedom for each in single} == {1}
    assert pooled[0].degrees_of_freedom > 4


def test_a_configuration_with_one_seed_has_the_common_variance() -> None:
    random = np.random.default_rng(3)
    several = [read_counts(simulated(random, 300, random.normal(0.7, 0.05, 3), systems=3)) for _ in range(4)]
    single = read_counts(simulated(random, 300, 0.7))
    *pooled, own = pooled_seed_variances([*several, single])
    assert own.variance == pytest.approx(3 * float(np.median([each.variance for each in pooled])))
    assert pooled_seed_variances([single, single]) == [NO_SEED_VARIANCE] * 2


def test_a_single_run_has_the_given_deviation() -> None:
    random = np.random.default_rng(4)
    one, other = (read_counts(simulated(random, 50, 0.7)) for _ in range(2))
    assert seed_variances_of_differences(one, [other]) == [NO_SEED_VARIANCE]
    (found,) = seed_variances_of_differences(one, [other], 0.02)
    assert found.variance == pytest.approx(2 * 0.02**2)
    assert found.half_width(0.95) == pytest.approx(1.96 * 0.02 * 2**0.5, rel=1e-3)
    assert SeedVariance.known(0.0) == NO_SEED_VARIANCE
    assert SeedVariance.known(0.01).draw(10_000, random).std() == pytest.approx(0.1, rel=0.05)
