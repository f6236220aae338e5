"""Ensembles of trials that a run measured already: their label probabilities are averaged, nothing is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd

from tune_ner.data.corpus import SplitName
from tune_ner.errors import RunFolderError
from tune_ner.evaluation.confidence_intervals import f1_interval
from tune_ner.evaluation.samples import read_counts
from tune_ner.evaluation.significance import contrast
from tune_ner.evaluation.span_metrics import sentence_counts
from tune_ner.results.leaderboard import LeaderboardEntry
from tune_ner.results.prediction_cache import Counts, PredictionCache
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.tagging.probabilities import WordProbabilities
from tune_ner.utils.io import atomic_write
from tune_ner.utils.text import plural, signed

ENSEMBLES_FILE = "ensembles.csv"

_INTEGERS = ("n_configurations", "n_models")
_TEXTS = ("validation_by_size", "trial_ids")
_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Ensemble:
    """The models of the best configurations as one, whose label probabilities are the mean of theirs.

    In a run with folds, there is an ensemble per fold, and scores are means over the folds.

    Attributes:
        n_configurations: number of configurations, the best ones on validation.
        n_models: number of their completed trials: all seeds and folds.
        validation_span_f1: validation span F1.
        validation_by_size: that of the ensembles of 1, 2, … configurations, separated by spaces.
        test_span_f1, test_span_f1_low, test_span_f1_high: test span F1 with its 95 % interval.
        best_test_span_f1: mean test span F1 of the best configuration, a single model.
        difference, difference_low, difference_high, p_value: test span F1 minus that of the best configuration.
        trial_ids: the trials, separated by spaces.
    """

    n_configurations: int
    n_models: int
    validation_span_f1: float
    validation_by_size: str
    test_span_f1: float
    test_span_f1_low: float
    test_span_f1_high: float
    best_test_span_f1: float
    difference: float
    difference_low: float
    difference_high: float
    p_value: float
    trial_ids: str

    def sentences(self) -> list[str]:
        """Return sentences on the ensemble's scores, and whether it is better than the best single model."""
        several = self.n_configurations > 1
        of = f"the {self.n_configurations} best configurations" if several else "the best configuration"
        verdict = f"{'' if self.p_value < _SIGNIFICANT else 'not '}significant, p = {self.p_value:.2g}"
        scores = [f"{float(score):.3f}" for score in self.validation_by_size.split()]
        by_size = f"Validation span F1 of the ensembles of 1 to {self.n_configurations}: {', '.join(scores)}."
        return [
            f"Ensemble of {self.n_models} models, all of {of}: test span F1 {self.test_span_f1:.3f} (95 % interval "
            f"{self.test_span_f1_low:.3f} to {self.test_span_f1_high:.3f}).",
            f"It minus one model of the best configuration ({self.best_test_span_f1:.3f}): {signed(self.difference)} "
            f"({signed(self.difference_low)} to {signed(self.difference_high)}; {verdict}).",
            *([by_size] if several else []),
        ]


_COLUMNS = [field.name for field in fields(Ensemble)]


def combine(cache: PredictionCache, entries: Sequence[LeaderboardEntry], configurations: int) -> Ensemble:
    """Evaluate the ensemble of the best configurations of a leaderboard.

    The interval and the p-value of the difference include the variance between seeds; an ensemble is taken to vary as
    the mean of its models does, which is too much rather than too little.

    Args:
        cache: the predictions of the run.
        entries: its leaderboard.
        configurations: number of configurations.

    Raises:
        RunFolderError: there are too few configurations or models, the configurations split texts into different
            words, or the label probabilities of a trial are missing.
    """
    records, best = ensemble_records(cache.run_dir, entries, configurations), entries[0]
    by_size = [
        read_counts(*_evaluated(cache, _records(entries[:size]), "validation")).mean_f1
        for size in range(1, configurations + 1)
    ]
    counts, ids = _evaluated(cache, records, "test")
    seeds = cache.seed_variance_of(records, "test")
    samples = [read_counts(counts, ids), cache.sample(best.records, "test")]
    found = contrast(samples, [1, -1], [seeds, cache.seed_variance_of(best.records, "test")])
    test = f1_interval(counts, groups=ids, seeds=seeds)
    return Ensemble(
        n_configurations=configurations,
        n_models=len(records),
        validation_span_f1=by_size[-1],
        validation_by_size=" ".join(f"{score:.6f}" for score in by_size),
        test_span_f1=test.estimate,
        test_span_f1_low=test.low,
        test_span_f1_high=test.high,
        best_test_span_f1=best.test.estimate,
        difference=found.difference,
        difference_low=found.low,
        difference_high=found.high,
        p_value=found.p_value,
        trial_ids=_ids(records),
    )


