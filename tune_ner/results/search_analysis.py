"""Analysis of a search: confirmation of its best configurations, optimization history, importances, refined space."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml
from optuna.distributions import IntDistribution

from tune_ner.config.distributions import NumberDistribution, contains, format_distribution
from tune_ner.config.search_space import SearchSpace
from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.results.selection import Candidate, configuration_of, rank, varied_hyperparameters
from tune_ner.utils.text import MISSING, format_value, plural, visible

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
    def mean(self) -> float | None:
        """Mean score of the new seeds; None if none was completed."""
        return fmean(self.scores) if self.scores else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the new seeds (ddof 1); None for fewer than two."""
        return stdev(self.scores) if len(self.scores) > 1 else None

    @property
    def drop(self) -> float | None:
        """Score in the search minus the mean score of the new seeds."""
        return None if self.first is None or self.mean is None else self.first - self.mean


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
        trials = [record for record in records if record.result is None and record.config.seed in seeds]
        ids = {record.trial_id for record in trials}
        return cls(run_dir, space, tuple(trials), tuple(record for record in records if record.trial_id not in ids))

    @cached_property
    def _varied(self) -> list[str]:
        return varied_hyperparameters([*self.trials, *self.confirming])

    def title(self, config: TrialConfig) -> str:
        """Return the title of a configuration with the hyperparameters that vary in this search."""
        return config.titled(self._varied, replicate=False)

    @property
    def selection_metric(self) -> str:
        """Full name of the score that the search maximizes: `validation_span_f1`."""
        configs = [record.config for record in (*self.trials, *self.confirming)]
        metric = configs[0].selection_metric if configs else self.space.selection_metric if self.space else "span_f1"
        return f"validation_{metric}"

    @cached_property
    def completed(self) -> list[TrialRecord]:
        """Trials of the search that were trained to their end, in the order in which they ended."""
        return [record for record in self.trials if _is_completed(record)]

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
        for record in self.confirming:
            groups.setdefault(configuration_of(record.config), []).append(record)
        ranked = [item.configuration for item in rank(Candidate.of(record) for record in self.confirming)]
        rest = [configuration for configuration in groups if configuration not in ranked]
        return [self._confirmation(configuration, groups[configuration]) for configuration in (*ranked, *rest)]

    def _confirmation(self, configuration: TrialConfig, records: Sequence[TrialRecord]) -> Confirmation:
        first = (r.best_score for r in self.completed if configuration_of(r.config) == configuration)
        scores = tuple(_score(record) for record in records if record.result)
        return Confirmation(configuration, next(first, None), scores, len(records) - len(scores))

    @cached_property
    def history(self) -> pd.DataFrame:
        """The optimization history: one row per trial of the search, in the order in which they ended.

        Columns: `trial`, counted from 1; `trial_id`; the selection metric (`validation_span_f1`) at the best epoch,
        missing for failed and pruned trials; `best_so_far`, its maximum up to this trial; `seconds`, the sum over this
        and all earlier trials.
        """
        scores = [_score(record) if _is_completed(record) else None for record in self.trials]
        return pd.DataFrame(
            {
                "trial": range(1, len(self.trials) + 1),
                "trial_id": [record.trial_id for record in self.trials],
                self.selection_metric: pd.Series(scores, dtype=float),
                "best_so_far": pd.Series(scores, dtype=float).cummax().ffill(),
                "seconds": pd.Series(list(accumulate(record.seconds for record in self.trials)), dtype=float),
            }
        )

    @property
    def importances(self) -> pd.DataFrame | None:
        """The importance of each searched hyperparameter; None if there are too few trials.

        Columns: `hyperparameter`; `fanova`, the share of the variance of the score over the whole space that the
        hyperparameter explains by itself, estimated with a random forest (Hutter et al. 2014, "An Efficient Approach
        for Assessing Hyperparameter Importance"); `ped_anova`, the Pearson divergence between its values in the best
        quarter of the trials and in all trials (Watanabe et al. 2023, "PED-ANOVA: Efficiently Quantifying
        Hyperparameter Importance in Arbitrary Subspaces"). Each adds up to 1.
        """
        return self._importances if isinstance(self._importances, pd.DataFrame) else None

    @cached_property
    def _importances(self) -> pd.DataFrame | str:
        """The importances, or the reason why there are none."""
        if not self.space:
            return "the search space is unknown"
        inside = [record for record in self.completed if _contains(self.space, record.config)]
        return _too_few(inside, FEWEST_FOR_IMPORTANCES) or _compute_importances(self.space, inside)

    @property
    def refined_space(self) -> SearchSpace | None:
        """The search space around the best quarter of the trials; None if there are too few trials."""
        return self._refined_space if isinstance(self._refined_space, SearchSpace) else None

    @cached_property
    def _refined_space(self) -> SearchSpace | str:
        if not self.space:
            return "the search space is unknown"
        reason = _too_few(self.completed, _FEWEST_BEST + 1)
        return reason or refine_space(self.space, [record.config for record in self.best])

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
        if not self.confirmations:
            return [self._unconfirmed()] if self.completed else []
        most = max(len(confirmation.scores) for confirmation in self.confirmations)
        return [
            *(
                f"#{place} {self.title(confirmation.configuration)}: {_confirmed(confirmation, most)}"
                for place, confirmation in enumerate(self.confirmations, start=1)
            ),
            f"The score in the search is optimistic: it was selected as one of the best of {len(self.completed)} on a "
            "single seed. Expect the mean of the new seeds.",
        ]

    def _unconfirmed(self) -> str:
        best = self.best[0]
        return (
            f"No configuration has been retrained yet. The best of {plural(len(self.completed), 'trial')}, "
            f"{self.title(best.config)}, has validation F1 {_score(best):.3f}, which is optimistic because it was "
            "selected on a single seed. To finish the search, repeat the command with the same --name."
        )

    def sentences(self) -> list[str]:
        """Describe the optimization history and the refined space, and state why importances are missing."""
        if not self.trials:
            return ["No trial of the search has ended."]
        found = [] if self.importances is not None else [f"No hyperparameter importances: {self._importances}."]
        found.append(self._growth())
        if isinstance(self._refined_space, str):
            return [*found, f"No refined search space: {self._refined_space}."]
        return [
            *found,
            f"{REFINED_SPACE_FILE} is the region of the best {len(self.best)} of {len(self.completed)} trials"
            f"{self._changes(self._refined_space)}. Search it with `{self.refined_command}`.",
        ]

    def _growth(self) -> str:
        """Describe the best score after 5, 10, 20, 50 … trials and after all of them."""
        best, last = self.history["best_so_far"], len(self.history)
        counts = [count for count in dict.fromkeys(_SHOWN_AFTER) if count < last]
        scores = [(best.iloc[count - 1], count) for count in (*counts, last)]
        shown = ", ".join(f"{MISSING if pd.isna(score) else f'{score:.3f}'} after {count}" for score, count in scores)
        return f"Best validation F1: {shown} trial{'' if last == 1 else 's'}."

    def _changes(self, refined: SearchSpace) -> str:
        """Describe the hyperparameters whose range is narrower."""
        before, after = self.space.hyperparameters if self.space else {}, refined.hyperparameters
        shown = [f"{name} {_shown(after[name])}" for name, values in before.items() if after[name] != values]
        return f": {', '.join(shown)}" if shown else ""


