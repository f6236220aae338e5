"""Equal words annotated differently."""

from tests.audit.corpora import a_corpus
from tune_ner.audit.checks.label_conflicts import consistency_findings, label_conflicts, unlabelled_forms


def test_forms_of_several_types_are_counted_by_their_rarer_types() -> None:
    marked = ["<DRUG insulin>"] * 6 + ["<BODY Insulin>"] * 2 + ["<DRUG salva>"] * 2
    finding = label_conflicts(a_corpus(*marked).sentences)
    assert finding is not None
    assert (finding.severity, finding.count, finding.of) == ("warning", 2, 10)
    assert finding.figures == {"forms": 1.0, "entities_of_these_forms": 8.0}
    assert finding.examples[0].place == "made.txt:7"
    assert finding.examples[0].text == "»Insulin« BODY (mostly DRUG)"


def test_a_rare_second_meaning_is_only_good_to_know() -> None:
    finding = label_conflicts(a_corpus(*["<DRUG insulin>"] * 99, "<BODY insulin>").sentences)
    assert finding is not None
    assert finding.severity == "info"


def test_places_without_a_label_are_counted_on_word_boundaries() -> None:
    corpus = a_corpus("Ta <DRUG salva>, salvan eller Salva.", "<DRUG salva>", "<DRUG fet salva> är bra.")
    finding = unlabelled_forms(corpus.sentences)
    assert finding is not None
    assert (finding.severity, finding.count, finding.of) == ("warning", 1, 4)
    assert finding.examples[0].text == "Ta salva, salvan eller »Salva«. DRUG (not labelled here)"
    assert "salva (2 with, 1 without)" in finding.effect


def test_consistent_annotation_has_no_finding() -> None:
    assert consistency_findings(a_corpus("Ta <DRUG salva>.", "Mer <DRUG salva>.").sentences) == []
    assert consistency_findings([]) == []
