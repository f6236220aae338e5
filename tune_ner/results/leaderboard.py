"""The leaderboard: configurations by validation score, with intervals and ties with the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tune_ner.config.trial_config import TrialConfig
from tune_ner.evaluation.confidence_intervals import Interval
from tune_ner.evaluation.ranking import RankUncertainty
from tune_ner.evaluation.significance import not_significantly_worse
from tune_ner.results.prediction_cache import PredictionCache
from tune_ner.results.ranking import MOST_COMPARED, Ranking, replicate, replicates
from tune_ner.results.records import TrialRecord
from tune_ner.results.selection import Candidate, RankedConfiguration, rank

_FEWEST_SHARED = 2


@dataclass(frozen=True)
class LeaderboardEntry:
    """A configuration on the leaderboard.

    Entries are ranked by the run's selection metric. Intervals and `tied` are always those of exact spans (span F1).

    Attributes:
        ranked: the configuration, its trials by status, and its mean selection score.
        records: the completed trials.
        validation, test: mean span F1 with 95 % intervals.
        tied: whether validation span F1 is not significantly worse than that of the best (Holm's correction over the
            comparisons with it), on the seeds and folds that both have; None if they share too few, or for entries
            after the first `MOST_COMPARED`.
        rank: the probability that it is the best on validation, and the limits of its rank; None if its seeds and folds
            are not those of the best.
    """

    ranked: RankedConfiguration
    records: tuple[TrialRecord, ...]
    validation: Interval
    test: Interval
    tied: bool | None
    rank: RankUncertainty | None = None

    @property
    def configuration(self) -> TrialConfig:
        """The hyperparameters, with seed 0 and no fold."""
        return self.ranked.configuration


def leaderboard_entries(cache: PredictionCache, records: Sequence[TrialRecord]) -> list[LeaderboardEntry]:
    """Return every configuration with a completed final trial, best first."""
    by_id = {record.trial_id: record for record in records}
    # Trials of a search were selected by their score; only the trials that retrain their configurations are unbiased.
    ranked = rank(Candidate.of(record) for record in records if record.phase == "final")
    groups = [tuple(by_id[trial] for trial in item.completed) for item in ranked]
    ties = _ties(cache, groups[:MOST_COMPARED])
    ranks = Ranking(cache, groups).uncertainties() if groups else {}
    return [
        LeaderboardEntry(
            item,
            group,
            cache.interval(group, "validation"),
            cache.interval(group, "test"),
            ties.get(place),
            ranks.get(place),
        )
        for place, (item, group) in enumerate(zip(ranked, groups, strict=True))
    ]


def _ties(cache: PredictionCache, groups: Sequence[Sequence[TrialRecord]]) -> dict[int, bool]:
    """Return by place whether a group is tied with the first; places that share too few replicates are left out.

    Too few means fewer than two if the first has several: a single one does not show the effect of the seed. Each
    group is compared on the replicates that it shares with the first, so a seed that is missing elsewhere does not
    matter. Groups that share the same replicates are compared together; all comparisons form one family.
    """
    if not groups:
        return {}
    fewest = min(_FEWEST_SHARED, len(groups[0]))
    together: dict[frozenset[tuple[int | None, int]], list[int]] = {}
    for place, group in enumerate(groups[1:], start=1):
        shared = replicates(groups[0]) & replicates(group)
        if len(shared) >= fewest:
            together.setdefault(shared, []).append(place)
    family = sum(map(len, together.values()))
    ties = {0: True}
    for shared, places in together.items():
        compared = {
            str(place): cache.replicate_counts([r for r in groups[place] if replicate(r) in shared], "validation")
            for place in (0, *places)
        }
        counts = {place: of_place for place, (of_place, _) in compared.items()}
        found = not_significantly_worse(
            counts,
            "0",
            groups=compared["0"][1],
            family=family,
            assumed_deviation=cache.seed_deviation.value,
        )
        ties |= {place: str(place) in found for place in places}
    return ties
