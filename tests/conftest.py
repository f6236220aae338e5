"""Fixtures that tests of several folders share."""

import os
from pathlib import Path

# several tests run at once, and each model is too small for several threads; torch reads this when it is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

# `ci` draws the same examples each time, `fast` fewer of them; `make fuzz` selects `fuzz`, which draws fresh ones.
# None depends on speed.
_ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", _ANY_SPEED, derandomize=True, max_examples=25)
settings.register_profile("fast", _ANY_SPEED, derandomize=True, max_examples=20)
settings.register_profile("fuzz", _ANY_SPEED, derandomize=False, max_examples=200, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

_SLOW_BEFORE_RUNS = 4  # times the number of the worker


@pytest.fixture(scope="session")
def swedish_medical_ner() -> Path:
    """The annotated 1177 sentences, from the folder that the variable SWEDISH_MEDICAL_NER names."""
    folder = os.environ.get("SWEDISH_MEDICAL_NER")
    if not folder:
        pytest.skip("SWEDISH_MEDICAL_NER does not name the folder of 1177_annotated_sentences.txt")
    file = Path(folder) / "1177_annotated_sentences.txt"
    if not file.is_file():
        pytest.skip(f"SWEDISH_MEDICAL_NER names {folder}, which has no 1177_annotated_sentences.txt")
    return file


@pytest.hookimpl(trylast=True)  # after tests were marked and deselected
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put complete runs early, spread over the workers; then come the slow tests of the share that each begins with.

    Without a fast test left, a worker that is done would wait for one that has a slow one. Workers begin their runs at
    different times, because several Rays that start at once may be too slow for Ray's fixed limits: the first begins
    with its runs, each further one with some more slow tests.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers == 1:
        return
    runs = [item for item in items if item.get_closest_marker("ray")]
    others = [item for item in items if not item.get_closest_marker("ray")]
    size = -(-len(others) // workers)
    shares = [sorted(others[size * n : size * (n + 1)], key=_is_fast) for n in range(workers)]
    items[:] = [
        item
        for n, share in enumerate(shares)
        for item in (*share[: n * _SLOW_BEFORE_RUNS], *runs[n::workers], *share[n * _SLOW_BEFORE_RUNS :])
    ]


def _is_fast(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is None
