"""Dropout on a CPU from sixteen random bits an element.

torch draws a uniform number for every element, which on one core takes as long as a seventh of all matrix products of
a small encoder. Here four elements share one number of a fast generator. The share that is dropped is rounded to
1/65,536, and what is kept is scaled by the rounded share, so that expectations stay exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch

_STEPS = 2**16


class DropoutMasks:
    """Draws masks from a stream of its own, so that the order of sentences stays that of torch's seed.

    Args:
        seed: where the stream begins.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.SFC64(seed)

    @property
    def state(self) -> dict[str, Any]:
        """Where the stream is, as plain data."""
        state: dict[str, Any] = dict(self._random.state)
        return {**state, "state": {"state": [int(word) for word in state["state"]["state"]]}}

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        words = np.array(state["state"]["state"], dtype=np.uint64)
        self._random.state = {**state, "state": {"state": words}}  # type: ignore[typeddict-item]

    def draw(self, shape: Sequence[int], p: float) -> torch.Tensor:
        """A factor for each element: 0 with probability `p`, else what makes up for the dropped ones.

        Args:
            shape: that of what is multiplied.
            p: share that is dropped, at least 0 and less than 1.
        """
        dropped = min(round(p * _STEPS), _STEPS - 1)
        size = prod(shape)
        bits = self._random.random_raw(size // 4 + 1).view(np.int16)[:size]
        factors = torch.empty(size)
        torch.ge(torch.from_numpy(bits), dropped - _STEPS // 2, out=factors)
        return factors.mul_(_STEPS / (_STEPS - dropped)).view(*shape)


class Dropout(torch.nn.Module):
    """`torch.nn.Dropout` with masks of `DropoutMasks` where it runs on a CPU."""

    def __init__(self, p: float, masks: DropoutMasks) -> None:
        super().__init__()
        self.p = p
        self._masks = masks

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """The states, some of them dropped while training."""
        if not self.training or self.p == 0:
            return states
        if states.device.type != "cpu":
            return torch.nn.functional.dropout(states, self.p)
        return states * self._masks.draw(states.shape, self.p).to(states.dtype)


def use_masks(model: Any, masks: DropoutMasks) -> None:
    """Put `Dropout` in the place of each of the model's `torch.nn.Dropout`."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is torch.nn.Dropout and child.p < 1:
                setattr(module, name, Dropout(child.p, masks).train(child.training))
