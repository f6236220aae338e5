"""The tagging schemes: labels, tags, and the rule by which tags are read."""

import warnings
from itertools import pairwise, product
from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from tests.tagging.reference import expresses
from tune_ner.config.hyperparameters import SchemeName
from tune_ner.data.corpus import MEDICAL_TYPES
from tune_ner.data.tag_parsing import Chunk, find_chunks
from tune_ner.tagging.schemes import SCHEMES, TaggingScheme

ALL = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
# the first two have a common suffix
TYPES = ("X", "A-X", "Y")


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[list[Chunk], int]:
    """Draw ordered, disjoint chunks and a number of words."""
    position = draw(st.integers(0, 2))
    ranges: list[Chunk] = []
    for gap, length, label in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(TYPES)), max_size=6)
    ):
        ranges.append((position + gap, position + gap + length, label))
        position += gap + length
    return ranges, position + draw(st.integers(0, 2))


def test_bio_labels_are_the_notebooks_seven() -> None:
    assert SCHEMES["BIO"].labels(MEDICAL_TYPES) == (
        *("O", "B-DISORDER", "I-DISORDER", "B-DRUG", "I-DRUG", "B-BODY", "I-BODY"),
    )


def test_bioes_labels_are_the_notebooks_thirteen() -> None:
    assert SCHEMES["BIOES"].labels(MEDICAL_TYPES) == (
        *("O", "B-DISORDER", "I-DISORDER", "E-DISORDER", "S-DISORDER"),
        *("B-DRUG", "I-DRUG", "E-DRUG", "S-DRUG", "B-BODY", "I-BODY", "E-BODY", "S-BODY"),
    )


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("IOB1", ("O", "B-Y", "I-Y", "B-X", "I-X")),
        ("BILOU", ("O", "B-Y", "I-Y", "L-Y", "U-Y", "B-X", "I-X", "L-X", "U-X")),
        ("IO", ("O", "I-Y", "I-X")),
    ],
)
def test_labels_of_the_other_schemes_follow_the_order_of_the_types(name: str, labels: tuple[str, ...]) -> None:
    assert SCHEMES[name].labels(("Y", "X")) == labels


def test_configurations_accept_exactly_these_schemes() -> None:
    assert set(get_args(SchemeName)) == set(SCHEMES) == {scheme.name for scheme in SCHEMES.values()}


ONE_WORD: list[Chunk] = [(1, 2, "X")]
THREE_WORDS: list[Chunk] = [(0, 3, "X")]
TOUCHING: list[Chunk] = [(0, 2, "X"), (2, 3, "X"), (3, 5, "Y")]
TOUCHING_SINGLES: list[Chunk] = [(0, 1, "X"), (1, 2, "X"), (2, 3, "X")]


@pytest.mark.parametrize(
    ("name", "ranges", "tags"),
    [
        ("BIO", [], "O O O"),
        ("BIO", ONE_WORD, "O B-X O"),
        ("BIO", THREE_WORDS, "B-X I-X I-X"),
        ("BIO", TOUCHING, "B-X I-X B-X B-Y I-Y"),
        ("BIOES", ONE_WORD, "O S-X O"),
        ("BIOES", THREE_WORDS, "B-X I-X E-X"),
        ("BIOES", TOUCHING, "B-X E-X S-X B-Y E-Y"),
        ("BILOU", ONE_WORD, "O U-X O"),
        ("BILOU", THREE_WORDS, "B-X I-X L-X"),
        ("BILOU", TOUCHING, "B-X L-X U-X B-Y L-Y"),
        ("IOB1", ONE_WORD, "O I-X O"),
        ("IOB1", THREE_WORDS, "I-X I-X I-X"),
        ("IOB1", TOUCHING, "I-X I-X B-X I-Y I-Y"),
        ("IOB1", TOUCHING_SINGLES, "I-X B-X B-X"),
        ("IOB1", [(0, 1, "A-X"), (1, 2, "X")], "I-A-X I-X"),
        ("IO", ONE_WORD, "O I-X O"),
        ("IO", THREE_WORDS, "I-X I-X I-X"),
        ("IO", TOUCHING, "I-X I-X I-X I-Y I-Y"),
    ],
)
def test_tags_follow_the_table_of_the_scheme(name: str, ranges: list[Chunk], tags: str) -> None:
    assert SCHEMES[name].tags(ranges, len(tags.split())) == tags.split()


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("BIO", "B-X B-Y I-Y I-X"),
        ("BIOES", "B-X B-Y E-Y E-X"),
        ("BILOU", "B-X B-Y L-Y L-X"),
        ("IOB1", "I-X I-Y I-Y I-X"),
        ("IO", "I-X I-Y I-Y I-X"),
    ],
)
def test_a_later_range_overwrites_an_earlier_one(name: str, tags: str) -> None:
    assert SCHEMES[name].tags([(0, 4, "X"), (1, 3, "Y")], 4) == tags.split()
    assert SCHEMES[name].tags([(1, 3, "Y"), (0, 4, "X")], 4) == SCHEMES[name].tags([(0, 4, "X")], 4)


