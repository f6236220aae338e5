"""What a search would do: its axes, what it tries first, when it ends, and what it confirms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from tune_ner.results.overview import searched_axes
from tune_ner.tracking.console import describe_resources
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.resources import TrialResources
from tune_ner.tuning.scheduling import SchedulerConfig
from tune_ner.utils.renderers import TerminalLayout

if TYPE_CHECKING:
    from tune_ner.tuning.search_run import Budget, Strategy


@dataclass(frozen=True)
class SearchPlan:
    """A search that was not begun."""

    experiment: Experiment
    resources: TrialResources
    scheduler_config: SchedulerConfig
    budget: Budget
    strategy: Strategy


def print_search_plan(console: Console, plan: SearchPlan) -> None:
    """Print what is searched and how, and what each trial gets."""
    space, strategy = plan.experiment.space, plan.strategy
    first = "; ".join(
        ", ".join(f"{name} {value}" for name, value in point.items()) for point in space.expand_initial_points()
    )
    TerminalLayout(console).facts(
        {
            **searched_axes(space),
            "initial points": first or "–",
            "sampler": f"{strategy.sampler}, seed {strategy.sampler_seed}",
            "scheduler": plan.scheduler_config.scheduler,
            "ends": _end(plan.budget),
            "confirms": f"the best {strategy.top} with {strategy.seeds} fresh seeds each, measured on test",
        }
    )
    most = describe_resources(plan.resources, plan.budget.trials)
    console.print(f"At most {escape(most)}", highlight=False, soft_wrap=True)


def _end(budget: Budget) -> str:
    ends = [f"after {budget.trials} trials"]
    if budget.seconds is not None:
        ends.append(f"after {budget.seconds / 60:g} minutes")
    if budget.target_f1 is not None:
        ends.append(f"at validation F1 {budget.target_f1:g}")
    return " or ".join(ends)
