"""JSON files as annotation tools and data sets write them: the same two sentences in every form."""

import json
from pathlib import Path
from typing import Any

import pytest

from tune_ner.data.corpus import Corpus
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import DataError

EXPECTED = [("Anna såg Rom.", [("Anna", "PER"), ("Rom", "LOC")]), ("Det regnade.", [])]
TEXT, OTHER = "Anna såg Rom.", "Det regnade."
PAIRS: list[tuple[int, int, str]] = [(0, 4, "PER"), (9, 12, "LOC")]


def objects(start: str, end: str, label: str, **more: Any) -> list[dict[str, Any]]:
    return [{start: a, end: b, label: name, **more} for a, b, name in PAIRS]


def entities(corpus: Corpus) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(s.text, [(span.text_in(s.text), span.label) for span in s.spans]) for s in corpus.sentences]


def loaded(folder: Path, content: Any, name: str = "a.jsonl", **reading: Any) -> Corpus:
    path = folder / name
    lines = content if isinstance(content, list) and name.endswith("l") else None
    path.write_text("\n".join(map(json.dumps, lines)) if lines else json.dumps(content, indent=1), encoding="utf-8")
    return load_corpus(path, **reading)


def test_entities_of_one_character_with_inclusive_ends_are_kept(tmp_path: Path) -> None:
    label = {"name": {"Å": [[0, 0]], "Rom": [[6, 8]]}}
    corpus = loaded(tmp_path, [{"text": "Å såg Rom.", "label": label}])
    assert entities(corpus) == [("Å såg Rom.", [("Å", "name"), ("Rom", "name")])]


def refused(folder: Path, content: Any, name: str = "a.jsonl", **reading: Any) -> str:
    with pytest.raises(DataError) as caught:
        loaded(folder, content, name, **reading)
    return str(caught.value)


@pytest.mark.parametrize(
    "rows",
    [
        [{"text": TEXT, "spans": PAIRS}, {"text": OTHER, "spans": []}],
        [{"text": TEXT, "entities": PAIRS}, {"text": OTHER, "entities": []}],
        [{"text": TEXT, "label": PAIRS}, {"text": OTHER, "label": []}],
        [{"text": TEXT, "labels": PAIRS}, {"text": OTHER, "labels": []}],
        [{"data": TEXT, "label": PAIRS}, {"data": OTHER, "label": []}],
        [{"id": 1, "text": TEXT, "entities": objects("start_offset", "end_offset", "label"), "relations": []},
         {"id": 2, "text": OTHER, "entities": [], "relations": []}],
        [{"text": TEXT, "spans": objects("start", "end", "label", token_start=0), "tokens": [{"text": "Anna"}],
          "answer": "accept"}, {"text": OTHER, "answer": "accept"}],
        [{"text": TEXT, "entities": objects("start_char", "end_char", "type")}, {"text": OTHER}],
        [{"text": TEXT, "label": {"PER": {"Anna": [[0, 3]]}, "LOC": {"Rom": [[9, 11]]}}}, {"text": OTHER, "label": {}}],
        [{"data": {"text": TEXT}, "annotations": [{"result": [
            {"type": "labels", "value": {"start": a, "end": b, "text": TEXT[a:b], "labels": [name]}}
            for a, b, name in PAIRS]}]}, {"data": {"text": OTHER}, "annotations": [{"result": []}]}],
        [{"text": TEXT, "label": [{"start": a, "end": b, "text": TEXT[a:b], "labels": [n]} for a, b, n in PAIRS]},
         {"text": OTHER}],
        [{"text": TEXT, "entities": [{"name": TEXT[a:b], "span": [a, b], "type": n} for a, b, n in PAIRS]},
         {"text": OTHER, "entities": []}],
    ],
    ids=["spans", "entities", "doccano 1", "doccano 2", "doccano data", "doccano relations", "Prodigy", "start_char",
         "CLUENER", "Label Studio", "Label Studio MIN", "stockmark"],
)  # fmt: skip
@pytest.mark.parametrize("layout", ["lines", "array", "object"])
def test_every_form_gives_the_same_sentences(tmp_path: Path, rows: list[dict[str, Any]], layout: str) -> None:
    content: Any = {"version": 1, "data": rows} if layout == "object" else rows
    assert entities(loaded(tmp_path, content, "a.jsonl" if layout == "lines" else "a.json")) == EXPECTED


def test_training_examples_of_spacy_are_read(tmp_path: Path) -> None:
    assert entities(loaded(tmp_path, [[TEXT, {"entities": PAIRS}], [OTHER, {"entities": []}]], "a.json")) == EXPECTED


