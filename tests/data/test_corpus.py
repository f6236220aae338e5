"""The corpus: immutable, validated, with a fingerprint of its data."""

import dataclasses

import pytest

from tune_ner.data.corpus import MEDICAL_TYPES, Corpus, Sentence, Span, SplitName, ordered_types
from tune_ner.errors import DataError

ASTMA = Sentence("a", "Astma i lungorna", (Span(0, 5, "DISORDER"), Span(8, 16, "BODY")), "a.txt:1")
PLAIN = Sentence("b", "Ring 1177", (), "a.txt:2")
CORPUS = Corpus("one", (ASTMA, PLAIN), MEDICAL_TYPES, {"train": (0,), "test": (1,)}, ("a note",))


def with_sentence(sentence: Sentence) -> Corpus:
    return dataclasses.replace(CORPUS, sentences=(sentence, PLAIN))


@pytest.mark.parametrize(
    ("value", "field"), [(ASTMA.spans[0], "start"), (ASTMA, "text"), (CORPUS, "sentences"), (CORPUS, "entity_types")]
)
def test_a_corpus_is_immutable(value: object, field: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, None)


def test_a_span_covers_its_half_open_range_of_characters() -> None:
    assert [span.text_in(ASTMA.text) for span in ASTMA.spans] == ["Astma", "lungorna"]


def test_the_representation_of_a_corpus_is_a_summary() -> None:
    assert repr(CORPUS) == (
        "Corpus('one', 2 sentences, entities {DISORDER: 1, DRUG: 0, BODY: 1}, splits {train: 1, test: 1})"
    )


def test_spans_sort_by_their_place() -> None:
    assert sorted([Span(3, 4, "A"), Span(0, 9, "B"), Span(0, 2, "C")])[0] == Span(0, 2, "C")


def test_the_length_of_a_corpus_is_its_number_of_sentences() -> None:
    assert len(CORPUS) == 2


def test_entities_are_counted_by_type_in_label_order() -> None:
    assert list(CORPUS.entity_counts().items()) == [("DISORDER", 1), ("DRUG", 0), ("BODY", 1)]
    assert CORPUS.entity_counts([1]) == {"DISORDER": 0, "DRUG": 0, "BODY": 0}
    assert CORPUS.entity_counts([0, 0])["BODY"] == 2


@pytest.mark.parametrize(("source", "place"), [("a.txt:7", "a.txt:7"), ("", "the id")])
def test_a_span_of_an_unknown_type_is_refused_with_its_place(source: str, place: str) -> None:
    sentence = Sentence("the id", "Alvedon", (Span(0, 7, "DRUG"),), source)
    with pytest.raises(DataError) as caught:
        Corpus("c", (sentence,), ("BODY", "DISORDER"))
    assert str(caught.value).startswith(f"{place}: ")
    assert "'DRUG'" in str(caught.value)
    assert "expected one of BODY, DISORDER" in str(caught.value)


@pytest.mark.parametrize(
    "same",
    [
        dataclasses.replace(CORPUS, name="another name"),
        dataclasses.replace(CORPUS, notes=()),
        dataclasses.replace(CORPUS, splits={"test": (1,), "train": (0,)}),
        with_sentence(dataclasses.replace(ASTMA, source="/elsewhere/b.jsonl:9")),
        with_sentence(dataclasses.replace(ASTMA, id="another id")),
    ],
    ids=["name", "notes", "order of splits", "source", "id"],
)
def test_the_fingerprint_depends_only_on_data(same: Corpus) -> None:
    assert same.fingerprint == CORPUS.fingerprint


@pytest.mark.parametrize(
    "other",
    [
        with_sentence(dataclasses.replace(ASTMA, text="Astma i Lungorna")),
        with_sentence(dataclasses.replace(ASTMA, spans=ASTMA.spans[:1])),
        with_sentence(dataclasses.replace(ASTMA, spans=(Span(0, 4, "DISORDER"), ASTMA.spans[1]))),
        with_sentence(dataclasses.replace(ASTMA, spans=(Span(0, 5, "DRUG"), ASTMA.spans[1]))),
        dataclasses.replace(CORPUS, entity_types=("BODY", "DISORDER", "DRUG")),
        dataclasses.replace(CORPUS, splits={}),
        dataclasses.replace(CORPUS, splits={"train": (0,), "validation": (1,)}),
        dataclasses.replace(CORPUS, sentences=(PLAIN, ASTMA)),
        dataclasses.replace(CORPUS, sentences=(*CORPUS.sentences, PLAIN)),
    ],
    ids=["text", "spans", "offset", "label", "label order", "no splits", "split", "order", "number"],
)
def test_the_fingerprint_changes_with_the_data(other: Corpus) -> None:
    assert other.fingerprint != CORPUS.fingerprint


def test_the_fingerprint_distinguishes_a_lone_surrogate_from_its_escape() -> None:
    prints = {with_sentence(Sentence("a", text)).fingerprint for text in ("\ud800", "\\ud800", "?", "\ufffd")}
    assert len(prints) == 4


def test_the_fingerprint_is_the_same_in_every_version_of_python() -> None:
    """Compare with a recorded digest; U+1FAE8 and U+1CCD6 are printable only in newer Unicode versions."""
    corpus = Corpus("c", (Sentence("a", "Ögat \U0001fae8 \U0001ccd6", (Span(0, 4, "BODY"),)),), ("BODY",))
    assert corpus.fingerprint == "621a0d15dc2e95e43ffb220ce3d40b17677fdf7b5bd60d43a840d90607413cdf"


@pytest.mark.parametrize(
    ("labels", "ordered"),
    [
        (["BODY", "DRUG", "DISORDER", "DRUG"], ("DISORDER", "DRUG", "BODY")),
        (["BODY", "DISORDER"], ("DISORDER", "BODY")),
        (["gene", "BODY", "cell"], ("BODY", "cell", "gene")),
        ([], ()),
    ],
)
def test_medical_types_come_first_in_their_published_order(labels: list[str], ordered: tuple[str, ...]) -> None:
    assert ordered_types(labels) == ordered


def test_splits_have_the_given_indices() -> None:
    split_name: SplitName = "test"
    assert CORPUS.splits[split_name] == (1,)
