"""Entities of test that occur in train."""

from tests.audit.corpora import make_corpus, make_split, plain_corpus, plain_split, run
from tune_ner.audit.checks.entity_overlap import EntityOverlap, GazetteerScore


def test_overlap_is_a_share_of_all_and_of_distinct_entities() -> None:
    corpus = make_corpus(
        "Ta <DRUG Alvedon>.", "x", "<DRUG alvedon>, <DRUG salva>, <DRUG SALVA> mot <DISORDER alvedon>."
    )
    (finding,) = run(EntityOverlap(), corpus, make_split(1, 1, 1))
    assert (finding.severity, finding.count, finding.total) == ("info", 2, 4)
    assert finding.values == {"share": 0.5, "share_of_distinct": 0.5, "unseen": 2}
    assert all("alva" in example.text.lower() for example in finding.examples)


def test_gazetteer_that_solves_test_is_an_error() -> None:
    (finding,) = run(GazetteerScore(), make_corpus(*["Ta <DRUG salva> nu."] * 20), make_split(10, 5, 5))
    assert (finding.severity, finding.values["test_f1"]) == ("error", 1.0)
    (finding,) = run(GazetteerScore(), plain_corpus(), plain_split())
    assert finding.severity == "info"


def test_test_split_without_entities_has_no_finding() -> None:
    corpus = make_corpus("Ta <DRUG salva>.", "Ta <DRUG salva>.", "Gå hem.")
    for check in (EntityOverlap(), GazetteerScore()):
        assert run(check, corpus, make_split(1, 1, 1)) == []
