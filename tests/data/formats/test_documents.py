"""Documents of passages: BioC as JSON and XML, and BigBio's `kb` schema."""

import json
from pathlib import Path
from typing import Any

import bioc
import pytest
from bioc import biocxml
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.data.corpus import Corpus, Span
from tune_ner.data.formats.documents import Document, divided
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import DataError

EXPECTED = [("Anna såg Rom.", [("Anna", "PER")]), ("Det regnade.", []), ("Bo log.", [("Bo", "PER")])]
BIGBIO = {
    "id": "0",
    "document_id": "d9",
    "passages": [
        {"id": "1", "type": "title", "text": ["Anna såg Rom."], "offsets": [[0, 13]]},
        {"id": "2", "type": "abstract", "text": ["Det regnade.\nBo log."], "offsets": [[14, 34]]},
    ],
    "entities": [
        {"id": "3", "type": "PER", "text": ["Anna"], "offsets": [[0, 4]], "normalized": []},
        {"id": "4", "type": "PER", "text": ["Bo"], "offsets": [[27, 29]], "normalized": []},
        {"id": "5", "type": "X", "text": ["Det", "Bo"], "offsets": [[14, 17], [27, 29]], "normalized": []},
    ],
    "relations": [],
}


def annotation(start: int, text: str, label: str = "PER") -> dict[str, Any]:
    return {"text": text, "infons": {"type": label}, "locations": [{"offset": start, "length": len(text)}]}


BIOC = {
    "id": "d9",
    "infons": {},
    "passages": [
        {"offset": 0, "text": "Anna såg Rom.", "annotations": [annotation(0, "Anna")]},
        {"offset": 14, "text": "Det regnade.\nBo log.", "annotations": [annotation(27, "Bo")]},
    ],
}


def entities(corpus: Corpus) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(s.text, [(span.text_in(s.text), span.label) for span in s.spans]) for s in corpus.sentences]


def loaded(folder: Path, content: Any, name: str = "a.json", **reading: Any) -> Corpus:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return load_corpus(path, **reading)


@pytest.mark.parametrize(
    "content",
    [
        BIGBIO,
        [BIGBIO],
        BIOC,
        {"source": "a", "documents": [BIOC]},
        {"PubTator3": [BIOC]},
        {**BIOC, "annotations": [annotation(0, "Anna"), annotation(27, "Bo")],
         "passages": [{**passage, "annotations": []} for passage in BIOC["passages"]]},  # type: ignore[dict-item]
    ],
)  # fmt: skip
def test_lines_of_passages_are_sentences_of_one_document(tmp_path: Path, content: Any) -> None:
    corpus = loaded(tmp_path, content)
    assert entities(corpus) == EXPECTED
    assert {sentence.group for sentence in corpus.sentences} == {"d9"}


def test_discontinuous_entities_are_counted(tmp_path: Path) -> None:
    assert "discontinuous entities left out: 1" in loaded(tmp_path, BIGBIO).notes


def test_discontinuous_entities_can_be_covered(tmp_path: Path) -> None:
    corpus = loaded(tmp_path, BIGBIO, discontinuous="cover")
    assert ("Det regnade.\nBo", "X") in [span for _, spans in entities(corpus) for span in spans]
    parts = [{"offset": 0, "length": 4}, {"offset": 9, "length": 3}]
    row = {"id": "d", "passages": [{"offset": 0, "text": "Anna såg Rom.", "annotations": []}]}
    row["passages"][0]["annotations"] = [{"text": "Anna Rom", "infons": {"type": "X"}, "locations": parts}]  # type: ignore[index]
    assert entities(loaded(tmp_path, [row], discontinuous="cover")) == [("Anna såg Rom.", [("Anna såg Rom", "X")])]
    row["passages"][0]["annotations"][0]["text"] = "Anna Bo"  # type: ignore[index]
    with pytest.raises(DataError, match="the entity 'Anna Bo' is not at its offsets, where the text is 'Anna Rom'"):
        loaded(tmp_path, [row], discontinuous="cover")