def refine_space(space: SearchSpace, best: Sequence[TrialConfig]) -> SearchSpace:
    """Return the search space around some of its trials.

    Ranges go from the smallest to the largest value in these trials, widened on both sides by a tenth of that extent
    (of its logarithm for `loguniform`, by at least 1 for `int`), within the former bounds. Lists keep the values that
    occur. A hyperparameter with a single value keeps its range. Initial points are removed.
    """
    refined = {
        name: _refine(getattr(space, name), [getattr(config, name) for config in best])
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


def _is_completed(record: TrialRecord) -> bool:
    return record.phase == "search" and record.is_trained and bool(record.curve)


def _contains(space: SearchSpace, config: TrialConfig) -> bool:
    """Return whether a search space contains a trial; it may not if the file was edited."""
    return all(space.contains(name, getattr(config, name)) for name in space.HYPERPARAMETERS)


def _too_few(records: Sequence[TrialRecord], fewest: int) -> str:
    """Return the reason why nothing can be estimated from these trials; empty if something can."""
    if len(records) < fewest:
        return (
            f"{plural(len(records), 'trial')} of the search completed, {fewest} are needed; resume the search with the "
            "same --name and more --trials"
        )
    scores = {_score(record) for record in records}
    if len(scores) == 1:
        return (
            f"all {len(records)} trials have the same validation F1, {scores.pop():.3f}; train longer or change the "
            "ranges"
        )
    return ""


def _compute_importances(space: SearchSpace, records: Sequence[TrialRecord]) -> pd.DataFrame | str:
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
    except RuntimeError as error:  # the trees of fANOVA have no variance
        return str(error)
    rows = [{"hyperparameter": name, **{key: found[key][name] for key in found}} for name in found["fanova"]]
    return pd.DataFrame(rows, columns=["hyperparameter", *evaluators])


def _study(space: SearchSpace, records: Sequence[TrialRecord]) -> Study:
    """Return the trials as an Optuna study in memory."""
    import optuna

    distributions = space.search_distributions
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
    if confirmation.mean is None:
        return f"validation F1 {first} in the search; no new seed completed."
    seeds = len(confirmation.scores)
    spread = "" if confirmation.deviation is None else f" ± {confirmation.deviation:.3f}"
    drop = "" if confirmation.drop is None else f", drop {confirmation.drop:+.3f}"
    fewer = f" (others have {most})" if seeds < most else ""
    return (
        f"validation F1 {first} in the search, {confirmation.mean:.3f}{spread} with {plural(seeds, 'new seed')}{fewer}"
        f"{drop}."
    )


def _shown(values: list[Any] | NumberDistribution) -> str:
    return ", ".join(map(format_value, values)) if isinstance(values, list) else format_distribution(values)
