"""CSV and TSV files with one sentence per row."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.data.corpus import Corpus
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import DataError

EXPECTED = [("Anna såg New York", [("Anna", "PER"), ("New York", "LOC")]), ("Det regnade", [])]


def entities(corpus: Corpus) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(s.text, [(span.text_in(s.text), span.label) for span in s.spans]) for s in corpus.sentences]


def written(folder: Path, header: list[str], rows: list[list[str]], name: str = "a.csv") -> Path:
    text = io.StringIO()
    csv.writer(text, delimiter="\t" if name.endswith("tsv") else ",").writerows([header, *rows])
    (folder / name).write_text(text.getvalue(), encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (["text", "labels"], [["Anna såg New York", "B-PER O B-LOC I-LOC"], ["Det regnade", "O O"]]),
        (["Sentence #", "Sentence", "POS", "Tag"], [
            ["1", "Anna såg New York", "['N', 'V', 'N', 'N']", "['B-PER', 'O', 'B-LOC', 'I-LOC']"],
            ["2", "Det regnade", "['P', 'V']", "['O', 'O']"],
        ]),
        (["tokens", "ner_tags"], [
            [json.dumps(["Anna", "såg", "New", "York"]), json.dumps(["B-PER", "O", "B-LOC", "I-LOC"])],
            ["['Det', 'regnade']", "['O', 'O']"],
        ]),
        (["id", "text", "entities"], [
            ["a", "Anna såg New York",
             "[{'start': 0, 'end': 4, 'label': 'PER'}, {'start': 9, 'end': 17, 'label': 'LOC'}]"],
            ["b", "Det regnade", "[]"],
        ]),
        (["text", "spans"], [["Anna såg New York", "[(0, 4, 'PER'), (9, 17, 'LOC')]"], ["Det regnade", "[]"]]),
    ],
)  # fmt: skip
def test_sentences_are_read(tmp_path: Path, header: list[str], rows: list[list[str]], name: str) -> None:
    corpus = load_corpus(written(tmp_path, header, rows, name))
    assert entities(corpus) == EXPECTED
    assert corpus.sentences[1].source.endswith(f"{name}:3")


def test_columns_can_be_named(tmp_path: Path) -> None:
    rows = [["Anna såg New York", "B-PER O B-LOC I-LOC", "d1"], ["Det regnade", "O O", "d2"]]
    path = written(tmp_path, ["form", "iob", "doc_id"], rows)
    corpus = load_corpus(path, columns={"tokens": "form", "tags": "iob"}, group_by="document")
    assert entities(corpus) == EXPECTED
    assert [sentence.group for sentence in corpus.sentences] == ["d1", "d2"]


def test_one_token_per_row_is_read_as_before(tmp_path: Path) -> None:
    rows = [["1", "Anna", "B-PER"], ["1", "ler", "O"], ["2", "Hej", "O"]]
    assert entities(load_corpus(written(tmp_path, ["sentence", "token", "tag"], rows))) == [
        ("Anna ler", [("Anna", "PER")]),
        ("Hej", []),
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["Anna ler", "B-PER O"], ["Hej", "['O'"]], "a.csv:3: `tags` is \"['O'\"; expected a list"),
        ([["Anna ler", "B-PER O"], ["Hej du", "O"]], "a.csv:3: 2 tokens but 1 tags"),
        ([["Anna ler", "B-PER O"], ["Hej"]], "a.csv:3: found 1 cells; expected 2"),
        ([["['Anna', 'ler']", "[]"], ["['a']", "['O']"]], "a.csv:2: 2 tokens but 0 tags"),
    ],
)
def test_invalid_rows_are_refused_with_their_line(tmp_path: Path, rows: list[list[str]], message: str) -> None:
    with pytest.raises(DataError) as caught:
        load_corpus(written(tmp_path, ["tokens", "tags"], rows))
    assert message in str(caught.value)


@given(st.text(st.sampled_from("[](){}'\",\n\t O-BPER=:1"), max_size=25), st.sampled_from(["tokens", "text"]))
def test_any_cell_is_read_or_refused_with_the_file(
    tmp_path_factory: pytest.TempPathFactory, cell: str, name: str
) -> None:
    rows = [["Anna ler", "['B-PER', 'O']"], [cell, cell]]
    path = written(tmp_path_factory.mktemp("t"), [name, "tags"], rows)
    try:
        load_corpus(path)
    except DataError as error:
        message = str(error)
    else:
        message = str(path)
    assert str(path) in message
