"""seqeval metrics in both modes, with seqeval itself as the reference, and invalid transitions."""

import warnings
from collections.abc import Iterator
from itertools import pairwise, product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import accuracy_score, classification_report, f1_score, precision_score, recall_score
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES

from tune_ner.data.tag_parsing import Chunk
from tune_ner.evaluation.seqeval_metrics import (
    SeqevalMetrics,
    TypeMetrics,
    invalid_transitions,
    seqeval_metrics,
    strict_seqeval_metrics,
)
from tune_ner.tagging.schemes import SCHEMES

TYPES = ("DRUG", "DISORDER", "BODY")
Rows = list[list[str]]
NOTHING = TypeMetrics(0.0, 0.0, 0.0, 0)
TWO_TYPES = ("DRUG", "BODY")
STRICT = {"BIO": IOB2, "BIOES": IOBES, "IOB1": IOB1, "BILOU": BILOU}
LETTERS = {"BIO": "BI", "BIOES": "BIES", "IOB1": "BI", "BILOU": "BILU", "IO": "I"}


@pytest.fixture(autouse=True)
def no_warning() -> Iterator[None]:
    """Fail on warnings of seqeval about undefined metrics or unknown letters."""
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


def test_types_that_differ_in_a_hyphen_are_counted_separately() -> None:
    gold, predicted = [["B-A", "O", "B-A-", "B--A"]], [["B-A", "O", "B-A", "B--A"]]
    found = strict_seqeval_metrics(gold, predicted, ("A", "A-", "-A"), "BIO")
    assert found is not None
    assert found.per_type == {
        "A": TypeMetrics(0.5, 1.0, 2 / 3, 1),
        "A-": TypeMetrics(0.0, 0.0, 0.0, 1),
        "-A": TypeMetrics(1.0, 1.0, 1.0, 1),
    }
    assert found.support == 3


@pytest.mark.parametrize("letters", ["BI", "BIES", "I"])
@pytest.mark.parametrize("seed", range(60))
def test_metrics_equal_seqeval(letters: str, seed: int) -> None:
    gold, predicted = random_pair(seed, letters)
    metrics = seqeval_metrics(gold, predicted, TYPES)
    assert metrics.precision == pytest.approx(precision_score(gold, predicted, zero_division=0), abs=1e-12)
    assert metrics.recall == pytest.approx(recall_score(gold, predicted, zero_division=0), abs=1e-12)
    assert metrics.f1 == pytest.approx(f1_score(gold, predicted, zero_division=0), abs=1e-12)
    assert metrics.accuracy == pytest.approx(accuracy_score(gold, predicted), abs=1e-12)
    report = classification_report(gold, predicted, output_dict=True, zero_division=0)
    assert metrics.support == report["micro avg"]["support"]
    for label in TYPES:
        theirs = report.get(label, {"precision": 0, "recall": 0, "f1-score": 0, "support": 0})
        ours = metrics.per_type[label]
        assert (ours.precision, ours.recall, ours.f1, ours.support) == pytest.approx(
            tuple(theirs[name] for name in ("precision", "recall", "f1-score", "support"))
        )


@pytest.mark.parametrize("seed", range(40))
def test_bilou_scores_like_bioes(seed: int) -> None:
    gold, predicted = random_pair(seed, "BIES")
    as_bilou = str.maketrans({"E": "L", "S": "U"})
    renamed = [[[tag[0].translate(as_bilou) + tag[1:] for tag in row] for row in rows] for rows in (gold, predicted)]
    assert seqeval_metrics(renamed[0], renamed[1], TYPES) == seqeval_metrics(gold, predicted, TYPES)


