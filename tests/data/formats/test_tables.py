"""Corpora from objects in memory: data sets, DataFrames, lists of rows."""

import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pytest

from tune_ner.data.corpus import Corpus, Span
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import DataError

ROWS: list[dict[str, Any]] = [
    {"text": "Astma kan lindras.", "spans": [[0, 5, "DISORDER"]]},
    {"text": "Ta Alvedon.", "spans": [{"start": 3, "end": 10, "label": "DRUG"}]},
    {"text": "Ring 1177.", "spans": []},
]
TOKENS: list[dict[str, Any]] = [
    {"tokens": ["Anna", "Berg", "ringde"], "ner_tags": ["B-PER", "I-PER", "O"]},
    {"tokens": ["Nej"], "ner_tags": ["O"]},
]
SPLITS = ["train", "dev", "test"]


def with_splits(splits: list[Any]) -> list[dict[str, Any]]:
    return [{**row, "split": split} for row, split in zip(ROWS, splits, strict=True)]


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def as_dataset(rows: list[dict[str, Any]]) -> datasets.Dataset:
    spans = [
        [dict(zip(("start", "end", "label"), s, strict=True)) if isinstance(s, list) else s for s in row["spans"]]
        for row in rows
    ]
    return datasets.Dataset.from_list([{**row, "spans": found} for row, found in zip(rows, spans, strict=True)])


@pytest.mark.parametrize("source", [ROWS, tuple(ROWS), pd.DataFrame(ROWS), as_dataset(ROWS)])
def test_every_kind_of_table_equals_the_file_of_its_rows(source: Any, tmp_path: Path) -> None:
    corpus = load_corpus(source)
    assert corpus.fingerprint == load_corpus(written(tmp_path, ROWS)).fingerprint
    assert [(span.start, span.end, span.label) for span in corpus.sentences[1].spans] == [(3, 10, "DRUG")]
    assert corpus.entity_types == ("DISORDER", "DRUG")
    assert corpus.splits == {}
    name = type(source).__name__
    assert (corpus.name, corpus.sentences[2].source, corpus.sentences[2].id) == (name, f"{name}[2]", f"{name}_2")


@pytest.mark.parametrize("source", [TOKENS, pd.DataFrame(TOKENS), datasets.Dataset.from_list(TOKENS)])
def test_tokens_and_tags_become_spans(source: Any) -> None:
    corpus = load_corpus(source)
    assert corpus.sentences[0].text == "Anna Berg ringde"
    assert corpus.sentences[0].spans == (Span(0, 9, "PER"),)
    assert corpus.notes == ("read as rows of `tokens` and `ner_tags` (BIO)",)


def test_arrays_and_numpy_scalars_are_accepted() -> None:
    tokens = pd.DataFrame({"tokens": [np.array(["Anna", "ler"], object)], "ner_tags": [np.array(["B-PER", "O"])]})
    spans = [{"text": "Anna ler", "spans": np.array([(np.int64(0), np.int32(4), np.str_("PER"))], dtype=object)}]
    assert load_corpus(tokens).fingerprint == load_corpus(spans).fingerprint


def test_tags_are_named_by_the_features_of_a_dataset() -> None:
    tags = datasets.List(datasets.ClassLabel(names=["O", "B-PER", "I-PER"]))
    features = datasets.Features({"tokens": datasets.List(datasets.Value("string")), "ner_tags": tags})
    rows = [{"tokens": ["Anna", "Berg"], "ner_tags": [1, 2]}]
    table = datasets.Dataset.from_list(rows, features=features).with_format("numpy")
    assert load_corpus(table).sentences[0].spans == (Span(0, 9, "PER"),)


@pytest.mark.parametrize("source", [with_splits(SPLITS), pd.DataFrame(with_splits(SPLITS))])
def test_a_split_column_gives_the_splits(source: Any) -> None:
    corpus = load_corpus(source)
    assert corpus.splits == {"train": (0,), "validation": (1,), "test": (2,)}
    assert "split" in corpus.notes[-1]


@pytest.mark.parametrize("splits", [["train"] * 3, [None] * 3, [float("nan")] * 3])
def test_a_single_split_leaves_a_corpus_unsplit(splits: list[Any]) -> None:
    assert load_corpus(pd.DataFrame(with_splits(splits))).splits == {}


@pytest.mark.parametrize(
    ("splits", "place", "found"),
    [
        (["train", "test_unlabeled", "test"], "list[1]", "'test_unlabeled'"),
        (["train", 3, "test"], "list[1]", "3"),
        (["train", "test", None], "list[2]", "no value"),
    ],
)
def test_an_unknown_or_missing_split_is_an_error(splits: list[Any], place: str, found: str) -> None:
    with pytest.raises(DataError) as caught:
        load_corpus(with_splits(splits))
    assert str(caught.value).startswith(f"{place}: ")
    assert found in str(caught.value)


@pytest.mark.parametrize("kind", [dict, datasets.DatasetDict])
def test_a_mapping_of_tables_gives_the_splits(kind: Any) -> None:
    tables = {"validation": as_dataset(ROWS[:1]), "train": as_dataset(ROWS), "notes": as_dataset(ROWS)}
    corpus = load_corpus(kind(tables))
    assert corpus.splits == {"train": (1, 2, 3), "validation": (0,)}
    assert corpus.sentences[1].source == f"{kind.__name__}:train[0]"
    assert any("'notes'" in note for note in corpus.notes)


def test_a_mapping_with_a_lone_split_is_unsplit() -> None:
    assert load_corpus({"train": ROWS}).fingerprint == load_corpus(ROWS).fingerprint


def test_a_corpus_is_returned_unchanged() -> None:
    corpus = load_corpus(ROWS)
    assert load_corpus(corpus) is corpus


def test_markup_is_stripped_from_objects_in_memory() -> None:
    rows = [{"text": "Ta [ Alvedon ] .", "spans": [[3, 14, "DRUG"]]}]
    assert load_corpus(rows, markup="strip").sentences[0].text == "Ta Alvedon."
    corpus: Corpus = load_corpus(load_corpus(rows), markup="strip")
    assert corpus.sentences[0].spans == (Span(3, 10, "DRUG"),)


@pytest.mark.parametrize("source", [5, None, b"corpus.txt", {"text": ["Astma"], "spans": [[]]}, {"train": "file.txt"}])
def test_other_objects_are_refused(source: Any) -> None:
    with pytest.raises(DataError, match="expected"):
        load_corpus(source)


@pytest.mark.parametrize(
    ("rows", "place"),
    [([ROWS[0], "Astma"], "list[1]"), ([{"text": "Astma"}], "list[0]"), ([{"text": None, "spans": []}], "list[0]")],
)
def test_an_invalid_row_is_named_by_its_place(rows: list[Any], place: str) -> None:
    with pytest.raises(DataError) as caught:
        load_corpus(rows)
    assert str(caught.value).startswith(f"{place}: ")


def test_a_missing_cell_of_spans_is_a_sentence_without_entities_and_noted() -> None:
    corpus = load_corpus(pd.DataFrame([*ROWS, {"text": "Ont i halsen"}]))
    assert corpus.sentences[3].spans == ()
    assert corpus.notes[1:] == ("rows without spans, read as sentences without entities: 1",)


def test_a_table_without_rows_is_refused() -> None:
    with pytest.raises(DataError, match="0 sentences"):
        load_corpus([])
