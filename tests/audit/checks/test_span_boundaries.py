"""Spans that do not match words or their text."""

import pytest

from tests.audit.corpora import corpus_of, make_corpus, run
from tune_ner.audit.checks.span_boundaries import InvalidSpans, SpanEdges, WordBoundaries
from tune_ner.data.corpus import Corpus, Sentence, Span
from tune_ner.tagging.tokenization import WordTokenizer


def with_spans(text: str, *spans: tuple[int, int, str]) -> Corpus:
    return corpus_of(Sentence("a", text, tuple(Span(*span) for span in spans), "made.txt:1"))


def test_clean_annotation_has_no_finding() -> None:
    corpus = make_corpus("Ta <DRUG salva> mot <DISORDER klåda> nu.", "")
    assert [
        finding for check in (WordBoundaries(), SpanEdges(), InvalidSpans()) for finding in run(check, corpus)
    ] == []


def test_span_inside_a_word_is_found_for_both_tokenizers() -> None:
    corpus = with_spans("Magsår (akut).", (0, 3, "A"), (8, 12, "B"))
    by_character, by_whitespace = run(WordBoundaries(), corpus)
    assert (by_character.count, by_whitespace.count) == (1, 2)
    assert by_character.kind == "word_boundaries_character"
    assert "Correct the offsets" in by_character.suggestion
    assert "--words punctuation" in by_whitespace.suggestion
    assert "0.000" in by_whitespace.effect
    assert run(WordBoundaries(), corpus, word_tokenizer="punctuation") == [by_character]


@pytest.mark.parametrize("words", ["whitespace", "punctuation"])
def test_for_scripts_without_spaces_the_word_tokenizer_is_named_and_not_the_offsets(words: WordTokenizer) -> None:
    corpus = with_spans("田中さんは東京へ行った。", (0, 2, "PER"), (5, 7, "LOC"))
    (finding,) = run(WordBoundaries(), corpus, word_tokenizer=words)
    assert "--words character" in finding.suggestion
    assert run(WordBoundaries(), corpus, word_tokenizer="character") == []


@pytest.mark.parametrize(("start", "end", "spaces"), [(2, 8, 1), (3, 9, 1), (3, 10, 0)])
def test_spans_with_space_or_punctuation_at_an_edge(start: int, end: int, spaces: int) -> None:
    text = "Ta salva nu" if end < 10 else "Ta salva!? "
    usual = make_corpus("<DRUG salva>", "<DRUG salva>").sentences
    (finding,) = run(SpanEdges(), corpus_of(*usual, *with_spans(text, (start, end, "DRUG")).sentences))
    assert (finding.severity, finding.count, finding.values["white_space"]) == ("warning", 1, spaces)


def test_loose_edges_in_less_than_a_hundredth_of_the_spans_are_a_note() -> None:
    (finding,) = run(SpanEdges(), make_corpus("<DRUG salva.>", *["<DRUG salva>"] * 199))
    assert finding.severity == "info"


def test_abbreviations_and_titles_keep_their_punctuation() -> None:
    assert run(SpanEdges(), make_corpus("<LOC U.S.>", "<LOC U.S.>", "<LOC U.S>", "<ORG Yahoo!>", "<PER Dr.>")) == []


def test_empty_spans_and_spans_outside_of_the_text() -> None:
    (finding,) = run(InvalidSpans(), with_spans("Feber.", (0, 5, "A"), (2, 2, "A"), (4, 9, "A")))
    assert (finding.severity, finding.count, finding.total) == ("warning", 2, 3)
    assert {example.text[:5] for example in finding.examples} == {"2–2 A", "4–9 A"}
