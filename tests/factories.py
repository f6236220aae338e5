"""Records, run folders and audits for tests that train nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tune_ner.audit.findings import AuditReport, Finding, Severity
from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import Corpus, Sentence, Span, SplitName
from tune_ner.data.splits import Split
from tune_ner.evaluation.seqeval_metrics import SeqevalMetrics, TypeMetrics
from tune_ner.evaluation.span_metrics import score_spans
from tune_ner.results.audits import Audits
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.tagging.probabilities import WordProbabilities, pack
from tune_ner.tagging.tokenization import split_texts
from tune_ner.training.result import EpochMetrics, SplitMetrics, TrialProfile, TrialResult

CORPUS = Corpus(
    name="three",
    sentences=(
        Sentence("a", "Feber kan lindras.", (Span(0, 5, "DISORDER"),)),
        Sentence("b", "Ta [inte] medicin.", (Span(10, 17, "DRUG"),)),
        Sentence("c", "Ont i <b>halsen</b>.", (Span(9, 15, "BODY"),)),
    ),
    entity_types=("DISORDER", "DRUG", "BODY"),
)
SPLIT = Split(train=(0,), validation=(1,), test=(2,))


def a_config(**changes: Any) -> TrialConfig:
    """Return the configuration of a trial with some fields changed."""
    fields: dict[str, Any] = {
        "data_fingerprint": "data",
        "model": "tiny:1x32",
        "tagging_scheme": "BIO",
        "learning_rate": 1e-3,
        "seed": 42,
    }
    return TrialConfig.model_validate({**fields, **changes})


def seqeval_metrics(f1: float) -> SeqevalMetrics:
    """Return metrics whose precision, recall and F1 are all `f1`."""
    return SeqevalMetrics(f1, f1, f1, 0.9, 1, {"DRUG": TypeMetrics(f1, f1, f1, 1)})


def split_metrics(f1: float) -> SplitMetrics:
    """Return metrics whose F1 values are all `f1`."""
    spans = replace(score_spans([], [], ["DRUG"]), precision=f1, recall=f1, f1=f1, support=1)
    return SplitMetrics(
        seqeval_metrics(f1), spans, TypeMetrics(f1, f1, f1, 1), TypeMetrics(f1, f1, f1, 1), seqeval_metrics(f1), 0.0
    )


def a_result(validation: Sequence[float] = (0.5,), test: float = 0.4, cut: int = 0) -> TrialResult:
    """Return a result with these validation F1 by epoch and this test F1; `cut` test entities are lost in encoding."""
    lost: dict[SplitName, int] = {"train": 0, "validation": 0, "test": cut}
    best = max(range(len(validation)), key=lambda index: validation[index])
    return TrialResult(
        epochs=tuple(
            EpochMetrics(number, 1.0 / number, f1, f1, f1, 0.9, f1, f1, f1, None if number == 1 else 0.7)
            for number, f1 in enumerate(validation, start=1)
        ),
        best_epoch=best + 1,
        test_loss=0.3,
        encoding={
            split_name: {"sentences": 1, "entities": 1, "entities_cut": count, "problems": {"overlap": count}}
            for split_name, count in lost.items()
        },
        labels=("O", "B-DRUG"),
        training_log=((50, 0.7),),
        train_loss=0.8,
        precision_used="fp32",
        device="cpu",
        threads=1,
        parameters=1000,
        seconds={"train_and_evaluate": 1.5},
        metrics={"validation": split_metrics(validation[best]), "test": split_metrics(test)},
        predicted_spans={"validation": ((Span(10, 17, "DRUG"),),), "test": ((),)},
        probabilities=_probabilities(),
    )


def _probabilities() -> bytes:
    """Return the stored probabilities of a model that finds these spans in the sentences of `SPLIT`."""
    splits: dict[SplitName, WordProbabilities] = {}
    entities: dict[SplitName, int | None] = {"validation": 2, "test": None}
    for name, found in entities.items():
        words, _, _ = split_texts([CORPUS.sentences[index].text for index in SPLIT[name]], "whitespace")
        values = np.array([[0.2, 0.8] if index == found else [0.9, 0.1] for index in range(len(words))])
        splits[name] = WordProbabilities(words, values, "BIO", ("O", "B-DRUG"))
    return pack(splits)


def a_record(validation: Sequence[float] = (0.5,), test: float = 0.4, **changes: Any) -> TrialRecord:
    """Return the record of a completed trial."""
    cut = changes.pop("cut", 0)
    return TrialRecord.completed(a_config(**changes), a_result(validation, test, cut), seconds=2.0)


STAGE_SECONDS = {"start": 1.0, "load": 2.0, "encode": 3.0, "train": 40.0, "evaluate": 3.0, "save": 0.5}


def a_profile(**changes: Any) -> TrialProfile:
    """Return the profile of a training on 4,000 subwords, 5,000 with padding."""
    fields: dict[str, Any] = {"tokens": 4_000, "computed_tokens": 5_000, "peak_memory_bytes": 10**9}
    return TrialProfile(**{**fields, **changes})


def a_timed_record(
    wall: float = 50.0,
    ended: str = "2026-01-01T00:01:00.000+00:00",
    seconds: Mapping[str, float] = STAGE_SECONDS,
    profile: TrialProfile | None = None,
    batching: str = "padding_free",
    **changes: Any,
) -> TrialRecord:
    """Return the record of a completed trial with these times."""
    record = a_record(**changes)
    assert record.result
    result = replace(record.result, seconds=dict(seconds), profile=profile, batching_used=batching)
    return record.model_copy(update={"result": result, "seconds": wall, "finished_at": ended})


def a_failed_trial(error: str = "model 'x': no weights [here]", **changes: Any) -> TrialRecord:
    """Return the record of a failed trial."""
    return TrialRecord.of(a_config(**changes), "failed", 0.5, error=error)


def a_pruned_trial(f1: Sequence[float] = (0.1, 0.2), **changes: Any) -> TrialRecord:
    """Return the record of a trial that was pruned after epochs with these validation F1."""
    return TrialRecord.of(a_config(**changes), "pruned", 1.0, epochs=tuple(a_result(f1).epochs))


def a_run(
    tmp_path: Path,
    records: Sequence[TrialRecord],
    name: str = "run",
    space: str = "",
    audits: Audits | None = None,
    split: Split = SPLIT,
) -> RunDir:
    """Return a run folder with these records."""
    run_dir = RunDir.new(tmp_path, name)
    run_dir.create(space, audits=audits)
    for record in records:
        run_dir.append(record, CORPUS, split)
    return run_dir


def a_finding(title: str, severity: Severity = "warning", **changes: Any) -> Finding:
    """Return a finding about 2 of 10 items."""
    finding = Finding("made", severity, title, 2, 10, effect="none", suggestion=f"fix {title}")
    return replace(finding, **changes)


def an_audit(*findings: Finding, baselines: Mapping[str, float] | None = None, **changes: Any) -> AuditReport:
    """Return the audit of one fold; `baselines` holds a test F1 by name."""
    report = AuditReport(
        corpus="made",
        data_fingerprint="data",
        word_tokenizer="whitespace",
        splits={},
        baselines={name: {"test": split_metrics(f1).spans} for name, f1 in (baselines or {}).items()},
        test_sentences_in_train={},
        seen_entities=frozenset(),
        findings=findings,
    )
    return replace(report, **changes)
