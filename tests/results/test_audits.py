import json
from pathlib import Path
from typing import Any

import pytest

from tests.factories import a_finding, an_audit
from tune_ner.data.corpus import Span
from tune_ner.errors import RunFolderError
from tune_ner.results.audits import (
    baseline_f1,
    highest_severity,
    read_audits,
    seen_entities,
    sentences_in_train,
    shared_findings,
    shared_summaries,
)

Audits = dict[int | None, dict[str, Any]]


def test_baseline_is_the_best_of_each_fold_averaged() -> None:
    assert baseline_f1({}) is None
    one = an_audit(baselines={"a": {"test": {"f1": 0.2}}, "b": {"test": {"f1": 0.6}}})
    other = an_audit(baselines={"a": {"test": {"f1": 0.4}}})
    assert baseline_f1({0: one, 1: other}) == pytest.approx(0.5)


def test_test_sentences_in_train_and_seen_entities_belong_to_a_fold() -> None:
    one = an_audit(test_sentences_in_train={"near": [1, 2]}, seen_entities=["feber"])
    other = an_audit(test_sentences_in_train={"near": [], "exact": [7]})
    audits: Audits = {0: one, 1: other}
    assert [sentences_in_train(audits, fold) for fold in (0, 1, None)] == [{1, 2}, {7}, set()]
    known = seen_entities(audits, 0)
    assert known
    assert known.is_seen(Span(0, 5, "X"), "Feber kan lindras.")
    assert seen_entities(audits, 1) is None


def test_findings_of_several_folds_are_merged_worst_first() -> None:
    warning, error, info = a_finding("twins"), a_finding("leak", "error"), a_finding("note", "info")
    audits: Audits = {0: an_audit(warning, info), 1: an_audit(warning, error)}
    assert [(f.severity, f.title, f.count, f.total) for f in shared_findings(audits)] == [
        ("error", "fold 1: leak", 2, 10),
        ("warning", "twins", 2, 10),
    ]
    three: Audits = {**audits, 2: an_audit()}
    assert [finding.title for finding in shared_findings(three)] == ["fold 1: leak", "folds 0, 1: twins"]


def test_equal_summaries_are_merged() -> None:
    audits: Audits = {0: an_audit(a_finding("small")), 1: an_audit(), 2: an_audit(a_finding("small"))}
    assert shared_summaries(audits) == [
        ("warning", "folds 0, 2: audit: warning: small"),
        (None, "fold 1: audit: no errors or warnings"),
    ]
    assert shared_summaries({None: an_audit()}) == [(None, "audit: no errors or warnings")]


def test_highest_severity_is_that_of_all_folds() -> None:
    assert highest_severity({}) == "not audited"
    assert highest_severity({0: an_audit()}) == "none"
    assert highest_severity({0: an_audit(a_finding("a")), 1: an_audit(a_finding("b", "error"))}) == "error"


def test_stored_audits_are_read(tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    assert read_audits(file) == {}
    file.write_text(json.dumps([{"fold": None, **an_audit(a_finding("small"))}]))
    assert read_audits(file)[None]["findings"] == [a_finding("small")]


@pytest.mark.parametrize("content", ["{", "3", "[3]", '[{"fold": null}]', '{"fold": {}}'])
def test_corrupt_audit_is_an_error_with_the_path(tmp_path: Path, content: str) -> None:
    file = tmp_path / "audit.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"audit\.json"):
        read_audits(file)
