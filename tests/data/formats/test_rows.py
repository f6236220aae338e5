"""Rows of data sets in three shapes, and errors with the place, the value found and the expected one."""

from typing import Any

import pytest

from tune_ner.data.corpus import BODY, DISORDER, DRUG, Sentence, Span
from tune_ner.data.formats.offsets import checked_span
from tune_ner.data.formats.rows import PLACEHOLDER, canonical_type, sentences_from_rows, tokens_to_text
from tune_ner.errors import DataError

PLACE = "corpus.jsonl:7"
TEXT = "Alvedon mot astma"


def read(row: dict[str, Any], class_names: tuple[str, ...] = ()) -> Sentence:
    (sentence,), _ = sentences_from_rows([(PLACE, row)], "corpus", class_names)
    return sentence


def fault_of(row: dict[str, Any], class_names: tuple[str, ...] = ()) -> str:
    with pytest.raises(DataError) as caught:
        read(row, class_names)
    return str(caught.value)


def hub_row(*entities: dict[str, Any]) -> dict[str, Any]:
    return {"sentence": TEXT, "entities": list(entities)}


def columns(*entities: dict[str, Any]) -> dict[str, list[Any]]:
    return {key: [entity[key] for entity in entities] for key in ("start", "end", "text", "type")}


def entity(start: Any, end: Any, of_type: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "text": "", "type": of_type}


# ---- sentence + entities


@pytest.mark.parametrize(
    ("of_type", "label"),
    [
        (0, DISORDER),
        (1, DRUG),
        (2, BODY),
        ("1", DRUG),
        ("DRUG", DRUG),
        ("drug", "drug"),
        ("Disorder and Finding", DISORDER),
        ("Pharmaceutical Drug", DRUG),
        ("Body Structure", BODY),
        ("gene", "gene"),
    ],
)
@pytest.mark.parametrize("parallel_lists", [False, True], ids=["list of objects", "object of lists"])
def test_a_type_can_be_a_class_index_or_a_name(of_type: object, label: str, parallel_lists: bool) -> None:
    entities: Any = [entity(0, 7, of_type)]
    row = {"sentence": TEXT, "entities": columns(*entities) if parallel_lists else entities}
    assert read(row) == Sentence("corpus_0", TEXT, (Span(0, 7, label),), PLACE)


def test_class_indices_are_named_by_the_class_names() -> None:
    names = ("Body Structure", "gene")
    row = hub_row(entity(0, 7, 0), entity(8, 11, 1))
    assert read(row, names).spans == (Span(0, 7, BODY), Span(8, 11, "gene"))


@pytest.mark.parametrize("of_type", [None, "", -1])
@pytest.mark.parametrize("parallel_lists", [False, True], ids=["list of objects", "object of lists"])
def test_the_placeholder_is_skipped(of_type: object, parallel_lists: bool) -> None:
    entities: Any = [entity(PLACEHOLDER, PLACEHOLDER, of_type)]
    row = {"sentence": TEXT, "entities": columns(*entities) if parallel_lists else entities}
    assert read(row).spans == ()


@pytest.mark.parametrize(
    "entities", [[], {}, {"start": [], "end": [], "type": []}, {"start": None, "end": None, "type": None}]
)
def test_a_sentence_can_have_no_entities(entities: object) -> None:
    assert read({"sentence": TEXT, "entities": entities}).spans == ()


def test_spans_are_sorted_by_position() -> None:
    assert read(hub_row(entity(12, 17, 0), entity(0, 7, 1))).spans == (Span(0, 7, DRUG), Span(12, 17, DISORDER))


@pytest.mark.parametrize("of_type", [3, -1, "3", "9" * 5000, None, True, 1.5, [0]])
def test_an_unknown_type_is_refused_with_the_known_ones(of_type: object) -> None:
    message = fault_of(hub_row(entity(0, 7, of_type)))
    assert message.startswith(f"{PLACE}: unknown entity type {of_type!r:.5}")
    assert "expected one of 0 (DISORDER), 1 (DRUG), 2 (BODY), or a name such as 'DRUG'" in message
    assert len(message) < 300


def test_a_class_index_without_a_name_is_refused_with_the_names() -> None:
    assert "expected one of 0 (drug), 1 (gene), or a name" in fault_of(hub_row(entity(0, 7, 2)), ("drug", "gene"))


def test_an_empty_type_is_refused() -> None:
    message = fault_of(hub_row(entity(0, 7, "")))
    assert message.startswith(f"{PLACE}: span [0, 7] ")


