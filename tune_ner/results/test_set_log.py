"""The test-set log: a line for each evaluation on a test set, so that a reused test set is recognized.

Selection never reads test metrics. People who run a second search after reading the results of the first do, which the
logs of the runs in a results folder show.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tune_ner.data.corpus import Corpus
from tune_ner.utils.io import append_line

LOG_FILE = "test_set_log.jsonl"

_UNREADABLE = (OSError, ValueError, TypeError, KeyError, RecursionError)


@dataclass(frozen=True)
class EarlierUse:
    """An earlier run that evaluated `trials` trials on the same test set."""

    run: str
    trials: int


def fingerprint_of_split(corpus: Corpus, indices: Sequence[int]) -> str:
    """Return 16 hexadecimal digits of SHA-256 over the texts and gold spans of a split, in any order."""
    rows = sorted(
        repr((corpus.sentences[i].text, [(s.start, s.end, s.label) for s in corpus.sentences[i].spans]))
        for i in indices
    )
    return hashlib.sha256("\n".join(rows).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def log_test_use(run_dir: Path, fingerprint: str, trial_id: str) -> None:
    """Append to the log of a run that a trial was evaluated on a test set.

    Raises:
        OSError: the log cannot be written.
    """
    time = datetime.now(UTC).isoformat(timespec="seconds")
    append_line(run_dir / LOG_FILE, json.dumps({"test_fingerprint": fingerprint, "trial": trial_id, "time": time}))


def used_test_splits(run_dir: Path) -> frozenset[str]:
    """Return the fingerprints of the test sets of a run, one per fold; empty if its log cannot be read."""
    with suppress(*_UNREADABLE):
        return frozenset(line["test_fingerprint"] for line in _lines(run_dir / LOG_FILE))
    return frozenset()


def earlier_uses(results_dir: Path, fingerprints: Sequence[str], exclude: str) -> list[EarlierUse]:
    """Return the runs in a results folder, except `exclude`, that used one of these test sets.

    Unreadable logs are skipped: they must not prevent a new run.
    """
    uses: list[EarlierUse] = []
    for log in sorted(results_dir.glob(f"*/{LOG_FILE}")):
        with suppress(*_UNREADABLE):
            trials = {line["trial"] for line in _lines(log) if line["test_fingerprint"] in fingerprints}
            if trials and log.parent.name != exclude:
                uses.append(EarlierUse(log.parent.name, len(trials)))
    return uses


def _lines(log: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line]
