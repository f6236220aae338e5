"""Texts that are annotated inconsistently."""

from tests.audit.corpora import make_corpus, run
from tune_ner.audit.checks.label_conflicts import LabelConflicts, UnlabelledEntities


def test_conflicts_count_the_less_frequent_types() -> None:
    annotated = ["<DRUG insulin>"] * 6 + ["<BODY Insulin>"] * 2 + ["<DRUG salva>"] * 2
    (finding,) = run(LabelConflicts(), make_corpus(*annotated))
    assert (finding.severity, finding.count, finding.total) == ("warning", 2, 10)
    assert finding.values == {"texts": 1, "occurrences": 8}
    assert finding.examples[0].location == "made.txt:7"
    assert finding.examples[0].text == "»Insulin« BODY (usually DRUG)"


def test_rare_conflicts_are_a_note() -> None:
    (finding,) = run(LabelConflicts(), make_corpus(*["<DRUG insulin>"] * 99, "<BODY insulin>"))
    assert finding.severity == "info"


def test_unlabelled_occurrences_are_counted_on_word_boundaries() -> None:
    corpus = make_corpus("Ta <DRUG salva>, salvan eller Salva.", "<DRUG salva>", "<DRUG fet salva> är bra.")
    (finding,) = run(UnlabelledEntities(), corpus)
    assert (finding.severity, finding.count, finding.total) == ("warning", 1, 4)
    assert finding.examples[0].text == "Ta salva, salvan eller »Salva«. DRUG (not labelled here)"
    assert "salva (2 labelled, 1 not)" in finding.effect


def test_consistent_annotation_has_no_finding() -> None:
    for corpus in (make_corpus("Ta <DRUG salva>.", "Mer <DRUG salva>."), make_corpus()):
        assert run(LabelConflicts(), corpus) == run(UnlabelledEntities(), corpus) == []