def test_small_case_by_hand() -> None:
    gold = [["B-DRUG", "O", "B-BODY", "I-BODY"], ["O", "B-DRUG"]]
    predicted = [["B-DRUG", "O", "B-BODY", "O"], ["O", "B-BODY"]]
    metrics = seqeval_metrics(gold, predicted, TYPES)
    assert (metrics.precision, metrics.recall, metrics.f1) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert metrics.accuracy == pytest.approx(4 / 6)
    assert metrics.support == 3
    assert metrics.per_type == {
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
def test_metrics_without_entities_are_zero(gold: Rows, predicted: Rows, accuracy: float) -> None:
    expected = SeqevalMetrics(0.0, 0.0, 0.0, accuracy, 0, dict.fromkeys(TYPES, NOTHING))
    assert seqeval_metrics(gold, predicted, TYPES) == expected


def test_missed_entities_count_as_support() -> None:
    metrics = seqeval_metrics([["B-DRUG", "O"]], [["O", "O"]], TYPES)
    assert (metrics.precision, metrics.recall, metrics.f1, metrics.support) == (0.0, 0.0, 0.0, 1)
    assert metrics.per_type["DRUG"] == TypeMetrics(0.0, 0.0, 0.0, 1)


def test_all_types_are_listed_in_label_order() -> None:
    assert list(seqeval_metrics([["B-BODY"]], [["B-BODY"]], TYPES).per_type) == list(TYPES)


def test_metrics_are_plain_numbers() -> None:
    metrics = seqeval_metrics([["B-BODY"]], [["B-BODY"]], TYPES)
    for value in (metrics.precision, metrics.recall, metrics.f1, metrics.accuracy, metrics.per_type["BODY"].f1):
        assert type(value) is float
    assert type(metrics.support) is type(metrics.per_type["BODY"].support) is int


# ---- strict mode and invalid transitions


def alphabet(scheme: str) -> list[str]:
    return ["O", *(f"{letter}-{label}" for letter in LETTERS[scheme] for label in TWO_TYPES)]


def tagged(letters: str) -> list[str]:
    """`B I O` as tags of one type."""
    return [letter if letter == "O" else f"{letter}-DRUG" for letter in letters.split()]


@pytest.mark.parametrize("scheme", STRICT)
@pytest.mark.parametrize("seed", range(30))
def test_strict_metrics_equal_seqeval(scheme: str, seed: int) -> None:
    random = Random(seed)
    gold = [random.choices(alphabet(scheme), k=random.randint(0, 9)) for _ in range(6)]
    predicted = [[tag if random.random() < 0.8 else "O" for tag in tags] for tags in gold]
    metrics = strict_seqeval_metrics(gold, predicted, TWO_TYPES, scheme)
    assert metrics is not None
    ours = metrics.precision, metrics.recall, metrics.f1
    for score, function in zip(ours, (precision_score, recall_score, f1_score), strict=True):
        theirs = function(gold, predicted, mode="strict", scheme=STRICT[scheme], zero_division=0)
        assert score == pytest.approx(theirs, abs=1e-12)
    assert sum(metrics.per_type[label].support for label in TWO_TYPES) == metrics.support


@pytest.mark.parametrize(
    ("scheme", "gold", "predicted", "lenient", "strict"),
    [
        # without a B there is no entity, not even in the gold tags
        ("BIO", "O I I O", "O I I O", 1.0, 0.0),
        ("BIO", "O B I O", "O I I O", 1.0, 0.0),
        # an entity without its end
        ("BIOES", "B E O", "B I O", 1.0, 0.0),
        ("BIOES", "O S O", "O E O", 1.0, 0.0),
        ("BILOU", "O U O", "O L O", 1.0, 0.0),
        # valid tags: no difference
        ("BIO", "B I O", "B I O", 1.0, 1.0),
        ("BIOES", "B I E", "B I E", 1.0, 1.0),
        ("IOB1", "O I I O", "O I I O", 1.0, 1.0),
    ],
)
def test_differences_between_the_modes(scheme: str, gold: str, predicted: str, lenient: float, strict: float) -> None:
    rows = [tagged(gold)], [tagged(predicted)]
    assert seqeval_metrics(*rows, TWO_TYPES).f1 == lenient
    metrics = strict_seqeval_metrics(*rows, TWO_TYPES, scheme)
    assert metrics is not None
    assert metrics.f1 == strict


@pytest.mark.parametrize("scheme", ["IO", "mixed"])
def test_scheme_unknown_to_seqeval_has_no_strict_metrics(scheme: str) -> None:
    assert strict_seqeval_metrics([["I-DRUG"]], [["I-DRUG"]], TWO_TYPES, scheme) is None


@pytest.mark.parametrize("scheme", STRICT)
@pytest.mark.parametrize("rows", [[], [[]], [["O", "O"]]])
def test_strict_metrics_without_entities_are_zero(scheme: str, rows: list[list[str]]) -> None:
    metrics = strict_seqeval_metrics(rows, rows, TWO_TYPES, scheme)
    assert metrics is not None
    assert (metrics.precision, metrics.recall, metrics.f1, metrics.support) == (0.0, 0.0, 0.0, 0)
    assert metrics.per_type == dict.fromkeys(TWO_TYPES, TypeMetrics(0.0, 0.0, 0.0, 0))


def test_letter_of_another_scheme_raises_value_error() -> None:
    with pytest.raises(ValueError, match="Invalid token"):
        strict_seqeval_metrics([["B-DRUG"]], [["S-DRUG"]], TWO_TYPES, "BIO")


def layouts(words: int) -> Iterator[list[Chunk]]:
    """Yield all sets of typed ranges over `words` words without overlap."""
    if words == 0:
        yield []
        return
    yield from layouts(words - 1)
    for length, label in product(range(1, words + 1), TWO_TYPES):
        for before in layouts(words - length):
            yield [*before, (words - length, words, label)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_allowed_transitions_are_those_that_the_scheme_produces(scheme: str) -> None:
    produced = {pair for ranges in layouts(5) for pair in pairwise(["O", *SCHEMES[scheme].tags(ranges, 5), "O"])}
    for before, after in product(alphabet(scheme), repeat=2):
        share = invalid_transitions([[before, after]], scheme)
        pairs = [("O", before), (before, after), (after, "O")]
        assert share == pytest.approx(sum(pair not in produced for pair in pairs) / 3), (before, after)


@pytest.mark.parametrize("scheme", SCHEMES)
@given(st.data())
def test_tags_of_a_scheme_are_valid(scheme: str, data: st.DataObject) -> None:
    ranges = data.draw(st.sampled_from(list(layouts(4))))
    assert invalid_transitions([SCHEMES[scheme].tags(ranges, 4)], scheme) == 0.0


@pytest.mark.parametrize(
    ("scheme", "letters", "share"),
    [
        ("BIO", "O I I O", 1 / 5),
        ("BIOES", "B I O", 1 / 4),
        ("BIOES", "O E O", 1 / 4),
        ("BIOES", "B", 1 / 2),  # the sentence ends inside the entity
        ("BILOU", "I L", 1 / 3),  # the sentence starts inside the entity
        ("BIOES", "B S", 1 / 3),
        ("IOB1", "O B O", 1 / 4),
        ("IOB1", "I B", 0.0),
        ("IO", "I O I I", 0.0),
        ("BIO", "O S O", 2 / 4),  # a letter that is not in the scheme
    ],
)
def test_share_of_invalid_transitions(scheme: str, letters: str, share: float) -> None:
    assert invalid_transitions([tagged(letters)], scheme) == pytest.approx(share)


def test_type_change_within_an_entity_is_invalid() -> None:
    assert invalid_transitions([["B-DRUG", "I-BODY"]], "BIO") == pytest.approx(1 / 3)
    assert invalid_transitions([["B-DRUG", "E-BODY"]], "BIOES") == pytest.approx(1 / 3)


def test_share_covers_all_sentences_and_empty_ones_have_no_transitions() -> None:
    assert invalid_transitions([["I-DRUG"], [], ["O"]], "BIO") == pytest.approx(1 / 4)
    assert invalid_transitions([], "BIO") == invalid_transitions([[]], "BIO") == 0.0


def test_unknown_scheme_or_tag_raises_value_error() -> None:
    with pytest.raises(ValueError, match="'IOB9'"):
        invalid_transitions([["O"]], "IOB9")
    with pytest.raises(ValueError, match="X-DRUG"):
        invalid_transitions([["X-DRUG"]], "BIO")
