"""The audit stored with a run: reading `audit.json`, and the findings of all folds together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from tune_ner.audit.findings import Severity
from tune_ner.errors import RunFolderError
from tune_ner.evaluation.seen_entities import SeenEntities
from tune_ner.utils.io import first_problem, read_json

Audits = Mapping[int | None, Mapping[str, Any]]
"""The audit of each fold, or of None for a single split, as plain data."""

_SHOWN: tuple[Severity, ...] = ("error", "warning")


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True)


class _Score(_Stored):
    f1: float


class _Baseline(_Stored):
    test: _Score


class _Finding(_Stored):
    severity: Severity
    title: str
    count: int
    total: int
    suggestion: str


class _Audit(_Stored):
    fold: int | None
    summary: str
    severity: Severity | None
    baselines: dict[str, _Baseline]
    test_sentences_in_train: dict[str, list[int]]
    seen_entities: list[str] | None = None
    findings: list[_Finding]


_AUDITS = TypeAdapter(list[_Audit])


def read_audits(file: Path) -> dict[int | None, dict[str, Any]]:
    """Return the stored audit of each fold; empty if the run was not audited.

    Raises:
        RunFolderError: the file is unreadable or lacks a key.
    """
    if not file.exists():
        return {}
    content = read_json(file)
    try:
        _AUDITS.validate_python(content)
    except ValidationError as error:
        raise RunFolderError(f"{file}: not an audit of this version: {first_problem(error)}") from error
    return {audit["fold"]: audit for audit in content}


def baseline_f1(audits: Audits) -> float | None:
    """Return the test span F1 of the best baseline without a model, the mean over folds; None without an audit."""
    best = [
        max((scores["test"]["f1"] for scores in audit["baselines"].values()), default=0.0) for audit in audits.values()
    ]
    return fmean(best) if best else None


def sentences_in_train(audits: Audits, fold: int | None) -> frozenset[int]:
    """Return the corpus indices of the test sentences that also occur in train, near-duplicates included."""
    levels = audits.get(fold, {}).get("test_sentences_in_train", {})
    return frozenset(index for indices in levels.values() for index in indices)


def seen_entities(audits: Audits, fold: int | None) -> SeenEntities | None:
    """Return the entities that occur in train; None if they were not recorded."""
    entities = audits.get(fold, {}).get("seen_entities")
    return None if entities is None else SeenEntities(frozenset(entities))


def highest_severity(audits: Audits) -> str:
    """Return the highest severity of all folds, `none` without findings, or `not audited`."""
    found = {str(audit["severity"] or "none") for audit in audits.values()}
    return next((severity for severity in ("error", "warning", "info", "none") if severity in found), "not audited")


@dataclass(frozen=True)
class SharedFinding:
    """A finding of one or more folds: its title starts with the folds unless all share it."""

    severity: Severity
    title: str
    count: int
    total: int
    suggestion: str


def shared_findings(audits: Audits) -> list[SharedFinding]:
    """Return the errors, then the warnings of all folds; equal findings are merged."""
    folds: dict[tuple[Any, ...], list[int | None]] = {}
    for fold, audit in audits.items():
        for finding in audit["findings"]:
            if finding["severity"] in _SHOWN:
                key = tuple(finding[name] for name in ("severity", "title", "count", "total", "suggestion"))
                folds.setdefault(key, []).append(fold)
    ordered = sorted(folds, key=lambda key: _SHOWN.index(key[0]))
    return [
        SharedFinding(severity, f"{_prefix(folds[key], audits)}{title}", count, total, suggestion)
        for key in ordered
        for severity, title, count, total, suggestion in [key]
    ]


def shared_summaries(audits: Audits) -> list[tuple[Severity | None, str]]:
    """Return the highest severity and the summary of each fold; equal ones are merged."""
    folds: dict[tuple[Severity | None, str], list[int | None]] = {}
    for fold, audit in audits.items():
        folds.setdefault((audit["severity"], audit["summary"]), []).append(fold)
    return [(severity, f"{_prefix(where, audits)}{text}") for (severity, text), where in folds.items()]


def _prefix(folds: list[int | None], audits: Audits) -> str:
    unique = list(dict.fromkeys(folds))
    if len(unique) == len(audits):
        return ""
    return f"fold{'' if len(unique) == 1 else 's'} {', '.join(map(str, unique))}: "
