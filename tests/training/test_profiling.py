"""Peak memory of a process and time by stage."""

import sys
from types import SimpleNamespace

import psutil
import pytest
import torch

from tune_ner.training import profiling
from tune_ner.training.profiling import StageClock, peak_memory_bytes


@pytest.mark.skipif(torch.cuda.is_available(), reason="counts the memory of the GPU")
def test_peak_memory_is_at_least_the_resident_memory() -> None:
    resident = psutil.Process().memory_info().rss
    assert resident * 0.9 < peak_memory_bytes() < resident * 100


@pytest.mark.skipif(torch.cuda.is_available(), reason="counts the memory of the GPU")
def test_peak_memory_on_windows_is_the_peak_working_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(psutil.Process, "memory_info", lambda _: SimpleNamespace(peak_wset=123))
    assert peak_memory_bytes() == 123


def test_nested_stages_do_not_count_for_the_outer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 10.0, 14.0, 15.0, 20.0, 30.0])
    monkeypatch.setattr(profiling, "time", SimpleNamespace(perf_counter=lambda: next(now)))
    clock = StageClock({"train": 1.0})
    with clock("train"):
        with clock("evaluate"):
            pass
        assert clock.so_far() == {"train": 1.0 + 15.0 - 4.0, "evaluate": 4.0}
    assert clock.seconds == {"train": 1.0 + 20.0 - 4.0, "evaluate": 4.0}
