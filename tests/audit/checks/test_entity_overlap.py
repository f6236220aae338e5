"""Seen and unseen surface forms."""

from tests.audit.corpora import a_corpus, a_split
from tune_ner.audit.checks.entity_overlap import surface_finding
from tune_ner.data.corpus import Span
from tune_ner.evaluation.seen_entities import seen_entities

CORPUS = a_corpus("Ta <DRUG Alvedon>.", "x", "<DRUG alvedon>, <DRUG salva>, <DRUG SALVA> mot <DISORDER alvedon>.")


def test_forms_are_compared_whatever_their_case_spacing_and_type() -> None:
    seen = seen_entities(CORPUS, a_split(1, 1, 1))
    assert seen.texts == {"alvedon"}
    assert seen.is_seen(Span(0, 7, "DRUG"), "ALVEDON nu")
    assert not seen.is_seen(Span(0, 5, "DRUG"), "salva")
    spaced = seen_entities(a_corpus("<DISORDER ont  i magen>"), a_split(1, 0, 0))
    assert spaced.is_seen(Span(0, 11, "DISORDER"), "Ont i magen")


def test_the_share_is_of_entities_and_of_distinct_forms() -> None:
    finding = surface_finding(CORPUS, a_split(1, 1, 1))
    assert finding is not None
    assert (finding.severity, finding.count, finding.of) == ("info", 2, 4)
    assert finding.figures == {"share": 0.5, "share_of_forms": 0.5, "unseen": 2.0}
    assert all("alva" in example.text.lower() for example in finding.examples)


def test_a_test_part_without_entities_has_no_finding() -> None:
    assert surface_finding(CORPUS, a_split(1, 1, 0)) is None
