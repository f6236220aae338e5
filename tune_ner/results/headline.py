"""The outcome of a run at a glance: its best configuration, how certain that is, and how good the data are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tune_ner.audit.findings import Finding, Severity
from tune_ner.results.audits import best_baseline, shared_findings
from tune_ner.results.leaderboard import LeaderboardEntry
from tune_ner.results.prediction_cache import PredictionCache
from tune_ner.results.records import TrialRecord
from tune_ner.results.summary import best_title
from tune_ner.utils.text import plural, signed

_CONCERNS: tuple[Severity, ...] = ("error", "warning")
_MOST_KINDS = 3


@dataclass(frozen=True)
class Fact:
    """A short statement about the outcome; `anchor` is the section of the page that explains it."""

    text: str
    anchor: str


@dataclass(frozen=True)
class Headline:
    """The outcome of a run at a glance.

    Attributes:
        title: title of the best configuration on validation.
        score: its test span F1.
        interval: the 95 % interval of the score.
        facts: ties, the best baseline, the number of seeds, and the audit.
    """

    title: str
    score: str
    interval: str
    facts: tuple[Fact, ...]

    @classmethod
    def of(
        cls, entries: Sequence[LeaderboardEntry], records: Sequence[TrialRecord], cache: PredictionCache
    ) -> Headline | None:
        """Return the headline of a run; None without a completed trial."""
        if not entries:
            return None
        test = entries[0].test
        facts = (_ties(entries), _baseline(entries[0], cache), _repetitions(entries[0]), _audit(cache))
        return cls(
            best_title(entries, records),
            f"{test.estimate:.3f}",
            f"{test.low:.3f} to {test.high:.3f}",
            tuple(fact for fact in facts if fact.text),
        )


def _ties(entries: Sequence[LeaderboardEntry]) -> Fact:
    compared = [entry.tied for entry in entries[1:] if entry.tied is not None]
    others = "other configuration is" if len(compared) == 1 else "other configurations are"
    text = f"{sum(compared)} of {len(compared)} {others} not significantly worse" if compared else ""
    return Fact(text, "leaderboard")


def _baseline(best: LeaderboardEntry, cache: PredictionCache) -> Fact:
    baseline = best_baseline(cache.audits)
    if baseline is None:
        return Fact("", "audit")
    found = cache.improvement(best.records)
    difference = best.test.estimate - baseline.f1
    limits = f", 95 % interval {signed(found.low)} to {signed(found.high)}" if found else ""
    return Fact(f"Best baseline ({baseline.name}) {baseline.f1:.3f} ({signed(difference)}{limits})", "audit")


def _repetitions(best: LeaderboardEntry) -> Fact:
    seeds = len({record.config.seed for record in best.records})
    folds = len({record.config.fold for record in best.records})
    each = f" and {folds} folds" if folds > 1 else ""
    return Fact(f"{plural(seeds, 'seed')}{each} per configuration", "leaderboard")


def _audit(cache: PredictionCache) -> Fact:
    if not cache.audits:
        return Fact("The data was not audited", "audit")
    concerns = [finding for finding in shared_findings(cache.audits) if finding.severity in _CONCERNS]
    counts = Counter(finding.severity for finding in concerns)
    listed = " and ".join(plural(counts[severity], severity) for severity in _CONCERNS if counts[severity])
    return Fact(f"Data audit: {listed or 'no errors or warnings'}{_kinds(concerns)}", "audit")


def _kinds(findings: Sequence[Finding]) -> str:
    """Return the kinds of findings in words, errors first; empty without any."""
    ordered = sorted(findings, key=lambda finding: _CONCERNS.index(finding.severity))
    kinds = list(dict.fromkeys(finding.kind.replace("_", " ") for finding in ordered))
    shown = [*kinds[:_MOST_KINDS], *(["…"] if len(kinds) > _MOST_KINDS else [])]
    return f" ({', '.join(shown)})" if shown else ""
