"""Where each configuration stands: its figures with their intervals, and which cannot be told from the best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import comb
from statistics import fmean
from typing import Any, Literal

import numpy as np

from tune_ner.config.loading import load_space
from tune_ner.config.search_space import SearchSpace
from tune_ner.data.corpus import Span, SplitName
from tune_ner.errors import SpaceError
from tune_ner.evaluation.confidence_intervals import Interval, f1_interval
from tune_ner.evaluation.seen_entities import SeenEntities
from tune_ner.evaluation.significance import Difference, not_significantly_worse, paired_difference
from tune_ner.evaluation.span_metrics import sentence_counts
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import Predictions, RunDir
from tune_ner.results.search_analysis import SearchResults
from tune_ner.results.selection import Candidate, RankedConfiguration, rank

Counts = np.ndarray[Any, Any]
Ids = np.ndarray[Any, Any]
Form = Literal["seen", "unseen"]
"""Whether the words of a span were an entity in train."""

Replicate = tuple[int | None, int]
"""Fold and seed."""

_MOST_SENTENCES = 2**40  # of a part, so that ids of different folds differ

_FEWEST_SHARED = 2
MOST_COMPARED = 100
"""Configurations that are compared with the best; more would need p-values too small to draw."""


@dataclass
class Evidence:
    """What a run's figures rest on, read from the disk once: predicted spans, their counts, and the audit."""

    folder: RunDir
    _predictions: dict[tuple[str, SplitName], Predictions] = field(default_factory=dict)
    _counts: dict[tuple[str, SplitName, str | None, Form | None], Counts] = field(default_factory=dict)
    _differences: dict[tuple[tuple[str, ...], tuple[str, ...], SplitName], Difference] = field(default_factory=dict)

    @cached_property
    def audits(self) -> dict[int | None, dict[str, Any]]:
        """What the audit found, by fold; empty for a run that was not audited."""
        return self.folder.audits()

    @cached_property
    def baseline_f1(self) -> float | None:
        """Test F1 of the best rule without a model, the mean over folds; None where there was no audit."""
        best = [
            max((by_part["test"]["f1"] for by_part in audit["baselines"].values()), default=0.0)
            for audit in self.audits.values()
        ]
        return fmean(best) if best else None

    def contaminated(self, fold: int | None) -> frozenset[int]:
        """Indices of the test sentences that stand in train, near duplicates included."""
        levels = self.audits.get(fold, {}).get("test_sentences_in_train", {})
        return frozenset(index for indices in levels.values() for index in indices)

    def knows_forms(self, records: Iterable[TrialRecord]) -> bool:
        """Whether the entity forms of train are known for all these trials; older versions did not keep them."""
        return all(self._forms(record.config.fold) is not None for record in records)

    def _forms(self, fold: int | None) -> SeenEntities | None:
        forms = self.audits.get(fold, {}).get("seen_entities")
        return None if forms is None else SeenEntities(frozenset(forms))

    def predictions(self, trial_id: str, split_name: SplitName) -> Predictions:
        """Texts, gold and predicted spans of a trial's part."""
        key = trial_id, split_name
        if key not in self._predictions:
            self._predictions[key] = self.folder.predictions_of(trial_id, split_name)
        return self._predictions[key]

    def counts(
        self, record: TrialRecord, split_name: SplitName, label: str | None = None, form: Form | None = None
    ) -> Counts:
        """True positives, false positives and false negatives of each sentence, shape (sentences, 3).

        With a `label` or a `form`, those of its spans alone.
        """
        key = record.trial_id, split_name, label, form
        if key not in self._counts:
            rows = self.predictions(record.trial_id, split_name)
            gold, predicted = (
                self._of_form(_labelled(spans, label), rows.texts, record.config.fold, form)
                for spans in (rows.gold, rows.predicted)
            )
            self._counts[key] = sentence_counts(gold, predicted)
        return self._counts[key]

    def _of_form(
        self, spans: list[list[Span]], texts: Sequence[str], fold: int | None, form: Form | None
    ) -> list[list[Span]]:
        if form is None:
            return spans
        known = self._forms(fold)
        if known is None:
            raise ValueError(f"the entity forms of train are not known in {self.folder.path}; see knows_forms")
        seen = form == "seen"
        rows = zip(spans, texts, strict=True)
        return [[span for span in row if known.is_seen(span, text) == seen] for row, text in rows]

    def replicates(
        self, records: Iterable[TrialRecord], split_name: SplitName, label: str | None = None, form: Form | None = None
    ) -> tuple[list[Counts], list[Ids]]:
        """The counts of several trials, and which sentences they are of.

        An array (trials, sentences, 3) for each fold and set of hyperparameters, so that trials of one array
        differ by seed alone, and the ids of its sentences, which differ between folds.
        """
        cells: dict[tuple[int, str], list[Counts]] = {}
        for record in sorted(records, key=lambda record: (_cell(record), record.config.seed)):
            cells.setdefault(_cell(record), []).append(self.counts(record, split_name, label, form))
        counts = [np.stack(trials) for trials in cells.values()]
        ids = [fold * _MOST_SENTENCES + np.arange(len(trials[0])) for (fold, _), trials in cells.items()]
        return counts, ids

    def difference(self, one: Sequence[TrialRecord], other: Sequence[TrialRecord], split_name: SplitName) -> Difference:
        """F1 of some trials less that of others, which are laid beside them in the order of `replicates`."""
        key = tuple(record.trial_id for record in one), tuple(record.trial_id for record in other), split_name
        if key not in self._differences:
            (counts, sentences), (others, _) = (self.replicates(side, split_name) for side in (one, other))
            self._differences[key] = paired_difference(counts, others, groups=sentences)
        return self._differences[key]


