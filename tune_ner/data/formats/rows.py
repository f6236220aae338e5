"""Rows of hub data sets, JSONL, parquet and tables in memory → sentences.

A row has one of three shapes: `sentence` + `entities` (the schema of Swedish medical NER on the hub), `text` + `spans`,
or `tokens` + `ner_tags`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from reprlib import repr as shown
from typing import Any

from tune_ner.data.corpus import BODY, DISORDER, DRUG, MEDICAL_TYPES, Sentence, Span
from tune_ner.data.tag_parsing import detect_dialect, find_chunks, split_tag
from tune_ner.errors import DataError

PLACEHOLDER = 999
"""`start` and `end` of the placeholder entity in sentences without entities, in some published versions."""

_KNOWN_NAMES = {
    "disorder and finding": DISORDER,
    "disorder": DISORDER,
    "pharmaceutical drug": DRUG,
    "drug": DRUG,
    "body structure": BODY,
    "body": BODY,
}
_SHAPES = "`sentence` + `entities`, `text` + `spans`, or `tokens` + `ner_tags`"

Row = Mapping[str, Any]


def canonical_type(name: str) -> str:
    """Return the short name of a medical type that the hub spells out; other names are unchanged."""
    return _KNOWN_NAMES.get(name.lower(), name)


def sentences_from_rows(
    rows: Iterable[tuple[str, Row]], prefix: str, class_names: Sequence[str] = ()
) -> tuple[list[Sentence], tuple[str, ...]]:
    """Return the sentences of rows, and notes on how they were read.

    Args:
        rows: pairs of a row's place (`file:line`), for messages, and the row.
        prefix: the ids of sentences without an `id` or `sid` are `prefix_0`, `prefix_1` …
        class_names: names of the class indices of types or tags, if the data set has them.

    Raises:
        DataError: a row has another shape, or an invalid span, type or tag.
    """
    sentences: list[Sentence] = []
    dialects: list[list[str]] = []
    for number, (place, row) in enumerate(rows):
        given = row.get("sid") or row.get("id")
        name = str(given) if given and isinstance(given, str | int) else f"{prefix}_{number}"
        if "sentence" in row and "entities" in row:
            text, spans = _hub_shape(row, place, class_names)
        elif "text" in row and "spans" in row:
            text, spans = _text_shape(row, place)
        elif "tokens" in row and "ner_tags" in row:
            tags = _tag_names(row["ner_tags"], place, class_names)
            text, spans = tokens_to_text(_tokens(row["tokens"], place), tags, place)
            dialects.append(tags)
        else:
            raise DataError(f"{place}: found the keys {', '.join(map(str, row)) or '(none)'}; expected {_SHAPES}")
        _check_characters(text, spans, place)
        sentences.append(Sentence(name, text, spans, place))
    notes = (f"tags read as {detect_dialect(dialects)}",) if dialects else ()
    return sentences, notes


def _check_characters(text: str, spans: Sequence[Span], place: str) -> None:
    try:
        "".join([text, *(span.label for span in spans)]).encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{place}: half a surrogate pair (U+{ord(error.object[error.start]):04X}) instead of a character; "
            "write the character itself or both halves of its escape"
        ) from error


def tokens_to_text(tokens: Sequence[str], tags: Sequence[str], place: str) -> tuple[str, tuple[Span, ...]]:
    """Return the tokens joined by spaces, and the spans that their tags mark.

    Raises:
        DataError: the numbers of tokens and tags differ, or a tag is invalid.
    """
    if len(tokens) != len(tags):
        raise DataError(f"{place}: {len(tokens)} tokens but {len(tags)} tags; expected one tag per token")
    ends: list[int] = []
    for token in tokens:
        ends.append((ends[-1] + 1 if ends else 0) + len(token))
    starts = [end - len(token) for end, token in zip(ends, tokens, strict=True)]
    try:
        spans = tuple(
            Span(starts[first], ends[after - 1], canonical_type(label)) for first, after, label in find_chunks(tags)
        )
    except ValueError as error:
        raise DataError(f"{place}: {error}") from error
    return " ".join(tokens), spans


def checked_span(start: object, end: object, label: str, text: str, place: str) -> Span:
    """Return the span if it is within its text.

    Raises:
        DataError: an offset is not an integer or outside of the text, or the type is empty.
    """
    # true and false in JSON are instances of int
    if not (isinstance(start, int) and isinstance(end, int)) or isinstance(start, bool) or isinstance(end, bool):
        raise DataError(f"{place}: span {shown([start, end, label])}: offsets must be integers")
    if not 0 <= start <= end <= len(text):
        raise DataError(
            f"{place}: span {shown([start, end, label])} is outside of its text, which has {len(text)} "
            "characters; expected 0 <= start <= end <= length, counted in characters, end exclusive"
        )
    if not label:
        raise DataError(f"{place}: span [{start}, {end}] has an empty type; expected a name such as 'DRUG'")
    return Span(start, end, label)


def _text_of(row: Row, key: str, place: str) -> str:
    if not isinstance(row[key], str):
        raise DataError(f"{place}: `{key}` is {type(row[key]).__name__}, expected a string")
    return str(row[key])


def _hub_shape(row: Row, place: str, class_names: Sequence[str]) -> tuple[str, tuple[Span, ...]]:
    text = _text_of(row, "sentence", place)
    spans: list[Span] = []
    for entity in _entity_rows(row["entities"], place):
        start, end = entity.get("start"), entity.get("end")
        if start == PLACEHOLDER and end == PLACEHOLDER:
            continue
        label = _type_name(entity.get("type"), place, class_names)
        spans.append(checked_span(start, end, label, text, place))
    return text, tuple(sorted(spans))


def _entity_rows(entities: Any, place: str) -> list[dict[str, Any]]:
    """Return a mapping for each entity, from a list of mappings or a mapping of parallel lists."""
    if isinstance(entities, Mapping):
        if entities and not {"start", "end", "type"} <= entities.keys():
            keys = ", ".join(map(str, entities))
            raise DataError(f"{place}: `entities` has the keys {keys}; expected start, end and type")
        columns = {key: [] if entities.get(key) is None else entities[key] for key in ("start", "end", "type")}
        if not all(isinstance(column, list) for column in columns.values()):
            raise DataError(f"{place}: `entities` is {shown(columns)}; expected a list for each key")
        if columns["start"] == columns["end"] == [PLACEHOLDER]:
            return []  # in some versions, the placeholder has no type
        if any(len(a) != len(b) for a, b in pairwise(columns.values())):
            raise DataError(f"{place}: the lists of `entities` differ in length; expected parallel lists")
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if isinstance(entities, Iterable) and not isinstance(entities, str):
        rows = list(entities)
        if all(isinstance(entity, Mapping) for entity in rows):
            return [dict(entity) for entity in rows]
    raise DataError(f"{place}: `entities` is {type(entities).__name__}, expected a list of mappings or lists")


def _type_name(value: object, place: str, class_names: Sequence[str]) -> str:
    names = [canonical_type(name) for name in class_names] or list(MEDICAL_TYPES)
    if isinstance(value, str) and not value.isdecimal():
        return canonical_type(value)
    by_index = {str(index): name for index, name in enumerate(names)}
    if isinstance(value, int | str) and not isinstance(value, bool) and str(value) in by_index:
        return by_index[str(value)]
    known = ", ".join(f"{index} ({name})" for index, name in by_index.items())
    raise DataError(f"{place}: unknown entity type {shown(value)}; expected one of {known}, or a name")


def _text_shape(row: Row, place: str) -> tuple[str, tuple[Span, ...]]:
    text = _text_of(row, "text", place)
    if not isinstance(row["spans"], Sequence) or isinstance(row["spans"], str):
        raise DataError(f"{place}: `spans` is {type(row['spans']).__name__}, expected a list")
    return text, tuple(sorted(_span(span, text, place) for span in row["spans"]))


def _span(span: object, text: str, place: str) -> Span:
    if isinstance(span, Mapping):
        values: Sequence[object] = [span.get(key) for key in ("start", "end", "label")]
    elif isinstance(span, Sequence) and not isinstance(span, str) and len(span) == 3:
        values = span
    else:
        raise DataError(
            f"{place}: span {shown(span)} is neither [start, end, label] nor an object with these three keys"
        )
    start, end, label = values
    if not isinstance(label, str):
        raise DataError(f"{place}: span {shown(span)} has the type {shown(label)}, expected a name such as 'DRUG'")
    return checked_span(start, end, canonical_type(label), text, place)


def _tokens(tokens: Any, place: str) -> list[str]:
    if isinstance(tokens, list) and all(isinstance(token, str) for token in tokens):
        return tokens
    raise DataError(f"{place}: `tokens` is {shown(tokens)}, expected a list of strings")


def _tag_names(tags: Any, place: str, class_names: Sequence[str]) -> list[str]:
    if not isinstance(tags, list):
        raise DataError(f"{place}: `ner_tags` is {shown(tags)}, expected a list with one tag per token")
    names: list[str] = []
    for tag in tags:
        if isinstance(tag, str):
            name = tag
        elif isinstance(tag, int) and not isinstance(tag, bool) and 0 <= tag < len(class_names):
            name = class_names[tag]
        else:
            raise DataError(
                f"{place}: tag {shown(tag)} has no name; expected tags as strings, or a data set whose features "
                "name its classes"
            )
        try:
            split_tag(name)
        except ValueError as error:
            raise DataError(f"{place}: {error}") from error
        names.append(name)
    return names
