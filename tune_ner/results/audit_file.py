"""The audit that a run keeps: what its tables are made of, checked when it is read."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from tune_ner.audit.findings import Severity


class _Kept(BaseModel):
    model_config = ConfigDict(strict=True)


class _Score(_Kept):
    f1: float


class _ByPart(_Kept):
    test: _Score


class _Finding(_Kept):
    severity: Severity
    title: str
    count: int
    total: int
    suggestion: str


class _Audit(_Kept):
    fold: int | None
    summary: str
    severity: Severity | None
    baselines: dict[str, _ByPart]
    test_sentences_in_train: dict[str, list[int]]
    seen_entities: list[str] | None = None
    findings: list[_Finding]


_AUDITS = TypeAdapter(list[_Audit])


def parse_audits(content: bytes) -> dict[int | None, dict[str, Any]]:
    """The audit of each fold (or of None) as plain data, with all that it was written with.

    Raises:
        ValueError: it is no JSON, or lacks something.
    """
    _AUDITS.validate_json(content)
    return {audit["fold"]: audit for audit in json.loads(content)}
