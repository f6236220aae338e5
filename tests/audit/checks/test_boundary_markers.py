"""Which characters are found to give entities away, and which ordinary text is left alone."""

import pytest

from tests.audit.corpora import BRACKETS, a_sentence, part_of, plain_corpus, plain_split, same_marks, with_marks
from tune_ner.audit.checks.boundary_markers import (
    Cue,
    Side,
    inner_positions,
    learn_cues,
    occurrences,
    told,
)
from tune_ner.data.corpus import Corpus, Sentence, Span, valid_spans


def cues_of(corpus: Corpus, side: Side) -> list[Cue]:
    return learn_cues(part_of(corpus, plain_split().train), side)


@pytest.mark.parametrize("side", ["start", "end"])
def test_synthetic_text_has_no_cue(side: Side) -> None:
    assert cues_of(plain_corpus(), side) == []


def test_brackets_within_spans_are_cues_of_their_type() -> None:
    corpus = with_marks(plain_corpus(), {k: (f"{a} ", f" {b}") for k, (a, b) in BRACKETS.items()}, inside=True)
    starts, ends = cues_of(corpus, "start"), cues_of(corpus, "end")
    assert {(cue.marker, cue.inside, cue.label, cue.purity) for cue in starts} == {
        ("(", 1, "DISORDER", 1.0),
        ("[", 1, "DRUG", 1.0),
        ("{", 1, "BODY", 1.0),
    }
    assert {(cue.marker, cue.inside) for cue in ends} == {(")", 1), ("]", 1), ("}", 1)}


@pytest.mark.parametrize("mark", ["_", "**", '"', "@@"])
def test_a_mark_that_opens_and_closes_is_told_apart_by_the_word_beside_it(mark: str) -> None:
    corpus = with_marks(plain_corpus(), same_marks(mark, mark))
    for side in ("start", "end"):
        (cue,) = cues_of(corpus, side)
        assert (cue.marker, cue.inside, cue.beside_word) == (mark, 0, True)
        assert cue.hits == cue.occurrences == sum(len(s.spans) for s in part_of(corpus, plain_split().train))


def test_tags_of_different_types_are_different_cues() -> None:
    corpus = with_marks(plain_corpus(), {label: (f"<{label}>", f"</{label}>") for label in BRACKETS})
    cues = cues_of(corpus, "start")
    assert {cue.marker: cue.label for cue in cues} == {f"<{label}>": label for label in BRACKETS}
    assert all(cue.is_tag for cue in cues)


def test_a_space_before_punctuation_is_a_cue_where_only_entities_have_it() -> None:
    cues = cues_of(with_marks(plain_corpus(), {}, moved_space=True), "end")
    assert " ." in {cue.marker for cue in cues}
    assert all(cue.marker[0] == " " and cue.is_ordinary for cue in cues)


def test_a_space_before_all_punctuation_is_none() -> None:
    sentences = [a_sentence(f"Han har <DISORDER feber{i}> och går hem i dag .") for i in range(40)]
    sentences += [a_sentence(f"Hon har <DISORDER hosta{i}> .") for i in range(10)]
    assert learn_cues(sentences, "end") == []


def test_sentences_that_always_end_with_an_entity_make_no_cue_of_the_full_stop() -> None:
    sentences = [a_sentence(f"Patienten har ont och får <DRUG medel{i}>.") for i in range(40)]
    assert learn_cues(sentences, "end") == []


def test_sentences_that_always_begin_with_an_entity_make_no_cue() -> None:
    sentences = [a_sentence(f"<DRUG Medel{i}> hjälper mot ont i magen.") for i in range(40)]
    assert learn_cues(sentences, "start") == []


def test_a_space_is_no_cue_where_every_word_is_an_entity() -> None:
    sentences = [a_sentence(f"<DRUG medel{i}> <DRUG salva{i}> <DRUG kräm{i}>") for i in range(40)]
    assert learn_cues(sentences, "start") == []


def test_currency_and_per_cent_signs_belong_to_the_entity() -> None:
    sentences = [a_sentence(f"Det kostar <MONEY ${i}> eller <SHARE {i}%> mer än förr.") for i in range(40)]
    assert learn_cues(sentences, "start") == []
    assert learn_cues(sentences, "end") == []


def test_marks_that_a_merged_span_swallows_do_not_count_against_the_cue() -> None:
    sentences = [a_sentence("Både <BODY {näsa} och {öga}> svider.") for _ in range(20)]
    (cue,) = learn_cues(sentences, "start")
    assert (cue.marker, cue.hits, cue.occurrences) == ("{", 20, 20)


def test_a_word_beside_a_marker_may_end_in_a_combining_mark() -> None:
    found = list(occurrences("nåla\u0308."))
    assert [(o.marker, o.after_word, o.before_word) for o in found] == [(".", True, False)]


def test_told_boundaries_come_in_order() -> None:
    corpus = with_marks(plain_corpus(), BRACKETS)
    cues = cues_of(corpus, "start")
    for sentence in part_of(corpus, plain_split().test):
        assert list(told(cues, sentence.text)) == [span.start for span in sentence.spans]
    assert told([], "text [x]") == {}


def test_spans_without_a_character_are_not_valid() -> None:
    sentence = Sentence("a", "Ont.", (Span(0, 3, "X"), Span(2, 2, "X"), Span(3, 9, "X"), Span(-1, 2, "X")))
    assert valid_spans(sentence) == [Span(0, 3, "X")]
    assert inner_positions(sentence) == {1, 2}
