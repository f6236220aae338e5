"""Distributions of hyperparameters: Optuna's classes, written in a search space as `{loguniform: [1.0e-6, 1.0e-4]}`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tune_ner.utils.text import near_misses

NumberDistribution = FloatDistribution | IntDistribution

_KINDS: dict[type, tuple[str, ...]] = {int: ("int",), float: ("loguniform", "uniform")}


def parse_distribution(
    content: Mapping[Any, Any], base_type: type, check: Callable[[list[Any]], list[Any]]
) -> NumberDistribution:
    """Return the distribution that plain data describes.

    Args:
        content: one key, the kind, with a list of two numbers, the lowest and the highest value.
        base_type: `int` or `float`, the type of the hyperparameter.
        check: validates and converts both ends as values of the hyperparameter.

    Raises:
        ValueError: unknown or unsuitable kind, or an empty or inverted range.
        pydantic.ValidationError: an end is not a value of the hyperparameter.
    """
    kinds = _KINDS[base_type]
    if len(content) != 1:
        raise ValueError(f"found {len(content)} keys, expected one of {', '.join(kinds)} with [lowest, highest]")
    ((kind, ends),) = content.items()
    if kind not in kinds:
        raise ValueError(
            f"found the distribution {str(kind)[:60]!r}, expected {' or '.join(kinds)}{near_misses(str(kind), kinds)}"
        )
    low, high = check(list(ends)) if isinstance(ends, list | tuple) and len(ends) == 2 else (None, None)
    if low is None or high is None:
        raise ValueError(f"found {kind}: {str(ends)[:60]}, expected two numbers, [lowest, highest]")
    if low >= high:
        raise ValueError(f"found the empty range [{low:g}, {high:g}], expected [lowest, highest]")
    if kind == "int":
        return IntDistribution(low, high)
    if kind == "loguniform" and not (low > 0 and math.isfinite(math.log(high / low))):
        raise ValueError(f"loguniform from {low:g}: the lowest number must be above zero; use a larger one, or uniform")
    return FloatDistribution(low, high, log=kind == "loguniform")


def serialize(values: list[Any] | BaseDistribution) -> list[Any] | dict[str, list[float]]:
    """Return the plain data that a search space file contains for a list of values or a distribution.

    Raises:
        ValueError: the distribution has steps, or integers on a logarithmic scale.
    """
    if isinstance(values, list):
        return values
    if isinstance(values, CategoricalDistribution):
        return list(values.choices)
    if isinstance(values, IntDistribution) and values.step == 1 and not values.log:
        return {"int": [values.low, values.high]}
    if isinstance(values, FloatDistribution) and values.step is None:
        return {"loguniform" if values.log else "uniform": [values.low, values.high]}
    raise ValueError(f"found {values}, expected a distribution without steps, and no logarithmic scale for integers")


def format_distribution(distribution: NumberDistribution) -> str:
    """Return the text that a search space file contains for it, such as `{loguniform: [1e-06, 0.0001]}`."""
    return f"{{{next(iter(serialize(distribution)))}: [{distribution.low:g}, {distribution.high:g}]}}"


def contains(distribution: NumberDistribution, value: Any) -> bool:
    """Return whether the distribution can sample this value."""
    is_valid = isinstance(value, int) or (isinstance(distribution, FloatDistribution) and isinstance(value, float))
    return is_valid and distribution.low <= value <= distribution.high