@pytest.mark.parametrize(
    ("tokens", "tags"),
    [("tokens", "tags"), ("tokens", "ner"), ("tokens", "labels"), ("tokens", "label"), ("words", "ner_tags")],
)
def test_tokens_and_tags_may_have_other_keys(tmp_path: Path, tokens: str, tags: str) -> None:
    rows = [{tokens: ["Anna", "ler"], tags: ["B-PER", "O"]}, {tokens: [], tags: []}]
    assert entities(loaded(tmp_path, rows))[0] == ("Anna ler", [("Anna", "PER")])


def test_keys_can_be_named(tmp_path: Path) -> None:
    rows = [{"form": ["Anna", "ler"], "iob": ["PER", "O"]}]
    assert "`columns:` under `data:`" in refused(tmp_path, rows)
    assert entities(loaded(tmp_path, rows, columns={"tokens": "form", "tags": "iob"})) == [
        ("Anna ler", [("Anna", "PER")])
    ]


def test_two_keys_with_tags_are_refused_until_one_is_chosen(tmp_path: Path) -> None:
    rows = [{"tokens": ["Anna", "ler"], "ner_tags": ["B-PER", "O"], "tags": ["B-NP", "O"]}]
    assert "both `ner_tags` and `tags` hold tags" in refused(tmp_path, rows)
    assert loaded(tmp_path, rows, columns={"tags": "tags"}).entity_types == ("NP",)


def test_integer_tags_can_be_named(tmp_path: Path) -> None:
    rows = [{"tokens": ["Anna", "ler"], "ner_tags": [1, 0]}]
    assert "labels: {0: O, 1: B-DRUG}" in refused(tmp_path, rows)
    assert entities(loaded(tmp_path, rows, labels={0: "O", 1: "B-PER"})) == [("Anna ler", [("Anna", "PER")])]


def test_rows_that_an_annotator_rejected_are_left_out_and_counted(tmp_path: Path) -> None:
    answers = ["accept", "reject", "ignore", "reject"]
    corpus = loaded(tmp_path, [{"text": TEXT, "spans": PAIRS, "answer": answer} for answer in answers])
    assert len(corpus) == 1
    assert corpus.notes[1:] == (
        "rows left out because their answer is reject: 2",
        "rows left out because their answer is ignore: 1",
    )
    assert "`answer` is 'maybe'" in refused(tmp_path, [{"text": TEXT, "spans": PAIRS, "answer": "maybe"}])


ASTRAL = "🫀 Anna såg Rom."


@pytest.mark.parametrize(
    ("ranges", "note"),
    [
        ([(2, 6), (11, 14)], ""),
        ([(2, 5), (11, 13)], "inclusive ends"),
        ([(3, 7), (12, 15)], "UTF-16"),
        ([(5, 9), (15, 18)], "bytes"),
    ],
)
def test_offsets_are_checked_and_converted_by_the_texts_of_spans(
    tmp_path: Path, ranges: list[tuple[int, int]], note: str
) -> None:
    names = [("Anna", "PER"), ("Rom", "LOC")]
    spans = [{"start": a, "end": b, "label": n, "text": t} for (a, b), (t, n) in zip(ranges, names, strict=True)]
    corpus = loaded(tmp_path, [{"text": ASTRAL, "spans": spans}])
    assert entities(corpus) == [(ASTRAL, names)]
    assert note in "".join(corpus.notes[1:])
    assert bool(note) == bool(corpus.notes[1:])


def test_a_text_at_another_place_is_refused_with_its_line(tmp_path: Path) -> None:
    rows = [
        {"text": TEXT, "spans": []},
        {"text": TEXT, "spans": [{"start": 5, "end": 8, "label": "PER", "text": "Bo"}]},
    ]
    message = refused(tmp_path, rows)
    assert "a.jsonl:2: span [5, 8, 'PER'] has the text 'Bo', but the characters at its offsets are 'såg'" in message


def test_white_space_around_spans_is_cut_off_and_empty_spans_are_left_out(tmp_path: Path) -> None:
    corpus = loaded(tmp_path, [{"text": TEXT, "spans": [[0, 5, "PER"], [2, 2, "PER"], [4, 5, "PER"]]}])
    assert entities(corpus) == [(TEXT, [("Anna", "PER")])]
    assert corpus.notes[1:] == (
        "spans with white space around them, which was cut off: 1",
        "empty spans left out: 1",
        "spans of white space left out: 1",
    )


@pytest.mark.parametrize("label", [" ", "PER\r", "A\nB", "\tPER"])
def test_types_of_white_space_are_refused(tmp_path: Path, label: str) -> None:
    assert "a.jsonl:1: span [0, 4] has the type" in refused(tmp_path, [{"text": TEXT, "spans": [[0, 4, label]]}])


@pytest.mark.parametrize(
    "reading", [{"format": "xml"}, {"token_colum": 1}, {"multiple_labels": "last"}, {"columns": {"x": "y"}}]
)
def test_unknown_options_are_refused(tmp_path: Path, reading: dict[str, Any]) -> None:
    assert "reading the corpus: " in refused(tmp_path, [{"text": TEXT, "spans": PAIRS}], **reading)