def test_sentences_within_a_passage_have_the_text(tmp_path: Path) -> None:
    sentences = [
        {"offset": 0, "text": "Anna log.", "annotations": [annotation(0, "Anna")]},
        {"offset": 10, "text": "Bo gick.", "annotations": [annotation(10, "Bo")]},
    ]
    corpus = loaded(tmp_path, {"id": "1", "passages": [{"offset": 0, "sentences": sentences, "annotations": []}]})
    assert entities(corpus) == [("Anna log.", [("Anna", "PER")]), ("Bo gick.", [("Bo", "PER")])]


@pytest.mark.parametrize(
    ("passages", "message"),
    [
        ([{"offset": 0, "text": "Anna", "annotations": [annotation(1, "Anna")]}], "not within one passage"),
        ([{"offset": 0, "text": "Anna ler", "annotations": [annotation(1, "Anna")]}], "'Anna' is not at its offsets"),
        ([{"offset": 0, "text": "Anna", "annotations": [{"text": "Anna"}]}], "expected `infons` with a `type`"),
        ([{"offset": 0, "text": "Anna", "annotations": 7}], "expected a list of objects"),
        ([{"offset": "0", "text": "Anna", "annotations": []}], "expected one `text` with one offset"),
        ([{"text": ["a", "b"], "offsets": [[0, 1]], "annotations": []}], "expected one `text` with one offset"),
    ],
)
def test_invalid_documents_are_refused_with_their_place(tmp_path: Path, passages: Any, message: str) -> None:
    with pytest.raises(DataError, match=r"a\.json") as caught:
        loaded(tmp_path, {"documents": [{"id": "1", "passages": passages}]})
    assert message in str(caught.value)


@given(st.lists(st.tuples(st.sampled_from(["Anna såg Rom.", "Bo log", "två ord 😀"]), st.booleans()), min_size=1))
def test_xml_written_by_bioc_is_read_back(tmp_path_factory: pytest.TempPathFactory, parts: Any) -> None:
    collection, document = bioc.BioCCollection(), bioc.BioCDocument()
    document.id = "1"
    offset = 0
    for number, (text, is_annotated) in enumerate([("Anna ler", True), *parts]):
        passage = bioc.BioCPassage()
        passage.offset, passage.text = offset, text
        if is_annotated:
            found = bioc.BioCAnnotation()
            found.id, found.text, found.infons["type"] = f"T{number}", text.split()[0], "PER"
            found.add_location(bioc.BioCLocation(offset, len(found.text)))
            passage.add_annotation(found)
        document.add_passage(passage)
        offset += len(text) + 1
    collection.add_document(document)
    path = tmp_path_factory.mktemp("bioc") / "a.xml"
    path.write_text(biocxml.dumps(collection), encoding="utf-8")
    assert entities(load_corpus(path)) == [
        (text, [(text.split()[0], "PER")] if is_annotated else [])
        for text, is_annotated in [("Anna ler", True), *parts]
    ]


@pytest.mark.parametrize("content", ["", "<html>", "<collection><document><id>1</id></collection>", "no XML"])
def test_other_xml_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.xml").write_text(content)
    with pytest.raises(DataError, match=r"a\.xml"):
        load_corpus(tmp_path / "a.xml")


def test_xml_cannot_read_other_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret words")
    entity = f'<!DOCTYPE collection [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]>'
    passage = "<passage><offset>0</offset><text>&x;</text></passage>"
    (tmp_path / "a.xml").write_text(f"{entity}<collection><document><id>1</id>{passage}</document></collection>")
    with pytest.raises(DataError) as caught:
        load_corpus(tmp_path / "a.xml")
    assert "secret words" not in str(caught.value)


@given(st.lists(st.sampled_from(["ord ", "två\n", "\n", "tre. "]), max_size=8), st.data())
def test_dividing_a_document_keeps_every_span_and_word(parts: list[str], data: st.DataObject) -> None:
    text = "".join(["Anna ", *parts])
    spans = set()
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(text) - 1))
        end = data.draw(st.integers(start + 1, len(text)))
        if text[start:end] == text[start:end].strip():
            spans.add(Span(start, end, "A"))
    starts = sorted(data.draw(st.sets(st.integers(0, len(text) - 1))))
    found = list(divided(Document("d", text, sorted(spans), "g", "p", starts)))
    assert "".join("".join(sentence.text for sentence in found).split()) == "".join(text.split())
    assert sorted(span.text_in(s.text) for s in found for span in s.spans) == sorted(
        span.text_in(text) for span in spans
    )
