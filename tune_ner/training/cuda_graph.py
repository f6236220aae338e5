"""Training steps captured as CUDA graphs: the GPU runs a whole step without waiting for Python to start each kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class _Captured:
    graph: Any
    batch: Batch
    loss: torch.Tensor


class GraphedStep:
    """A function of a batch, captured once per shape of the batch.

    The first batch of each shape runs as usual, which also loads the kernels that it needs; the second one is captured.

    Args:
        step: the function. It must not wait for the GPU, and may keep results only in tensors that exist before it.
    """

    def __init__(self, step: Callable[[Batch], torch.Tensor]) -> None:
        self._step = step
        self._seen: set[tuple[Any, ...]] = set()
        self._captured: dict[tuple[Any, ...], _Captured] = {}
        self._pool: Any = None  # one memory pool for all graphs, which never run at the same time

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Run the step on a batch and return its loss, without gradient."""
        key = tuple(tuple(value.shape) for value in batch.values())
        if key not in self._seen:
            self._seen.add(key)
            return self._step(batch)
        if key not in self._captured:
            self._captured[key] = self._capture(batch)
        captured = self._captured[key]
        for name, value in batch.items():
            captured.batch[name].copy_(value, non_blocking=True)
        captured.graph.replay()
        return captured.loss.clone()

    def _capture(self, batch: Batch) -> _Captured:
        own = {name: value.clone() for name, value in batch.items()}
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            loss = self._step(own)
        self._pool = graph.pool()
        return _Captured(graph, own, loss)
