"""Ray that is started in a thread before its session."""

import threading

import pytest
import ray

from tune_ner.errors import ResourceError
from tune_ner.tuning import ray_session as session_module
from tune_ner.tuning.early_start import ray_started_early, take_early_start
from tune_ner.tuning.ray_session import ray_session


class FakeRay:
    """Counts starts and stops of Ray."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, fails: bool = False) -> None:
        self.starts: list[str] = []
        self.stops = 0
        self._fails = fails
        monkeypatch.setattr(session_module, "init_ray", self._init)
        monkeypatch.setattr(ray, "shutdown", self._stop)

    def _init(self, *_: object) -> str:
        self.starts.append(threading.current_thread().name)
        if self._fails and len(self.starts) == 1:
            raise ResourceError("no Ray")
        return "http://127.0.0.1:1"

    def _stop(self) -> None:
        self.stops += 1


def test_session_uses_the_ray_that_was_started_early(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeRay(monkeypatch)
    with ray_started_early(dashboard=True), ray_session(None, None, dashboard=True) as address:
        assert address == "http://127.0.0.1:1"
        assert take_early_start() is None
    assert len(fake.starts) == fake.stops == 1
    assert fake.starts != [threading.main_thread().name]


def test_second_session_starts_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeRay(monkeypatch)
    with ray_started_early(dashboard=False):
        for _ in range(2):
            with ray_session(None, None, dashboard=False):
                pass
    assert len(fake.starts) == fake.stops == 2


def test_ray_that_no_session_used_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeRay(monkeypatch)
    with pytest.raises(ValueError, match="audit"), ray_started_early(dashboard=False):
        raise ValueError("audit")
    assert len(fake.starts) == fake.stops == 1


def test_session_starts_ray_again_after_an_early_start_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeRay(monkeypatch, fails=True)
    with ray_started_early(dashboard=False), ray_session(None, None, dashboard=False) as address:
        assert address == "http://127.0.0.1:1"
    assert len(fake.starts) == 2
    assert fake.stops == 1
