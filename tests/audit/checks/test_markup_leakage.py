"""Annotation that is left in the text."""

from tests.audit.corpora import (
    BRACKETS,
    make_corpus,
    plain_corpus,
    plain_split,
    run,
    same_markers,
    sentences_at,
    with_markers,
)
from tune_ner.audit.boundary_markers import learn_markers
from tune_ner.audit.checks.markup_leakage import MarkupLeakage, measure_agreement
from tune_ner.audit.findings import Finding
from tune_ner.data.corpus import Corpus


def findings_of(corpus: Corpus) -> list[Finding]:
    return run(MarkupLeakage(), corpus, plain_split(), data_option="made.txt")


def test_plain_text_has_no_finding() -> None:
    assert findings_of(plain_corpus()) == []


def test_brackets_are_an_error_with_a_command_as_suggestion() -> None:
    (finding,) = findings_of(with_markers(plain_corpus(), BRACKETS, inside=True))
    assert (finding.kind, finding.severity) == ("marker_baseline", "error")
    assert finding.count == finding.total == sum(len(s.spans) for s in sentences_at(plain_corpus(), plain_split().test))
    assert "`--data made.txt --markup strip`" in finding.suggestion
    assert finding.values["test_f1"] == finding.values["start_coverage"] == finding.values["end_precision"] == 1.0
    assert len(finding.examples) == 5
    assert all(example.location.startswith("synthetic:") and "»" in example.text for example in finding.examples)


def test_markers_without_types_are_an_error() -> None:
    (finding,) = findings_of(with_markers(plain_corpus(), same_markers("**", "**")))
    assert finding.severity == "error"
    assert "`**`" in finding.title
    assert finding.values["test_f1_without_types"] == 1.0
    assert "--markup strip" not in finding.suggestion


def test_markers_of_one_type_are_an_error_for_this_type() -> None:
    findings = findings_of(with_markers(plain_corpus(), {"DRUG": ("[", "]")}))
    assert (findings[0].kind, findings[0].severity) == ("marker_baseline", "error")
    assert findings[0].values == {"test_f1_DRUG": 1.0}
    drugs = sum(s.label == "DRUG" for x in sentences_at(plain_corpus(), plain_split().test) for s in x.spans)
    assert findings[0].count == drugs
    assert all(example.text.endswith("DRUG") for example in findings[0].examples)


def test_space_before_punctuation_is_a_warning_with_its_coverage() -> None:
    corpus = with_markers(plain_corpus(), {}, moved_space=True)
    (finding,) = findings_of(corpus)
    # commas follow entities in this text anyway, so their spacing is not informative
    spaced = sum(
        s.text[span.end : span.end + 1] == " " and s.text[span.end + 1] in ".?"
        for s in sentences_at(corpus, plain_split().test)
        for span in s.spans
    )
    assert (finding.kind, finding.severity, finding.count) == ("boundary_markers", "warning", spaced)
    assert finding.values["precision"] == 1.0
    assert finding.values["coverage"] == spaced / finding.total


def test_marker_before_every_entity_is_an_error_even_without_end_markers() -> None:
    findings = findings_of(with_markers(plain_corpus(), same_markers("^", "")))
    assert [finding.severity for finding in findings] == ["error"]


def test_agreement_counts_places_and_entities() -> None:
    corpus = make_corpus(*("Ta #<DRUG salva> nu och <DRUG kräm> sedan." for _ in range(10)))
    markers = learn_markers(corpus.sentences, "start")
    test = make_corpus("Ta #<DRUG salva> nu och <DRUG kräm> #sedan.")
    assert measure_agreement(markers, test.sentences) == (2, 1, 0.5, 1, 2, 0.5)
    assert measure_agreement(markers, []) == (0, 0, 0.0, 0, 0, 0.0)
