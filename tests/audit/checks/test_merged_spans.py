"""Merged spans."""

from tests.audit.corpora import a_corpus, plain_corpus
from tune_ner.audit.checks.merged_spans import broken_findings
from tune_ner.audit.findings import Finding
from tune_ner.audit.marker_baseline import learn_rule
from tune_ner.data.corpus import Corpus
from tune_ner.evaluation.seen_entities import EntityMatcher


def findings_of(corpus: Corpus) -> list[Finding]:
    rule = learn_rule(corpus.sentences, corpus.entity_types)
    return broken_findings(rule, EntityMatcher(corpus.sentences, fold_case=True), corpus.sentences, "made.txt")


def test_spans_with_markers_inside_are_counted_with_what_they_swallow() -> None:
    single = [f"Ont i <BODY {{ben{i}}}> ger <DISORDER (feber{i})> ofta." for i in range(20)]
    corpus = a_corpus(*single, "Både <BODY {näsa}, {mun} och {öga}> svider.", "I <BODY {hud} och {hår}>.")
    (finding,) = findings_of(corpus)
    assert (finding.kind, finding.severity, finding.count, finding.of) == ("merged_spans", "warning", 2, 42)
    assert finding.figures == {"merged": 2.0, "annotations_inside": 5.0}
    assert [example.place for example in finding.examples] == ["made.txt:21", "made.txt:22"]
    assert "--markup strip" in finding.remedy


def test_spans_that_begin_and_end_with_known_entities_are_told_as_a_guess() -> None:
    known = ["Ont i <BODY näsan>.", "Ont i <BODY ögat>.", "Ont <DISORDER i magen>."] * 5
    (finding,) = findings_of(a_corpus(*known, "Ont i <BODY näsan och ögat> nu."))
    assert (finding.severity, finding.count) == ("warning", 1)
    assert "heuristic" in finding.effect


def test_a_longer_name_is_not_taken_for_a_merge() -> None:
    known = ["Ont i <BODY örat>.", "Han har <DISORDER ont>.", "Ta <DRUG salva>."] * 5
    assert findings_of(a_corpus(*known, "Han har <DISORDER ont i örat>.", "Ta <DRUG salva salva>.")) == []


def test_plain_text_has_next_to_none() -> None:
    assert all(finding.severity == "info" for finding in findings_of(plain_corpus()))
