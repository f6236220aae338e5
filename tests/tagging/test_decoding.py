"""Transitions that schemes allow, and Viterbi decoding."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.tagging.reference import valid_pairs
from tune_ner.tagging.decoding import ViterbiDecoder
from tune_ner.tagging.schemes import SCHEMES

EVERY_SCHEME = pytest.mark.parametrize("name", SCHEMES)

# forbidden transitions of each scheme, within a type (x x) or between two (x y); "" is the edge of a sentence
FORBIDDEN: dict[str, set[tuple[str, str]]] = {
    "BIO": {("", "I-x"), ("O", "I-x"), ("B-x", "I-y"), ("I-x", "I-y")},
    "IO": set(),
    "IOB1": {("", "B-x"), ("O", "B-x"), ("I-x", "B-y"), ("B-x", "B-y")},
}
OPEN, CLOSED = ("B", "I"), ("O", "E", "S", "")
FORBIDDEN["BIOES"] = {
    *((f"{a}-x", b) for a in OPEN for b in ("O", "", "B-x", "S-x", "B-y", "S-y", "I-y", "E-y")),
    *((a if a in ("O", "") else f"{a}-x", f"{b}-{t}") for a in CLOSED for b in ("I", "E") for t in "xy"),
}
FORBIDDEN["BILOU"] = {
    (a.replace("E-", "L-").replace("S-", "U-"), b.replace("E-", "L-").replace("S-", "U-"))
    for a, b in FORBIDDEN["BIOES"]
}


def is_valid(name: str, tags: list[str]) -> bool:
    return all(SCHEMES[name].allows(a, b) for a, b in pairwise(["", *tags, ""]))


@EVERY_SCHEME
def test_forbidden_transitions_of_each_scheme(name: str) -> None:
    tags = ["", *SCHEMES[name].labels(["x", "y"])]
    pairs = {pair for pair in product(tags, tags) if pair != ("", "")}
    first_is_x = {(a, b) for a, b in pairs if (a + b).find("x") >= 0 and not a.endswith("y")}
    forbidden = {(a, b) for a, b in first_is_x if not SCHEMES[name].allows(a, b)}
    expected = {(a, b) for a, b in FORBIDDEN[name] if (a, b) in first_is_x}
    assert forbidden == expected


@EVERY_SCHEME
def test_allowed_transitions_are_those_of_all_sets_of_entities(name: str) -> None:
    tags = ["", *SCHEMES[name].labels(["x", "y"])]
    allowed = {(a, b) for a, b in product(tags, tags) if SCHEMES[name].allows(a, b)}
    assert allowed == valid_pairs(SCHEMES[name]) | {("", "")}


@EVERY_SCHEME
@given(data=st.data())
def test_the_tags_of_any_entities_are_valid(name: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, 8), max_size=6)))
    ranges = [(a, b, data.draw(st.sampled_from("xyz"))) for a, b in pairwise(cuts) if data.draw(st.booleans())]
    assert is_valid(name, SCHEMES[name].tags(ranges, 8))


@EVERY_SCHEME
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_viterbi_finds_the_best_valid_sequence(name: str, data: st.DataObject) -> None:
    labels = SCHEMES[name].labels(["x"])
    words = data.draw(st.integers(0, 4))
    scores = data.draw(arrays(np.float64, (words, len(labels)), elements=st.floats(-5, 5, width=32), unique=True))
    found = ViterbiDecoder(SCHEMES[name], labels)(scores)
    sequences = [ids for ids in product(range(len(labels)), repeat=words) if is_valid(name, [labels[i] for i in ids])]

    def total(ids: tuple[int, ...]) -> float:
        return float(sum(scores[word, label] for word, label in enumerate(ids)))

    assert is_valid(name, [labels[i] for i in found])
    assert total(tuple(found)) == pytest.approx(max(map(total, sequences)))


@EVERY_SCHEME
def test_a_valid_best_sequence_is_kept(name: str) -> None:
    labels = SCHEMES[name].labels(["x", "y"])
    tags = SCHEMES[name].tags([(0, 2, "x"), (2, 3, "y"), (4, 5, "x")], 6)
    scores = np.full((6, len(labels)), -1.0)
    for word, tag in enumerate(tags):
        scores[word, labels.index(tag)] = 1.0
    assert [labels[i] for i in ViterbiDecoder(SCHEMES[name], labels)(scores)] == tags
