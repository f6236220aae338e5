"""How certain the first place of the leaderboard is: ranks, selection bias, and what a test could find."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from statistics import median

from tune_ner.data.corpus import SplitName
from tune_ner.evaluation.ranking import RankUncertainty, bias_corrected_f1, rank_uncertainty
from tune_ner.evaluation.samples import Sample
from tune_ner.evaluation.seed_variance import SeedVariance
from tune_ner.evaluation.significance import detectable_difference, standard_error
from tune_ner.results.prediction_cache import PredictionCache
from tune_ner.results.records import TrialRecord

MOST_COMPARED = 100
"""Number of configurations that are compared with the best; more would need p-values too small to estimate."""
_NEAREST = 10


class Ranking:
    """The configurations that have the seeds and folds of the best one, which can be compared on equal terms.

    Args:
        cache: the predictions of the run.
        groups: the completed trials of each configuration, best first.
    """

    def __init__(self, cache: PredictionCache, groups: Sequence[Sequence[TrialRecord]]) -> None:
        self._cache = cache
        first = replicates(groups[0])
        self.places = [place for place, group in enumerate(groups) if replicates(group) == first][:MOST_COMPARED]
        self._groups = [groups[place] for place in self.places]

    def samples(self, split_name: SplitName) -> list[Sample]:
        """Return the counts of each configuration."""
        return [self._cache.sample(group, split_name) for group in self._groups]

    def seeds(self, split_name: SplitName) -> list[SeedVariance]:
        """Return the variance of the mean F1 of each configuration between seeds."""
        return [self._cache.seed_variance_of(group, split_name) for group in self._groups]

    def uncertainties(self) -> dict[int, RankUncertainty]:
        """Return the probability of being best on validation and the limits of the rank, by place."""
        found = rank_uncertainty(self.samples("validation"), self.seeds("validation"))
        return dict(zip(self.places, found, strict=True))

    def corrected_f1(self) -> float | None:
        """Return the validation F1 of the best without the optimism of choosing its epoch and it.

        None if nothing was chosen, or if no document can be left out.
        """
        has_choice = len(self.places) > 1 or self.covers_epochs
        return bias_corrected_f1(self._epoch_samples) if has_choice else None

    @property
    def covers_epochs(self) -> bool:
        """Whether the counts of several epochs of a trial are known; earlier versions did not record them."""
        return any(len(epochs) > 1 for sample in self._epoch_samples for epochs in sample.seed_groups)

    @cached_property
    def _epoch_samples(self) -> list[Sample]:
        return [self._cache.epoch_sample(group) for group in self._groups]

    def detectable(self, split_name: SplitName) -> tuple[float, float]:
        """Return the smallest difference to the best that a test finds in 80 % of cases: in one comparison, and in all.

        From the median standard error of the differences to the next best configurations.
        """
        (best, *others), (own, *theirs) = self.samples(split_name), self.seeds(split_name)
        nearest = zip(others[:_NEAREST], theirs[:_NEAREST], strict=True)
        error = median(standard_error(best, other, [own, seeds]) for other, seeds in nearest)
        return detectable_difference(error), detectable_difference(error, comparisons=len(others))


def replicates(records: Sequence[TrialRecord]) -> frozenset[tuple[int | None, int]]:
    """Return the fold and seed of each trial."""
    return frozenset(map(replicate, records))


def replicate(record: TrialRecord) -> tuple[int | None, int]:
    """Return the fold and seed of a trial."""
    return record.config.fold, record.config.seed
