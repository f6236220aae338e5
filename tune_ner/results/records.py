"""The record of one trial: all that is known of it, as one JSON line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tune_ner.config.trial_config import TrialConfig, library_versions
from tune_ner.data.corpus import SPLIT_NAMES
from tune_ner.evaluation.span_metrics import SCHEMAS
from tune_ner.training.result import EpochMetrics, TrialResult
from tune_ner.utils.redaction import masked

RECORD_FORMAT = 1

Status = Literal["finished", "failed", "stopped", "searched", "diverged"]


def _check_keys(where: str, found: Mapping[Any, Any], expected: Sequence[str]) -> None:
    missing = [key for key in expected if key not in found]
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class TrialRecord(BaseModel):
    """A trial that ended: its configuration, and its result, the error that ended it, or how far it came.

    A stopped trial was behind others and was ended by the scheduler, and a searched one was trained to its end by a
    search, which measures on test only what it confirms: `epochs` are those that either trained, or that a diverged one
    trained before its loss was no number. `seconds` is the wall
    time from its start in a worker to its end; `finished_at` is UTC.
    """

    # The loss of a trial that diverged is no number, and its record must be readable all the same.
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    format: int = RECORD_FORMAT
    trial_id: str
    status: Status
    config: TrialConfig
    result: TrialResult | None = None
    epochs: tuple[EpochMetrics, ...] = ()
    error: str | None = None
    traceback: str | None = None
    seconds: float
    finished_at: str = Field(default_factory=_now)
    versions: dict[str, str] = Field(default_factory=library_versions)

    @field_validator("format")
    @classmethod
    def _is_known(cls, number: int) -> int:
        if number > RECORD_FORMAT:
            raise PydanticCustomError(
                "newer_format",
                "a trial record of format {found}, expected at most {known}: a newer version of tune_ner wrote it; "
                "update this one",
                {"found": number, "known": RECORD_FORMAT},
            )
        return number

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Pydantic sees to the types; what tables look up by name must be there too."""
        if self.result:
            if not 1 <= self.result.best_epoch <= len(self.result.epochs):
                best, count = self.result.best_epoch, len(self.result.epochs)
                raise ValueError(f"result.best_epoch: found {best}, expected one of {count} epochs")
            for split_name, scores in self.result.scores.items():
                _check_keys(f"result.scores.{split_name}.spans.matches", scores.spans.matches, SCHEMAS)
            _check_keys("result.encoding", self.result.encoding, SPLIT_NAMES)
            for split_name, account in self.result.encoding.items():
                _check_keys(f"result.encoding.{split_name}", account, ("entities", "entities_cut", "problems"))
                problems = account["problems"]
                counts = [account["entities"], account["entities_cut"]]
                counts += problems.values() if isinstance(problems, Mapping) else [None]
                if not all(type(count) is int for count in counts):
                    raise ValueError(f"result.encoding.{split_name}: expected numbers of entities")
        return self

    @classmethod
    def finished(cls, config: TrialConfig, result: TrialResult, seconds: float) -> TrialRecord:
        """The record of a trial that ran to its end."""
        return cls(trial_id=config.trial_id, status="finished", config=config, result=result, seconds=seconds)

    @classmethod
    def stopped(cls, config: TrialConfig, epochs: Sequence[EpochMetrics], seconds: float) -> TrialRecord:
        """The record of a trial that the scheduler ended after these epochs."""
        return cls(trial_id=config.trial_id, status="stopped", config=config, epochs=tuple(epochs), seconds=seconds)

    @classmethod
    def searched(cls, config: TrialConfig, epochs: Sequence[EpochMetrics], seconds: float) -> TrialRecord:
        """The record of a trial of a search, measured on validation alone."""
        return cls(trial_id=config.trial_id, status="searched", config=config, epochs=tuple(epochs), seconds=seconds)

    @classmethod
    def diverged(cls, config: TrialConfig, epochs: Sequence[EpochMetrics], error: str, seconds: float) -> TrialRecord:
        """The record of a trial whose loss was no number after these epochs."""
        return cls(
            trial_id=config.trial_id,
            status="diverged",
            config=config,
            epochs=tuple(epochs),
            error=masked(error),
            seconds=seconds,
        )

    @classmethod
    def failed(cls, config: TrialConfig, error: str, seconds: float, traceback: str | None = None) -> TrialRecord:
        """The record of a trial that an error ended; `traceback` is for errors that are no user's mistake.

        Secrets are hidden in both: see `tune_ner.masking`.
        """
        return cls(
            trial_id=config.trial_id,
            status="failed",
            config=config,
            error=masked(error),
            traceback=None if traceback is None else masked(traceback),
            seconds=seconds,
        )

    @property
    def curve(self) -> tuple[EpochMetrics, ...]:
        """Validation figures of every epoch that a trial trained; empty for a failed one."""
        return self.result.epochs if self.result else self.epochs

    @property
    def best_f1(self) -> float | None:
        """The highest validation F1 (seqeval's) of a trial's epochs, by which a search goes; None without an epoch."""
        return max((epoch.f1 for epoch in self.curve), default=None)
