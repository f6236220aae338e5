"""Uncertainty of a ranking: selection bias, probability of being best, intervals of ranks, expected best scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tune_ner.evaluation.samples import BOOTSTRAP_RESAMPLES, Floats, Sample, bootstrap, draw_weights
from tune_ner.evaluation.seed_variance import SeedVariance


@dataclass(frozen=True)
class RankUncertainty:
    """How certain the rank of a configuration is: the probability that it is the best, and limits of its rank."""

    best_probability: float
    low: int
    high: int


def rank_uncertainty(
    samples: Sequence[Sample],
    seeds: Sequence[SeedVariance],
    *,
    level: float = 0.95,
    resamples: int = BOOTSTRAP_RESAMPLES,
    seed: int = 0,
) -> list[RankUncertainty]:
    """Rank configurations on documents drawn with replacement, and with other seeds.

    In each resample, the deviation of F1 between seeds is drawn from its estimated distribution. Equal scores share
    the first place. The limits are quantiles of the rank (Goldstein and Spiegelhalter 1996).

    Args:
        samples: the configurations, on the same documents.
        seeds: the variance of the mean F1 of each between seeds.
        level: share of the resamples in which the rank is within the limits.
        resamples: number of resamples.
        seed: random seed.
    """
    random = np.random.default_rng(seed)
    scores = bootstrap(samples, resamples, seed)
    scores = scores + np.stack([variance.draw(resamples, random) for variance in seeds], axis=1)
    is_best = scores >= scores.max(axis=1, keepdims=True) - 1e-12
    probabilities = (is_best / is_best.sum(axis=1, keepdims=True)).mean(axis=0)
    ranks = 1 + (scores[:, np.newaxis, :] > scores[:, :, np.newaxis] + 1e-12).sum(axis=2)
    tail = (1 - level) / 2
    low, high = np.quantile(ranks, [tail, 1 - tail], axis=0, method="inverted_cdf")
    return [
        RankUncertainty(float(probability), int(first), int(last))
        for probability, first, last in zip(probabilities, low, high, strict=True)
    ]


def bias_corrected_f1(
    samples: Sequence[Sample], *, resamples: int = BOOTSTRAP_RESAMPLES, seed: int = 0
) -> float | None:
    """Estimate the F1 of the selected best configuration without the optimism of the selection.

    Bootstrap bias correction (Tsamardinos, Greasidou and Borboudakis 2018, "Bootstrapping the out-of-sample predictions
    for efficient and accurate cross-validation"): the best epochs and the best configuration on documents drawn with
    replacement are measured on the documents that were not drawn. It corrects the choice among these, not that of
    hyperparameters before.

    Args:
        samples: the configurations, on the same documents. The runs of a `seed_group` are the epochs of one trial; the
            F1 of a configuration is the mean over its trials, each with its best epoch.
        resamples: number of resamples.
        seed: random seed.

    Returns:
        The mean over the resamples, or None if no resample leaves out a document with entities.
    """
    found: list[float] = []
    for weights in draw_weights(samples, resamples, seed):
        left_out = (weights == 0).astype(np.float64)
        both = [_with_best_epochs(sample, weights @ sample.columns, left_out @ sample.columns) for sample in samples]
        scores, outside = (np.stack(side, axis=1) for side in zip(*both, strict=True))
        rows, chosen = np.arange(len(scores)), scores.argmax(axis=1)
        values = outside[rows, chosen]
        found += values[np.isfinite(values)].tolist()
    return float(np.mean(found)) if found else None


def _with_best_epochs(sample: Sample, drawn: Floats, left_out: Floats) -> tuple[Floats, Floats]:
    """Return the mean F1 of a configuration's trials, each with the epoch that is best on the drawn documents.

    Args:
        sample: the configuration.
        drawn, left_out: totals `(draws, runs * 2)` of the documents that were drawn, and of the others.

    Returns:
        F1 on the drawn documents, and on the others (NaN without counts), each of shape `(draws,)`.
    """
    inside, outside = sample.run_f1(drawn), sample.run_f1(left_out)
    outside[left_out[:, 1::2].sum(axis=1) == 0] = np.nan
    rows, of_trials = np.arange(len(inside)), []
    for epochs in sample.seed_groups:
        best = epochs[inside[:, epochs].argmax(axis=1)]
        of_trials.append((inside[rows, best], outside[rows, best]))
    scores, others = (np.mean(side, axis=0) for side in zip(*of_trials, strict=True))
    return scores, others


def expected_best(scores: Sequence[float]) -> Floats:
    """Return the expected best score of 1, 2, … configurations drawn at random from these, shape `(n,)`.

    The expectation of the maximum of a sample with replacement (Dodge et al. 2019, "Show your work: improved reporting
    of experimental results", equation 6).
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    shares = np.arange(len(ordered) + 1) / len(ordered)
    sizes = np.arange(1, len(ordered) + 1)[:, np.newaxis]
    return np.asarray((shares[1:] ** sizes - shares[:-1] ** sizes) @ ordered)
