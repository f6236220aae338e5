"""The report: its verdict, its order and its JSON."""

import json

import pytest

from tests.audit.corpora import a_corpus, a_sentence, a_split
from tune_ner.audit.audit import audit_corpus
from tune_ner.audit.findings import AuditReport, Finding, Severity, percent, span_example, worst_first
from tune_ner.data.corpus import Span


def a_finding(severity: Severity, title: str) -> Finding:
    return Finding("kind", severity, title, 1, 2, "effect", "remedy")


def a_report(*findings: Finding) -> AuditReport:
    return AuditReport("made.txt", "f", "whitespace", {}, {}, {}, frozenset(), worst_first(list(findings)))


def test_the_verdict_names_the_worst_and_counts_the_rest() -> None:
    report = a_report(
        a_finding("info", "i"),
        a_finding("warning", "w"),
        *(a_finding("error", title) for title in ("first", "second", "third")),
    )
    assert report.worst == "error"
    assert report.verdict == "audit: error: first; second; 1 more error; 1 warning; 1 note"
    assert [f.severity for f in report.findings] == ["error"] * 3 + ["warning", "info"]


def test_the_verdict_of_little_and_of_nothing() -> None:
    assert a_report().worst is None
    assert a_report().verdict == "audit: nothing found that the scores would suffer from; 0 notes"
    assert a_report(a_finding("info", "i")).verdict.endswith("; 1 note")
    assert a_report(a_finding("warning", "w")).verdict == "audit: warning: w"


def test_findings_from_a_severity_on() -> None:
    report = a_report(a_finding("info", "i"), a_finding("warning", "w"))
    assert report.at_least("error") == ()
    assert [finding.title for finding in report.at_least("warning")] == ["w"]
    assert len(report.at_least("info")) == 2


def test_the_report_is_json() -> None:
    report = audit_corpus(a_corpus(*["Ta <DRUG salva> nu."] * 6), a_split(3, 1, 2))
    plain = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert plain["worst"] == "error"
    assert plain["contaminated"]["exact"] == [4, 5]
    assert plain["parts"]["test"] == {"sentences": 2, "entities": 2, "per_type": {"DRUG": 2}}
    assert plain["baselines"]["gazetteer"]["test"]["f1"] == 1.0
    assert plain["verdict"] == report.verdict
    assert plain["findings"][0]["examples"] == report.findings[0].as_dict()["examples"]


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0 %"), (0.0001, "0.1 %"), (0.043, "4.3 %"), (0.5, "50 %"), (0.9999, "99.9 %"), (1, "100 %")],
)
def test_shares_in_words(share: float, words: str) -> None:
    assert percent(share) == words


def test_an_example_shows_the_span_in_its_context() -> None:
    sentence = a_sentence("Den som länge har haft mycket svår <DISORDER feber> och som inte blir bättre bör söka vård.")
    assert span_example(sentence, sentence.spans[0]).text == (
        "…om länge har haft mycket svår »feber« och som inte blir bättre bör … DISORDER"
    )
    assert span_example(sentence, Span(-3, 2, "X")).text.startswith("»De«")
