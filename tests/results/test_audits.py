import json
from pathlib import Path

import pytest

from tests.factories import a_finding, a_run, an_audit
from tune_ner.errors import RunFolderError
from tune_ner.results.audits import (
    Audits,
    BestBaseline,
    best_baseline,
    highest_severity,
    read_audits,
    shared_findings,
    shared_summaries,
)


def test_baseline_is_the_best_of_each_fold_averaged() -> None:
    assert best_baseline({}) is None
    audits: Audits = {0: an_audit(baselines={"a": 0.2, "b": 0.6}), 1: an_audit(baselines={"a": 0.4})}
    found = best_baseline(audits)
    assert found
    assert found.f1 == pytest.approx(0.5)
    assert best_baseline({None: an_audit(baselines={"gazetteer": 0.2, "crf": 0.6})}) == BestBaseline("a CRF", 0.6)


def test_findings_of_several_folds_are_merged_most_severe_first() -> None:
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
    assert [severity for severity, _ in shared_summaries(audits)] == ["warning", None]
    assert [text.partition(":")[0] for _, text in shared_summaries(audits)] == ["folds 0, 2", "fold 1"]
    assert shared_summaries({None: an_audit()}) == [(None, an_audit().summary)]


def test_highest_severity_is_that_of_all_folds() -> None:
    assert highest_severity({}) == "not audited"
    assert highest_severity({0: an_audit()}) == "none"
    assert highest_severity({0: an_audit(a_finding("a")), 1: an_audit(a_finding("b", "error"))}) == "error"


def test_stored_audits_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = an_audit(
        a_finding("small"),
        baselines={"gazetteer": 0.2},
        test_sentences_in_train={"near": (1, 2)},
        seen_entities=frozenset({"feber"}),
    )
    audits: Audits = {0: written, 1: an_audit()}
    assert a_run(tmp_path, [], audits=audits).audits() == audits
    assert a_run(tmp_path, [], "other").audits() == {}


@pytest.mark.parametrize("content", ["{", "3", "[3]", '[{"fold": null}]', '{"fold": {}}', '[{"fold": "x"}]'])
def test_corrupt_audit_is_an_error_with_the_path(tmp_path: Path, content: str) -> None:
    file = tmp_path / "audit.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"audit\.json"):
        read_audits(file)


def test_missing_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    audit = {"fold": None, **an_audit().as_dict()}
    del audit["baselines"]
    file.write_text(json.dumps([audit]))
    with pytest.raises(RunFolderError, match="baselines"):
        read_audits(file)
