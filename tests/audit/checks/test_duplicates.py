"""Sentences that stand twice."""

import pytest

from tests.audit.corpora import a_corpus, a_split, part_of
from tune_ner.audit.checks.duplicates import contaminated_test, duplicate_findings, find_levels
from tune_ner.audit.findings import Finding, PartSize
from tune_ner.data.corpus import SPLIT_NAMES, Corpus, SplitName
from tune_ner.data.splits import Split

LONG = "Den som har fått <DISORDER feber> bör vila hemma och dricka mycket vatten under flera dagar."


def findings_of(corpus: Corpus, split: Split, near: bool = True) -> dict[str, Finding]:
    sizes: dict[SplitName, PartSize] = {
        split_name: PartSize(len(split[split_name]), sum(len(s.spans) for s in part_of(corpus, split[split_name])), {})
        for split_name in SPLIT_NAMES
    }
    return {f.kind: f for f in duplicate_findings(corpus, split, find_levels(corpus, near), sizes)}


def distinct(count: int, offset: int = 0) -> list[str]:
    words = ("ros", "bil", "hus", "sjö", "katt", "moln", "sten", "vind", "bok", "brev")
    return [f"{words[i % 10]} {words[i // 10 % 10] * 2} {i * 7919} <DRUG x>" for i in range(offset, offset + count)]


def test_the_three_levels_are_counted_apart() -> None:
    near = LONG.replace("flera", "några")
    corpus = a_corpus(LONG, *distinct(9), *distinct(5, 20), LONG, LONG.replace("Den", "den"), near, *distinct(37, 40))
    split = a_split(10, 5, 40)
    found = contaminated_test(corpus, split, find_levels(corpus, True))
    assert found == {"exact": (15,), "normalised": (15, 16), "near": (15, 16, 17)}
    finding = findings_of(corpus, split)["duplicates_train_test"]
    assert (finding.severity, finding.count, finding.of) == ("warning", 3, 40)
    assert finding.figures == {"exact": 1.0, "normalised": 2.0, "near": 3.0, "share": 3 / 40, "entities": 3.0}
    assert finding.examples[0].place == "made.txt:16 = made.txt:1"
    assert "--split grouped" in finding.remedy


@pytest.mark.parametrize(("copies", "severity"), [(2, "warning"), (3, "error")])
def test_more_than_a_tenth_of_the_test_part_in_train_is_an_error(copies: int, severity: str) -> None:
    train = distinct(30)
    corpus = a_corpus(*train, *distinct(5, 30), *train[:copies], *distinct(20 - copies, 40))
    assert findings_of(corpus, a_split(30, 5, 20))["duplicates_train_test"].severity == severity


def test_validation_and_test_are_compared_with_all_before_them() -> None:
    same = distinct(1)
    found = findings_of(a_corpus(*same, *distinct(5, 1), *same, *distinct(5, 10), *same), a_split(6, 6, 1))
    assert {"duplicates_train_test", "duplicates_train_validation", "duplicates_validation_test"} <= set(found)


def test_repeats_within_a_part_are_counted_once_each() -> None:
    corpus = a_corpus(*distinct(1) * 3, *distinct(20, 5), *distinct(4, 30))
    finding = findings_of(corpus, a_split(23, 2, 2))["duplicates_within"]
    assert (finding.severity, finding.count, finding.figures["train_exact"]) == ("info", 2, 2.0)


def test_empty_texts_are_no_duplicates() -> None:
    corpus = a_corpus("", *distinct(3), "", "", " ", *distinct(3, 10))
    assert findings_of(corpus, a_split(5, 1, 4)) == {}


def test_near_duplicates_are_looked_for_only_when_asked() -> None:
    corpus = a_corpus(LONG, *distinct(2), LONG.replace("flera", "några"))
    split = a_split(2, 1, 1)
    assert set(find_levels(corpus, False)) == {"exact", "normalised"}
    assert findings_of(corpus, split, near=False) == {}
    assert findings_of(corpus, split)["duplicates_train_test"].count == 1
