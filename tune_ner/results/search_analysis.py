"""What a search found besides its ranking: how its best held up, what mattered, and where to search next.

All of it follows from the records and the space of a run.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml
from optuna.distributions import IntDistribution

from tune_ner.config.distributions import NumberDistribution, contains, format_distribution
from tune_ner.config.search_space import SearchSpace
from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.selection import Candidate, configuration_of, rank, varied_axes
from tune_ner.utils.renderers import MISSING, Column, Layout, Sheet
from tune_ner.utils.text import visible

if TYPE_CHECKING:
    from optuna.study import Study

NARROWED_FILE = "narrowed.yaml"

BEST_SHARE = 0.25
"""The share of the trials that count as the best: for PED-ANOVA, and for the narrowed space."""

FEWEST_FOR_IMPORTANCES = 8
_FEWEST_BEST = 3
_WIDENING = 0.1
_SHOWN_AFTER = tuple(digit * 10**power for power in range(6) for digit in (5, 10, 20))


@dataclass(frozen=True)
class Confirmation:
    """A configuration of a search that was trained anew.

    `first` is its validation F1 in the search (seqeval's, of the best epoch, one seed), None where no record has it;
    `again` the same figure of each fresh seed that finished, and `unfinished` how many fresh seeds ended without one.
    """

    configuration: TrialConfig
    first: float | None
    again: tuple[float, ...]
    unfinished: int

    @property
    def mean(self) -> float | None:
        """The mean over the fresh seeds; None where none finished."""
        return fmean(self.again) if self.again else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation over the fresh seeds (ddof 1); None for fewer than two."""
        return stdev(self.again) if len(self.again) > 1 else None

    @property
    def drop(self) -> float | None:
        """By how much the first figure exceeds the confirmed one."""
        return None if self.first is None or self.mean is None else self.first - self.mean


@dataclass(frozen=True)
class SearchResults:
    """What follows from the records of a search, each piece computed once.

    `trials` are those of the search itself, in the order in which they ended, and `confirming` those that trained
    the best of them with fresh seeds. `space` is the space, or a sentence that says why it is not known.
    """

    folder: RunDir
    space: SearchSpace | str
    trials: tuple[TrialRecord, ...]
    confirming: tuple[TrialRecord, ...]

    @classmethod
    def of(cls, folder: RunDir, space: SearchSpace | str, records: Sequence[TrialRecord]) -> SearchResults | None:
        """The results of a search; None for the run of a grid."""
        whole = [record for record in records if record.phase == "search" and record.is_trained]
        known = not isinstance(space, str) and bool(space.distributions)
        if not whole and not known:
            return None
        seeds = {record.config.seed for record in whole}
        if not isinstance(space, str):
            seeds.update(space.seed)
        # What has a test figure confirms, whatever its seed.
        trials = [record for record in records if record.result is None and record.config.seed in seeds]
        found = {record.trial_id for record in trials}
        return cls(folder, space, tuple(trials), tuple(record for record in records if record.trial_id not in found))

    @cached_property
    def _named(self) -> list[str]:
        return varied_axes([*self.trials, *self.confirming])

    def title(self, config: TrialConfig) -> str:
        """What a configuration of this search is called."""
        return config.titled(self._named, replicate=False)

    @cached_property
    def whole(self) -> list[TrialRecord]:
        """The trials of the search that were trained to their end, in the order in which they ended."""
        return [record for record in self.trials if _is_searched(record)]

    @cached_property
    def best(self) -> list[TrialRecord]:
        """The best quarter of the whole trials, at least three of them, the best first; ties with the last are in."""
        ordered = sorted(self.whole, key=_f1, reverse=True)
        count = max(_FEWEST_BEST, math.ceil(BEST_SHARE * len(ordered)))
        return [record for record in ordered if _f1(record) >= _f1(ordered[min(count, len(ordered)) - 1])]

    @cached_property
    def confirmations(self) -> list[Confirmation]:
        """The configurations that were trained anew, in the order of the ranking, those that never finished last."""
        groups: dict[TrialConfig, list[TrialRecord]] = {}
        for record in self.confirming:
            groups.setdefault(configuration_of(record.config), []).append(record)
        ranked = [item.configuration for item in rank(Candidate.of(record) for record in self.confirming)]
        rest = [configuration for configuration in groups if configuration not in ranked]
        return [self._confirmation(configuration, groups[configuration]) for configuration in (*ranked, *rest)]

    def _confirmation(self, configuration: TrialConfig, records: Sequence[TrialRecord]) -> Confirmation:
        first = (record.best_score for record in self.whole if configuration_of(record.config) == configuration)
        again = tuple(_f1(record) for record in records if record.result)
        return Confirmation(configuration, next(first, None), again, len(records) - len(again))

    @cached_property
    def best_so_far(self) -> pd.DataFrame:
        """One row a trial of the search, in the order in which they ended.

        Columns: `Trial`, counted from 1; `Trial Id`; `Validation F1` (seqeval's, of its best epoch), missing for a
        failed trial and for a stopped one, which is never confirmed; `Best So Far`, the highest of these, missing
        before the first; `Seconds`, the sum over this trial and those before it.
        """
        figures = [_f1(record) if _is_searched(record) else None for record in self.trials]
        return pd.DataFrame(
            {
                "Trial": range(1, len(self.trials) + 1),
                "Trial Id": [record.trial_id for record in self.trials],
                "Validation F1": pd.Series(figures, dtype=float),
                "Best So Far": pd.Series(list(accumulate(figures, _higher)), dtype=float),
                "Seconds": pd.Series(list(accumulate(record.seconds for record in self.trials)), dtype=float),
            }
        )

    @cached_property
    def importances(self) -> pd.DataFrame | str:
        """How much each searched axis mattered, or a sentence that says why that cannot be told.

        Columns: `Parameter`; `fANOVA`, the share of the variance of validation F1 over the whole space that the axis
        alone explains, by a random forest (Hutter et al. 2014, "An Efficient Approach for Assessing Hyperparameter
        Importance"); `PED-ANOVA`, the Pearson divergence between its values among the best quarter of the trials and
        among all (Watanabe et al. 2023, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary
        Subspaces"). Either adds up to 1 over the axes.
        """
        if isinstance(self.space, str):
            return f"No importances of the parameters: {self.space}."
        inside = [record for record in self.whole if _holds(self.space, record.config)]
        if reason := _too_little(inside, FEWEST_FOR_IMPORTANCES):
            return f"No importances of the parameters: {reason}."
        return _importances(self.space, inside)

    @cached_property
    def narrowed(self) -> SearchSpace | str:
        """The space around the best quarter of the trials, or a sentence that says why there is none."""
        if isinstance(self.space, str):
            return f"No narrowed space: {self.space}."
        if reason := _too_little(self.whole, _FEWEST_BEST + 1):
            return f"No narrowed space: {reason}."
        return narrowed_space(self.space, [record.config for record in self.best])

    @property
    def narrowed_command(self) -> str:
        """The command that searches the narrowed space with as many trials as this search had."""
        file = shlex.quote(str(self.folder.path / NARROWED_FILE))
        return visible(f"python -m tune_ner.search {file} --trials {len(self.trials)}")

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of a search by the names of their files; one that cannot be told is not among them."""
        tables = {"best_so_far.csv": self.best_so_far}
        if not isinstance(self.importances, str):
            tables["importances.csv"] = self.importances
        return tables

    def narrowed_yaml(self) -> str | None:
        """The narrowed space as a file that a search takes, the command for it in its first line; None without one."""
        if isinstance(self.narrowed, str):
            return None
        content = self.narrowed.model_dump(exclude={"initial_points"})
        return (
            f"# {self.narrowed_command}\n"
            f"# The region of the best {len(self.best)} of {len(self.whole)} trials.\n"
            f"{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}"
        )


def narrowed_space(space: SearchSpace, best: Sequence[TrialConfig]) -> SearchSpace:
    """A space around some of its trials.

    Distributions go from the smallest to the largest value among them, widened on either side by a tenth of that
    extent (of the logarithm for `loguniform`, at least by 1 for `int`) within the old ends; lists keep the values that
    occur. An axis on which all are alike keeps its distribution. Nothing is tried first: that was tried.
    """
    narrowed = {
        name: _narrowed(getattr(space, name), [getattr(config, name) for config in best])
        for name in space.HYPERPARAMETERS
    }
    return space.model_copy(update={**narrowed, "initial_points": {}})


def _narrowed(values: list[Any] | NumberDistribution, found: Sequence[Any]) -> list[Any] | NumberDistribution:
    if isinstance(values, list):
        return [value for value in values if value in found] or values
    inside = [value for value in found if contains(values, value)]
    if len(set(inside)) < 2:
        return values
    low, high = _widened(values, min(inside), max(inside))
    return type(values)(max(values.low, low), min(values.high, high), log=values.log)


def _widened(distribution: NumberDistribution, low: Any, high: Any) -> tuple[Any, Any]:
    """The ends of a range moved apart; never together, which rounding might do."""
    if isinstance(distribution, IntDistribution):
        whole = math.ceil(_WIDENING * (high - low))
        return low - whole, high + whole
    if distribution.log:
        factor = math.exp(_WIDENING * (math.log(high) - math.log(low)))
        return min(low, low / factor), max(high, high * factor)
    margin = _WIDENING * (high - low)
    return min(low, low - margin), max(high, high + margin)


def _higher(best: float | None, figure: float | None) -> float | None:
    return figure if best is None else best if figure is None else max(best, figure)


def _f1(record: TrialRecord) -> float:
    return record.best_score or 0.0


def _holds(space: SearchSpace, config: TrialConfig) -> bool:
    """Whether a space holds a trial; one that was edited by hand may not."""
    return all(space.contains(name, getattr(config, name)) for name in space.HYPERPARAMETERS)


def _too_little(records: Sequence[TrialRecord], fewest: int) -> str:
    """Why nothing can be learnt from trials about their space; empty where something can."""
    if len(records) < fewest:
        return (
            f"{len(records)} trials of the search were trained to their end, and it takes {fewest}; let it go on with "
            "the same --name and more --trials"
        )
    figures = {_f1(record) for record in records}
    if len(figures) == 1:
        return (
            f"all {len(records)} trials have the validation F1 {figures.pop():.3f}, so that no value is better than "
            "another; give them more epochs or another range"
        )
    return ""


def _importances(space: SearchSpace, records: Sequence[TrialRecord]) -> pd.DataFrame | str:
    # Optuna takes a moment to load, which no report of a grid should cost.
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances

    study = _study(space, records)
    # A tenth, the default, is too few of the trials that a fine-tuning search can afford.
    evaluators = {
        "fANOVA": FanovaImportanceEvaluator(seed=0),
        "PED-ANOVA": PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE),
    }
    try:
        found = {name: get_param_importances(study, evaluator=evaluator) for name, evaluator in evaluators.items()}
    except RuntimeError as error:  # the trees of fANOVA have no variance
        return f"No importances of the parameters: {error}"
    rows = [{"Parameter": axis, **{name: found[name][axis] for name in found}} for axis in found["fANOVA"]]
    return pd.DataFrame(rows, columns=["Parameter", *evaluators])


def _study(space: SearchSpace, records: Sequence[TrialRecord]) -> Study:
    """The trials as an Optuna study in memory."""
    import optuna

    axes = space.search_distributions
    told = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction="maximize")
    finally:
        optuna.logging.set_verbosity(told)
    for record in records:
        params = {name: getattr(record.config, name) for name in axes}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=axes, value=_f1(record)))
    return study


def print_confirmation(layout: Layout, search: SearchResults) -> None:
    """Print how the best configurations of a search held up with fresh seeds, and what the difference means."""
    if not search.whole and not search.confirmations:
        return
    layout.heading("Confirmation")
    if not search.confirmations:
        layout.item(_unconfirmed(search))
        return
    most = max(len(confirmation.again) for confirmation in search.confirmations)
    for place, confirmation in enumerate(search.confirmations, start=1):
        layout.item(_confirmation_line(place, search.title(confirmation.configuration), confirmation, most))
    layout.item(
        f"The first figure was chosen as one of the best of {len(search.whole)}, each on one seed, and the best of "
        "many noisy figures is an overestimate; that of the fresh seeds is what the configuration can be expected to "
        "reach."
    )


def _unconfirmed(search: SearchResults) -> str:
    best = search.best[0]
    return (
        f"Nothing is confirmed yet. The best of {len(search.whole)} trials, {search.title(best.config)}, has "
        f"validation F1 {_f1(best):.3f}, which is an overestimate as the best of many noisy figures is, and no test "
        "figure; start the search again with the same --name."
    )


def _confirmation_line(place: int, what: str, confirmation: Confirmation, most: int) -> str:
    seeds = len(confirmation.again)
    first = "not known" if confirmation.first is None else f"{confirmation.first:.3f}"
    if confirmation.mean is None:
        return f"{what}: validation F1 {first} in the search; not confirmed, since no fresh seed finished."
    spread = "" if confirmation.deviation is None else f" ± {confirmation.deviation:.3f}"
    drop = "" if confirmation.drop is None else f", drop {confirmation.drop:+.3f}"
    fewer = f" (others have {most})" if seeds < most else ""
    return (
        f"#{place} {what}: validation F1 {first} in the search → {confirmation.mean:.3f}{spread} over {seeds} fresh "
        f"seed{'' if seeds == 1 else 's'}{fewer}{drop}."
    )


def print_what_mattered(layout: Layout, search: SearchResults) -> None:
    """Print the importances of the parameters, how the best figure grew, and the space to search next."""
    layout.heading("What mattered")
    if not search.trials:
        layout.item("No trial of the search ended.")
        return
    if isinstance(search.importances, str):
        layout.item(search.importances)
    else:
        layout.table(importances_sheet(search.importances, len(search.whole)))
        layout.item(
            "fANOVA: what a parameter alone explains of the differences over the whole space. PED-ANOVA: how far the "
            "best quarter of the trials keeps to some of its values."
        )
    layout.item(_growth(search.best_so_far))
    if isinstance(search.narrowed, str):
        layout.item(search.narrowed)
    else:
        layout.item(
            f"{NARROWED_FILE} is the region of the best {len(search.best)} of {len(search.whole)} trials"
            f"{_changes(search.space, search.narrowed)}. Search it with `{search.narrowed_command}`"
        )


def importances_sheet(table: pd.DataFrame, trials: int) -> Sheet:
    """The importances in per cent, by both evaluators; see `SearchResults.importances`."""
    evaluators = [name for name in table.columns if name != "Parameter"]
    return Sheet(
        f"Importance of each parameter for validation F1, in per cent, from {trials} trials",
        (Column("parameter"), *(Column(name, right=True) for name in evaluators)),
        tuple(
            (str(row["Parameter"]), *(f"{100 * row[name]:.0f}" for name in evaluators)) for _, row in table.iterrows()
        ),
    )


def _growth(table: pd.DataFrame) -> str:
    """The best figure after 5, 10, 20, 50 … trials and after all."""
    last = len(table)
    marks = [mark for mark in _SHOWN_AFTER if mark < last]
    best = {mark: table["Best So Far"].iloc[mark - 1] for mark in (*dict.fromkeys(marks), last)}
    told = ", ".join(f"{MISSING if pd.isna(f1) else f'{f1:.3f}'} after {mark}" for mark, f1 in best.items())
    return f"Best validation F1 so far: {told} trial{'' if last == 1 else 's'}."


def _changes(space: SearchSpace | str, narrowed: SearchSpace) -> str:
    """The axes that became narrower, and what is left of them."""
    if isinstance(space, str):
        return ""
    after = narrowed.hyperparameters
    changed = {name: after[name] for name, values in space.hyperparameters.items() if after[name] != values}
    told = ", ".join(
        f"{name} {', '.join(map(str, values)) if isinstance(values, list) else format_distribution(values)}"
        for name, values in changed.items()
    )
    return f": {told}" if told else ""


def _is_searched(record: TrialRecord) -> bool:
    return record.phase == "search" and record.is_trained and bool(record.curve)
