"""Ray, started in a thread while the corpus is read and audited; importing and starting it takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

_start: Future[str] | None = None


@contextmanager
def ray_started_early(*, dashboard: bool) -> Iterator[None]:
    """Start Ray on this machine in a thread; the first `ray_session` within the block uses it.

    Without a session, Ray is stopped at the end of the block. An error of the start is left to the session, which
    starts Ray again.
    """
    global _start  # there is one Ray per process
    with ThreadPoolExecutor(1, "start-ray") as pool:
        _start = pool.submit(_start_ray, dashboard)
        try:
            yield
        finally:
            if take_early_start() is not None:
                import ray

                ray.shutdown()


def take_early_start() -> str | None:
    """Wait for a start in progress, and return, once, the address of Ray's dashboard; None if Ray was not started."""
    global _start
    start, _start = _start, None
    return None if start is None or start.exception() else start.result()


def _start_ray(dashboard: bool) -> str:
    from tune_ner.tuning.ray_session import init_ray
    from tune_ner.tuning.resources import Machine

    return init_ray(None, Machine.local(), dashboard)
