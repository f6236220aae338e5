"""What a search would do: its axes, what it tries first, when it ends, and what it confirms."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from tune_ner.report.sections import Section
from tune_ner.report.text import print_sections
from tune_ner.results.summary import describe_space
from tune_ner.tracking.console import describe_resources
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.options import SchedulerConfig, SearchSettings
from tune_ner.tuning.resources import TrialResources


@dataclass(frozen=True)
class SearchPlan:
    """A search that was not begun."""

    experiment: Experiment
    resources: TrialResources
    scheduler_config: SchedulerConfig
    search: SearchSettings


def print_search_plan(console: Console, plan: SearchPlan) -> None:
    """Print what is searched and how, and what each trial gets."""
    space, search = plan.experiment.space, plan.search
    first = "; ".join(
        ", ".join(f"{name} {value}" for name, value in point.items()) for point in space.expand_initial_points()
    )
    facts = {
        **describe_space(space),
        "initial points": first or "–",
        "sampler": f"{search.sampler}, seed {search.sampler_seed}",
        "scheduler": plan.scheduler_config.name,
        "ends": _end(search),
        "confirms": f"the best {search.confirm} with {search.confirm_seeds} fresh seeds each, measured on test",
    }
    print_sections(console, [Section("", (facts,))])
    most = describe_resources(plan.resources, search.trials)
    console.print(f"At most {escape(most)}", highlight=False, soft_wrap=True)


def _end(search: SearchSettings) -> str:
    ends = [f"after {search.trials} trials"]
    if search.seconds is not None:
        ends.append(f"after {search.seconds / 60:g} minutes")
    if search.target_f1 is not None:
        ends.append(f"at validation F1 {search.target_f1:g}")
    return " or ".join(ends)
