"""Peak memory of a process."""

import sys
from types import SimpleNamespace

import psutil
import pytest
import torch

from tune_ner.training.profiling import peak_memory


@pytest.mark.skipif(torch.cuda.is_available(), reason="counts the memory of the GPU")
def test_peak_memory_is_at_least_the_resident_memory() -> None:
    resident = psutil.Process().memory_info().rss
    assert resident * 0.9 < peak_memory() < resident * 100


@pytest.mark.skipif(torch.cuda.is_available(), reason="counts the memory of the GPU")
def test_peak_memory_on_windows_is_the_peak_working_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(psutil.Process, "memory_info", lambda _: SimpleNamespace(peak_wset=123))
    assert peak_memory() == 123
