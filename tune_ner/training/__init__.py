"""Training: one configuration in, one result out, through the HF `Trainer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tune_ner.training.config import TrialConfig
from tune_ner.training.result import EpochFigures, TrialResult

if TYPE_CHECKING:
    from tune_ner.training.trial import run_trial

__all__ = ["EpochFigures", "TrialConfig", "TrialResult", "run_trial"]


def __getattr__(name: str) -> Any:
    # Records are read without torch, which this import brings.
    if name == "run_trial":
        from tune_ner.training.trial import run_trial

        return run_trial
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
