"""The audit stored with a run: reading `audit.json`, and the findings of all folds together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from pydantic import TypeAdapter, ValidationError

from tune_ner.audit.findings import SEVERITIES, AuditReport, Finding, Severity
from tune_ner.errors import RunFolderError
from tune_ner.utils.io import first_problem, read_json

Audits = Mapping[int | None, AuditReport]
"""The audit of each fold, or of None for a single split."""

BASELINE_NAMES = {"gazetteer": "a list of the train entities", "boundary_markers": "boundary markers", "crf": "a CRF"}

_REPORT = TypeAdapter(AuditReport)
_FOLD = TypeAdapter(int | None)


def read_audits(file: Path) -> dict[int | None, AuditReport]:
    """Return the stored audit of each fold; empty if the run was not audited.

    Raises:
        RunFolderError: the file is unreadable or lacks a key.
    """
    if not file.exists():
        return {}
    content = read_json(file)
    try:
        return {_FOLD.validate_python(audit["fold"]): _REPORT.validate_python(audit) for audit in content}
    except ValidationError as error:
        raise RunFolderError(f"{file}: not an audit of this version: {first_problem(error)}") from error
    except (TypeError, KeyError) as error:
        raise RunFolderError(f"{file}: not an audit of this version: expected a list of audits with `fold`") from error


@dataclass(frozen=True)
class BestBaseline:
    """The best baseline without an encoder: its name, and its test span F1, the mean over folds."""

    name: str
    f1: float


def best_baseline(audits: Audits) -> BestBaseline | None:
    """Return the best baseline on test; its name is that in most folds. None without an audit."""
    best = [
        max(((scores["test"].f1, name) for name, scores in audit.baselines.items()), default=(0.0, ""))
        for audit in audits.values()
    ]
    if not best:
        return None
    (name, _), *_ = Counter(name for _, name in best).most_common(1)
    return BestBaseline(BASELINE_NAMES.get(name, name), fmean(f1 for f1, _ in best))


def highest_severity(audits: Audits) -> str:
    """Return the highest severity of all folds, `none` without findings, or `not audited`."""
    if not audits:
        return "not audited"
    return min((a.severity for a in audits.values() if a.severity), key=SEVERITIES.index, default="none")


def shared_findings(audits: Audits) -> list[Finding]:
    """Return the errors, then the warnings of all folds, equal ones merged; titles start with the folds unless all."""
    folds: dict[Severity, dict[str, tuple[Finding, list[int | None]]]] = {"error": {}, "warning": {}, "info": {}}
    for fold, audit in audits.items():
        for finding in audit.findings:
            key = f"{finding.title}{finding.count}{finding.total}{finding.suggestion}"
            folds[finding.severity].setdefault(key, (finding, []))[1].append(fold)
    shown = [*folds["error"].values(), *folds["warning"].values()]
    return [replace(finding, title=f"{_prefix(where, audits)}{finding.title}") for finding, where in shown]


def shared_summaries(audits: Audits) -> list[tuple[Severity | None, str]]:
    """Return the highest severity and the summary of each fold; equal ones are merged."""
    folds: dict[tuple[Severity | None, str], list[int | None]] = {}
    for fold, audit in audits.items():
        folds.setdefault((audit.severity, audit.summary), []).append(fold)
    return [(severity, f"{_prefix(where, audits)}{text}") for (severity, text), where in folds.items()]


def _prefix(folds: Sequence[int | None], audits: Audits) -> str:
    if len(set(folds)) == len(audits):
        return ""
    return f"fold{'' if len(set(folds)) == 1 else 's'} {', '.join(map(str, dict.fromkeys(folds)))}: "
