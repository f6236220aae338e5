"""Predicted spans of a run's trials and their error counts, read from disk once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import sqrt
from typing import Any, Literal

import numpy as np

from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import Span, SplitName
from tune_ner.errors import RunFolderError
from tune_ner.evaluation.confidence_intervals import Interval, f1_interval, share_interval
from tune_ner.evaluation.samples import BOOTSTRAP_RESAMPLES, Sample, read_counts
from tune_ner.evaluation.seed_variance import ASSUMED_DEVIATION, NO_SEED_VARIANCE, SeedVariance, pooled_seed_variances
from tune_ner.evaluation.seen_entities import SeenEntities
from tune_ner.evaluation.significance import Difference, contrast, paired_difference
from tune_ner.evaluation.span_metrics import sentence_counts
from tune_ner.results.audits import Audits
from tune_ner.results.predictions import Predictions
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.seed_deviation import SeedDeviation, earlier_deviation
from tune_ner.results.selection import configuration_of
from tune_ner.tagging.probabilities import WordProbabilities

Counts = np.ndarray[Any, Any]
Ids = np.ndarray[Any, Any]
Novelty = Literal["seen", "unseen"]
"""Whether the text of a span is an entity in train; known for audited runs only."""

_LEVEL = 0.95
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
    _probabilities: dict[tuple[str, SplitName], WordProbabilities] = field(default_factory=dict)
    _counts: dict[tuple[str, SplitName, str | None, Novelty | None], Counts] = field(default_factory=dict)
    _group_ids: dict[str, int] = field(default_factory=dict)
    _differences: dict[tuple[object, ...], Difference] = field(default_factory=dict)
    _variances: dict[SplitName, dict[TrialConfig, SeedVariance]] = field(default_factory=dict)
    _samples: dict[tuple[object, ...], Sample] = field(default_factory=dict)

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

    def probabilities(self, record: TrialRecord, split_name: SplitName) -> WordProbabilities:
        """Return the label probabilities of the words of a split, as a completed trial predicted them."""
        key = record.trial_id, split_name
        if key not in self._probabilities:
            self._probabilities[key] = self.run_dir.probabilities_of(record, split_name)
        return self._probabilities[key]

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
        return counts, [self.document_ids(trials[0], split_name) for trials in cells.values()]

    def document_ids(self, record: TrialRecord, split_name: SplitName) -> Ids:
        """Return the document id of each sentence of a split, see `replicate_counts`; shape (sentences,)."""
        fold = _fold(record)
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

    @cached_property
    def configurations(self) -> dict[TrialConfig, list[TrialRecord]]:
        """The completed final trials of each configuration."""
        found: dict[TrialConfig, list[TrialRecord]] = {}
        for record in self.run_dir.records():
            if record.result and record.phase == "final":
                found.setdefault(configuration_of(record.config), []).append(record)
        return found

    @cached_property
    def has_repeated_seeds(self) -> bool:
        """Whether some configuration was trained with several seeds on the same data."""
        return any(len({r.config.fold for r in records}) < len(records) for records in self.configurations.values())

    @cached_property
    def seed_deviation(self) -> SeedDeviation:
        """The standard deviation of test F1 between seeds, for configurations with a single trial."""
        if self.has_repeated_seeds:
            variances = self.seed_variances("test")
            of_runs = [variances[config].variance * len(records) for config, records in self.configurations.items()]
            return SeedDeviation(sqrt(float(np.median(of_runs))), "this run")
        for config in self.configurations:
            return earlier_deviation(self.run_dir, config.data_fingerprint)
        return SeedDeviation(ASSUMED_DEVIATION, "")

    def seed_variances(self, split_name: SplitName) -> dict[TrialConfig, SeedVariance]:
        """Return the variance of the mean F1 of each configuration between seeds, estimated from all of them."""
        if split_name not in self._variances:
            samples = [self.sample(records, split_name) for records in self.configurations.values()]
            self._variances[split_name] = dict(zip(self.configurations, pooled_seed_variances(samples), strict=True))
        return self._variances[split_name]

    def sample(self, records: Iterable[TrialRecord], split_name: SplitName) -> Sample:
        """Return the counts of several trials, summed by document."""
        records = list(records)
        key = *(record.trial_id for record in records), split_name
        if key not in self._samples:
            self._samples[key] = read_counts(*self.replicate_counts(records, split_name))
        return self._samples[key]

    def epoch_sample(self, records: Sequence[TrialRecord]) -> Sample:
        """Return the validation counts of several trials after each epoch, summed by document.

        The epochs of a trial are a `seed_group` of the sample. A trial whose epochs were not recorded has one epoch.
        """
        ids = [self.document_ids(record, "validation") for record in records]
        return read_counts([self._epoch_counts(record) for record in records], ids)

    def _epoch_counts(self, record: TrialRecord) -> Counts:
        """Return counts of shape (epochs, sentences, 3)."""
        epochs = self.predictions(record.trial_id, "validation").epochs
        if not all(epochs):
            return self.counts(record, "validation")[np.newaxis]
        return np.moveaxis(np.array(epochs), 1, 0)

    def seed_variance_of(self, records: Sequence[TrialRecord], split_name: SplitName) -> SeedVariance:
        """Return the variance of the mean F1 of some trials between seeds; trials may be of several configurations.

        A configuration with a single trial, in a run without repeated seeds, has that of `seed_deviation`.
        """
        variances = self.seed_variances(split_name)
        of_trials = []
        for record in records:
            config = configuration_of(record.config)
            trials = len(self.configurations[config])
            if trials == 1 and not self.has_repeated_seeds:
                of_trials.append(SeedVariance.known(self.seed_deviation.value**2))
            else:
                mean = variances[config]
                of_trials.append(SeedVariance(mean.variance * trials, mean.degrees_of_freedom, mean.raw * trials))
        return SeedVariance(
            sum(each.variance for each in of_trials) / len(records) ** 2,
            min(each.degrees_of_freedom for each in of_trials),
            sum(each.raw for each in of_trials) / len(records) ** 2,
        )

    def improvement(self, records: Sequence[TrialRecord]) -> Difference | None:
        """Return mean test span F1 of the trials of a configuration minus that of the best baseline of each fold.

        None if the audit has no counts of the baseline.
        """
        baselines = []
        for record in records:
            audit = self.audits.get(record.config.fold)
            if audit is None or not audit.baseline_counts:
                return None
            of_sentence = {index: row for index, *row in audit.baseline_counts}
            indices = self.predictions(record.trial_id, "test").indices
            baselines.append(np.array([of_sentence.get(index, [0, 0, 0]) for index in indices])[np.newaxis])
        ids = [self.document_ids(record, "test") for record in records]
        own = read_counts([self.counts(record, "test")[np.newaxis] for record in records], ids)
        seeds = self.seed_variance_of(records, "test")
        return contrast([own, read_counts(baselines, ids)], [1, -1], [seeds, NO_SEED_VARIANCE])

    def interval(
        self,
        records: Sequence[TrialRecord],
        split_name: SplitName,
        label: str | None = None,
    ) -> Interval:
        """Return the mean span F1 of several trials with its 95 % interval.

        It includes the variance between seeds: of all configurations of the run, or of `seed_deviation` for a single
        trial. For one type (`label`), that of these trials only.
        """
        counts, sentences = self.replicate_counts(records, split_name, label)
        seeds = self.seed_variance_of(records, split_name) if label is None else None
        return f1_interval(counts, groups=sentences, seeds=seeds)

    def recall(self, records: Sequence[TrialRecord], split_name: SplitName, novelty: Novelty) -> Interval:
        """Return the mean recall of seen or unseen entities with Wilson's 95 % interval.

        Spurious predictions belong to neither, so there is no precision of seen or of unseen entities. The interval
        counts each entity once, however many trials there are.
        """
        totals = np.sum([self.counts(record, split_name, None, novelty).sum(axis=0) for record in records], axis=0)
        found, gold = int(totals[0]), int(totals[0] + totals[2])
        if not gold:
            return share_interval(0, 0)
        repeats = len(records) / len({record.config.fold for record in records})
        interval = share_interval(round(found / repeats), round(gold / repeats))
        return Interval(min(interval.low, found / gold), max(interval.high, found / gold), found / gold)

    def difference(
        self, one: Sequence[TrialRecord], other: Sequence[TrialRecord], split_name: SplitName, level: float = _LEVEL
    ) -> Difference:
        """Return the mean span F1 of some trials minus that of others, paired in the order of `replicate_counts`."""
        key = tuple(record.trial_id for record in one), tuple(record.trial_id for record in other), split_name, level
        # the p-value is read at the default level only
        resamples = 10_000 if level == _LEVEL else BOOTSTRAP_RESAMPLES
        if key not in self._differences:
            (counts, sentences), (others, _) = (self.replicate_counts(side, split_name) for side in (one, other))
            self._differences[key] = paired_difference(
                counts,
                others,
                groups=sentences,
                level=level,
                assumed_deviation=self.seed_deviation.value,
                resamples=resamples,
            )
        return self._differences[key]


def _fold(record: TrialRecord) -> int:
    return -1 if record.config.fold is None else record.config.fold


def _cell(record: TrialRecord) -> tuple[int, str]:
    """Return the fold and hyperparameters, which trials share that differ only in their seed."""
    return _fold(record), record.config.model_dump_json(exclude={"seed", "fold"})
