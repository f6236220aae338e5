"""Texts that are annotated inconsistently."""

import pytest

from tests.audit.corpora import make_corpus, run
from tune_ner.audit.checks.label_conflicts import AnnotationConflicts, LabelConflicts, UnlabelledEntities


def test_conflicts_count_the_less_frequent_types() -> None:
    annotated = ["<DRUG insulin>"] * 6 + ["<BODY Insulin>"] * 2 + ["<DRUG salva>"] * 2
    (finding,) = run(LabelConflicts(), make_corpus(*annotated))
    assert (finding.severity, finding.count, finding.total) == ("info", 2, 10)
    assert finding.values == {"texts": 1, "occurrences": 8}
    assert finding.examples[0].location == "made.txt:7"
    assert finding.examples[0].text == "»Insulin« BODY (usually DRUG)"


def test_unlabelled_occurrences_are_counted_on_word_boundaries() -> None:
    corpus = make_corpus(
        "Ta <DRUG salva>, salvan eller Salva.", *["<DRUG salva>"] * 3, "<DRUG fet salva> är bra.", "Ta salvan och fet."
    )
    (finding,) = run(UnlabelledEntities(), corpus)
    assert (finding.severity, finding.count, finding.total) == ("info", 1, 6)
    assert finding.examples[0].text == "Ta salva, salvan eller »Salva«. DRUG (not labelled here)"
    assert "salva (4 labelled, 1 not)" in finding.effect


@pytest.mark.parametrize(("labelled", "unlabelled"), [(3, 1), (2, 0), (1, 12), (2, 1)])
def test_words_that_are_often_no_entity_are_not_missing_annotation(labelled: int, unlabelled: int) -> None:
    corpus = make_corpus(*["<DRUG i>"] * labelled, *["Ont i magen."] * unlabelled)
    assert run(UnlabelledEntities(), corpus) == []


def test_consistent_annotation_has_no_finding() -> None:
    for corpus in (make_corpus("Ta <DRUG salva>.", "Mer <DRUG salva>."), make_corpus()):
        assert run(LabelConflicts(), corpus) == run(UnlabelledEntities(), corpus) == []


def test_equal_sentences_with_different_annotations_are_found() -> None:
    corpus = make_corpus("Ta <DRUG salva> mot klåda.", "Ta <DRUG salva> mot <DISORDER klåda>.", "Ta <DRUG gel> nu.")
    (finding,) = run(AnnotationConflicts(), corpus)
    assert (finding.severity, finding.count, finding.total) == ("warning", 1, 4)
    assert finding.examples[0].text == "Ta salva mot »klåda«. DISORDER (not at made.txt:1)"
    assert run(AnnotationConflicts(), make_corpus("Ta <DRUG gel> nu.", "Ta <DRUG gel> nu.", "", "")) == []
