"""Fast dropout on a CPU, from sixteen random bits per element.

torch draws a uniform number per element, which on one core takes a seventh of the time of all matrix products of a
small encoder. Here four elements share one number of a fast generator. The dropped share is rounded to 1/65,536, and
the remaining elements are scaled by the rounded share, so that expectations stay exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch

_STEPS = 2**16


class DropoutMasks:
    """Generator of dropout masks, separate from torch's, so that the order of sentences only depends on the seed."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.SFC64(seed)

    @property
    def state(self) -> dict[str, Any]:
        """Return the state of the generator as plain values."""
        state: dict[str, Any] = dict(self._random.state)
        return {**state, "state": {"state": [int(word) for word in state["state"]["state"]]}}

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        words = np.array(state["state"]["state"], dtype=np.uint64)
        self._random.state = {**state, "state": {"state": words}}  # type: ignore[typeddict-item]

    def draw(self, shape: Sequence[int], p: float) -> torch.Tensor:
        """Return a factor for each element: 0 with probability `p`, otherwise about 1 / (1 - p).

        Args:
            shape: shape of the mask.
            p: the dropped share, 0 <= p < 1.
        """
        dropped = min(round(p * _STEPS), _STEPS - 1)
        size = prod(shape)
        bits = self._random.random_raw(size // 4 + 1).view(np.int16)[:size]
        factors = torch.empty(size)
        torch.ge(torch.from_numpy(bits), dropped - _STEPS // 2, out=factors)
        return factors.mul_(_STEPS / (_STEPS - dropped)).view(*shape)


class Dropout(torch.nn.Module):
    """`torch.nn.Dropout` that uses `DropoutMasks` on a CPU."""

    def __init__(self, p: float, masks: DropoutMasks) -> None:
        super().__init__()
        self.p = p
        self._masks = masks

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return the states; in training mode some are dropped."""
        if not self.training or self.p == 0:
            return states
        if states.device.type != "cpu":
            return torch.nn.functional.dropout(states, self.p)
        return states * self._masks.draw(states.shape, self.p).to(states.dtype)


def replace_dropout(model: Any, masks: DropoutMasks) -> None:
    """Replace each `torch.nn.Dropout` of the model by `Dropout`."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is torch.nn.Dropout and child.p < 1:
                setattr(module, name, Dropout(child.p, masks).train(child.training))
