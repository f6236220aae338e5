"""Runs made by hand for the tests of reports."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.factories import (
    a_config,
    a_failed_trial,
    a_finding,
    a_profile,
    a_pruned_trial,
    a_record,
    a_run,
    a_timed_record,
    an_audit,
)
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results

GRID = "data: corpus.jsonl\nmodel: [tiny:1x32, tiny:2x64]\nlearning_rate: [1.0e-3, 2.0e-3]\nseed: [1, 2]\n"
SEARCH = "model: tiny:1x32\nlearning_rate: {loguniform: [1.0e-5, 1.0e-2]}\nseed: 42\n"
_END = "2026-01-01T00:0{minute}:00.000+00:00"


def a_grid(folder: Path, name: str = "grid") -> RunDir:
    """A grid with two encoders, learning rates and seeds; its last two trials failed and were pruned."""
    settings = [(model, rate) for model in ("tiny:1x32", "tiny:2x64") for rate in (1e-3, 2e-3)]
    records: list[TrialRecord] = [
        a_timed_record(
            ended=_END.format(minute=1 + place),
            profile=a_profile(),
            validation=(0.2, 0.3 + 100 * rate + seed / 100),
            test=0.4,
            model=model,
            learning_rate=rate,
            seed=seed,
            epochs=2,
        )
        for place, (model, rate) in enumerate(settings[:3])
        for seed in (1, 2)
    ]
    last: dict[str, Any] = {"model": "tiny:2x64", "learning_rate": 2e-3, "epochs": 2}
    records.append(_at(a_failed_trial(seed=1, **last), 5))
    records.append(_at(a_pruned_trial((0.1,), seed=2, **last), 6))
    audits: dict[int | None, Any] = {None: an_audit(a_finding("a leak", "error"), a_finding("a typo"))}
    return a_run(folder, records, name, GRID, audits)


def a_search(folder: Path) -> RunDir:
    """A search of 13 trials, one of which was confirmed."""
    searched = [
        TrialRecord.searched(record.config, record.curve, 1.0)
        for record in (a_record((place / 20,), learning_rate=1e-4 * place) for place in range(1, 14))
    ]
    diverged = TrialRecord.of(a_config(learning_rate=9e-3), "diverged", 1.0, phase="search", error="loss is nan")
    confirmed = a_record((0.5,), learning_rate=13e-4, seed=7)
    ends = [*searched, diverged, confirmed]
    return a_run(folder, [_at(record, 1) for record in ends], "search", SEARCH)


def results_of(folder: Path, records: Sequence[TrialRecord], name: str = "run", space: str = "") -> Results:
    """The results of a run with these records."""
    return Results(a_run(folder, records, name, space))


def _at(record: TrialRecord, minute: int) -> TrialRecord:
    return record.model_copy(update={"finished_at": _END.format(minute=minute)})


def anonymous(text: str, folder: Path | None = None) -> str:
    """The text with placeholders for trial ids and the folder, and without spaces at the ends of lines."""
    shown = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    shown = shown.replace(str(folder), "<folder>") if folder else shown
    return re.sub(r"\b[0-9a-f]{12}\b", "<trial id>", shown)
