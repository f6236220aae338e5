"""What a run leaves on the disk, and the ranking that follows from it."""

from tune_ner.runs.folder import Predictions, RunFolder
from tune_ner.runs.ledger import EarlierUse, earlier_uses, fingerprint_of_part, used_test_parts
from tune_ner.runs.models import ModelFiles, RunModels, model_folder
from tune_ner.runs.record import TrialRecord
from tune_ner.runs.resume import Protocol
from tune_ner.runs.run_log import RunLog
from tune_ner.runs.selection import (
    Candidate,
    RankedConfiguration,
    axis_values,
    configuration_of,
    rank,
    varied_axes,
    winner,
)

__all__ = [
    "Candidate",
    "EarlierUse",
    "ModelFiles",
    "Predictions",
    "Protocol",
    "RankedConfiguration",
    "RunFolder",
    "RunLog",
    "RunModels",
    "TrialRecord",
    "axis_values",
    "configuration_of",
    "earlier_uses",
    "fingerprint_of_part",
    "model_folder",
    "rank",
    "used_test_parts",
    "varied_axes",
    "winner",
]
