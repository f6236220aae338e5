"""Everything that follows from the records of a run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tune_ner.config.hyperparameters import SelectionMetric
from tune_ner.config.loading import load_space
from tune_ner.config.search_space import SearchSpace
from tune_ner.errors import RunFolderError, SpaceError
from tune_ner.evaluation.ranking import expected_best
from tune_ner.results.audits import Audits
from tune_ner.results.effects import ComparedEffect, Effect, all_effects, answer_questions, compare_effects
from tune_ner.results.ensemble import Ensemble, combine, current_ensembles, ensemble_records, record_ensemble
from tune_ner.results.headline import Headline
from tune_ner.results.leaderboard import LeaderboardEntry, leaderboard_entries
from tune_ner.results.prediction_cache import PredictionCache
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.search_analysis import SearchAnalysis
from tune_ner.results.selection import varied_hyperparameters
from tune_ner.results.summary import (
    budget_scores,
    caveats,
    failures,
    leaderboard_warnings,
    notes,
    planned_trials,
    summarize_leaderboard,
)
from tune_ner.results.tables import curves_table, leaderboard_table, timings_table, trials_table

if TYPE_CHECKING:
    from tune_ner.inference.predictor import Predictor


@dataclass(frozen=True)
class Results:
    """The results of a run; each part is computed when it is first used.

    Attributes:
        run_dir: the run folder.
    """

    run_dir: RunDir

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.run_dir.name

    @cached_property
    def records(self) -> list[TrialRecord]:
        """The record of every trial, in the order in which they ended."""
        return self.run_dir.records()

    @cached_property
    def cache(self) -> PredictionCache:
        """Predicted spans and counts of all trials."""
        return PredictionCache(self.run_dir)

    @property
    def audits(self) -> Audits:
        """The stored audit of each fold (None for a single split); empty if the run was not audited."""
        return self.cache.audits

    @cached_property
    def varied(self) -> list[str]:
        """Hyperparameters that vary, except model, tagging scheme, learning rate and seed."""
        return varied_hyperparameters(self.records)

    @property
    def selection_metric(self) -> SelectionMetric:
        """The metric by which the leaderboard is ranked, on validation."""
        return self.records[0].config.selection_metric if self.records else "span_f1"

    @cached_property
    def entries(self) -> list[LeaderboardEntry]:
        """The leaderboard as objects, best configuration first."""
        return leaderboard_entries(self.cache, self.records)

    def leaderboard(self) -> pd.DataFrame:
        """Return one row per configuration, best first; see `console.leaderboard_table` for the columns."""
        return self._leaderboard.copy()

    @cached_property
    def _leaderboard(self) -> pd.DataFrame:
        return leaderboard_table(self.entries, self.cache, self.records)

    def trials(self) -> pd.DataFrame:
        """Return one row per trial; see `console.trials_table` for the columns."""
        return trials_table(self.records)

    def curves(self) -> pd.DataFrame:
        """Return one row per epoch of each trial; see `console.curves_table` for the columns."""
        return curves_table(self.records)

    def expected_best(self) -> pd.DataFrame:
        """Return the expected best validation score of 1, 2, … configurations drawn at random from those of the run."""
        scores = budget_scores(self.entries, self.records)
        expected = expected_best(scores).tolist() if scores else []
        return pd.DataFrame({"n_configurations": range(1, len(expected) + 1), "expected_validation_score": expected})

    def timings(self) -> pd.DataFrame:
        """Return one row per encoder and batching; see `console.timings_table` for the columns."""
        return timings_table(self.records)

    @cached_property
    def headline(self) -> Headline | None:
        """The outcome at a glance; None without a completed trial."""
        return Headline.of(self.entries, self.records, self.cache)

    @cached_property
    def summary(self) -> list[str]:
        """Sentences on the best configuration and its ties; empty without a completed trial."""
        return summarize_leaderboard(self.entries, self.records, self.cache)

    @cached_property
    def brief_summary(self) -> list[str]:
        """The most important sentences of `summary`."""
        return summarize_leaderboard(self.entries, self.records, self.cache, is_brief=True)

    @cached_property
    def warnings(self) -> list[str]:
        """Sentences on how far the leaderboard can be trusted."""
        return leaderboard_warnings(self.entries, self.cache)

    @cached_property
    def caveats(self) -> list[str]:
        """Reasons not to rely on the results, such as errors of the audit; shown above everything else."""
        return caveats(self.entries, self.audits)

    @cached_property
    def notes(self) -> list[str]:
        """Sentences on pruned trials, on entities lost in encoding and on changed batching."""
        return notes(self.records)

    @cached_property
    def failures(self) -> list[str]:
        """One sentence per failed or diverged trial, with its error."""
        return failures(self.records)

    @cached_property
    def effects(self) -> dict[str, list[Effect]]:
        """Main effects on test span F1 of the hyperparameters that vary, by name."""
        return all_effects(self.cache, self.records)

    @cached_property
    def compared_effects(self) -> dict[str, list[ComparedEffect]]:
        """Effects at the best settings and on average, corrected for their number, by hyperparameter."""
        return compare_effects(self.effects, self.cache, self.records)

    @cached_property
    def answers(self) -> dict[str, list[str]]:
        """Questions that the run answers, such as `Which tagging scheme?`, each with its answer in sentences."""
        return answer_questions(self.compared_effects, self.cache, self.records)

    def ensemble(self, configurations: int = 3) -> Ensemble:
        """Evaluate the models of the best configurations as one, and record it in `ensembles.csv`.

        Their label probabilities, which the run stored, are averaged; nothing is trained. Choose `configurations` by
        the validation scores: each ensemble is another use of the test set.

        Args:
            configurations: number of configurations, the best ones on validation; with 1, the ensemble consists of
                all seeds of the best configuration.

        Raises:
            RunFolderError: there are too few configurations or models, the configurations split texts into different
                words, or the label probabilities of a trial are missing.
        """
        found = combine(self.cache, self.entries, configurations)
        record_ensemble(self.run_dir, found)
        return found

    def ensemble_records(self, configurations: int) -> tuple[TrialRecord, ...]:
        """Return the trials of an ensemble of the best configurations.

        Raises:
            RunFolderError: there are too few configurations, or they have a single trial.
        """
        return ensemble_records(self.run_dir, self.entries, configurations)

    @property
    def ensembles(self) -> list[Ensemble]:
        """The ensembles of the best configurations that were evaluated on test."""
        return current_ensembles(self.run_dir, self.entries)

    @cached_property
    def search(self) -> SearchAnalysis | None:
        """Optimization history, importances and refined space of a search; None for a grid."""
        return SearchAnalysis.of(self.run_dir.path, self.space, self.records)

    @property
    def space(self) -> SearchSpace | None:
        """The search space; None if it is unknown."""
        return self._space if isinstance(self._space, SearchSpace) else None

    @property
    def space_problem(self) -> str:
        """The reason why the search space is unknown; empty if it is known."""
        return self._space if isinstance(self._space, str) else ""

    @cached_property
    def _space(self) -> SearchSpace | str:
        file = self.run_dir.space_file
        if not file.exists():
            return f"The search space is unknown: {file} is missing."
        try:
            return load_space(str(file.absolute()))
        except SpaceError as error:
            return f"The search space is unknown: {error}"

    @property
    def planned_trials(self) -> int:
        """Number of trials of the grid; for a search, the number of its records."""
        return planned_trials(self.space, self.records)

    @cached_property
    def best_model(self) -> Predictor:
        """The model of the best trial, loaded from `best/`.

        Raises:
            ModelError: the run exported no model, or its files are corrupt.
        """
        from tune_ner.inference.predictor import Predictor  # loads torch

        return Predictor.load(self.run_dir.path)


def load_results(path: str | Path) -> Results:
    """Return the results of a run folder such as `results/demo`.

    Raises:
        RunFolderError: it is not a run folder, was written by another version, or has a corrupt record.
    """
    results = Results(RunDir.open(path))
    assert results.records is not None  # read now, so that corrupt records are reported here
    return results


def load_trials(folder: str | Path) -> pd.DataFrame:
    """Return the trials of all runs in a folder such as `results`, with the run's name in a first column `run`.

    Raises:
        RunFolderError: the folder has no runs, or one of them has a corrupt record.
    """
    tables = []
    for run_dir in RunDir.all_in(folder):
        table = trials_table(run_dir.records())
        table.insert(0, "run", run_dir.name)
        tables.append(table)
    if not tables:
        raise RunFolderError(f"{folder}: no runs in this folder; expected folders with a trials.jsonl")
    return pd.concat(tables, ignore_index=True)