@pytest.mark.parametrize(
    ("entities", "found", "expected"),
    [
        ("Alvedon", "`entities` is str", "expected a list"),
        (None, "`entities` is NoneType", "expected a list"),
        (5, "`entities` is int", "expected a list"),
        (["Alvedon"], "span 'Alvedon'", "neither [start, end, label] nor an object"),
        ({"start": [0, 1], "end": [7], "type": [1]}, "differ in length", "expected parallel lists"),
        ({"start": [0], "end": [7], "type": []}, "differ in length", "expected parallel lists"),
        ({"start": 0, "end": 7, "type": 1}, "{'end': 7, 'start': 0, 'type': 1}", "expected a list for each key"),
        ({"start": [0], "stop": [7], "type": [1]}, "has the keys start, stop, type", "expected start, end and type"),
        ({"begin": [0]}, "has the keys begin", "expected start, end and type"),
    ],
)
def test_entities_of_another_shape_are_refused(entities: object, found: str, expected: str) -> None:
    message = fault_of({"sentence": TEXT, "entities": entities})
    assert message.startswith(f"{PLACE}: ")
    assert found in message
    assert expected in message


def test_an_entity_without_its_keys_is_refused() -> None:
    assert f"{PLACE}: unknown entity type None" in fault_of(hub_row({"start": 0, "end": 7, "kind": 1}))
    assert fault_of(hub_row({"type": 1})) == f"{PLACE}: span [None, None, 'DRUG']: offsets must be integers"


# ---- text + spans


@pytest.mark.parametrize(
    "span", [[0, 7, "DRUG"], (0, 7, "DRUG"), {"start": 0, "end": 7, "label": "Pharmaceutical Drug"}]
)
def test_a_span_can_be_a_list_or_an_object(span: object) -> None:
    assert read({"text": TEXT, "spans": [span]}).spans == (Span(0, 7, DRUG),)


def test_a_span_can_end_with_the_text() -> None:
    assert read({"text": TEXT, "spans": [[12, 17, DISORDER]]}).spans[0].text_in(TEXT) == "astma"


@pytest.mark.parametrize(("start", "end"), [(0, 18), (-1, 4), (5, 4), (17, 18), (10**30, 10**30)])
def test_a_span_outside_of_its_text_is_refused_with_the_length_of_the_text(start: int, end: int) -> None:
    message = fault_of({"text": TEXT, "spans": [[start, end, "DRUG"]]})
    assert message.startswith(f"{PLACE}: span [{start}, {end}, 'DRUG'] ")
    assert "17 characters" in message


@pytest.mark.parametrize(
    ("start", "end"), [("0", 7), (0, "7"), (0.0, 7), (0, 7.0), (None, 7), (0, None), (False, 7), (0, True), ([0], 7)]
)
def test_offsets_must_be_integers(start: object, end: object) -> None:
    message = fault_of({"text": TEXT, "spans": [[start, end, "DRUG"]]})
    assert message.startswith(f"{PLACE}: span [{start!r}, {end!r}, 'DRUG']: ")
    assert "integers" in message


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ([0, 7], "neither [start, end, label] nor an object with these three keys"),
        ([0, 7, "DRUG", 1], "neither [start, end, label] nor an object with these three keys"),
        ("abc", "neither [start, end, label] nor an object with these three keys"),
        (None, "neither [start, end, label] nor an object with these three keys"),
        ({"start": 0, "end": 7}, "unknown entity type None; expected a name such as 'DRUG'"),
        ({}, "unknown entity type None; expected a name such as 'DRUG'"),
        ([0, 7, 1], "unknown entity type 1; expected a name such as 'DRUG'"),
        ([0, 7, ""], "has an empty type; expected a name such as 'DRUG'"),
    ],
)
def test_a_span_of_another_shape_is_refused(span: object, expected: str) -> None:
    message = fault_of({"text": TEXT, "spans": [span]})
    assert message.startswith(f"{PLACE}: ")
    assert expected in message


@pytest.mark.parametrize("spans", [None, "DRUG", 5])
def test_spans_must_be_a_list(spans: object) -> None:
    assert fault_of({"text": TEXT, "spans": spans}) == f"{PLACE}: `spans` is {type(spans).__name__}, expected a list"


@pytest.mark.parametrize(("text_key", "other_key"), [("text", "spans"), ("sentence", "entities")])
@pytest.mark.parametrize("text", [None, 5, ["Alvedon"], b"Alvedon"])
def test_a_text_must_be_a_string(text_key: str, other_key: str, text: object) -> None:
    message = fault_of({text_key: text, other_key: []})
    assert message == f"{PLACE}: `{text_key}` is {type(text).__name__}, expected a string"


# ---- tokens + ner_tags


def test_tokens_are_joined_by_spaces_and_tags_give_the_spans() -> None:
    row = {"tokens": ["Alvedon", "mot", "svår", "astma"], "ner_tags": ["B-DRUG", "O", "B-DISORDER", "I-DISORDER"]}
    sentences, notes = sentences_from_rows([(PLACE, row)], "corpus")
    assert sentences[0].text == "Alvedon mot svår astma"
    assert sentences[0].spans == (Span(0, 7, DRUG), Span(12, 22, DISORDER))
    assert notes == ("read as rows of `tokens` and `ner_tags` (BIO)",)


def test_integer_tags_are_named_by_the_class_names() -> None:
    row = {"tokens": ["svår", "astma"], "ner_tags": [1, 2]}
    assert read(row, ("O", "B-DISORDER", "I-DISORDER")).spans == (Span(0, 10, DISORDER),)


