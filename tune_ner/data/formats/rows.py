"""Rows of JSON files, parquet, hub data sets and tables in memory → sentences.

A row has a text with spans, or tokens with tags. Which keys hold them follows from their names and values, as the
tables `_KEYS` and `_SPAN_KEYS` list them; `ReadOptions.columns` replaces them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from reprlib import repr as shown
from typing import Any

from tune_ner.data.corpus import BODY, DISORDER, DRUG, MEDICAL_TYPES, Sentence, Span
from tune_ner.data.formats.documents import has_passages, passages_of
from tune_ner.data.formats.offsets import Mention, check_characters, checked_span, to_characters
from tune_ner.data.formats.options import DEFAULT, ReadOptions, Role
from tune_ner.data.tag_parsing import TagStyle, detect_dialect, find_chunks, tag_style
from tune_ner.errors import DataError

PLACEHOLDER = 999
"""`start` and `end` of the placeholder entity in sentences without entities, in some published versions."""

_HUB_NAMES = {"Disorder and Finding": DISORDER, "Pharmaceutical Drug": DRUG, "Body Structure": BODY}
"""Class names of Swedish medical NER on the hub; all other types keep their names."""
_KEYS: Mapping[Role, tuple[str, ...]] = {
    "text": ("text", "sentence", "data"),
    "spans": ("spans", "entities", "label", "labels"),
    "tokens": ("tokens", "words"),
    "tags": ("ner_tags", "tags", "ner", "labels", "label"),
}
_SPAN_KEYS = {
    "start": ("start", "start_offset", "start_char", "begin"),
    "end": ("end", "end_offset", "end_char"),
    "label": ("label", "type", "entity_type", "labels"),
}
_MENTION_KEYS = ("text", "word", "name")
_SHAPES = "a text with spans (`text` + `spans`, `sentence` + `entities`), or tokens with tags (`tokens` + `ner_tags`)"
_DOCUMENT_KEYS = ("document_id", "doc_id", "document", "doc", "doc_key", "docid", "pmid")
_META_KEYS = ("meta", "metadata")
_ANSWERS = ("accept", "reject", "ignore")

Row = Mapping[str, Any]
Placed = tuple[str, Row]
"""A row and its place (`file:line`), for messages."""


def canonical_type(name: str) -> str:
    """Return the short name of a type of Swedish medical NER on the hub; other names are unchanged."""
    return _HUB_NAMES.get(name, name)


def is_row(value: Row) -> bool:
    """Return whether an object is a sentence or document itself, and not a container of them."""
    has_text = any(isinstance(value.get(key), str) for key in _KEYS["text"])
    return has_text or any(key in value for key in ("passages", *_KEYS["tokens"]))


def sentences_from_rows(
    rows: Iterable[Placed], prefix: str, class_names: Sequence[str] = (), options: ReadOptions = DEFAULT
) -> tuple[list[Sentence], tuple[str, ...]]:
    """Return the sentences of rows, and notes on how they were read.

    Args:
        rows: rows with their places.
        prefix: the ids of sentences without an `id` or `sid` are `prefix_0`, `prefix_1` …
        class_names: names of the class indices of types or tags, if the data set has them.
        options: keys of the rows, and names of labels.

    Raises:
        DataError: a row has another shape, or an invalid span, type or tag.
    """
    reader = _RowReader(class_names, options)
    placed = [(place, reader.unwrapped(row)) for place, row in rows]
    if any(has_passages(row) for _, row in placed):
        return reader.documents(placed, prefix)
    reader.learn(placed)
    sentences: list[Sentence] = []
    for number, (place, row) in enumerate(placed):
        if not reader.is_accepted(row, place):
            continue
        given = row.get("sid") or row.get("id")
        name = str(given) if given and isinstance(given, str | int) else f"{prefix}_{number}"
        text, spans = reader.read(row, place)
        check_characters(text, spans, place)
        sentences.append(Sentence(name, text, spans, place, reader.group_of(row, place)))
    return to_characters(sentences, reader.mentions, reader.counts, reader.with_spans), reader.notes()


@dataclass
class _RowReader:
    """Reads the rows of one file or table, and counts what is worth a note."""

    class_names: Sequence[str]
    options: ReadOptions
    style: TagStyle | None = None
    has_spans: bool = False
    tags: list[list[str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    mentions: list[Mention] = field(default_factory=list)
    with_spans: set[str] = field(default_factory=set)
    keys: list[str] = field(default_factory=list)

    @cached_property
    def group_keys(self) -> list[str]:
        """The keys that can hold the document of a row, or its value of `group_by`."""
        if self.options.group_key:
            return [self.options.group_key]
        return [key for key in _DOCUMENT_KEYS if key not in self.options.columns.values()]

    def unwrapped(self, row: Row) -> Row:
        """Return the row inside of the formats of annotation tools that nest it."""
        if "annotations" in row and isinstance(row.get("data"), Mapping) and isinstance(row["annotations"], list):
            return self._label_studio(row)
        return row

    def _label_studio(self, row: Row) -> Row:
        done = [a for a in row["annotations"] if isinstance(a, Mapping) and not a.get("was_cancelled")]
        if len(done) > 1:
            self.counts["rows with several annotations, of which the first is read"] += 1
        texts = [value for value in row["data"].values() if isinstance(value, str)]
        results = done[0].get("result") if done else []
        values = [r.get("value") for r in results or [] if isinstance(r, Mapping) and r.get("type") == "labels"]
        return {"id": row.get("id"), "text": texts[0] if len(texts) == 1 else row["data"].get("text"), "spans": values}

    def documents(self, rows: Sequence[Placed], prefix: str) -> tuple[list[Sentence], tuple[str, ...]]:
        """Return the sentences of documents of passages, and notes."""
        sentences = [
            sentence
            for number, (place, row) in enumerate(rows)
            for sentence in passages_of(
                row,
                place,
                f"{prefix}_{number}",
                self.group_of(row, place),
                self.counts,
                self.options.discontinuous,
            )
        ]
        for sentence in sentences:
            check_characters(sentence.text, sentence.spans, sentence.source)
        return sentences, ("read as documents of passages: each line of a passage is a sentence", *self.notes())

    def learn(self, rows: Sequence[Placed]) -> None:
        """Find out how the tags of all rows are written, and whether any row has spans."""
        counts: Counter[str] = Counter()
        for _, row in rows:
            self.has_spans = self.has_spans or self._key(row, "spans") is not None
            key = self._key(row, "tags")
            if key and self._key(row, "tokens") and isinstance(row[key], list):
                counts.update(name for tag in row[key] if (name := self._tag_name(tag)) is not None)
        self.style = tag_style(counts, plain=True)

    def is_accepted(self, row: Row, place: str) -> bool:
        """Return whether the annotator accepted the row (Prodigy's `answer`)."""
        answer = row.get("answer")
        if answer is None or answer == "accept":
            return True
        if answer not in _ANSWERS:
            raise DataError(f"{place}: `answer` is {shown(answer)}; expected one of {', '.join(_ANSWERS)}")
        self.counts[f"rows left out because their answer is {answer}"] += 1
        return False

    def group_of(self, row: Row, place: str) -> str:
        """Return the document of a row, or its value of `group_by`; empty if it has no document.

        Raises:
            DataError: the row has no value of `group_by`.
        """
        wanted = self.options.group_key
        metas = [row[key] for key in _META_KEYS if key in row and isinstance(row[key], Mapping)]
        for key in self.group_keys:
            for source in (row, *metas):
                value = source.get(key)
                if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                    return str(value)
        if wanted:
            known = ", ".join(map(str, [*row, *(key for meta in metas for key in meta)]))
            raise DataError(f"{place}: group_by {wanted!r}: found no text or number of this key among {known}")
        return ""

    def read(self, row: Row, place: str) -> tuple[str, tuple[Span, ...]]:
        """Return text and spans of a row."""
        text, spans = self._key(row, "text"), self._key(row, "spans")
        if text and spans:
            return self._text_row(row, text, spans, place)
        tokens, tags = self._key(row, "tokens"), self._key(row, "tags")
        if tokens and tags:
            return self._tagged_row(row, tokens, tags, place)
        if text and isinstance(row[text], str) and self.has_spans and not tokens:
            self.counts["rows without spans, read as sentences without entities"] += 1
            return str(row[text]), ()
        raise DataError(
            f"{place}: found the keys {', '.join(map(str, row)) or '(none)'}; expected {_SHAPES}. Other "
            "keys can be named by `columns:` under `data:`"
        )

    def _key(self, row: Row, role: Role) -> str | None:
        if role in self.options.columns:
            name = self.options.columns[role]
            return name if name in row else None
        # the same key can hold spans or tags: its values tell
        names = [name for name in _KEYS[role] if name in row and _can_be(role, row[name])]
        return names[0] if names else next((name for name in _KEYS[role][:2] if name in row), None)

    def _text_row(self, row: Row, text_key: str, span_key: str, place: str) -> tuple[str, tuple[Span, ...]]:
        text = row[text_key]
        if not isinstance(text, str):
            raise DataError(f"{place}: `{text_key}` is {type(text).__name__}, expected a string")
        self.with_spans.add(place)
        self.keys = [f"`{text_key}`", f"`{span_key}`"]
        # the rows of Swedish medical NER have class indices, whose names some copies lack
        indexed = MEDICAL_TYPES if (text_key, span_key) == ("sentence", "entities") else ()
        names = [canonical_type(name) for name in self.class_names or indexed]
        spans = (self._span(item, text, names, place) for item in _span_items(row[span_key], span_key, place))
        return text, tuple(sorted(span for span in spans if span))

    def _span(self, item: Any, text: str, names: Sequence[str], place: str) -> Span | None:
        mention: object = None
        if isinstance(item, Mapping):
            start, end, label = (_value(item, keys) for keys in _SPAN_KEYS.values())
            if isinstance(item.get("span"), list) and len(item["span"]) == 2:
                start, end = item["span"]
            mention = _value(item, _MENTION_KEYS)
        elif isinstance(item, Sequence) and not isinstance(item, str) and len(item) == 3:
            start, end, label = item
        else:
            raise DataError(
                f"{place}: span {shown(item)} is neither [start, end, label] nor an object with these three keys"
            )
        if start == PLACEHOLDER and end == PLACEHOLDER and len(text) < PLACEHOLDER:
            return None
        span = checked_span(
            start, end, self._type_name(label, names, place), text, place, is_bound=not isinstance(mention, str)
        )
        if isinstance(mention, str) and mention:
            self.mentions.append((place, mention, span))
        return span

    def _type_name(self, value: Any, names: Sequence[str], place: str) -> str:
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            value = value[0]
        if isinstance(value, str) and not value.isdecimal():
            return canonical_type(value)
        by_index = {str(index): name for index, name in enumerate(names)}
        by_index |= {index: name for index, name in self.options.labels.items() if index.isdecimal()}
        if isinstance(value, int | str) and not isinstance(value, bool) and str(value) in by_index:
            return by_index[str(value)]
        known = f"one of {', '.join(f'{index} ({name})' for index, name in by_index.items())}, or " if by_index else ""
        raise DataError(f"{place}: unknown entity type {shown(value)}; expected {known}a name such as 'DRUG'")

    def _tagged_row(self, row: Row, token_key: str, tag_key: str, place: str) -> tuple[str, tuple[Span, ...]]:
        tokens, tags = row[token_key], row[tag_key]
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise DataError(f"{place}: `{token_key}` is {shown(tokens)}, expected a list of strings")
        if not isinstance(tags, list):
            raise DataError(f"{place}: `{tag_key}` is {shown(tags)}, expected a list with one tag per token")
        others = [k for k in _KEYS["tags"] if k != tag_key and k in row and _can_be("tags", row[k]) and row[k] != tags]
        if others and "tags" not in self.options.columns:
            raise DataError(
                f"{place}: both `{tag_key}` and `{others[0]}` hold tags; choose one with `columns: {{tags: "
                f"{tag_key}}}` under `data:`"
            )
        named = [self._named(tag, place) for tag in tags]
        self.keys = [f"`{token_key}`", f"`{tag_key}`"]
        self.tags.append(named)
        return tokens_to_text(tokens, named, place)

    def _tag_name(self, tag: Any) -> str | None:
        """Return the name of a tag; None if it has none."""
        if isinstance(tag, str):
            return self.options.labels.get(tag, tag) if tag.isdecimal() else tag
        if isinstance(tag, int) and not isinstance(tag, bool):
            if 0 <= tag < len(self.class_names):
                return self.class_names[tag]
            return self.options.labels.get(str(tag))
        return None

    def _named(self, tag: Any, place: str) -> str:
        name = self._tag_name(tag)
        if name is None:
            raise DataError(
                f"{place}: tag {shown(tag)} has no name; expected tags as strings, a data set whose features name its "
                "classes, or their names as `labels: {0: O, 1: B-DRUG}` under `data:`"
            )
        try:
            return (self.style or TagStyle.usual()).canonical(name, self.options.multiple_labels)
        except ValueError as error:
            raise DataError(f"{place}: {error}") from error

    def notes(self) -> tuple[str, ...]:
        """Return notes on how the rows were read."""
        if self.tags:
            written = f", {self.style.name}" if self.style and self.style.name else ""
            self.keys[-1] += f" ({detect_dialect(self.tags)}{written})"
        read = [f"read as rows of {' and '.join(self.keys)}"] if self.keys else []
        return (*read, *(f"{what}: {count:,}" for what, count in self.counts.items() if count))


def _can_be(role: Role, value: Any) -> bool:
    """Return whether a value has the form of a text, spans, tokens or tags."""
    if role == "text":
        return isinstance(value, str)
    if isinstance(value, Mapping):
        return role == "spans"
    if not isinstance(value, Iterable) or isinstance(value, str):
        return False
    first = next(iter(value), None)
    is_item = isinstance(first, Mapping | list | tuple)
    return first is None or is_item == (role == "spans")


def _value(item: Mapping[str, Any], names: Sequence[str]) -> Any:
    for name in names:
        if name in item:
            return item[name]
    return None


def _span_items(value: Any, key: str, place: str) -> list[Any]:
    """Return the spans of a row as a list, from a list, a mapping of parallel lists or nested maps of labels."""
    if isinstance(value, Mapping):
        if all(isinstance(found, Mapping) for found in value.values()):
            return list(_nested(value, place))
        keys = {role: next((name for name in names if name in value), None) for role, names in _SPAN_KEYS.items()}
        if value and not all(keys.values()):
            raise DataError(f"{place}: `{key}` has the keys {', '.join(map(str, value))}; expected start, end and type")
        columns = {role: [] if value.get(name) is None else value[name] for role, name in keys.items()}
        if not all(isinstance(column, list) for column in columns.values()):
            raise DataError(f"{place}: `{key}` is {shown(dict(value))}; expected a list for each key")
        if columns["start"] == columns["end"] == [PLACEHOLDER]:
            return []  # in some versions, the placeholder has no type
        if any(len(a) != len(b) for a, b in pairwise(columns.values())):
            raise DataError(f"{place}: the lists of `{key}` differ in length; expected parallel lists")
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if isinstance(value, Iterable) and not isinstance(value, str):
        return list(value)
    raise DataError(f"{place}: `{key}` is {type(value).__name__}, expected a list")


def _nested(labels: Mapping[str, Any], place: str) -> Iterator[Mapping[str, Any]]:
    """Yield the spans of maps from types to maps from texts to offsets, as in CLUENER; their ends are inclusive."""
    for label, mentions in labels.items():
        for mention, ranges in mentions.items():
            if not isinstance(ranges, list) or not all(isinstance(r, list) and len(r) == 2 for r in ranges):
                raise DataError(
                    f"{place}: found {shown(ranges)} for {label} {shown(mention)}; expected [start, end] pairs"
                )
            for start, end in ranges:
                yield {"start": start, "end": end, "label": label, "text": mention}


def tokens_to_text(tokens: Sequence[str], tags: Sequence[str], place: str) -> tuple[str, tuple[Span, ...]]:
    """Return the tokens joined by spaces, and the spans that their tags (`O`, `B-DRUG` …) mark.

    Raises:
        DataError: the numbers of tokens and tags differ, or an entity has no character.
    """
    if len(tokens) != len(tags):
        raise DataError(f"{place}: {len(tokens)} tokens but {len(tags)} tags; expected one tag per token")
    ends: list[int] = []
    for token in tokens:
        ends.append((ends[-1] + 1 if ends else 0) + len(token))
    starts = [end - len(token) for end, token in zip(ends, tokens, strict=True)]
    spans = tuple(
        Span(starts[first], ends[after - 1], canonical_type(label)) for first, after, label in find_chunks(tags)
    )
    text = " ".join(tokens)
    for span in spans:
        if not span.text_in(text).strip():
            raise DataError(f"{place}: an entity of type {span.label} has tokens without a character; expected words")
    return text, spans
