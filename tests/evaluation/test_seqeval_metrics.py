"""Figures of tag sequences, with seqeval itself as the judge."""

import warnings
from collections.abc import Iterator
from random import Random

import pytest
from seqeval.metrics import (
    accuracy_score,
    classification_report,
    f1_score,
    precision_score,
    recall_score,
)

from tune_ner.evaluation.seqeval_metrics import SeqevalMetrics, TypeMetrics, seqeval_figures

TYPES = ("DRUG", "DISORDER", "BODY")
Rows = list[list[str]]
NOTHING = TypeMetrics(0.0, 0.0, 0.0, 0)


@pytest.fixture(autouse=True)
def no_warning() -> Iterator[None]:
    """Undefined figures and unknown letters are answered, not warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def random_rows(random: Random, letters: str, sizes: list[int]) -> Rows:
    labels = ["O", "O", *(f"{letter}-{label}" for letter in letters for label in TYPES)]
    return [random.choices(labels, k=size) for size in sizes]


def random_pair(seed: int, letters: str) -> tuple[Rows, Rows]:
    """Gold tags, and predictions that agree with them in most places."""
    random = Random(seed)
    sizes = [random.randint(0, 12) for _ in range(random.randint(1, 8))] + [12]
    gold, other = random_rows(random, letters, sizes), random_rows(random, letters, sizes)
    predicted = [
        [a if random.random() < 0.7 else b for a, b in zip(*rows, strict=True)]
        for rows in zip(gold, other, strict=True)
    ]
    return gold, predicted


@pytest.mark.parametrize("letters", ["BI", "BIES", "I"])
@pytest.mark.parametrize("seed", range(60))
def test_figures_are_seqevals_own(letters: str, seed: int) -> None:
    gold, predicted = random_pair(seed, letters)
    figures = seqeval_figures(gold, predicted, TYPES)
    assert figures.precision == pytest.approx(precision_score(gold, predicted, zero_division=0), abs=1e-12)
    assert figures.recall == pytest.approx(recall_score(gold, predicted, zero_division=0), abs=1e-12)
    assert figures.f1 == pytest.approx(f1_score(gold, predicted, zero_division=0), abs=1e-12)
    assert figures.accuracy == pytest.approx(accuracy_score(gold, predicted), abs=1e-12)
    report = classification_report(gold, predicted, output_dict=True, zero_division=0)
    assert figures.support == report["micro avg"]["support"]
    for label in TYPES:
        theirs = report.get(label, {"precision": 0, "recall": 0, "f1-score": 0, "support": 0})
        ours = figures.per_type[label]
        assert (ours.precision, ours.recall, ours.f1, ours.support) == pytest.approx(
            tuple(theirs[name] for name in ("precision", "recall", "f1-score", "support"))
        )


@pytest.mark.parametrize("seed", range(40))
def test_bilou_is_scored_as_bioes(seed: int) -> None:
    gold, predicted = random_pair(seed, "BIES")
    as_bilou = str.maketrans({"E": "L", "S": "U"})
    renamed = [[[tag[0].translate(as_bilou) + tag[1:] for tag in row] for row in rows] for rows in (gold, predicted)]
    assert seqeval_figures(renamed[0], renamed[1], TYPES) == seqeval_figures(gold, predicted, TYPES)


def test_a_small_case_by_hand() -> None:
    gold = [["B-DRUG", "O", "B-BODY", "I-BODY"], ["O", "B-DRUG"]]
    predicted = [["B-DRUG", "O", "B-BODY", "O"], ["O", "B-BODY"]]
    figures = seqeval_figures(gold, predicted, TYPES)
    assert (figures.precision, figures.recall, figures.f1) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert figures.accuracy == pytest.approx(4 / 6)
    assert figures.support == 3
    assert figures.per_type == {
        "DRUG": TypeMetrics(1.0, 0.5, 2 / 3, 2),
        "DISORDER": NOTHING,
        "BODY": TypeMetrics(0.0, 0.0, 0.0, 1),
    }


@pytest.mark.parametrize(
    ("gold", "predicted", "accuracy"),
    [
        ([], [], 0.0),
        ([[]], [[]], 0.0),
        ([["O", "O"]], [["O", "O"]], 1.0),
        ([["O", "O"]], [["B-DRUG", "O"]], 0.5),
    ],
)
def test_where_there_is_no_entity_figures_are_zero(gold: Rows, predicted: Rows, accuracy: float) -> None:
    expected = SeqevalMetrics(0.0, 0.0, 0.0, accuracy, 0, dict.fromkeys(TYPES, NOTHING))
    assert seqeval_figures(gold, predicted, TYPES) == expected


def test_gold_entities_that_nothing_predicts_are_support_without_recall() -> None:
    figures = seqeval_figures([["B-DRUG", "O"]], [["O", "O"]], TYPES)
    assert (figures.precision, figures.recall, figures.f1, figures.support) == (0.0, 0.0, 0.0, 1)
    assert figures.per_type["DRUG"] == TypeMetrics(0.0, 0.0, 0.0, 1)


def test_every_type_is_listed_in_label_order_whether_it_occurs_or_not() -> None:
    assert list(seqeval_figures([["B-BODY"]], [["B-BODY"]], TYPES).per_type) == list(TYPES)


def test_figures_are_plain_numbers_that_can_be_written_as_json() -> None:
    figures = seqeval_figures([["B-BODY"]], [["B-BODY"]], TYPES)
    for value in (figures.precision, figures.recall, figures.f1, figures.accuracy, figures.per_type["BODY"].f1):
        assert type(value) is float
    assert type(figures.support) is type(figures.per_type["BODY"].support) is int
