"""Distributions of hyperparameters: Optuna's classes, written in a search space as `{loguniform: [1.0e-6, 1.0e-4]}`."""

from __future__ import annotations

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
        content: one key, the kind, with a list of the lowest and the highest value.
        base_type: `int` or `float`, the type of the hyperparameter.
        check: validates and converts both ends as values of the hyperparameter.

    Raises:
        ValueError: unknown or unsuitable kind, an empty range, or a logarithmic one that starts at zero.
        pydantic.ValidationError: an end is not a value of the hyperparameter.
    """
    kinds = _KINDS[base_type]
    kind, ends = next(iter(content.items())) if len(content) == 1 else ("", None)
    if kind not in kinds or not isinstance(ends, list) or len(ends) != 2 or None in ends:
        expected = " or ".join(f"{{{name}: [lowest, highest]}}" for name in kinds)
        raise ValueError(f"found {str(content)[:80]}, expected {expected}{near_misses(str(kind)[:60], kinds)}")
    low, high = check(ends)
    is_log = kind == "loguniform"
    if low >= high or (is_log and low <= 0):
        raise ValueError(f"found {kind}: [{low:g}, {high:g}], expected {'0 < ' if is_log else ''}lowest < highest")
    return IntDistribution(low, high) if kind == "int" else FloatDistribution(low, high, log=is_log)


def serialize(values: list[Any] | BaseDistribution) -> list[Any] | dict[str, list[float]]:
    """Return the plain data that a search space file contains for a list of values or a distribution.

    Raises:
        ValueError: the distribution has steps, or integers on a logarithmic scale.
    """
    match values:
        case list():
            return values
        case CategoricalDistribution():
            return list(values.choices)
        case IntDistribution(step=1, log=False):
            return {"int": [values.low, values.high]}
        case FloatDistribution(step=None):
            return {"loguniform" if values.log else "uniform": [values.low, values.high]}
    raise ValueError(f"found {values}, expected a distribution without steps, and no logarithmic scale for integers")


def format_distribution(distribution: NumberDistribution) -> str:
    """Return the text that a search space file contains for it, such as `{loguniform: [1e-06, 0.0001]}`."""
    return f"{{{next(iter(serialize(distribution)))}: [{distribution.low:g}, {distribution.high:g}]}}"


def contains(distribution: NumberDistribution, value: Any) -> bool:
    """Return whether the distribution can sample this value."""
    is_valid = isinstance(value, int) or (isinstance(distribution, FloatDistribution) and isinstance(value, float))
    return is_valid and distribution.low <= value <= distribution.high
