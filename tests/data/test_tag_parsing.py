"""Tag sequences are read by the rule of conlleval and of seqeval's default mode."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from tune_ner.data.tag_parsing import detect_dialect, find_chunks, split_tag

BIOES_TAGS = st.sampled_from(["O", *(f"{prefix}-{label}" for prefix in "BIES" for label in ("DRUG", "BODY-PART"))])
BILOU_LETTERS = str.maketrans("ES", "LU")


@settings(deadline=None)
@given(st.lists(BIOES_TAGS, max_size=12))
def test_any_sequence_is_read_as_by_seqeval(tags: list[str]) -> None:
    assert list(find_chunks(tags)) == [(first, last + 1, label) for label, first, last in get_entities(tags)]


@settings(deadline=None)
@given(st.lists(BIOES_TAGS, max_size=12))
def test_bilou_is_read_as_bioes(tags: list[str]) -> None:
    assert list(find_chunks(tag[0].translate(BILOU_LETTERS) + tag[1:] for tag in tags)) == list(find_chunks(tags))


@settings(deadline=None)
@given(st.lists(BIOES_TAGS, max_size=12))
def test_chunks_are_ordered_disjoint_and_cover_all_tagged_words(tags: list[str]) -> None:
    covered = [position for first, after, _ in find_chunks(tags) for position in range(first, after)]
    assert covered == [position for position, tag in enumerate(tags) if tag != "O"]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-A I-A O", [(0, 2, "A")]),
        ("B-A B-A", [(0, 1, "A"), (1, 2, "A")]),
        ("I-A I-A B-A", [(0, 2, "A"), (2, 3, "A")]),
        ("I-A I-B", [(0, 1, "A"), (1, 2, "B")]),
        ("B-A E-A E-A", [(0, 2, "A"), (2, 3, "A")]),
        ("B-A L-A I-A", [(0, 2, "A"), (2, 3, "A")]),
        ("S-A I-A", [(0, 1, "A"), (1, 2, "A")]),
        ("U-A U-A", [(0, 1, "A"), (1, 2, "A")]),
        ("B-A E-B", [(0, 1, "A"), (1, 2, "B")]),
    ],
)
def test_examples_of_the_rule(tags: str, expected: list[tuple[int, int, str]]) -> None:
    assert list(find_chunks(tags.split())) == expected


@pytest.mark.parametrize(
    ("tag", "expected"),
    [("O", ("O", "")), ("B-DRUG", ("B", "DRUG")), ("I-body-part", ("I", "body-part")), ("U--", ("U", "-"))],
)
def test_a_tag_is_a_prefix_and_a_type(tag: str, expected: tuple[str, str]) -> None:
    assert split_tag(tag) == expected


@pytest.mark.parametrize(
    "tag", ["", "B", "B-", "-DRUG", "DRUG", "X-DRUG", "b-DRUG", "BI-DRUG", "o", "B_DRUG", "O-DRUG"]
)
def test_an_invalid_tag_is_named(tag: str) -> None:
    with pytest.raises(ValueError, match="expected O") as caught:
        split_tag(tag)
    assert repr(tag) in str(caught.value)


@pytest.mark.parametrize(
    ("sequences", "dialect"),
    [
        (["B-A I-A O B-A", "B-B"], "BIO"),
        (["B-A", "O"], "BIO"),
        (["O O"], "BIO"),
        ([], "BIO"),
        (["I-A I-A B-A I-A O I-B"], "IOB1"),
        (["I-A I-A O I-B"], "IO"),
        (["I-A I-B I-A"], "IO"),
        (["B-A E-A O S-A"], "BIOES"),
        (["S-A"], "BIOES"),
        (["B-A I-A E-A"], "BIOES"),
        (["B-A L-A O U-A"], "BILOU"),
        (["U-A"], "BILOU"),
        (["B-A O", "O I-A"], "mixed"),
        (["S-A", "U-A"], "mixed"),
        (["B-A L-A", "B-A E-A"], "mixed"),
    ],
)
def test_dialects_are_detected_by_prefixes_and_starts(sequences: list[str], dialect: str) -> None:
    assert detect_dialect([tags.split() for tags in sequences]) == dialect


def test_entities_do_not_continue_across_sentences() -> None:
    assert detect_dialect([["B-A"], ["I-A", "B-A"]]) == "mixed"
