"""Spans that contain several entities."""

from tests.audit.corpora import make_corpus, make_split, plain_corpus, run
from tune_ner.audit.checks.merged_spans import MergedSpans


def test_spans_with_markers_inside_are_counted() -> None:
    single = [f"Ont i <BODY {{ben{i}}}> ger <DISORDER (feber{i})> ofta." for i in range(20)]
    corpus = make_corpus(*single, "Både <BODY {näsa}, {mun} och {öga}> svider.", "I <BODY {hud} och {hår}>.")
    (finding,) = run(MergedSpans(), corpus, make_split(10, 2, 10), data_option="made.txt")
    assert (finding.kind, finding.severity, finding.count, finding.total) == ("merged_spans", "warning", 2, 42)
    assert finding.values == {"merged": 2, "annotations_inside": 5}
    assert [example.location for example in finding.examples] == ["made.txt:21", "made.txt:22"]
    assert "--markup strip" in finding.suggestion


def test_spans_that_start_and_end_with_known_entities_are_found() -> None:
    known = ["Ont i <BODY näsan>.", "Ont i <BODY ögat>.", "Ont <DISORDER i magen>."] * 5
    (finding,) = run(MergedSpans(), make_corpus(*known, "Ont i <BODY näsan och ögat> nu."))
    assert (finding.severity, finding.count) == ("info", 1)


def test_longer_name_is_not_a_merged_span() -> None:
    known = ["Ont i <BODY örat>.", "Han har <DISORDER ont>.", "Ta <DRUG salva>."] * 5
    corpus = make_corpus(*known, "Han har <DISORDER ont i örat>.", "Ta <DRUG salva salva>.")
    assert run(MergedSpans(), corpus) == []


def test_plain_text_has_no_warning() -> None:
    assert all(finding.severity == "info" for finding in run(MergedSpans(), plain_corpus()))
