"""Boundary markers that are learned from markup, and ordinary text from which none are learned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audit.corpora import (
    BRACKETS,
    make_corpus,
    make_sentence,
    plain_corpus,
    plain_split,
    same_markers,
    sentences_at,
    with_markers,
)
from tune_ner.audit.boundary_markers import (
    BoundaryMarker,
    MarkerSet,
    Side,
    describe,
    find_candidates,
    inner_positions,
    learn_markers,
)
from tune_ner.data.corpus import Corpus, Sentence, Span


def markers_of(corpus: Corpus, side: Side) -> tuple[BoundaryMarker, ...]:
    return learn_markers(sentences_at(corpus, plain_split().train), side).markers


def learned(sentences: list[Sentence], side: Side) -> tuple[BoundaryMarker, ...]:
    return learn_markers(sentences, side).markers


@pytest.mark.parametrize("side", ["start", "end"])
def test_synthetic_text_has_no_markers(side: Side) -> None:
    assert markers_of(plain_corpus(), side) == ()


def test_brackets_inside_spans_are_markers_of_their_type() -> None:
    corpus = with_markers(plain_corpus(), {k: (f"{a} ", f" {b}") for k, (a, b) in BRACKETS.items()}, inside=True)
    starts, ends = markers_of(corpus, "start"), markers_of(corpus, "end")
    assert {(marker.text, marker.inside, marker.label, marker.purity) for marker in starts} == {
        ("(", 1, "DISORDER", 1.0),
        ("[", 1, "DRUG", 1.0),
        ("{", 1, "BODY", 1.0),
    }
    assert {(marker.text, marker.inside) for marker in ends} == {(")", 1), ("]", 1), ("}", 1)}


@pytest.mark.parametrize("characters", ["_", "**", "~~", "@@"])
def test_marker_that_opens_and_closes_is_distinguished_by_the_adjacent_word(characters: str) -> None:
    corpus = with_markers(plain_corpus(), same_markers(characters, characters))
    for side in ("start", "end"):
        (marker,) = markers_of(corpus, side)
        assert (marker.text, marker.inside, marker.is_next_to_word) == (characters, 0, True)
        assert marker.hits == marker.occurrences == sum(len(s.spans) for s in sentences_at(corpus, plain_split().train))


def test_tags_of_different_types_are_different_markers() -> None:
    corpus = with_markers(plain_corpus(), {label: (f"<{label}>", f"</{label}>") for label in BRACKETS})
    markers = markers_of(corpus, "start")
    assert {marker.text: marker.label for marker in markers} == {f"<{label}>": label for label in BRACKETS}
    assert all(marker.kind == "tags" for marker in markers)


def test_space_before_punctuation_is_a_marker_if_only_entities_have_it() -> None:
    markers = markers_of(with_markers(plain_corpus(), {}, moved_space=True), "end")
    assert " ." in {marker.text for marker in markers}
    assert all(marker.text[0] == " " and marker.kind == "spacing" for marker in markers)


def test_space_before_all_punctuation_is_not_a_marker() -> None:
    sentences = [make_sentence(f"Han har <DISORDER feber{i}> och går hem i dag .") for i in range(40)]
    sentences += [make_sentence(f"Hon har <DISORDER hosta{i}> .") for i in range(10)]
    assert learned(sentences, "end") == ()


def test_full_stop_is_not_a_marker_if_sentences_end_with_an_entity() -> None:
    sentences = [make_sentence(f"Patienten har ont och får <DRUG medel{i}>.") for i in range(40)]
    assert learned(sentences, "end") == ()


def test_start_of_sentence_is_not_a_marker() -> None:
    sentences = [make_sentence(f"<DRUG Medel{i}> hjälper mot ont i magen.") for i in range(40)]
    assert learned(sentences, "start") == ()


def test_space_is_not_a_marker_if_every_word_is_an_entity() -> None:
    sentences = [make_sentence(f"<DRUG medel{i}> <DRUG salva{i}> <DRUG kräm{i}>") for i in range(40)]
    assert learned(sentences, "start") == ()


def test_currency_and_per_cent_signs_belong_to_the_entity() -> None:
    sentences = [make_sentence(f"Det kostar <MONEY ${i}> eller <SHARE {i}%> mer än förr.") for i in range(40)]
    assert learned(sentences, "start") == ()
    assert learned(sentences, "end") == ()


def test_markers_inside_merged_spans_do_not_count_against_the_marker() -> None:
    sentences = [make_sentence("Både <BODY {näsa} och {öga}> svider.") for _ in range(20)]
    (marker,) = learned(sentences, "start")
    assert (marker.text, marker.hits, marker.occurrences) == ("{", 20, 20)


def test_word_before_a_candidate_may_end_in_a_combining_mark() -> None:
    found = list(find_candidates("nåla\u0308."))
    assert [(c.text, c.after_word, c.before_word) for c in found] == [(".", True, False)]


def test_boundaries_are_found_in_order() -> None:
    corpus = with_markers(plain_corpus(), BRACKETS)
    markers = learn_markers(sentences_at(corpus, plain_split().train), "start")
    for sentence in sentences_at(corpus, plain_split().test):
        assert list(markers.find(sentence.text)) == [span.start for span in sentence.spans]
    assert MarkerSet("start", []).find("text [x]") == {}


def test_inner_positions_ignore_invalid_spans() -> None:
    sentence = Sentence("a", "Ont.", (Span(0, 3, "X"), Span(2, 2, "X"), Span(3, 9, "X"), Span(-1, 2, "X")))
    assert inner_positions(sentence) == {1, 2}


RANGES = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda ends: Span(min(ends), max(ends), "DRUG"))


@given(st.lists(RANGES, max_size=6))
def test_inner_positions_are_those_of_each_span(spans: list[Span]) -> None:
    expected = {position for span in spans for position in range(span.start + 1, span.end)}
    assert inner_positions(Sentence("a", "x" * 12, tuple(spans))) == expected


@pytest.mark.parametrize(
    ("opening", "closing", "kind", "text"),
    [
        ("[", "]", "brackets", "brackets around entities"),
        ("<b>", "</b>", "tags", "`<b>` before and `</b>` after entities"),
        ("#", "", "characters", "`#` before entities"),
        ("", "§", "characters", "`§` after entities"),
        ("  ", "", "spacing", "the white space '  ' before entities"),
    ],
)
def test_description_of_markers(opening: str, closing: str, kind: str, text: str) -> None:
    corpus = make_corpus(*(f"Ta {opening}<DRUG salva{i}>{closing} varje dag nu." for i in range(20)))
    starts, ends = (learn_markers(corpus.sentences, side).markers for side in ("start", "end"))
    assert {marker.kind for marker in (*starts, *ends)} == {kind}
    assert describe(starts, ends).replace("'   '", "'  '") == text
