"""Sentences that occur in several splits, or several times in one."""

from dataclasses import replace

import pytest

from tests.audit.corpora import make_corpus, make_split, run
from tune_ner.audit.check import AuditInput
from tune_ner.audit.checks.duplicates import DuplicatesAcrossSplits, DuplicatesWithinSplits, GroupsAcrossSplits
from tune_ner.audit.findings import Finding
from tune_ner.data.corpus import Corpus
from tune_ner.data.splits import Split

LONG = "Den som har fått <DISORDER feber> bör vila hemma och dricka mycket vatten under flera dagar."


def findings_of(corpus: Corpus, split: Split, near: bool = True) -> dict[str, Finding]:
    checks = (DuplicatesAcrossSplits(), DuplicatesWithinSplits())
    return {f.kind: f for check in checks for f in run(check, corpus, split, near_duplicates=near)}


def distinct(count: int, offset: int = 0) -> list[str]:
    words = ("ros", "bil", "hus", "sjö", "katt", "moln", "sten", "vind", "bok", "brev")
    return [f"{words[i % 10]} {words[i // 10 % 10] * 2} {i * 7919} <DRUG x>" for i in range(offset, offset + count)]


def test_levels_of_similarity_are_counted() -> None:
    near = LONG.replace("flera", "några")
    corpus = make_corpus(
        LONG, *distinct(9), *distinct(5, 20), LONG, LONG.replace("Den", "den"), near, *distinct(37, 40)
    )
    split = make_split(10, 5, 40)
    shared = AuditInput(corpus, split).shared_sentences("test", "train")
    assert shared == {"exact": (15,), "normalized": (15, 16), "near": (15, 16, 17)}
    finding = findings_of(corpus, split)["duplicates_train_test"]
    assert (finding.severity, finding.count, finding.total) == ("info", 3, 40)
    counts = {"exact": 1, "normalized": 2, "near": 3, "share": 3 / 40, "entities": 3}
    assert finding.values == {**counts, "gazetteer_f1": 1.0, "gazetteer_f1_without": 1.0}
    assert finding.examples[0].location == "made.txt:16 = made.txt:1"
    assert "--split grouped" in finding.suggestion


@pytest.mark.parametrize(("copies", "severity"), [(2, "warning"), (3, "error")])
def test_more_than_a_tenth_of_test_in_train_is_an_error(copies: int, severity: str) -> None:
    train = [text.replace("<DRUG x>", f"<DRUG gel{number}>") for number, text in enumerate(distinct(30))]
    corpus = make_corpus(*train, *distinct(5, 30), *train[:copies], *distinct(20 - copies, 40))
    assert findings_of(corpus, make_split(30, 5, 20))["duplicates_train_test"].severity == severity


def test_all_pairs_of_splits_are_compared() -> None:
    same = distinct(1)
    corpus = make_corpus(*same, *distinct(5, 1), *same, *distinct(5, 10), *same)
    kinds = {"duplicates_train_test", "duplicates_train_validation", "duplicates_validation_test"}
    assert kinds <= set(findings_of(corpus, make_split(6, 6, 1)))


def test_repeats_within_a_split_are_counted_without_the_first() -> None:
    corpus = make_corpus(*distinct(1) * 3, *distinct(20, 5), *distinct(4, 30))
    finding = findings_of(corpus, make_split(23, 2, 2))["duplicates_within_splits"]
    assert (finding.severity, finding.count, finding.values["train_exact"]) == ("info", 2, 2)


def test_empty_texts_are_not_duplicates() -> None:
    corpus = make_corpus("", *distinct(3), "", "", " ", *distinct(3, 10))
    assert findings_of(corpus, make_split(5, 1, 4)) == {}


def test_near_duplicates_are_optional() -> None:
    corpus = make_corpus(LONG, *distinct(2), LONG.replace("flera", "några"))
    split = make_split(2, 1, 1)
    assert findings_of(corpus, split, near=False) == {}
    assert findings_of(corpus, split)["duplicates_train_test"].count == 1


def test_repeated_sentences_without_entities_are_a_note() -> None:
    heading = "Bakgrund och syfte med den kliniska studien av läkemedlet"
    corpus = make_corpus(heading, *distinct(9), *distinct(5, 20), *[heading] * 5, *distinct(5, 40))
    finding = findings_of(corpus, make_split(10, 5, 10))["duplicates_train_test"]
    assert (finding.severity, finding.count, finding.values["entities"]) == ("info", 5, 0)


def test_effect_of_repeated_sentences_on_the_gazetteer_is_measured() -> None:
    repeated = [f"Ta <DRUG salva{i}> varje morgon i nummer {i} veckor till." for i in range(4)]
    new = [f"Köp <DRUG gel{i}> på apoteket {i * 731}, eller fråga läkaren." for i in range(12)]
    finding = findings_of(make_corpus(*repeated, *repeated, *new), make_split(4, 0, 16))["duplicates_train_test"]
    assert finding.severity == "error"
    assert finding.values["gazetteer_f1"] == pytest.approx(0.4)
    assert finding.values["gazetteer_f1_without"] == 0.0


def test_documents_in_several_splits_are_found() -> None:
    corpus = make_corpus(*distinct(20))
    documents = [f"d{number // 5}" for number in range(20)]
    grouped = replace(
        corpus, sentences=tuple(replace(s, group=d) for s, d in zip(corpus.sentences, documents, strict=True))
    )
    (finding,) = run(GroupsAcrossSplits(), grouped, make_split(12, 0, 8))
    assert (finding.severity, finding.count, finding.total, finding.values) == ("warning", 3, 8, {"share": 3 / 8})
    assert "--group-by document" in finding.suggestion
    assert run(GroupsAcrossSplits(), grouped, make_split(15, 0, 5)) == []
    assert run(GroupsAcrossSplits(), corpus, make_split(12, 0, 8)) == []
