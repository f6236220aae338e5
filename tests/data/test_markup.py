"""Annotation markup: stripping removes exactly what annotators added."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.data.corpus import BODY, DISORDER, DRUG, MEDICAL_TYPES, Corpus, Sentence, Span
from tune_ner.data.loaders import load_corpus
from tune_ner.data.markup import published_spans, strip_corpus, strip_markup, unpaired_brackets
from tune_ner.data.splits import Split, split_corpus

PAIRS = {DISORDER: ("(", ")"), DRUG: ("[", "]"), BODY: ("{", "}")}

LETTERS = st.text(st.characters(categories=["L", "N", "M"]), min_size=1, max_size=6)
WORDS = st.sampled_from(
    ["Astma", "hjärtat", "p-piller", "α-blockerare", "3,5", "10\u00a0mg", "d.v.s.", "l'Oréal", "ÅÄÖ", "🫀", "och/eller"]
)
PHRASES = st.lists(st.one_of(WORDS, LETTERS), min_size=1, max_size=3).map(" ".join)
OPENINGS = st.sampled_from(["", "", '"', "»", "'", "-"])
CLOSINGS = st.sampled_from(["", "", ".", ",", ";", ":", "!", "?", "...", '".', "”", "-", "/"])
GAPS = st.sampled_from([" ", " ", " ", "", "  ", "\u00a0", "\t"])


@st.composite
def clean_sentences(draw: st.DrawFn) -> Sentence:
    """Draw phrases with punctuation, some of them entities, as in Swedish text before annotation."""
    text, spans = "", []
    for _ in range(draw(st.integers(0, 6))):
        text += draw(OPENINGS)
        start = len(text)
        text += draw(PHRASES)
        if label := draw(st.sampled_from([None, *MEDICAL_TYPES])):
            spans.append(Span(start, len(text), label))
        text += draw(CLOSINGS) + draw(GAPS)
    return Sentence("s", text, tuple(spans))


def annotated(sentence: Sentence, padded: bool) -> str:
    """Return the text with its entities in brackets, in one of the two styles of the corpus.

    Padded, there is a space inside each bracket and one before punctuation that follows it.
    """
    marked, position = "", 0
    for span in sentence.spans:
        left, right = PAIRS[span.label]
        pad = " " if padded else ""
        marked += sentence.text[position : span.start] + left + pad + span.text_in(sentence.text) + pad + right
        position = span.end
        if padded and sentence.text[position : position + 1] in set(".,;:!?)"):
            marked += " "
    return marked + sentence.text[position:]


@settings(deadline=None)
@given(clean_sentences(), st.booleans())
def test_stripping_restores_the_text_and_spans_before_annotation(sentence: Sentence, padded: bool) -> None:
    assert strip_markup(Sentence("s", annotated(sentence, padded))) == sentence


@settings(deadline=None)
@given(clean_sentences())
def test_text_without_brackets_is_unchanged(sentence: Sentence) -> None:
    assert strip_markup(sentence) == Sentence("s", sentence.text)


@settings(deadline=None)
@given(clean_sentences(), st.booleans())
def test_annotation_has_only_paired_brackets(sentence: Sentence, padded: bool) -> None:
    assert unpaired_brackets(annotated(sentence, padded)) == 0


@settings(deadline=None)
@given(clean_sentences(), st.booleans())
def test_published_spans_include_the_brackets(sentence: Sentence, padded: bool) -> None:
    spans = [span for span in sentence.spans if span.label != BODY]
    text = annotated(Sentence("s", sentence.text, tuple(spans)), padded)
    published = published_spans(text)
    assert [span.label for span in published] == [span.label for span in spans]
    for found, original in zip(published, spans, strict=True):
        left, right = PAIRS[original.label]
        inside = original.text_in(sentence.text)
        assert found.text_in(text) == (f"{left} {inside} {right}" if padded else f"{left}{inside}{right}")


def read(text: str) -> tuple[str, list[tuple[str, str]]]:
    stripped = strip_markup(Sentence("s", text))
    return stripped.text, [(span.text_in(stripped.text), span.label) for span in stripped.spans]


@pytest.mark.parametrize(
    ("text", "stripped", "entities"),
    [
        ("( Astma ) .", "Astma.", [("Astma", DISORDER)]),
        ("(Astma) .", "Astma .", [("Astma", DISORDER)]),
        ("( Astma )  .", "Astma  .", [("Astma", DISORDER)]),
        ("( Astma ) - ja", "Astma - ja", [("Astma", DISORDER)]),
        ("( Astma) .", "Astma.", [("Astma", DISORDER)]),
        ("(  Astma\t) .", "Astma.", [("Astma", DISORDER)]),
        ("[ Alvedon ][ Panodil ]", "AlvedonPanodil", [("Alvedon", DRUG), ("Panodil", DRUG)]),
        ("medel (t.ex. [ Alvedon ] ) mot", "medel (t.ex. Alvedon) mot", [("Alvedon", DRUG)]),
        ("( ont i {ryggen} )", "( ont i ryggen )", [("ryggen", BODY)]),
        ("{ a { b } c }", "{ a b c }", [("b", BODY)]),
        ("(a] [b) {c", "(a] [b) {c", []),
        ("() [ ] {\t}", "() [ ] {\t}", []),
        ("en :) eller ( Astma )", "en :) eller Astma", [("Astma", DISORDER)]),
        ("", "", []),
    ],
)
def test_only_innermost_pairs_are_markup(text: str, stripped: str, entities: list[tuple[str, str]]) -> None:
    assert read(text) == (stripped, entities)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("( a ) [b] {c}", 0),
        ("( a", 1),
        (":)", 1),
        ("(a]", 2),
        ("()", 2),
        ("{ \t}", 2),
        ("( ont i { ryggen } )", 2),
        ("[(])", 4),
    ],
)
def test_brackets_outside_of_innermost_pairs_are_counted(text: str, count: int) -> None:
    assert unpaired_brackets(text) == count


ORGANS = "Giftet kan skada många av kroppens { organ } , till exempel { hjärtat } och { njurarna } ."


def test_published_spans_merge_the_body_structures_of_a_sentence() -> None:
    (span,) = published_spans(ORGANS)
    assert span.label == BODY
    assert span.text_in(ORGANS) == "{ organ } , till exempel { hjärtat } och { njurarna }"


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("{ a } ( b ) { c }", ["{ a }", "( b )", "{ c }"]),
        ("( a ) och ( b )", ["( a )", "( b )"]),
        ("{ a } b }", ["{ a } b }"]),
        ("( a { b } )", ["( a { b } )"]),
        ("( a [ b ] )", ["[ b ]"]),
        ("() [ ]", ["[ ]"]),
    ],
)
def test_published_spans_follow_the_pattern_of_the_hub(text: str, published: list[str]) -> None:
    assert [span.text_in(text) for span in published_spans(text)] == published


def test_stripping_separates_merged_body_structures() -> None:
    assert read(ORGANS) == (
        "Giftet kan skada många av kroppens organ, till exempel hjärtat och njurarna.",
        [("organ", BODY), ("hjärtat", BODY), ("njurarna", BODY)],
    )


def test_only_brackets_of_given_types_are_stripped() -> None:
    stripped = strip_markup(Sentence("s", "( Ebixa ) mot [ demens ] ."), {"[": DISORDER})
    assert stripped == Sentence("s", "( Ebixa ) mot demens.", (Span(14, 20, DISORDER),))


def test_id_and_source_survive_stripping() -> None:
    assert strip_markup(Sentence("17", "[ Alvedon ]", (), "a.txt:3")) == Sentence(
        "17", "Alvedon", (Span(0, 7, DRUG),), "a.txt:3"
    )


def corpus_of(*sentences: Sentence) -> Corpus:
    labels = {span.label for sentence in sentences for span in sentence.spans}
    return Corpus("c", sentences, tuple(sorted(labels)), notes=("an older note",))


def test_parentheses_of_a_corpus_without_markup_are_kept_with_a_note() -> None:
    clean = corpus_of(
        Sentence("0", "Memantin (Ebixa) ger yrsel.", (Span(0, 8, DRUG), Span(10, 15, DRUG), Span(21, 26, DISORDER)))
    )
    result = strip_corpus(clean)
    assert result.sentences == clean.sentences
    assert result.notes[0] == "an older note"
    assert "nothing to strip" in result.notes[1]


def test_a_corpus_without_entities_is_unchanged() -> None:
    assert strip_corpus(corpus_of(Sentence("0", "( Astma )"))).sentences[0].text == "( Astma )"


@pytest.mark.parametrize("offset", [0, 1, 2], ids=["around brackets", "within brackets", "within padding"])
def test_markup_is_detected_inside_and_outside_of_spans(offset: int) -> None:
    text = "( Astma ) lindras av [ Alvedon ] ."
    spans = (Span(offset, 9 - offset, DISORDER), Span(21 + offset, 32 - offset, DRUG))
    result = strip_corpus(corpus_of(Sentence("0", text, spans)))
    assert result.sentences == (Sentence("0", "Astma lindras av Alvedon.", (Span(0, 5, DISORDER), Span(17, 24, DRUG))),)
    assert result.notes == ("an older note",)


def test_bracket_types_are_learned_from_the_spans() -> None:
    sentence = Sentence("0", "[ cell ] och { gen } (sic)", (Span(0, 8, "CELL"), Span(13, 20, "GENE")))
    result = strip_corpus(corpus_of(sentence))
    assert result.sentences == (Sentence("0", "cell och gen (sic)", (Span(0, 4, "CELL"), Span(9, 12, "GENE"))),)
    assert result.entity_types == ("CELL", "GENE")


def test_stripping_is_idempotent() -> None:
    once = strip_corpus(corpus_of(Sentence("0", ORGANS, published_spans(ORGANS))))
    assert strip_corpus(once).sentences == once.sentences


# ---- the published corpus


def per_part(corpus: Corpus, split: Split) -> list[list[int]]:
    return [list(corpus.entity_counts(indices).values()) for indices in (split.train, split.validation, split.test)]


def test_1177_with_markup_has_the_published_entities(swedish_medical_ner: Path) -> None:
    corpus = load_corpus(str(swedish_medical_ner), markup="keep")
    assert len(corpus) == 927
    assert corpus.entity_counts() == {DISORDER: 500, DRUG: 425, BODY: 157}
    split = split_corpus(corpus)
    assert [len(split.train), len(split.validation), len(split.test)] == [666, 75, 186]
    assert per_part(corpus, split) == [[385, 288, 119], [41, 30, 10], [74, 107, 28]]


def test_1177_without_markup_has_the_annotated_entities(swedish_medical_ner: Path) -> None:
    corpus = load_corpus(str(swedish_medical_ner), markup="strip")
    assert len(corpus) == 927
    assert corpus.entity_counts() == {DISORDER: 500, DRUG: 425, BODY: 213}
    assert per_part(corpus, split_corpus(corpus)) == [[385, 288, 163], [41, 30, 12], [74, 107, 38]]


def test_1177_without_markup_has_no_brackets_around_entities(swedish_medical_ner: Path) -> None:
    for sentence in load_corpus(str(swedish_medical_ner), markup="strip").sentences:
        assert not re.search(r"[()\[\]{}]", sentence.text), sentence
        for span in sentence.spans:
            assert not re.match(r" [.,;:!?)]", sentence.text[span.end :]), (sentence, span)
            assert span.text_in(sentence.text) == span.text_in(sentence.text).strip() != ""


def test_1177_without_markup_has_separate_body_structures(swedish_medical_ner: Path) -> None:
    corpus = load_corpus(str(swedish_medical_ner), markup="strip")
    wanted = "Giftet kan skada många av kroppens organ, till exempel hjärtat och njurarna."
    (sentence,) = [sentence for sentence in corpus.sentences if sentence.text == wanted]
    assert [span.text_in(wanted) for span in sentence.spans] == ["organ", "hjärtat", "njurarna"]


def test_dropped_spans_without_brackets_are_noted() -> None:
    marked = [Sentence(f"m{i}", "Ont i ( hals ).", (Span(6, 14, "DISORDER"),), f"here:{i}") for i in range(3)]
    bare = Sentence("b", "Ont i magen (se nedan", (Span(6, 11, "BODY"),), "here:9")
    corpus = strip_corpus(Corpus("c", (*marked, bare), ("DISORDER", "BODY")))
    assert any("1 spans without brackets" in note and "here:9" in note for note in corpus.notes)
    assert any("brackets in 1 sentences" in note and "here:9" in note for note in corpus.notes)
