"""Predicted spans of a run's trials and their error counts, read from disk once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from tune_ner.data.corpus import Span, SplitName
from tune_ner.errors import RunFolderError
from tune_ner.evaluation.confidence_intervals import Interval, f1_interval
from tune_ner.evaluation.seen_entities import SeenEntities
from tune_ner.evaluation.significance import Difference, paired_difference
from tune_ner.evaluation.span_metrics import sentence_counts
from tune_ner.results.audits import Audits
from tune_ner.results.predictions import Predictions
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir

Counts = np.ndarray[Any, Any]
Ids = np.ndarray[Any, Any]
Novelty = Literal["seen", "unseen"]
"""Whether the text of a span is an entity in train; known for audited runs only."""

_MOST_SENTENCES = 2**40  # per fold, so that sentence ids of different folds differ
_FIRST_GROUP = 2**60  # above the ids of sentences
_FEWEST_GROUPS = 5
"""Documents of a split from which they are resampled. The variance of fewer is not estimable: with two of them, an
interval can be narrower than that of independent sentences."""


@dataclass
class PredictionCache:
    """Predictions, counts and comparisons of a run's trials; each is read or computed once."""

    run_dir: RunDir
    _predictions: dict[tuple[str, SplitName], Predictions] = field(default_factory=dict)
    _counts: dict[tuple[str, SplitName, str | None, Novelty | None], Counts] = field(default_factory=dict)
    _group_ids: dict[str, int] = field(default_factory=dict)
    _differences: dict[tuple[tuple[str, ...], tuple[str, ...], SplitName], Difference] = field(default_factory=dict)

    @cached_property
    def audits(self) -> Audits:
        """The stored audit of each fold; empty if the run was not audited."""
        return self.run_dir.audits()

    def predictions(self, trial_id: str, split_name: SplitName) -> Predictions:
        """Return texts, gold spans and predicted spans of a split, one item per sentence."""
        key = trial_id, split_name
        if key not in self._predictions:
            self._predictions[key] = self.run_dir.predictions_of(trial_id, split_name)
        return self._predictions[key]

    def counts(
        self, record: TrialRecord, split_name: SplitName, label: str | None = None, novelty: Novelty | None = None
    ) -> Counts:
        """Return true positives, false positives and false negatives per sentence, shape (sentences, 3).

        With `label` or `novelty`, only spans of that entity type or of seen or unseen entities are counted.
        """
        key = record.trial_id, split_name, label, novelty
        if key not in self._counts:
            rows = self.predictions(record.trial_id, split_name)
            is_counted = self._filter(record.config.fold, label, novelty)
            gold, predicted = (
                [[span for span in row if is_counted(span, text)] for row, text in zip(spans, rows.texts, strict=True)]
                for spans in (rows.gold, rows.predicted)
            )
            self._counts[key] = sentence_counts(gold, predicted)
        return self._counts[key]

    def _filter(self, fold: int | None, label: str | None, novelty: Novelty | None) -> Callable[[Span, str], bool]:
        if novelty is None:
            return lambda span, _: label in (None, span.label)
        if fold not in self.audits:
            where = "the split" if fold is None else f"fold {fold}"
            raise RunFolderError(
                f"{self.run_dir.audit_file}: found no audit of {where}, which trials of this run use: expected one; "
                "delete the file to report the run without its audit"
            )
        seen = SeenEntities(self.audits[fold].seen_entities)
        return lambda span, text: label in (None, span.label) and seen.is_seen(span, text) == (novelty == "seen")

    def replicate_counts(
        self,
        records: Iterable[TrialRecord],
        split_name: SplitName,
        label: str | None = None,
        novelty: Novelty | None = None,
    ) -> tuple[list[Counts], list[Ids]]:
        """Return the counts of several trials and the ids of their documents.

        One array of shape (trials, sentences, 3) per fold and set of hyperparameters, so that the trials of an array
        differ only in their seed. Sentences of one document have the same id, in all folds. A sentence has an id of
        its own if its document is unknown or its split has fewer than `_FEWEST_GROUPS` documents.
        """
        cells: dict[tuple[int, str], list[TrialRecord]] = {}
        for record in sorted(records, key=lambda record: (_cell(record), record.config.seed)):
            cells.setdefault(_cell(record), []).append(record)
        counts = [
            np.stack([self.counts(record, split_name, label, novelty) for record in trials])
            for trials in cells.values()
        ]
        return counts, [self._ids(trials[0], fold, split_name) for (fold, _), trials in cells.items()]

    def _ids(self, record: TrialRecord, fold: int, split_name: SplitName) -> Ids:
        groups = self.predictions(record.trial_id, split_name).groups
        if len(set(groups)) < _FEWEST_GROUPS:
            groups = [""] * len(groups)
        return np.array(
            [
                _FIRST_GROUP + self._group_ids.setdefault(group, len(self._group_ids))
                if group
                else fold * _MOST_SENTENCES + row
                for row, group in enumerate(groups)
            ]
        )

    def interval(
        self,
        records: Iterable[TrialRecord],
        split_name: SplitName,
        label: str | None = None,
        novelty: Novelty | None = None,
    ) -> Interval:
        """Return the mean span F1 of several trials with its 95 % interval."""
        counts, sentences = self.replicate_counts(records, split_name, label, novelty)
        return f1_interval(counts, groups=sentences)

    def difference(self, one: Sequence[TrialRecord], other: Sequence[TrialRecord], split_name: SplitName) -> Difference:
        """Return the mean span F1 of some trials minus that of others, paired in the order of `replicate_counts`."""
        key = tuple(record.trial_id for record in one), tuple(record.trial_id for record in other), split_name
        if key not in self._differences:
            (counts, sentences), (others, _) = (self.replicate_counts(side, split_name) for side in (one, other))
            self._differences[key] = paired_difference(counts, others, groups=sentences)
        return self._differences[key]


def _cell(record: TrialRecord) -> tuple[int, str]:
    """Return the fold and hyperparameters, which trials share that differ only in their seed."""
    fold = -1 if record.config.fold is None else record.config.fold
    return fold, record.config.model_dump_json(exclude={"seed", "fold"})
