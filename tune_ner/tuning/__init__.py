"""The search: the space, its trials, their resources, and the run under Ray Tune."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tune_ner.tuning.events import Listeners, RunEvents
from tune_ner.tuning.experiment import Experiment, audit_experiment, earlier_test_uses, prepare
from tune_ner.tuning.recovery import Recovery
from tune_ner.tuning.resources import Machine, ResourceWishes, TrialResources, trial_resources
from tune_ner.tuning.scheduling import Scheduling
from tune_ner.tuning.space import SearchSpace
from tune_ner.tuning.space_files import bundled_spaces, load_space, parse_space

if TYPE_CHECKING:
    from tune_ner.tuning.grid_run import kept, plan_resources, run_grid
    from tune_ner.tuning.search_run import Budget, Strategy, run_search, searched

__all__ = [
    "Budget",
    "Experiment",
    "Listeners",
    "Machine",
    "Recovery",
    "ResourceWishes",
    "RunEvents",
    "Scheduling",
    "SearchSpace",
    "Strategy",
    "TrialResources",
    "audit_experiment",
    "bundled_spaces",
    "earlier_test_uses",
    "kept",
    "load_space",
    "parse_space",
    "plan_resources",
    "prepare",
    "run_grid",
    "run_search",
    "searched",
    "trial_resources",
]


def __getattr__(name: str) -> Any:
    # A mistake in a space is told before Ray, which this import brings, costs its seconds.
    if name in ("kept", "plan_resources", "run_grid"):
        from tune_ner.tuning import grid_run

        return getattr(grid_run, name)
    if name in ("Budget", "Strategy", "run_search", "searched"):
        from tune_ner.tuning import search_run

        return getattr(search_run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
