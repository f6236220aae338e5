"""A search space as Optuna has it."""

from __future__ import annotations

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tune_ner.config.distributions import Distribution
from tune_ner.config.search_space import SearchSpace


def search_axes(space: SearchSpace) -> dict[str, BaseDistribution]:
    """The axes that are searched, as Optuna has them; those of one value are not."""
    axes: dict[str, BaseDistribution] = {}
    for name in space.AXES:
        value = getattr(space, name)
        if isinstance(value, Distribution):
            axes[name] = _numbers(value)
        elif len(value) > 1:
            axes[name] = CategoricalDistribution(value)
    return axes


def _numbers(found: Distribution) -> BaseDistribution:
    if found.kind == "int":
        return IntDistribution(int(found.low), int(found.high))
    return FloatDistribution(found.low, found.high, log=found.kind == "loguniform")
