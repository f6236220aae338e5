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
    """Put slow tests first within the share that each worker begins with.

    Without a fast test left, a worker that is done would wait for one that has a slow one.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    size = max(1, len(items) // workers)
    shares = [items[start : start + size] for start in range(0, len(items), size)]
    items[:] = [item for share in shares for item in sorted(share, key=_is_fast)]


def _is_fast(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is None
