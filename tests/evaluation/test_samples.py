"""Counts by document and their bootstrap."""

import numpy as np
import pytest

from tests.evaluation.simulation import RIGHT, WRONG, simulated
from tune_ner.evaluation.samples import bootstrap, draw_weights, read_counts


def test_counts_are_summed_by_document() -> None:
    sample = read_counts(np.array([[RIGHT, WRONG, RIGHT]]), groups=["a", "b", "a"])
    assert sample.sums.tolist() == [[[4.0, 4.0], [0.0, 2.0]]]
    assert (sample.documents, sample.gold_entities) == (2, 3)
    assert sample.mean_f1 == pytest.approx(2 / 3)


def test_every_resample_draws_as_many_documents() -> None:
    sample = read_counts(simulated(np.random.default_rng(1), 30, 0.8))
    weights = np.concatenate(list(draw_weights([sample], 50, 0)))
    assert weights.shape == (50, 30)
    assert (weights.sum(axis=1) == 30).all()


def test_samples_share_the_draws() -> None:
    sample = read_counts(simulated(np.random.default_rng(2), 30, 0.8))
    scores = bootstrap([sample, sample], 100, 0)
    assert (scores[:, 0] == scores[:, 1]).all()
    assert scores.std() > 0
