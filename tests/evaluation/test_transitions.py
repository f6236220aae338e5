"""Valid and invalid tag sequences: seqeval's strict mode, and the transitions that a scheme forbids."""

import warnings
from collections.abc import Iterator
from itertools import pairwise, product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES

from tune_ner.data.tag_parsing import Chunk
from tune_ner.evaluation.seqeval_metrics import TypeMetrics, invalid_transitions, seqeval_figures, strict_figures
from tune_ner.tagging.schemes import SCHEMES

TYPES = ("DRUG", "BODY")
STRICT = {"BIO": IOB2, "BIOES": IOBES, "IOB1": IOB1, "BILOU": BILOU}
LETTERS = {"BIO": "BI", "BIOES": "BIES", "IOB1": "BI", "BILOU": "BILU", "IO": "I"}


@pytest.fixture(autouse=True)
def no_warning() -> Iterator[None]:
    """Undefined figures are answered, not warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def alphabet(scheme: str) -> list[str]:
    return ["O", *(f"{letter}-{label}" for letter in LETTERS[scheme] for label in TYPES)]


def tagged(letters: str) -> list[str]:
    """`B I O` as tags of one type."""
    return [letter if letter == "O" else f"{letter}-DRUG" for letter in letters.split()]


@pytest.mark.parametrize("scheme", STRICT)
@pytest.mark.parametrize("seed", range(30))
def test_strict_figures_are_seqevals_own(scheme: str, seed: int) -> None:
    random = Random(seed)
    gold = [random.choices(alphabet(scheme), k=random.randint(0, 9)) for _ in range(6)]
    predicted = [[tag if random.random() < 0.8 else "O" for tag in tags] for tags in gold]
    figures = strict_figures(gold, predicted, TYPES, scheme)
    assert figures is not None
    ours = figures.precision, figures.recall, figures.f1
    for score, function in zip(ours, (precision_score, recall_score, f1_score), strict=True):
        theirs = function(gold, predicted, mode="strict", scheme=STRICT[scheme], zero_division=0)
        assert score == pytest.approx(theirs, abs=1e-12)
    assert sum(figures.per_type[label].support for label in TYPES) == figures.support


@pytest.mark.parametrize(
    ("scheme", "gold", "predicted", "lenient", "strict"),
    [
        # without a B there is no entity, in the gold too
        ("BIO", "O I I O", "O I I O", 1.0, 0.0),
        ("BIO", "O B I O", "O I I O", 1.0, 0.0),
        # an entity without its end
        ("BIOES", "B E O", "B I O", 1.0, 0.0),
        ("BIOES", "O S O", "O E O", 1.0, 0.0),
        ("BILOU", "O U O", "O L O", 1.0, 0.0),
        # and where the tags are valid, no difference
        ("BIO", "B I O", "B I O", 1.0, 1.0),
        ("BIOES", "B I E", "B I E", 1.0, 1.0),
        ("IOB1", "O I I O", "O I I O", 1.0, 1.0),
    ],
)
def test_where_the_two_modes_differ(scheme: str, gold: str, predicted: str, lenient: float, strict: float) -> None:
    rows = [tagged(gold)], [tagged(predicted)]
    assert seqeval_figures(*rows, TYPES).f1 == lenient
    figures = strict_figures(*rows, TYPES, scheme)
    assert figures is not None
    assert figures.f1 == strict


@pytest.mark.parametrize("scheme", ["IO", "mixed"])
def test_a_scheme_that_seqeval_does_not_have_has_no_strict_figures(scheme: str) -> None:
    assert strict_figures([["I-DRUG"]], [["I-DRUG"]], TYPES, scheme) is None


@pytest.mark.parametrize("scheme", STRICT)
@pytest.mark.parametrize("rows", [[], [[]], [["O", "O"]]])
def test_where_there_is_no_entity_strict_figures_are_zero(scheme: str, rows: list[list[str]]) -> None:
    figures = strict_figures(rows, rows, TYPES, scheme)
    assert figures is not None
    assert (figures.precision, figures.recall, figures.f1, figures.support) == (0.0, 0.0, 0.0, 0)
    assert figures.per_type == dict.fromkeys(TYPES, TypeMetrics(0.0, 0.0, 0.0, 0))


def test_a_letter_of_another_scheme_is_refused_by_the_strict_mode() -> None:
    with pytest.raises(ValueError, match="Invalid token"):
        strict_figures([["B-DRUG"]], [["S-DRUG"]], TYPES, "BIO")


def layouts(words: int) -> Iterator[list[Chunk]]:
    """Every way to lay typed ranges over `words` words without overlap."""
    if words == 0:
        yield []
        return
    yield from layouts(words - 1)
    for length, label in product(range(1, words + 1), TYPES):
        for before in layouts(words - length):
            yield [*before, (words - length, words, label)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_exactly_those_transitions_are_allowed_that_the_scheme_writes(scheme: str) -> None:
    written = {pair for ranges in layouts(5) for pair in pairwise(["O", *SCHEMES[scheme].tags(ranges, 5), "O"])}
    for before, after in product(alphabet(scheme), repeat=2):
        share = invalid_transitions([[before, after]], scheme)
        pairs = [("O", before), (before, after), (after, "O")]
        assert share == pytest.approx(sum(pair not in written for pair in pairs) / 3), (before, after)


@pytest.mark.parametrize("scheme", SCHEMES)
@given(st.data())
def test_what_a_scheme_writes_is_valid(scheme: str, data: st.DataObject) -> None:
    ranges = data.draw(st.sampled_from(list(layouts(4))))
    assert invalid_transitions([SCHEMES[scheme].tags(ranges, 4)], scheme) == 0.0


@pytest.mark.parametrize(
    ("scheme", "letters", "share"),
    [
        ("BIO", "O I I O", 1 / 5),
        ("BIOES", "B I O", 1 / 4),
        ("BIOES", "O E O", 1 / 4),
        ("BIOES", "B", 1 / 2),  # the sentence ends within the entity
        ("BILOU", "I L", 1 / 3),  # and begins within it
        ("BIOES", "B S", 1 / 3),
        ("IOB1", "O B O", 1 / 4),
        ("IOB1", "I B", 0.0),
        ("IO", "I O I I", 0.0),
        ("BIO", "O S O", 2 / 4),  # a letter that the scheme does not have
    ],
)
def test_share_of_invalid_transitions(scheme: str, letters: str, share: float) -> None:
    assert invalid_transitions([tagged(letters)], scheme) == pytest.approx(share)


def test_a_change_of_type_within_an_entity_is_invalid() -> None:
    assert invalid_transitions([["B-DRUG", "I-BODY"]], "BIO") == pytest.approx(1 / 3)
    assert invalid_transitions([["B-DRUG", "E-BODY"]], "BIOES") == pytest.approx(1 / 3)


def test_the_share_is_over_all_sentences_and_empty_ones_have_no_transitions() -> None:
    assert invalid_transitions([["I-DRUG"], [], ["O"]], "BIO") == pytest.approx(1 / 4)
    assert invalid_transitions([], "BIO") == invalid_transitions([[]], "BIO") == 0.0


def test_an_unknown_scheme_or_tag_is_refused() -> None:
    with pytest.raises(ValueError, match="'IOB9' is no tagging scheme: expected one of BIO, BIOES"):
        invalid_transitions([["O"]], "IOB9")
    with pytest.raises(ValueError, match="no chunk tag"):
        invalid_transitions([["X-DRUG"]], "BIO")
