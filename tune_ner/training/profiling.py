"""Time by stage and peak memory of a trial."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil
import torch


def peak_memory_bytes() -> int:
    """Return the peak memory of this process in bytes: of the GPU if it has one, else of the host."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # Unix only

    # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def free_gpu_memory() -> None:
    """Give back the GPU memory that nothing uses any more; the HF Trainer and its model refer to each other."""
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()


class StageClock:
    """Seconds by stage. Repeated stages add up; a nested stage does not count for the outer one.

    Args:
        before: seconds of earlier sessions.
    """

    def __init__(self, before: Mapping[str, float]) -> None:
        self.seconds = dict(before)
        self._open: list[tuple[str, float]] = []
        self._nested: list[float] = []

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Measure a block of code as part of `stage`."""
        start = time.perf_counter()
        self._open.append((stage, start))
        self._nested.append(0.0)
        try:
            yield
        finally:
            self._open.pop()
            seconds = time.perf_counter() - start
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds - self._nested.pop()
            if self._nested:
                self._nested[-1] += seconds

    def so_far(self) -> dict[str, float]:
        """Return the seconds by stage, including the stages in progress."""
        found, now, inner = dict(self.seconds), time.perf_counter(), 0.0
        for (stage, start), nested in zip(reversed(self._open), reversed(self._nested), strict=True):
            found[stage] = found.get(stage, 0.0) + now - start - nested - inner
            inner = now - start
        return found
