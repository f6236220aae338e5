"""The search: the space, its trials, their resources, and the run under Ray Tune."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tune_ner.tuning.events import RunEvents
from tune_ner.tuning.experiment import Experiment, audit_experiment, earlier_test_uses, prepare
from tune_ner.tuning.resources import Machine, ResourceWishes, TrialResources, trial_resources
from tune_ner.tuning.scheduling import Scheduling
from tune_ner.tuning.space import SearchSpace, bundled_spaces, load_space, parse_space

if TYPE_CHECKING:
    from tune_ner.tuning.grid_run import plan_resources, run_grid

__all__ = [
    "Experiment",
    "Machine",
    "ResourceWishes",
    "RunEvents",
    "Scheduling",
    "SearchSpace",
    "TrialResources",
    "audit_experiment",
    "bundled_spaces",
    "earlier_test_uses",
    "load_space",
    "parse_space",
    "plan_resources",
    "prepare",
    "run_grid",
    "trial_resources",
]


def __getattr__(name: str) -> Any:
    # A mistake in a space is told before Ray, which this import brings, costs its seconds.
    if name in ("plan_resources", "run_grid"):
        from tune_ner.tuning import grid_run

        return getattr(grid_run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
