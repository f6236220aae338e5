"""Offsets of spans: checks, and conversion to characters."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.formats.offsets import check_characters, checked_span, to_characters, trimmed, utf16_to_characters
from tune_ner.errors import DataError

TEXTS = st.text(st.sampled_from("aå 😀"), min_size=1, max_size=9)


@given(TEXTS, st.integers(0, 9))
def test_utf16_offsets_become_characters(text: str, place: int) -> None:
    place = min(place, len(text))
    assert utf16_to_characters(text, len(text[:place].encode("utf-16-le")) // 2) == place
    assert utf16_to_characters(text, 1000) == len(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
@given(TEXTS, TEXTS)
def test_the_text_of_a_span_shows_how_its_offsets_count(encoding: str, before: str, word: str) -> None:
    size = 2 if encoding == "utf-16-le" else 1
    start, end = (len(part.encode(encoding)) // size for part in (before, before + word))
    text = f"{before}{word} slut"
    sentence = Sentence("1", text, (Span(start, end, "A"),), "a:1")
    found = to_characters([sentence], [("a:1", word, Span(start, end, "A"))], Counter(), {"a:1"})
    assert [span.text_in(text) for span in found[0].spans] == ([word.strip()] if word.strip() else [])


def test_white_space_is_cut_off_with_a_count() -> None:
    counts: Counter[str] = Counter()
    assert trimmed(Span(0, 4, "A"), " ab c", counts) == Span(1, 3, "A")
    assert trimmed(Span(0, 1, "A"), " ab", counts) is None
    assert trimmed(Span(1, 1, "A"), " ab", counts) is None
    assert trimmed(Span(1, 3, "A"), " ab", counts) == Span(1, 3, "A")
    assert sorted(counts.values()) == [1, 1, 1]


@pytest.mark.parametrize(
    ("start", "end", "label"), [(True, 1, "A"), (0, 9, "A"), (-1, 1, "A"), (2, 1, "A"), (0, 1, ""), (0, 1, " A")]
)
def test_invalid_spans_are_refused(start: int, end: int, label: str) -> None:
    with pytest.raises(DataError, match="a:1"):
        checked_span(start, end, label, "abc", "a:1")


def test_half_a_character_is_refused() -> None:
    with pytest.raises(DataError, match="a:1: half a surrogate pair"):
        check_characters("\ud800", (), "a:1")
