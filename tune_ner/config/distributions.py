"""Ranges of numbers that a search draws from, as a search space writes them: `{loguniform: [1.0e-6, 1.0e-4]}`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tune_ner.utils.text import near_misses

DistributionKind = Literal["uniform", "loguniform", "int"]
KINDS: tuple[DistributionKind, ...] = get_args(DistributionKind)


@dataclass(frozen=True)
class Distribution:
    """Numbers from `low` to `high`, both included: all alike (`uniform`), their logarithms alike (`loguniform`), or
    whole ones alike (`int`).
    """

    kind: DistributionKind
    low: float
    high: float

    def __str__(self) -> str:
        return f"{{{self.kind}: [{self.low:g}, {self.high:g}]}}"

    def as_yaml(self) -> dict[str, list[float]]:
        """As a search space writes it."""
        return {self.kind: [self.low, self.high]}

    def holds(self, value: float) -> bool:
        """Whether it could be drawn."""
        return self.low <= value <= self.high and (self.kind != "int" or float(value).is_integer())


def parse_distribution(said: Mapping[Any, Any], whole: bool, check: Callable[[list[Any]], list[Any]]) -> Distribution:
    """A distribution from plain data.

    Args:
        said: one key, the kind, with a list of two numbers.
        whole: whether the axis has whole numbers, and so takes `int`, or real ones.
        check: checks and converts the two ends as values of the axis.

    Raises:
        ValueError: it is none, is of the wrong kind, has no extent, or its logarithm does not exist.
        pydantic.ValidationError: an end is no value of the axis.
    """
    known = ("int",) if whole else ("loguniform", "uniform")
    if len(said) != 1:
        raise ValueError(f"found {len(said)} keys, expected one of {', '.join(known)} with [lowest, highest]")
    ((kind, ends),) = said.items()
    if kind not in KINDS:
        raise ValueError(
            f"found the distribution {str(kind)[:60]!r}, expected {' or '.join(known)}{near_misses(str(kind), known)}"
        )
    if kind not in known:
        raise ValueError(
            f"found {kind}, expected {' or '.join(known)}, since its values are {'whole' if whole else 'real'} numbers"
        )
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise ValueError(f"found {kind}: {str(ends)[:60]}, expected two numbers, [lowest, highest]")
    low, high = check(list(ends))
    if low is None or high is None:
        raise ValueError(f"found {kind}: {str(ends)[:60]}, expected two numbers, [lowest, highest]")
    if low >= high:
        what = "empty" if low == high else "inverted"
        raise ValueError(f"the range from {low:g} to {high:g} is {what}; expected the lowest number and a higher one")
    if kind == "loguniform" and not (low > 0 and math.isfinite(math.log(high / low))):
        raise ValueError(f"loguniform from {low:g}: zero has no logarithm; begin above it, or write uniform")
    return Distribution(kind, low, high)
