"""The report: its summary, order, JSON and tables."""

import json

import pytest

from tests.audit.corpora import make_corpus, make_sentence, make_split
from tune_ner.audit.audit import audit
from tune_ner.audit.findings import AuditReport, Finding, Severity, percent, severity_by_share, span_example
from tune_ner.data.corpus import Span


def make_finding(severity: Severity, title: str) -> Finding:
    return Finding("kind", severity, title, 1, 2, "effect", "suggestion")


def make_report(*findings: Finding) -> AuditReport:
    return AuditReport("made.txt", "f", "whitespace", {}, {}, {}, frozenset(), findings)


def test_summary_names_the_most_severe_findings_and_counts_the_others() -> None:
    report = make_report(
        *(make_finding("error", title) for title in ("first", "second", "third")),
        make_finding("warning", "w"),
        make_finding("info", "i"),
    )
    assert report.severity == "error"
    assert report.summary == "audit: error: first; second; 1 more error; 1 warning; 1 note"


def test_summary_without_errors() -> None:
    assert make_report().severity is None
    assert make_report().summary.endswith("; 0 notes")
    assert make_report(make_finding("info", "i")).summary.endswith("; 1 note")
    assert make_report(make_finding("warning", "w")).summary == "audit: warning: w"


def test_findings_of_at_least_a_severity() -> None:
    report = make_report(make_finding("warning", "w"), make_finding("info", "i"))
    assert report.at_least("error") == ()
    assert [finding.title for finding in report.at_least("warning")] == ["w"]
    assert len(report.at_least("info")) == 2


def test_report_as_json() -> None:
    report = audit(make_corpus(*["Ta <DRUG salva> nu."] * 6), make_split(3, 1, 2))
    plain = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert plain["severity"] == "error"
    assert plain["summary"] == report.summary
    assert plain["test_sentences_in_train"]["exact"] == [4, 5]
    assert plain["splits"]["test"] == {"sentences": 2, "entities": 2, "per_type": {"DRUG": 2}}
    assert plain["baselines"]["gazetteer"]["test"]["f1"] == 1.0
    assert plain["seen_entities"] == ["salva"]
    severities = [finding["severity"] for finding in plain["findings"]]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    examples = next(finding["examples"] for finding in plain["findings"] if finding["examples"])
    assert set(examples[0]) == {"location", "text", "highlight"}


def test_report_as_tables() -> None:
    report = audit(make_corpus(*["Ta <DRUG salva> nu."] * 6), make_split(3, 1, 2))
    assert report.splits_table().to_dict("list") == {
        "number of": ["sentences", "entities", "  DRUG"],
        "train": [3, 3, 3],
        "validation": [1, 1, 1],
        "test": [2, 2, 2],
    }
    assert list(report.baselines_table()["span_f1"]) == [1.0] * 4  # of both baselines on validation and test


def test_report_escapes_html() -> None:
    report = make_report(make_finding("error", "<b>bold</b>"))
    assert "&lt;b&gt;bold" in report._repr_html_()


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.0001, "0.1 %"), (0.043, "4.3 %"), (0.5, "50 %"), (0.9999, "99.9 %"), (1, "100 %")],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_severity_by_share() -> None:
    assert [severity_by_share(count, 100) for count in (0, 1)] == ["info", "warning"]
    assert severity_by_share(3, 100, 0.05) == "info"
    assert severity_by_share(0, 0) == "info"


def test_example_shows_the_span_in_context() -> None:
    sentence = make_sentence(
        "Den som länge har haft mycket svår <DISORDER feber> och som inte blir bättre bör söka vård."
    )
    assert span_example(sentence, sentence.spans[0]).text == (
        "…om länge har haft mycket svår »feber« och som inte blir bättre bör … DISORDER"
    )
    assert span_example(sentence, Span(-3, 2, "X")).text.startswith("»De«")
