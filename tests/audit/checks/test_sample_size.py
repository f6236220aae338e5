"""Splits with too few entities."""

from tests.audit.corpora import make_corpus, make_split, run
from tune_ner.audit.checks.sample_size import MissingTypes, RareTypes, SampleSize, SimilarTypes
from tune_ner.evaluation.confidence_intervals import half_width


def test_small_split_is_a_warning_and_a_large_one_a_note() -> None:
    corpus = make_corpus(*["<DRUG salva>"] * 1084)
    validation, test = run(SampleSize(), corpus, make_split(1, 83, 1000))
    assert (validation.severity, test.severity) == ("warning", "info")
    assert validation.values["half_width"] == half_width(83, 0.8)
    assert "±0.085" in validation.title
    assert test.values["half_width"] < 0.05 < validation.values["half_width"]


def test_split_without_entities_is_an_error() -> None:
    validation, test = run(SampleSize(), make_corpus("Gå hem."), make_split(0, 0, 1))
    assert validation.severity == test.severity == "error"
    assert (test.count, test.total) == (0, 1)


def test_types_missing_from_a_split() -> None:
    corpus = make_corpus("<DRUG salva>", "<DRUG salva>", "<DRUG salva> <BODY arm>")
    (finding,) = run(MissingTypes(), corpus, make_split(1, 1, 1))
    assert "BODY in train, BODY in validation" in finding.title
    assert (finding.count, finding.total) == (2, 6)
    assert run(MissingTypes(), make_corpus(*["<DRUG salva>"] * 3), make_split(1, 1, 1)) == []


def test_types_with_few_entities_are_a_note() -> None:
    (finding,) = run(RareTypes(), make_corpus(*["<DRUG gel>"] * 10, *["<BODY arm>"] * 9))
    assert (finding.severity, finding.count, finding.total) == ("info", 9, 19)
    assert finding.title == "entity types with fewer than 10 entities: BODY (9)"


def test_types_that_differ_in_spelling_only_are_found() -> None:
    (finding,) = run(SimilarTypes(), make_corpus(*["<PER Anna>"] * 5, "<Per Eva>", "<LOC Umeå>"))
    assert (finding.severity, finding.count, finding.title[-8:]) == ("warning", 1, "PER, Per")
    assert run(SimilarTypes(), make_corpus("<PER Anna>", "<LOC Umeå>")) == []
