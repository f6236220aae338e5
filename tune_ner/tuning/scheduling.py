"""In what order trials start, and which of them are stopped before their last epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from tune_ner.errors import SchedulingError
from tune_ner.training.encoders import EncoderSize
from tune_ner.utils.text import near_misses

SCHEDULERS = ("fifo", "asha", "median")

T = TypeVar("T")


@dataclass(frozen=True)
class SchedulerConfig:
    """Whether trials that are behind are stopped: by `fifo` none, by `asha` all but the best, by
    `median` the worse half.

    ASHA (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning") compares the configurations by
    validation F1 at rungs: after `grace_period` epochs, `reduction_factor` times as many, and so on. A configuration
    that is below the best `1 / reduction_factor` of those that came by before it is stopped; the first one goes on.
    The median rule stops, after any epoch from `grace_period` on, a configuration whose best figure is below the median
    of the running means of at least three others.

    The defaults are the paper's smallest first rung, and a factor near its four with which five epochs have two
    rungs, after the first and the third. docs/grid.md has what they save and what they cost.

    Raises:
        SchedulingError: an unknown scheduler, or numbers by which nothing could be compared.
    """

    scheduler: str = "fifo"
    grace_period: int = 1
    reduction_factor: int = 3

    def __post_init__(self) -> None:
        if self.scheduler not in SCHEDULERS:
            raise SchedulingError(
                f"--scheduler {self.scheduler}: expected {', '.join(SCHEDULERS[:-1])} or {SCHEDULERS[-1]}"
                f"{near_misses(self.scheduler, SCHEDULERS)}"
            )
        if self.grace_period < 1 or self.reduction_factor < 2:
            raise SchedulingError(
                f"found --grace-period {self.grace_period} and --reduction-factor {self.reduction_factor}; "
                "expected at least 1 epoch and at least 2"
            )

    def grace(self, epochs: int) -> int:
        """The first epoch after which a trial may be stopped, where the longest trial has `epochs`.

        It lies before the last one, after which there is nothing to save, if there are two or more.
        """
        return max(1, min(self.grace_period, epochs - 1))

    def rungs(self, epochs: int) -> list[int]:
        """The epochs after which trials may be stopped, where the longest has `epochs`; empty for `fifo`."""
        found: list[int] = []
        rung = self.grace(epochs)
        while self.scheduler != "fifo" and rung < epochs:
            found.append(rung)
            rung = rung * self.reduction_factor if self.scheduler == "asha" else rung + 1
        return found


def trial_cost(epochs: int, sentences: int, size: EncoderSize) -> float:
    """What a trial costs beside another: epochs times train sentences times parameters of the linear layers.

    A transformer layer has about 12 times the square of its width of them (Kaplan et al. 2020, "Scaling Laws for
    Neural Language Models", section 2.1). Embeddings are looked up and cost little, so that a larger vocabulary does
    not make a trial longer. Of an encoder whose files do not tell its shape, all parameters count.
    """
    return float(epochs) * sentences * (12 * size.layers * size.hidden**2 or size.parameters)


def longest_first(items: Sequence[T], costs: Sequence[float], ties: Sequence[tuple[float, ...]]) -> list[T]:
    """The items by falling cost, those of equal cost by their key in `ties`, and otherwise as they were.

    A grid whose longest trial comes last ends with one trial and idle machines. Costs are estimates: those that are
    equal in two digits are equal, as are those of folds that differ by a sentence.
    """
    places = sorted(range(len(items)), key=lambda place: (-float(f"{costs[place]:.1e}"), *ties[place]))
    return [items[place] for place in places]
