"""Standard deviation of F1 between seeds: of a run, of earlier runs on the same data, or assumed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, variance

from tune_ner.errors import RunFolderError
from tune_ner.evaluation.seed_variance import ASSUMED_DEVIATION
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.selection import configuration_of


@dataclass(frozen=True)
class SeedDeviation:
    """A standard deviation of F1 between seeds, and where it comes from: this run, the names of others, or nowhere."""

    value: float
    source: str

    @property
    def sentence(self) -> str:
        """How to read intervals and tests of a run with one seed."""
        origin = f"as measured in {self.source}" if self.source else "which is assumed"
        return (
            "Only one seed was used, so intervals and tests are about these trained models. To say something about the "
            f"configurations, they include a standard deviation of {self.value:.3f} between seeds, {origin}. Repeat "
            "--seed to measure it."
        )


def earlier_deviation(run_dir: RunDir, data_fingerprint: str) -> SeedDeviation:
    """Return the standard deviation of test span F1 between seeds in other runs of the same results folder.

    Runs count if they used the same data and split, and trained some configuration with several seeds. Without such a
    run, the default is returned.
    """
    variances: list[float] = []
    names: list[str] = []
    with suppress(RunFolderError):
        for other in RunDir.all_in(run_dir.path.parent):
            if other.path.name == run_dir.path.name:
                continue
            with suppress(RunFolderError):
                if found := _variances(other.records(), data_fingerprint):
                    variances += found
                    names.append(other.name)
    if not variances:
        return SeedDeviation(ASSUMED_DEVIATION, "")
    return SeedDeviation(sqrt(fmean(variances)), f"run {' and '.join(names[:3])}")


def _variances(records: Sequence[TrialRecord], data_fingerprint: str) -> list[float]:
    scores: dict[object, list[float]] = defaultdict(list)
    for record in records:
        if record.result and record.phase == "final" and record.config.data_fingerprint == data_fingerprint:
            f1 = record.result.metrics["test"].spans.f1
            scores[configuration_of(record.config), record.config.fold].append(f1)
    return [variance(found) for found in scores.values() if len(found) > 1 and any(found)]
