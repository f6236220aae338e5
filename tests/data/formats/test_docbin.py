"""spaCy's `.spacy` files."""

from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import DocBin

from tune_ner.data.corpus import Corpus
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import DataError

NLP = spacy.blank("sv")


def a_doc(text: str, spans: list[tuple[int, int, str]], group: str = "", starts: tuple[int, ...] = ()) -> Any:
    doc = NLP(text)
    found: Any = [doc.char_span(*span) for span in spans]
    if group:
        doc.spans[group] = found
    else:
        doc.ents = found
    for token in doc if starts else ():
        token.is_sent_start = token.idx in starts
    return doc


def saved(folder: Path, *docs: Any) -> Path:
    DocBin(docs=docs).to_disk(folder / "a.spacy")
    return folder / "a.spacy"


def entities(corpus: Corpus) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(s.text, [(span.text_in(s.text), span.label) for span in s.spans]) for s in corpus.sentences]


def test_marked_sentences_are_divided_and_share_a_document(tmp_path: Path) -> None:
    docs = [a_doc("Bo ler. Det regnade.", [(0, 2, "PER")], starts=(0, 8)), a_doc("Rom", [(0, 3, "LOC")])]
    corpus = load_corpus(saved(tmp_path, *docs))
    assert entities(corpus) == [("Bo ler.", [("Bo", "PER")]), ("Det regnade.", []), ("Rom", [("Rom", "LOC")])]
    assert [sentence.group for sentence in corpus.sentences] == ["a:0", "a:0", "a:1"]


def test_documents_of_one_sentence_are_no_groups(tmp_path: Path) -> None:
    corpus = load_corpus(saved(tmp_path, a_doc("Bo ler.", [(0, 2, "PER")]), a_doc("Rom", [])))
    assert [sentence.group for sentence in corpus.sentences] == ["", ""]


def test_a_group_of_spans_is_read_where_there_are_no_entities(tmp_path: Path) -> None:
    spans = [(0, 2, "PER"), (0, 6, "X")]
    corpus = load_corpus(saved(tmp_path, a_doc("Bo ler", spans, "sc")))
    assert entities(corpus) == [("Bo ler", [("Bo", "PER"), ("Bo ler", "X")])]
    two = a_doc("Bo ler", spans, "sc")
    two.spans["other"] = [two.char_span(3, 6, "Y")]
    with pytest.raises(DataError, match=r"several groups in `doc\.spans`: other, sc"):
        load_corpus(saved(tmp_path, two))
    assert entities(load_corpus(saved(tmp_path, two), tag_column="other")) == [("Bo ler", [("ler", "Y")])]
    with pytest.raises(DataError, match="found other, sc"):
        load_corpus(tmp_path / "a.spacy", tag_column="missing")


@pytest.mark.parametrize("content", [b"", b"no zlib", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.spacy").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.spacy: not a readable \.spacy file"):
        load_corpus(tmp_path / "a.spacy")
