"""Counts of simulated systems."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
RIGHT, MISSED, WRONG = (1, 0, 0), (0, 0, 1), (0, 1, 1)


def f1(counts: Ints) -> float:
    """Return the micro F1 of counts `(sentences, 3)`."""
    tp, fp, fn = counts.reshape(-1, 3).sum(axis=0)
    return float(2 * tp / (2 * tp + fp + fn))


def simulated(random: np.random.Generator, sentences: int, quality: float | Floats, systems: int = 1) -> Ints:
    """Return counts of systems, shape `(systems, sentences, 3)`; half of the errors replace the entity.

    `quality` is the expected F1, one value for all systems or one per system.
    """
    quality = np.broadcast_to(np.reshape(quality, (-1, 1)), (systems, 1))
    entities = random.poisson(1.2, sentences)
    right = random.binomial(entities, quality, (systems, sentences))
    wrong = random.binomial(entities - right, 0.5) + random.poisson(1.2 * (1 - quality) / 2, right.shape)
    return np.stack([right, wrong, entities - right], axis=2)
