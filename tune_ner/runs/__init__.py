"""What a run leaves on the disk."""

from tune_ner.runs.folder import RunFolder
from tune_ner.runs.record import TrialRecord

__all__ = ["RunFolder", "TrialRecord"]
