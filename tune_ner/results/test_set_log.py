"""The test ledger: each use of a test part, so that a part that was used before is not taken for fresh.

Every figure on a test part that somebody has seen can steer what they try next. Selection here never reads
test figures, but a person who runs a second search after reading the first one's does, and the ledgers of the
runs in one results folder tell.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tune_ner.data.corpus import Corpus

LEDGER_NAME = "test_uses.jsonl"


@dataclass(frozen=True)
class EarlierUse:
    """An earlier run that measured on the same test part, and with how many trials."""

    run: str
    trials: int


def fingerprint_of_split(corpus: Corpus, test: Sequence[int]) -> str:
    """Sixteen hexadecimal digits of SHA-256 over texts and gold spans of a test part, in any order."""
    rows = sorted(
        repr((corpus.sentences[i].text, [(s.start, s.end, s.label) for s in corpus.sentences[i].spans])) for i in test
    )
    return hashlib.sha256("\n".join(rows).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def record_use(folder: Path, fingerprint: str, trial_id: str) -> None:
    """Append to the run's ledger that a trial was measured on a test part."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    line = json.dumps({"test_fingerprint": fingerprint, "trial": trial_id, "time": time})
    with (folder / LEDGER_NAME).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def used_test_splits(folder: Path) -> frozenset[str]:
    """Fingerprints of the test parts that a run measured on, one a fold; empty where its ledger cannot be read."""
    try:
        return frozenset(line["test_fingerprint"] for line in _lines(folder / LEDGER_NAME))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return frozenset()


def earlier_uses(results_dir: Path, fingerprints: Sequence[str], but: str) -> list[EarlierUse]:
    """The runs in a results folder, except the one named `but`, that used one of these test parts.

    A ledger that cannot be read counts as no use: it must not keep a new run from starting.
    """
    uses: list[EarlierUse] = []
    for ledger in sorted(results_dir.glob(f"*/{LEDGER_NAME}")):
        if ledger.parent.name != but and (trials := _trials_on(ledger, set(fingerprints))):
            uses.append(EarlierUse(ledger.parent.name, trials))
    return uses


def _trials_on(ledger: Path, fingerprints: set[str]) -> int:
    try:
        return len({line["trial"] for line in _lines(ledger) if line["test_fingerprint"] in fingerprints})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return 0


def _lines(ledger: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines() if line]