@dataclass(frozen=True)
class LeaderboardEntry:
    """A configuration's place.

    `validation` and `test` are mean F1 of exact spans over the finished replicates, with their 95 %
    intervals. `like_best` tells whether its validation F1 is not significantly below the best one's (Holm's
    correction over all pairs), on the replicates that the two share; it is None where they share too few, and behind
    the first `MOST_COMPARED`.
    """

    ranked: RankedConfiguration
    records: tuple[TrialRecord, ...]
    validation: Interval
    test: Interval
    tied: bool | None


def leaderboard_entries(evidence: Evidence, records: Sequence[TrialRecord]) -> list[LeaderboardEntry]:
    """Every configuration that finished a trial, by mean validation F1, best first."""
    by_id = {record.trial_id: record for record in records}
    # A trial of a search was chosen for the figure it has: only what trained it anew may speak for it.
    ranked = rank(Candidate.of(record) for record in records if record.phase == "final")
    groups = [tuple(by_id[trial] for trial in item.completed) for item in ranked]
    alike = _like_best(evidence, groups[:MOST_COMPARED])
    return [
        LeaderboardEntry(
            item,
            group,
            _interval(evidence, group, "validation"),
            _interval(evidence, group, "test"),
            alike.get(place),
        )
        for place, (item, group) in enumerate(zip(ranked, groups, strict=True))
    ]


@dataclass(frozen=True)
class RunResults:
    """What follows from a run's records, each piece computed once, when it is first asked for."""

    folder: RunDir

    @cached_property
    def records(self) -> list[TrialRecord]:
        """Every record, in the order in which the trials ended."""
        return self.folder.records()

    @cached_property
    def evidence(self) -> Evidence:
        """The predicted spans and the audit."""
        return Evidence(self.folder)

    @cached_property
    def leaderboard_entries(self) -> list[LeaderboardEntry]:
        """Every configuration that finished a trial, best first."""
        return leaderboard_entries(self.evidence, self.records)

    @cached_property
    def space(self) -> SearchSpace | str:
        """The space that was searched, or why it is not known."""
        file = self.folder.space_file
        if not file.exists():
            return f"the space is not known: there is no {file.name} in {self.folder.path}"
        try:
            return load_space(str(file.absolute()))
        except SpaceError as error:
            return f"the space is not known: {error}"

    @cached_property
    def search(self) -> SearchResults | None:
        """What a search found besides; None for a grid."""
        return SearchResults.of(self.folder, self.space, self.records)


def _labelled(spans: list[list[Span]], label: str | None) -> list[list[Span]]:
    return spans if label is None else [[span for span in row if span.label == label] for row in spans]


def _interval(evidence: Evidence, records: Sequence[TrialRecord], split_name: SplitName) -> Interval:
    counts, sentences = evidence.replicates(records, split_name)
    return f1_interval(counts, groups=sentences)


def _like_best(evidence: Evidence, groups: Sequence[Sequence[TrialRecord]]) -> dict[int, bool]:
    """For each place whether it is like the first; places that share too few replicates with it are left out.

    That is fewer than two, where the first has several: on one alone it would not be seen what the seeds do. Each is
    compared on the replicates that it shares with the first one: a seed that is missing anywhere else takes nothing
    from it. Those that share the same ones are compared together, and all count as one family.
    """
    if not groups:
        return {}
    least = min(_FEWEST_SHARED, len(groups[0]))
    together: dict[frozenset[Replicate], list[int]] = {}
    for place, group in enumerate(groups[1:], start=1):
        shared = _replicates(groups[0]) & _replicates(group)
        if len(shared) >= least:
            together.setdefault(frozenset(shared), []).append(place)
    family = comb(1 + sum(map(len, together.values())), 2)
    alike = {0: True}
    for common, places in together.items():
        compared = {
            str(place): evidence.replicates([r for r in groups[place] if _replicate(r) in common], "validation")
            for place in (0, *places)
        }
        counts = {place: of_place for place, (of_place, _) in compared.items()}
        found = not_significantly_worse(counts, "0", groups=compared["0"][1], family=family)
        alike |= {place: str(place) in found for place in places}
    return alike


def _replicates(records: Iterable[TrialRecord]) -> set[Replicate]:
    return {_replicate(record) for record in records}


def _replicate(record: TrialRecord) -> Replicate:
    return record.config.fold, record.config.seed


def _cell(record: TrialRecord) -> tuple[int, str]:
    """Fold and hyperparameters: what trials that differ by seed alone share."""
    fold = -1 if record.config.fold is None else record.config.fold
    return fold, record.config.model_dump_json(exclude={"seed", "fold"})