def ensemble_records(
    run_dir: RunDir, entries: Sequence[LeaderboardEntry], configurations: int
) -> tuple[TrialRecord, ...]:
    """Return the completed trials of the best configurations of a leaderboard.

    Raises:
        RunFolderError: there are too few configurations, or they have a single trial.
    """
    if not 1 <= configurations <= len(entries):
        raise RunFolderError(
            f"{run_dir.path}: an ensemble of {plural(configurations, 'configuration')}; expected 1 to {len(entries)}, "
            "the number of configurations on the leaderboard"
            if entries
            else f"{run_dir.path}: no completed trial; expected two or more for an ensemble"
        )
    records = _records(entries[:configurations])
    if len(records) < 2:
        raise RunFolderError(
            f"{run_dir.path}: the best configuration has one trial; expected an ensemble of more configurations, or a "
            "run with several seeds"
        )
    return records


def record_ensemble(run_dir: RunDir, ensemble: Ensemble) -> None:
    """Add an ensemble to `ensembles.csv`, where it replaces one of as many configurations, and to the test-set log.

    Raises:
        RunFolderError: the files cannot be written.
    """
    found = read_ensembles(run_dir)
    kept = [each for each in found if each.n_configurations != ensemble.n_configurations]
    rows = sorted([*kept, ensemble], key=lambda each: each.n_configurations)
    table = pd.DataFrame([asdict(each) for each in rows], columns=_COLUMNS)
    atomic_write(run_dir.path / ENSEMBLES_FILE, table.to_csv(index=False, lineterminator="\n"))
    if ensemble.trial_ids not in [each.trial_ids for each in found]:
        run_dir.log_ensemble(ensemble.n_configurations)


def read_ensembles(run_dir: RunDir) -> list[Ensemble]:
    """Return the ensembles that were evaluated on test, by their number of configurations.

    Raises:
        RunFolderError: `ensembles.csv` is corrupt.
    """
    file = run_dir.path / ENSEMBLES_FILE
    if not file.is_file():
        return []
    try:
        types = {name: int if name in _INTEGERS else str if name in _TEXTS else float for name in _COLUMNS}
        table = pd.read_csv(file, dtype=types)[_COLUMNS]
    except (OSError, ValueError, KeyError) as error:
        raise RunFolderError(f"{file}: cannot be read: {error}; remove it") from error
    return [Ensemble(**{str(name): value for name, value in row.items()}) for row in table.to_dict("records")]


def current_ensembles(run_dir: RunDir, entries: Sequence[LeaderboardEntry]) -> list[Ensemble]:
    """Return the recorded ensembles whose models are still all those of the best configurations.

    Raises:
        RunFolderError: `ensembles.csv` is corrupt.
    """
    return [
        each for each in read_ensembles(run_dir) if each.trial_ids == _ids(_records(entries[: each.n_configurations]))
    ]


def _ids(records: Iterable[TrialRecord]) -> str:
    return " ".join(record.trial_id for record in records)


def _records(entries: Iterable[LeaderboardEntry]) -> tuple[TrialRecord, ...]:
    return tuple(record for entry in entries for record in entry.records)


def _evaluated(
    cache: PredictionCache, records: Sequence[TrialRecord], split_name: SplitName
) -> tuple[list[Counts], list[Counts]]:
    """Return for the ensemble of each fold its counts, shape (1, sentences, 3), and the document ids of its split."""
    counts, ids = [], []
    for fold in sorted({record.config.fold for record in records}, key=lambda fold: -1 if fold is None else fold):
        members = [record for record in records if record.config.fold == fold]
        models = [cache.probabilities(record, split_name) for record in members]
        try:
            spans = WordProbabilities.average(models).spans()
        except ValueError as error:
            raise RunFolderError(
                f"{cache.run_dir.path}: no ensemble of these configurations: {error}; expected configurations with the "
                "same word_tokenizer"
            ) from error
        gold = cache.predictions(members[0].trial_id, split_name).gold
        if len(gold) != len(spans):
            raise RunFolderError(
                f"{cache.run_dir.predictions}: {members[0].trial_id}.npz has {len(spans)} {split_name} sentences and "
                f"{members[0].trial_id}.jsonl {len(gold)}; expected the same ones, so one of the files is damaged"
            )
        counts.append(sentence_counts(gold, spans)[np.newaxis])
        ids.append(cache.document_ids(members[0], split_name))
    return counts, ids