@ALL
@given(case=neighbours())
def test_chunks_are_read_back_from_tags_if_the_scheme_can_express_them(
    scheme: TaggingScheme, case: tuple[list[Chunk], int]
) -> None:
    ranges, words = case
    tags = scheme.tags(ranges, words)
    assert set(tags) <= set(scheme.labels(TYPES))
    assert (list(find_chunks(tags)) == ranges) == expresses(scheme, ranges)


@given(neighbours())
def test_only_io_cannot_express_all_disjoint_chunks(case: tuple[list[Chunk], int]) -> None:
    ranges, _ = case
    merges = any(left[1] == right[0] and left[2] == right[2] for left, right in pairwise(ranges))
    for scheme in SCHEMES.values():
        assert expresses(scheme, ranges) == (scheme.name != "IO" or not merges)


@ALL
@pytest.mark.parametrize(
    "ranges", [[(0, 2, "X"), (1, 3, "Y")], [(0, 2, "X"), (0, 2, "X")], [(2, 3, "X"), (0, 1, "X")], [(1, 1, "X")]]
)
def test_no_scheme_expresses_overlapping_unordered_or_empty_chunks(scheme: TaggingScheme, ranges: list[Chunk]) -> None:
    assert not expresses(scheme, ranges)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", []),
        ("O O", []),
        ("O I-X I-X O", [(1, 3, "X")]),
        ("B-X I-X O", [(0, 2, "X")]),
        ("B-X O I-X", [(0, 1, "X"), (2, 3, "X")]),
        ("O E-X O", [(1, 2, "X")]),
        ("E-X E-X", [(0, 1, "X"), (1, 2, "X")]),
        ("B-X I-Y", [(0, 1, "X"), (1, 2, "Y")]),
        ("B-X E-Y", [(0, 1, "X"), (1, 2, "Y")]),
        ("I-X I-Y I-X", [(0, 1, "X"), (1, 2, "Y"), (2, 3, "X")]),
        ("B-X B-X", [(0, 1, "X"), (1, 2, "X")]),
        ("B-X S-X I-X", [(0, 1, "X"), (1, 2, "X"), (2, 3, "X")]),
        ("B-X E-X I-X", [(0, 2, "X"), (2, 3, "X")]),
        ("S-X E-X", [(0, 1, "X"), (1, 2, "X")]),
        ("B-X L-X I-X", [(0, 2, "X"), (2, 3, "X")]),
        ("U-X L-X", [(0, 1, "X"), (1, 2, "X")]),
        ("B-A-X I-A-X I-X", [(0, 2, "A-X"), (2, 3, "X")]),
    ],
)
def test_invalid_tag_sequences_are_read_by_one_rule(tags: str, expected: list[Chunk]) -> None:
    assert list(find_chunks(tags.split())) == expected


def as_chunks(tags: list[str]) -> list[Chunk]:
    return [(first, last + 1, label) for label, first, last in get_entities(tags)]


LETTERS = ["O", *(f"{prefix}-{label}" for prefix in "BIES" for label in ("X", "Y"))]


@pytest.mark.parametrize("length", range(5))
def test_every_short_tag_sequence_is_read_as_by_seqeval(length: int) -> None:
    for sequence in product(LETTERS, repeat=length):
        tags = list(sequence)
        assert list(find_chunks(tags)) == as_chunks(tags), tags


def test_long_random_tag_sequences_are_read_as_by_seqeval() -> None:
    random = Random(67)
    for _ in range(20_000):
        tags = random.choices(LETTERS, k=random.randint(5, 20))
        assert list(find_chunks(tags)) == as_chunks(tags), tags


def test_last_and_unit_are_read_as_end_and_single() -> None:
    random = Random(68)
    letters = ["O", *(f"{prefix}-{label}" for prefix in "BILU" for label in ("X", "Y"))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(5_000):
            tags = random.choices(letters, k=random.randint(1, 12))
            other = [tag.replace("L-", "E-").replace("U-", "S-") for tag in tags]
            assert list(find_chunks(tags)) == as_chunks(other), tags
