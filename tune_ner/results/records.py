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
from tune_ner.utils.text import redact

RECORD_FORMAT = 2

Status = Literal["completed", "pruned", "early_stopped", "diverged", "failed"]
Phase = Literal["search", "final"]


def _check_keys(where: str, found: Mapping[Any, Any], expected: Sequence[str]) -> None:
    missing = [key for key in expected if key not in found]
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class TrialRecord(BaseModel):
    """A trial that ended: its configuration, and its result, its error or the epochs it trained.

    Attributes:
        format: version of this format.
        status: `completed`; `pruned` by the scheduler; `early_stopped`: by its patience or target F1, before the last
            epoch; `diverged`: its loss became NaN or infinite; `failed`: see `error`.
        phase: `search` for a trial of a search, measured on validation only; `final` for one measured on test.
        result: metrics of a trial that was measured on test.
        epochs: validation metrics by epoch, where there is no `result`.
        seconds: wall time from the start in a worker to the end.
        finished_at: end of the trial, UTC, ISO 8601.
        versions: versions of the libraries that affect metrics.
    """

    # the loss of a diverged trial is NaN or infinite, which JSON has no form for
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    format: int = RECORD_FORMAT
    trial_id: str
    status: Status
    phase: Phase
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
    def _check_format(cls, number: int) -> int:
        if number != RECORD_FORMAT:
            age = "older" if number < RECORD_FORMAT else "newer"
            raise PydanticCustomError(
                "other_format",
                "written by an {age} version of tune_ner (record format {found}, expected {known}); use that version "
                "to read this run",
                {"age": age, "found": number, "known": RECORD_FORMAT},
            )
        return number

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Pydantic sees to the types; what tables look up by name must be there too, and scores must be scores."""
        for epoch in self.curve:
            for name, value in vars(epoch).items():
                if name.startswith("validation_") and name != "validation_loss" and not 0 <= value <= 1:
                    raise ValueError(f"epoch {epoch.epoch}: found {name} {value}, expected 0 to 1")
        if self.result:
            if not 1 <= self.result.best_epoch <= len(self.result.epochs):
                best, count = self.result.best_epoch, len(self.result.epochs)
                raise ValueError(f"result.best_epoch: found {best}, expected one of {count} epochs")
            _check_keys("result.metrics", self.result.metrics, ("validation", "test"))
            for split_name, scores in self.result.metrics.items():
                _check_keys(f"result.metrics.{split_name}.spans.matches", scores.spans.matches, SCHEMAS)
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
    def of(
        cls,
        config: TrialConfig,
        status: Status,
        seconds: float,
        *,
        phase: Phase = "final",
        **outcome: Any,
    ) -> TrialRecord:
        """Return the record of a trial that ended now; secrets in `error` and `traceback` are redacted.

        Args:
            config: the trial's configuration.
            status: how it ended.
            seconds: wall time in the worker.
            phase: whether the trial belongs to a search or is measured on test.
            outcome: `result`, `epochs`, `error` and `traceback`, as far as there are any.
        """
        for key in ("error", "traceback"):
            if outcome.get(key) is not None:
                outcome[key] = redact(outcome[key])
        return cls(trial_id=config.trial_id, status=status, phase=phase, config=config, seconds=seconds, **outcome)

    @classmethod
    def completed(cls, config: TrialConfig, result: TrialResult, seconds: float) -> TrialRecord:
        """Return the record of a trial that was measured on test."""
        return cls.of(config, _end_status(config, result.epochs), seconds, result=result)

    @classmethod
    def searched(cls, config: TrialConfig, epochs: Sequence[EpochMetrics], seconds: float) -> TrialRecord:
        """Return the record of a completed trial of a search, which is measured on validation only."""
        return cls.of(config, _end_status(config, epochs), seconds, phase="search", epochs=tuple(epochs))

    @property
    def is_trained(self) -> bool:
        """Whether the trial was trained to its end: status `completed` or `early_stopped`."""
        return self.status in ("completed", "early_stopped")

    @property
    def curve(self) -> tuple[EpochMetrics, ...]:
        """Validation metrics of every epoch; empty for a failed trial."""
        return self.result.epochs if self.result else self.epochs

    @property
    def best_score(self) -> float | None:
        """Highest validation value of the selection metric over all epochs; None without an epoch."""
        return max((epoch.score(self.config.selection_metric) for epoch in self.curve), default=None)


def _end_status(config: TrialConfig, epochs: Sequence[EpochMetrics]) -> Status:
    """Return `early_stopped` if the trial was trained to its end, but in fewer epochs than configured."""
    can_stop = config.target_f1 is not None or config.early_stopping_patience is not None
    return "early_stopped" if can_stop and len(epochs) < config.epochs else "completed"
