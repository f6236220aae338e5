"""What a run leaves on the disk, and the ranking that follows from it."""

from tune_ner.runs.folder import Predictions, RunFolder
from tune_ner.runs.ledger import EarlierUse, earlier_uses, fingerprint_of_part, used_test_parts
from tune_ner.runs.record import TrialRecord
from tune_ner.runs.resume import Protocol
from tune_ner.runs.selection import Candidate, RankedConfiguration, configuration_of, rank, varied_axes

__all__ = [
    "Candidate",
    "EarlierUse",
    "Predictions",
    "Protocol",
    "RankedConfiguration",
    "RunFolder",
    "TrialRecord",
    "configuration_of",
    "earlier_uses",
    "fingerprint_of_part",
    "rank",
    "used_test_parts",
    "varied_axes",
]
