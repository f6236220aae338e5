"""Faults of the spans themselves."""

import pytest

from tests.audit.corpora import a_corpus, a_sentence
from tune_ner.audit.checks.annotation_conventions import (
    annotation_findings,
    bracket_remnants,
    empty_spans,
    loose_edges,
    missing_types,
    off_boundaries,
    overlaps,
    real_brackets,
)
from tune_ner.audit.findings import PartSize
from tune_ner.data.corpus import Sentence, Span


def spanned(text: str, *spans: tuple[int, int, str]) -> list[Sentence]:
    return [Sentence("a", text, tuple(Span(*span) for span in spans), "made.txt:1")]


def test_clean_annotation_has_no_finding() -> None:
    sentences = a_corpus("Ta <DRUG salva> mot <DISORDER klåda> nu.", "").sentences
    assert annotation_findings(sentences, "whitespace", {"test": PartSize(2, 2, {"DRUG": 1, "DISORDER": 1})}) == []


def test_overlaps_tell_nested_from_crossing_spans() -> None:
    finding = overlaps(spanned("ont i magen nu", (0, 11, "A"), (6, 11, "B"), (6, 14, "B"), (0, 3, "A")))
    assert finding is not None
    assert (finding.severity, finding.count, finding.of) == ("warning", 3, 4)
    assert finding.figures == {"nested": 2.0, "crossing": 1.0}
    assert overlaps(spanned("ont i magen", (0, 3, "A"), (3, 5, "A"), (6, 11, "B"))) is None


def test_a_span_within_a_word_is_off_for_both_ways_of_cutting() -> None:
    sentences = spanned("Magsår (akut).", (0, 3, "A"), (8, 12, "B"))
    by_punctuation, by_space = off_boundaries(sentences, "punctuation"), off_boundaries(sentences, "whitespace")
    assert by_punctuation is not None
    assert by_space is not None
    assert (by_punctuation.count, by_space.count) == (1, 2)
    assert by_punctuation.kind == "off_punctuation_words"
    assert "--words punctuation" in by_space.remedy
    assert "recall cannot pass 0.000" in by_space.effect


@pytest.mark.parametrize(("start", "end", "spaces"), [(2, 8, 1.0), (3, 9, 1.0), (3, 10, 0.0)])
def test_spans_with_space_or_punctuation_at_an_edge(start: int, end: int, spaces: float) -> None:
    text = "Ta salva nu" if end < 10 else "Ta salva!? "
    finding = loose_edges(spanned(text, (start, end, "DRUG")))
    assert finding is not None
    assert (finding.severity, finding.count, finding.figures["white_space"]) == ("warning", 1, spaces)
    assert loose_edges(spanned("Ta salva nu", (3, 8, "DRUG"))) is None


def test_a_few_abbreviations_are_only_good_to_know() -> None:
    finding = loose_edges(a_corpus("<DRUG tabl.>", *["<DRUG salva>"] * 199).sentences)
    assert finding is not None
    assert finding.severity == "info"


def test_empty_spans_and_spans_out_of_their_text() -> None:
    finding = empty_spans(spanned("Feber.", (0, 5, "A"), (2, 2, "A"), (4, 9, "A")))
    assert finding is not None
    assert (finding.severity, finding.count, finding.of) == ("warning", 2, 3)
    assert {example.text for example in finding.examples} == {"2–2 A of 6 characters", "4–9 A of 6 characters"}


def test_types_that_a_part_lacks() -> None:
    finding = missing_types({"train": PartSize(3, 4, {"A": 4, "B": 0}), "test": PartSize(1, 1, {"A": 1, "B": 0})})
    assert finding is not None
    assert finding.title == "no entity of B in train, B in test"
    assert (finding.count, finding.of) == (2, 4)
    assert missing_types({"test": PartSize(1, 1, {"A": 1})}) is None


@pytest.mark.parametrize("marked", ["Memantin <DISORDER ( Ebixa )> ger.", "Memantin ( <DISORDER Ebixa> ) ger."])
def test_a_name_in_brackets_behind_a_name_may_be_text(marked: str) -> None:
    finding = real_brackets([a_sentence(marked)])
    assert finding is not None
    assert (finding.severity, finding.count) == ("info", 1)
    assert "heuristic" in finding.effect


@pytest.mark.parametrize("marked", ["Man får <DISORDER ( feber )> nu.", "Ta <DRUG Ebixa>.", "<DISORDER (Feber)> nu."])
def test_other_entities_are_not_taken_for_text(marked: str) -> None:
    assert real_brackets([a_sentence(marked)]) is None


def test_brackets_without_a_partner() -> None:
    finding = bracket_remnants([a_sentence("Ont ( nu."), a_sentence("Ont (nu)."), a_sentence("Ont [] nu.", 3)])
    assert finding is not None
    assert (finding.severity, finding.count, finding.of) == ("warning", 2, 3)