def test_a_row_can_have_no_tokens() -> None:
    assert read({"tokens": [], "ner_tags": []}) == Sentence("corpus_0", "", (), PLACE)


@pytest.mark.parametrize("tag", [1, -1, None, True, 0.0, ["O"]])
def test_a_tag_without_a_name_is_refused(tag: object) -> None:
    message = fault_of({"tokens": ["astma"], "ner_tags": [tag]}, ("O",))
    assert message.startswith(f"{PLACE}: tag {tag!r} has no name")


@pytest.mark.parametrize("tag", ["DRUG", "B-", "", "X-DRUG"])
def test_an_invalid_tag_is_refused(tag: str) -> None:
    message = fault_of({"tokens": ["astma"], "ner_tags": [tag]})
    assert message.startswith(f"{PLACE}: found the tag {tag!r}; ")


@pytest.mark.parametrize("tags", [[], ["O"], ["O"] * 3])
def test_the_numbers_of_tokens_and_tags_must_be_equal(tags: list[str]) -> None:
    message = fault_of({"tokens": ["svår", "astma"], "ner_tags": tags})
    assert message.startswith(f"{PLACE}: 2 tokens but {len(tags)} tags; ")


@pytest.mark.parametrize("tokens", [None, "svår astma", 5, ["svår", None], [1, 2], {"0": "svår"}])
def test_tokens_must_be_a_list_of_strings(tokens: object) -> None:
    message = fault_of({"tokens": tokens, "ner_tags": ["O", "O"]})
    assert message == f"{PLACE}: `tokens` is {tokens!r}, expected a list of strings"


@pytest.mark.parametrize("tags", [None, "O", 5, {"0": "O"}])
def test_tags_must_be_a_list(tags: object) -> None:
    message = fault_of({"tokens": ["astma"], "ner_tags": tags})
    assert message.startswith(f"{PLACE}: `ner_tags` is {tags!r}, ")


# ---- any shape


@pytest.mark.parametrize(
    ("row", "found"),
    [({}, "(none)"), ({"text": TEXT}, "text"), ({"sentence": TEXT, "marks": []}, "sentence, marks")],
)
def test_a_row_of_another_shape_is_refused_with_its_keys(row: dict[str, Any], found: str) -> None:
    message = fault_of(row)
    assert message.startswith(f"{PLACE}: found the keys {found};")
    assert "expected a text with spans (`text` + `spans`" in message


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"sid": "1177_5"}, "1177_5"),
        ({"id": 12}, "12"),
        ({"sid": "s", "id": "i"}, "s"),
        ({"id": ""}, "corpus_0"),
        ({"id": ["a"]}, "corpus_0"),
    ],
)
def test_ids_are_published_or_numbered(given: dict[str, Any], name: str) -> None:
    assert read({"text": TEXT, "spans": [], **given}).id == name


def test_sentences_have_the_places_of_their_rows() -> None:
    rows = [(f"c.jsonl:{line}", {"text": "a", "spans": []}) for line in (1, 4)]
    sentences, notes = sentences_from_rows(rows, "c")
    assert [(sentence.id, sentence.source) for sentence in sentences] == [("c_0", "c.jsonl:1"), ("c_1", "c.jsonl:4")]
    assert notes == ("read as rows of `text` and `spans`",)


def test_messages_about_huge_values_are_short() -> None:
    assert len(fault_of({"text": TEXT, "spans": [["x" * 100_000]]})) < 300


@pytest.mark.parametrize("name", ["gene", "DNA", "Läkemedel", ""])
def test_other_type_names_are_unchanged(name: str) -> None:
    assert canonical_type(name) == name


def test_an_empty_token_sequence_is_an_empty_text() -> None:
    assert tokens_to_text([], [], PLACE) == ("", ())


def test_a_valid_span_is_returned() -> None:
    assert checked_span(0, 7, DRUG, TEXT, PLACE) == Span(0, 7, DRUG)


@pytest.mark.parametrize("types", [[], [None], [""], [-1], [0]])
def test_a_placeholder_in_parallel_lists_is_skipped_whatever_its_type(types: list[object]) -> None:
    entities = {"start": [999], "end": [999], "text": [""], "type": types}
    (sentence,), _ = sentences_from_rows([("here:1", {"sentence": "Ingen.", "entities": entities})], "x")
    assert sentence.spans == ()


@pytest.mark.parametrize(
    "row",
    [
        {"text": "Ta \ud800 nu", "spans": []},
        {"text": "Ta nu", "spans": [[0, 2, "DR\udc00UG"]]},
        {"tokens": ["Ta", "\ud800"], "ner_tags": ["O", "O"]},
    ],
)
def test_half_a_surrogate_pair_is_refused_with_its_place(row: dict[str, object]) -> None:
    with pytest.raises(DataError, match=r"here:1: half a surrogate pair \(U\+D"):
        sentences_from_rows([("here:1", row)], "x")
