"""Analysis of a search: confirmation of its best configurations, optimization history, importances, refined space."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml
from optuna.distributions import IntDistribution

from tune_ner.config.hyperparameters import NumberDistribution, contains, format_distribution
from tune_ner.config.search_space import SearchSpace
from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.results.selection import Candidate, configuration_of, rank, varied_hyperparameters
from tune_ner.utils.text import MISSING, format_value, plural, signed, visible

if TYPE_CHECKING:
    from optuna.study import Study

REFINED_SPACE_FILE = "refined_space.yaml"

BEST_SHARE = 0.25
"""The share of the trials that count as the best, for PED-ANOVA and for the refined space."""

FEWEST_FOR_IMPORTANCES = 8
_FEWEST_BEST = 3
_WIDENING = 0.1
_SHOWN_AFTER = tuple(digit * 10**power for power in range(6) for digit in (5, 10, 20))


@dataclass(frozen=True)
class Confirmation:
    """A configuration of the search that was retrained with new seeds.

    Attributes:
        configuration: the hyperparameters.
        first: validation score in the search (selection metric, best epoch, one seed); None if there is no record.
        scores: validation score of each new seed that was completed.
        incomplete: number of new seeds that were not completed.
    """

    configuration: TrialConfig
    first: float | None
    scores: tuple[float, ...]
    incomplete: int

    @property
    def drop(self) -> float | None:
        """Score in the search minus the mean score of the new seeds."""
        return self.first - fmean(self.scores) if self.first is not None and self.scores else None


@dataclass(frozen=True)
class SearchAnalysis:
    """Results of a search that its leaderboard does not show, computed when first used.

    Attributes:
        run_dir: path of the run folder.
        space: the search space; None if it is unknown.
        trials: trials of the search phase, in the order in which they ended.
        confirming: trials that retrained the best configurations with new seeds.
    """

    run_dir: Path
    space: SearchSpace | None
    trials: tuple[TrialRecord, ...]
    confirming: tuple[TrialRecord, ...]

    @classmethod
    def of(cls, run_dir: Path, space: SearchSpace | None, records: Sequence[TrialRecord]) -> SearchAnalysis | None:
        """Return the analysis of a search; None for a grid."""
        completed = [record for record in records if record.phase == "search" and record.is_trained]
        if not completed and not (space and space.distributions):
            return None
        seeds = {record.config.seed for record in completed} | set(space.seed if space else ())
        # records with test metrics confirm a configuration, whatever their seed
        trials = [record for record in records if not record.result and record.config.seed in seeds]
        ids = {record.trial_id for record in trials}
        return cls(run_dir, space, tuple(trials), tuple(record for record in records if record.trial_id not in ids))

    @cached_property
    def _varied(self) -> list[str]:
        return varied_hyperparameters([*self.trials, *self.confirming])

    def _title(self, config: TrialConfig) -> str:
        return config.titled(self._varied, replicate=False)

    @property
    def selection_metric(self) -> str:
        """Full name of the score that the search maximizes: `validation_span_f1`."""
        configs = [record.config for record in (*self.trials, *self.confirming)]
        return f"validation_{configs[0].selection_metric if configs else 'span_f1'}"

    @cached_property
    def completed(self) -> list[TrialRecord]:
        """Trials of the search that were trained to their end, in the order in which they ended."""
        return [r for r in self.trials if r.phase == "search" and r.is_trained and r.curve]

    @cached_property
    def best(self) -> list[TrialRecord]:
        """The best quarter of the completed trials, best first: at least three, and all that tie with the last."""
        ordered = sorted(self.completed, key=_score, reverse=True)
        count = max(_FEWEST_BEST, math.ceil(BEST_SHARE * len(ordered)))
        return [record for record in ordered if _score(record) >= _score(ordered[min(count, len(ordered)) - 1])]

    @cached_property
    def confirmations(self) -> list[Confirmation]:
        """The retrained configurations in the order of the leaderboard; those never completed are last."""
        groups: dict[TrialConfig, list[TrialRecord]] = {}
        for item in rank(map(Candidate.of, self.confirming)):
            groups[item.configuration] = []
        for record in self.confirming:
            groups.setdefault(configuration_of(record.config), []).append(record)
        first = {configuration_of(record.config): record.best_score for record in reversed(self.completed)}
        scores = {key: tuple(_score(record) for record in group if record.result) for key, group in groups.items()}
        return [
            Confirmation(key, first.get(key), scores[key], len(group) - len(scores[key]))
            for key, group in groups.items()
        ]

    @cached_property
    def history(self) -> pd.DataFrame:
        """The optimization history: one row per trial of the search, in the order in which they ended.

        Columns: `trial`, counted from 1; `trial_id`; the selection metric (`validation_span_f1`) at the best epoch,
        missing for failed and pruned trials; `best_so_far`, its maximum up to this trial; `seconds`, the sum over this
        and all earlier trials.
        """
        completed = {record.trial_id for record in self.completed}
        scores = pd.Series([_score(r) if r.trial_id in completed else None for r in self.trials], dtype=float)
        return pd.DataFrame(
            {
                "trial": range(1, len(self.trials) + 1),
                "trial_id": [record.trial_id for record in self.trials],
                self.selection_metric: scores,
                "best_so_far": scores.cummax().ffill(),
                "seconds": pd.Series([record.seconds for record in self.trials], dtype=float).cumsum(),
            }
        )

    @cached_property
    def importances(self) -> pd.DataFrame | None:
        """The importance of each searched hyperparameter; None if there are too few trials.

        Columns: `hyperparameter`; `fanova`, the share of the variance of the score over the whole space that the
        hyperparameter explains by itself, estimated with a random forest (Hutter et al. 2014, "An Efficient Approach
        for Assessing Hyperparameter Importance"); `ped_anova`, the Pearson divergence between its values in the best
        quarter of the trials and in all trials (Watanabe et al. 2023, "PED-ANOVA: Efficiently Quantifying
        Hyperparameter Importance in Arbitrary Subspaces"). Each adds up to 1.
        """
        if not self.space or self._shortage(FEWEST_FOR_IMPORTANCES):
            return None
        compared = self._compared
        return _compute_importances(self.space, compared) if len(compared) >= FEWEST_FOR_IMPORTANCES else None

    @cached_property
    def _compared(self) -> list[TrialRecord]:
        """The trials that importances are of: those of encoders, since a baseline has arbitrary values of many axes."""
        trials = [r for r in self.completed if self.space and _contains(self.space, r.config)]
        return [record for record in trials if not record.config.is_baseline] or trials

    @cached_property
    def refined_space(self) -> SearchSpace | None:
        """The search space around the best quarter of the trials; None if there are too few trials."""
        if not self.space or self._shortage(_FEWEST_BEST + 1):
            return None
        return refine_space(self.space, [record.config for record in self.best])

    def _shortage(self, fewest: int) -> str:
        """Return the reason why nothing can be estimated from the completed trials; empty if something can."""
        trials = [r for r in self.completed if self.space and _contains(self.space, r.config)]
        scores = {_score(record) for record in trials}
        if not self.space:
            return "the search space is unknown"
        if len(trials) < fewest:
            return (
                f"{plural(len(trials), 'trial')} of the search completed, {fewest} are needed; resume the search with "
                "the same --name and more --trials"
            )
        if len(scores) > 1:
            return ""
        same = f"all {len(trials)} trials have the same validation F1, {scores.pop():.3f}"
        return f"{same}; train longer or change the ranges"

    @property
    def refined_command(self) -> str:
        """The command that searches the refined space with as many trials as this search had."""
        file = shlex.quote(str(self.run_dir / REFINED_SPACE_FILE))
        return visible(f"tune-ner search {file} --trials {len(self.trials)}")

    def refined_yaml(self) -> str | None:
        """Return the refined space as YAML with its command in the first line; None if there is no refined space."""
        if not self.refined_space:
            return None
        content = self.refined_space.model_dump(exclude={"initial_points"})
        return (
            f"# {self.refined_command}\n"
            f"# Region of the best {len(self.best)} of {len(self.completed)} trials.\n"
            f"{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}"
        )

    def confirmation_sentences(self) -> list[str]:
        """Describe how the scores of the best configurations changed with new seeds; empty without a trial."""
        if not self.confirmations and not self.completed:
            return []
        if not self.confirmations:
            best = self.best[0]
            return [
                f"No configuration has been retrained yet. The best of {plural(len(self.completed), 'trial')}, "
                f"{self._title(best.config)}, has validation F1 {_score(best):.3f}, which is optimistic because it was "
                "selected on a single seed. To finish the search, repeat the command with the same --name."
            ]
        most = max(len(confirmation.scores) for confirmation in self.confirmations)
        return [
            *(
                f"#{place} {self._title(confirmation.configuration)}: {_confirmed(confirmation, most)}"
                for place, confirmation in enumerate(self.confirmations, start=1)
            ),
            f"The score in the search is optimistic: it was selected as one of the best of {len(self.completed)} on a "
            "single seed. Expect the mean of the new seeds.",
        ]

    def sentences(self) -> list[str]:
        """Describe the history and the refined space, and why importances are missing or what they leave out."""
        if not self.trials:
            return ["No trial of the search has ended."]
        reason = self._shortage(FEWEST_FOR_IMPORTANCES)
        if not reason and len(self._compared) < FEWEST_FOR_IMPORTANCES:
            reason = f"{plural(len(self._compared), 'trial')} of encoders, {FEWEST_FOR_IMPORTANCES} are needed"
        reason = reason or "the scores have no variance"
        missing = self._left_out() if self.importances is not None else [f"No hyperparameter importances: {reason}."]
        best, last = self.history["best_so_far"], len(self.history)
        counts = [*(count for count in dict.fromkeys(_SHOWN_AFTER) if count < last), last]
        scores = [(best.iloc[count - 1], count) for count in counts]
        shown = ", ".join(f"{MISSING if pd.isna(score) else f'{score:.3f}'} after {count}" for score, count in scores)
        return [*missing, f"Best validation F1: {shown} trial{'' if last == 1 else 's'}.", self._refinement()]

    def _left_out(self) -> list[str]:
        """Say which hyperparameters and trials the importances leave out; empty if none."""
        if self.importances is None or not self.space:
            return []
        names = [
            name for name in self.space.search_distributions if name not in set(self.importances["hyperparameter"])
        ]
        compared = {record.trial_id for record in self._compared}
        baselines = [r for r in self.completed if r.config.is_baseline and r.trial_id not in compared]
        without = [f"{', '.join(names)} (no effect on some of the compared trials)"] if names else []
        trials = [f"{plural(len(baselines), 'trial')} of baselines"] if baselines else []
        return [f"The importances leave out {' and '.join([*without, *trials])}."] if without or trials else []

    def _refinement(self) -> str:
        if not self.space or not self.refined_space:
            return f"No refined search space: {self._shortage(_FEWEST_BEST + 1)}."
        after = self.refined_space.hyperparameters
        changes = [
            f"{name} {_shown(after[name])}" for name, v in self.space.hyperparameters.items() if after[name] != v
        ]
        return (
            f"{REFINED_SPACE_FILE} is the region of the best {len(self.best)} of {len(self.completed)} trials"
            f"{': ' if changes else ''}{', '.join(changes)}. Search it with `{self.refined_command}`."
        )


def refine_space(space: SearchSpace, best: Sequence[TrialConfig]) -> SearchSpace:
    """Return the search space around some of its trials.

    Ranges go from the smallest to the largest value in these trials, widened on both sides by a tenth of that extent
    (of its logarithm for `loguniform`, by at least 1 for `int`), within the former bounds. Lists keep the values that
    occur. A hyperparameter with a single value, or without an effect on their models, keeps its range. Initial points
    are removed.
    """
    refined = {
        name: _refine(getattr(space, name), [getattr(each, name) for each in best if each.has_effect(name)])
        for name in space.HYPERPARAMETERS
    }
    return space.model_copy(update={**refined, "initial_points": {}})


def _refine(values: list[Any] | NumberDistribution, found: Sequence[Any]) -> list[Any] | NumberDistribution:
    if isinstance(values, list):
        return [value for value in values if value in found] or values
    inside = [value for value in found if contains(values, value)]
    if len(set(inside)) < 2:
        return values
    low, high = _widen(values, min(inside), max(inside))
    return type(values)(max(values.low, low), min(values.high, high), log=values.log)


def _widen(distribution: NumberDistribution, low: Any, high: Any) -> tuple[Any, Any]:
    """Widen a range; rounding never makes it narrower."""
    if isinstance(distribution, IntDistribution):
        whole = math.ceil(_WIDENING * (high - low))
        return low - whole, high + whole
    if distribution.log:
        factor = math.exp(_WIDENING * (math.log(high) - math.log(low)))
        return min(low, low / factor), max(high, high * factor)
    margin = _WIDENING * (high - low)
    return min(low, low - margin), max(high, high + margin)


def _score(record: TrialRecord) -> float:
    return record.best_score or 0.0


def _contains(space: SearchSpace, config: TrialConfig) -> bool:
    """Return whether a search space contains a trial; it may not if the file was edited."""
    return all(space.contains(name, getattr(config, name)) for name in space.HYPERPARAMETERS)


def _compute_importances(space: SearchSpace, records: Sequence[TrialRecord]) -> pd.DataFrame | None:
    # imported here because Optuna is slow to load and grids do not need it
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances

    study = _study(space, records)
    # The default of PED-ANOVA, a tenth, is too few of the trials of a fine-tuning search.
    evaluators = {
        "fanova": FanovaImportanceEvaluator(seed=0),
        "ped_anova": PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE),
    }
    try:
        found = {name: get_param_importances(study, evaluator=evaluator) for name, evaluator in evaluators.items()}
    except RuntimeError:  # the trees of fANOVA have no variance
        return None
    rows = [{"hyperparameter": name, **{key: found[key][name] for key in found}} for name in found["fanova"]]
    return pd.DataFrame(rows, columns=["hyperparameter", *evaluators])


def _study(space: SearchSpace, records: Sequence[TrialRecord]) -> Study:
    """Return the trials as an Optuna study in memory."""
    import optuna

    distributions = {
        name: distribution
        for name, distribution in space.search_distributions.items()
        if all(record.config.has_effect(name) for record in records)
    }
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction="maximize")
    finally:
        optuna.logging.set_verbosity(verbosity)
    for record in records:
        params = {name: getattr(record.config, name) for name in distributions}
        trial = optuna.trial.create_trial(params=params, distributions=distributions, value=_score(record))
        study.add_trial(trial)
    return study


def _confirmed(confirmation: Confirmation, most: int) -> str:
    first = "unknown" if confirmation.first is None else f"{confirmation.first:.3f}"
    seeds = len(confirmation.scores)
    if not seeds:
        return f"validation F1 {first} in the search; no new seed completed."
    spread = f" ± {stdev(confirmation.scores):.3f}" if seeds > 1 else ""
    drop = "" if confirmation.drop is None else f", drop {signed(confirmation.drop)}"
    fewer = f" (others have {most})" if seeds < most else ""
    return (
        f"validation F1 {first} in the search, {fmean(confirmation.scores):.3f}{spread} with "
        f"{plural(seeds, 'new seed')}{fewer}{drop}."
    )


def _shown(values: list[Any] | NumberDistribution) -> str:
    return ", ".join(map(format_value, values)) if isinstance(values, list) else format_distribution(values)
