"""What a trial takes of the machine: time by stage, matrix products against the rate it reaches, memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import psutil
import torch

_TOKENS = 512
_SECONDS = 0.1


def linear_parameters(model: Any) -> int:
    """Parameters that enter a matrix product for every token."""
    return sum(layer.weight.numel() for layer in model.modules() if isinstance(layer, torch.nn.Linear))


@lru_cache
def matmul_rate(width: int, dtype: torch.dtype, threads: int) -> float:  # noqa: ARG001 - the rate is by threads
    """Floating-point operations a second of the product of 512 tokens with a feed-forward layer, `width` to 4 `width`.

    Measured once for each process, over a tenth of a second after one product to warm up, on the GPU if there
    is one. `threads` are those that torch is set to.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokens = torch.randn(_TOKENS, width, device=device, dtype=dtype)
    weights = torch.randn(width, 4 * width, device=device, dtype=dtype)
    (tokens @ weights).sum().item()
    done, started = 0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < _SECONDS:
        # the sum waits for a GPU, which otherwise would only have been asked
        (tokens @ weights)[0, 0].item()
        done += 1
    return 2 * _TOKENS * width * 4 * width * done / seconds


def peak_memory() -> int:
    """Return the peak memory of this process in bytes: of the GPU if it has one, else of the host."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # Unix only

    # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class StageClock:
    """Seconds by stage; a stage entered twice adds up, and a stage within another is not counted for the outer."""

    def __init__(self, before: Mapping[str, float]) -> None:
        self.seconds = dict(before)
        self._open: list[tuple[str, float]] = []
        self._within: list[float] = []

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """The seconds of this block go to `stage`."""
        start = time.perf_counter()
        self._open.append((stage, start))
        self._within.append(0.0)
        try:
            yield
        finally:
            self._open.pop()
            seconds = time.perf_counter() - start
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds - self._within.pop()
            if self._within:
                self._within[-1] += seconds

    def so_far(self) -> dict[str, float]:
        """Seconds by stage, with those that are not over."""
        found, now, inner = dict(self.seconds), time.perf_counter(), 0.0
        for (stage, start), within in zip(reversed(self._open), reversed(self._within), strict=True):
            found[stage] = found.get(stage, 0.0) + now - start - within - inner
            inner = now - start
        return found
