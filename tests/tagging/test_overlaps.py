"""The choice among overlapping entities."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.data.tag_parsing import Chunk
from tune_ner.tagging.overlaps import OverlapPolicy, keep_disjoint, most_disjoint

POLICIES: tuple[OverlapPolicy, ...] = ("longest", "outermost", "innermost", "first")
CHUNKS = st.lists(
    st.builds(lambda a, n, label: (a, a + n, label), st.integers(0, 9), st.integers(1, 6), st.sampled_from("xy")),
    max_size=7,
)

MAYOR: list[Chunk] = [(0, 5, "A"), (0, 1, "B"), (2, 5, "C"), (4, 8, "D")]
"""A holds B and C; D crosses A and C."""


@pytest.mark.parametrize(
    ("policy", "kept"),
    [("longest", "A"), ("outermost", "A"), ("innermost", "BC"), ("first", "A")],
)
def test_each_policy_keeps_its_entities(policy: OverlapPolicy, kept: str) -> None:
    assert "".join(label for _, _, label in keep_disjoint(MAYOR, policy)) == kept


@given(CHUNKS, st.sampled_from(POLICIES))
def test_what_is_kept_is_disjoint_ordered_and_cannot_be_extended(chunks: list[Chunk], policy: OverlapPolicy) -> None:
    kept = keep_disjoint(chunks, policy)
    assert all(one[1] <= other[0] for one, other in pairwise(kept))
    assert set(kept) <= set(chunks)
    for chunk in chunks:
        assert chunk in kept or any(chunk[0] < after and first < chunk[1] for first, after, _ in kept)
    assert len(kept) <= most_disjoint([chunk[:2] for chunk in chunks])


@given(CHUNKS)
def test_the_largest_disjoint_set_equals_that_of_an_enumeration(chunks: list[Chunk]) -> None:
    best = 0
    for choice in range(2 ** len(chunks)):
        chosen = sorted(chunk for place, chunk in enumerate(chunks) if choice >> place & 1)
        if all(one[1] <= other[0] for one, other in pairwise(chosen)):
            best = max(best, len(chosen))
    assert most_disjoint([chunk[:2] for chunk in chunks]) == best


def test_the_example_of_two_entities_in_a_third() -> None:
    assert most_disjoint([(0, 22), (0, 5), (9, 22)]) == 2
