"""CoNLL-like columns: one token per line with its tags, an empty line between sentences."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tune_ner.data.corpus import Sentence
from tune_ner.data.formats.options import ReadOptions
from tune_ner.data.formats.rows import tokens_to_text
from tune_ner.data.tag_parsing import OUTSIDE, TagStyle, detect_dialect, is_tag, tag_style
from tune_ner.errors import DataError

_DOCUMENT = "-DOCSTART-"
_NEW_DOCUMENT = re.compile(r"# *newdoc(?: id *= *(?P<id>\S+))?|#begin document", re.IGNORECASE)
"""Comments that begin a document in CoNLL-U and in OntoNotes."""
_DOCUMENT_NAMES = ("document", "document_id", "doc", "doc_id", "docid")
_SNIFFED_LINES = 200
_MOST_TOKENS = 1_000
"""Tokens of a file without an empty line that can be one sentence."""
_CHUNK_TYPES = frozenset(["NP", "VP", "PP", "ADJP", "ADVP", "SBAR", "PRT", "CONJP", "INTJ", "LST", "UCP"])
"""Phrase types of CoNLL-2000, whose tags look like those of entities."""
_TOKEN_NAMES = ("token", "tokens", "word", "words", "form", "text")
_TAG_NAMES = ("ner", "ner_tag", "ner_tags", "tag", "tags", "label", "labels", "entity")
_EXTRA = re.compile(r"\d+[-.]\d+")
"""Numbers of multiword tokens and empty nodes in CoNLL-U."""
_FEATURES = re.compile(r"_|[^=|\s]+=[^|]*(\|[^=|\s]+=[^|]*)*")
"""Features of a token in CoNLL-U: none, or names with values."""
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z]{2,})*:(?=.)")
"""A language code before each token, as in WikiANN (`en:Stockholm`)."""
_CONLL_U_COLUMNS = 10
_SENTENCE_NAMES = ("sentence #", "sentence", "sentence_id", "sent_id", "sentence_idx", "sent")

Cells = list[str]


@dataclass
class _Table:
    """The lines of a file as cells.

    Attributes:
        sentences: a list of rows for each sentence.
        numbers: the line of each row.
        documents: the document of each sentence, empty if unknown.
    """

    path: Path
    sentences: list[list[Cells]] = field(default_factory=list)
    numbers: list[list[int]] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    header: Cells = field(default_factory=list)

    @property
    def width(self) -> int:
        return len(self.sentences[0][0])

    def column(self, index: int) -> Iterator[list[str]]:
        return ([row[index] for row in rows] for rows in self.sentences)

    def name(self, index: int) -> str:
        return f"{index + 1} ({self.header[index]})" if self.header and self.header[index] else str(index + 1)


def read_columns(path: Path, lines: Sequence[str], options: ReadOptions) -> tuple[list[Sentence], tuple[str, ...]]:
    """Return the sentences of a file, and one line on how it was read.

    Tokens are in the first column that neither numbers tokens nor sentences, tags in the only other column that has
    tags of entities. Comments start with `#`. Also comma-separated files are read (`.csv`).

    Raises:
        DataError: a line has another number of columns or an invalid tag; no column or several columns have tags; or
            there is no empty line between sentences.
    """
    table = _split(path, lines)
    if not table.sentences:
        return [], ()
    _add_features(table)
    if options.tag_column is not None:
        _name_numbers(table, _chosen(table, options.tag_column, "tag_column"), options.labels)
    token_column = _token_column(table, options)
    tag_column, style = _tag_column(table, token_column, options)
    _check_sentences(table)
    language = _take_language(table, token_column)
    groups = _groups(table, options)
    has_numbers = token_column > 0 and _numbers_tokens(table, 0)
    sentences: list[Sentence] = []
    dialects: list[list[str]] = []
    skipped = 0
    for rows, numbers, group in zip(table.sentences, table.numbers, groups, strict=True):
        # in CoNLL-U, `3-4` and `3.1` are not words of the sentence
        kept = [place for place, row in enumerate(rows) if not (has_numbers and _EXTRA.fullmatch(row[0]))]
        skipped += len(rows) - len(kept)
        place = f"{path}:{numbers[0]}"
        tags = [_canonical(style, rows[i][tag_column], f"{path}:{numbers[i]}", options) for i in kept]
        text, spans = tokens_to_text([rows[i][token_column] for i in kept], tags, place)
        dialects.append(tags)
        sentences.append(Sentence(f"{path.stem}_{len(sentences)}", text, spans, place, group))
    note = _note(table, token_column, tag_column, style, detect_dialect(dialects), skipped)
    return sentences, (f"{note}; each token began with {language!r}, which is removed" if language else note,)


def cells_of(line: str) -> Cells:
    """Split a line at tabs, or at spaces if it has no tabs; no-break spaces belong to tokens."""
    if "\t" in line:
        return [cell.strip(" ") for cell in line.split("\t")]
    return [cell for cell in line.split(" ") if cell]


def _split(path: Path, lines: Sequence[str]) -> _Table:
    rows = _csv_rows(path, lines) if path.suffix.lower() == ".csv" else [cells_of(line) for line in lines]
    filled = [row for row in rows if any(row) and row[0] != _DOCUMENT]
    plain = [row for row in filled if not row[0].startswith("#")]
    width = Counter(map(_width, plain or filled)).most_common(1)[0][0] if filled else 0
    known = {row[width - 1] for row in plain if len(row) >= width}
    table = _Table(path)
    begins, document, documents = True, "", 0
    file = f"{path.absolute().parent.name}/{path.stem}"  # files of split folders may have one name
    for number, row in enumerate(rows, start=1):
        if not any(row):
            begins = True
            continue
        found = _NEW_DOCUMENT.match(lines[number - 1])
        if found or row[0] == _DOCUMENT:
            begins, documents = True, documents + 1
            document = (found and found["id"]) or f"{file}:{documents}"
            continue
        if row[0].startswith("#"):
            is_tagged = row[-1] in known or is_tag(row[-1])
            if not is_tagged or (row[0] == "#" and _width(row) != width):
                continue  # a comment; the tokens # and #1 have a tag
        _check_row(path, number, row, width, lines[number - 1])
        if begins:
            table.sentences.append([])
            table.numbers.append([])
            table.documents.append(document)
        begins = False
        table.sentences[-1].append(row[:width])
        table.numbers[-1].append(number)
    if documents == 1 and document == f"{file}:1":
        table.documents = [""] * len(table.sentences)  # a mark at the start of the file divides nothing
    _take_header(table)
    return table


def _csv_rows(path: Path, lines: Sequence[str]) -> list[Cells]:
    delimiter = max(",;\t", key=lambda character: sum(character in line for line in lines[:_SNIFFED_LINES]))
    if delimiter == "\t":
        return [cells_of(line) for line in lines]  # where a quotation mark is a token
    rows: list[Cells] = []
    for number, line in enumerate(lines, start=1):
        try:
            # line by line: a quotation mark that is never closed must not take the rest of the file
            rows.append(
                [cell.strip(" ") for row in csv.reader([line], delimiter=delimiter, strict=True) for cell in row]
            )
        except csv.Error as error:
            raise DataError(
                f"{path}:{number}: found {line[:60]!r}, which is not comma-separated: {error}; expected one token per "
                "line, in quotation marks if it contains the separator"
            ) from error
    return rows


def _width(row: Cells) -> int:
    """Return the number of columns without empty ones at the end, which a trailing tab makes."""
    if row and row[-1]:
        return len(row)
    return max((place for place, cell in enumerate(row, start=1) if cell), default=0)


def _check_row(path: Path, number: int, row: Cells, width: int, line: str) -> None:
    if width < 2 or _width(row) < 2:
        raise DataError(
            f"{path}:{number}: found {line[:60]!r}; expected a token, then columns, one of them with tags such as O, "
            "B-DRUG or I-DRUG"
        )
    if _width(row) > width or len(row) < width:
        raise DataError(
            f"{path}:{number}: found {_width(row)} columns in {line[:60]!r}; expected {width}, as in most lines. A "
            "token must not contain the separator of the columns"
        )


def _take_header(table: _Table) -> None:
    """Remove a first line of column names, and divide the rows by a named column that numbers the sentences."""
    if not table.sentences:
        return
    first = [cell.lower() for cell in table.sentences[0][0]]
    if not (set(first) & set(_TOKEN_NAMES) and set(first) & set(_TAG_NAMES)):
        return
    table.header = table.sentences[0].pop(0)
    table.numbers[0].pop(0)
    if not table.sentences[0]:
        table.sentences.pop(0)
        table.numbers.pop(0)
        table.documents.pop(0)
    by = next((place for place, name in enumerate(first) if name in _SENTENCE_NAMES), None)
    if by is not None and len(table.sentences) == 1:
        (rows,), (numbers,) = table.sentences, table.numbers
        starts = [i for i, row in enumerate(rows) if i == 0 or (row[by] and row[by] != rows[i - 1][by])]
        if any(not row[by] for row in rows):  # only the first row of each sentence has its number
            starts = [i for i, row in enumerate(rows) if i == 0 or row[by]]
        ends = [*starts[1:], len(rows)]
        table.sentences = [rows[a:b] for a, b in zip(starts, ends, strict=True)]
        table.numbers = [numbers[a:b] for a, b in zip(starts, ends, strict=True)]
        table.documents *= len(starts)


def _add_features(table: _Table) -> None:
    """Add a column for each feature in the last one that has tags, such as `NER=B-PER|SpaceAfter=No` in CoNLL-U."""
    counts: dict[str, Counter[str]] = {}
    for values in table.column(table.width - 1):
        for value in values:
            if not _FEATURES.fullmatch(value):
                return
            for name, tag in _features(value).items():
                counts.setdefault(name, Counter())[tag] += 1
    found = [name for name, tags in counts.items() if tag_style(tags + Counter([OUTSIDE])) and set(tags) - {OUTSIDE}]
    table.header = [*(table.header or [""] * table.width), *found] if found else table.header
    for rows in table.sentences if found else ():
        for row in rows:
            features = _features(row[-1])
            row += [features.get(name, OUTSIDE) for name in found]


def _take_language(table: _Table, column: int) -> str:
    """Remove the language code that all tokens begin with, and return it with its colon; empty if there is none."""
    tokens = {token for tokens in table.column(column) for token in tokens}
    found = _LANGUAGE.match(next(iter(tokens)))
    if (
        not found
        or len(tokens) == 1
        or not all(len(token) > found.end() and token.startswith(found[0]) for token in tokens)
    ):
        return ""
    for rows in table.sentences:
        for row in rows:
            row[column] = row[column].removeprefix(found[0])
    return found[0]


def _features(cell: str) -> dict[str, str]:
    return dict(item.split("=", 1) for item in cell.split("|") if "=" in item)


def _groups(table: _Table, options: ReadOptions) -> list[str]:
    """Return the group of each sentence: the value of the column that `group_by` or the header names, or its document.

    Raises:
        DataError: a sentence has no value, or several.
    """
    named = [place for place, name in enumerate(table.header) if name.lower() in _DOCUMENT_NAMES]
    if not options.group_key and not named:
        return table.documents
    column = _chosen(table, options.group_key, "group_by") if options.group_key else named[0]
    groups: list[str] = []
    for rows, numbers in zip(table.sentences, table.numbers, strict=True):
        values = {row[column] for row in rows} - {""}
        if options.group_key and len(values) != 1:
            raise DataError(
                f"{table.path}:{numbers[0]}: group_by {options.group_key!r}: found {len(values)} values in one "
                "sentence; expected one"
            )
        groups.append(values.pop() if len(values) == 1 else "")
    return groups


def _token_column(table: _Table, options: ReadOptions) -> int:
    if options.token_column is not None:
        column = _chosen(table, options.token_column, "token_column")
    else:
        named = [i for i, name in enumerate(table.header) if name.lower() in _TOKEN_NAMES]
        free = [i for i in range(table.width - 1) if not _numbers_tokens(table, i) and not _names_sentences(table, i)]
        column = named[0] if named else free[0] if free and not _is_constant(table, free[0]) else 0
    for rows, numbers in zip(table.sentences, table.numbers, strict=True):
        for row, number in zip(rows, numbers, strict=True):
            if not row[column]:
                raise DataError(
                    f"{table.path}:{number}: found {chr(9).join(row)[:60]!r}; expected a token in column "
                    f"{table.name(column)}"
                )
    return column


def _chosen(table: _Table, wanted: str | int, option: str) -> int:
    text = str(wanted)
    if text in table.header:
        return table.header.index(text)
    if text.isdecimal() and 1 <= int(text) <= table.width:
        return int(text) - 1
    known = f"1 to {table.width}" + (f", or one of {', '.join(table.header)}" if table.header else "")
    raise DataError(f"{table.path}: {option} {text!r}: no such column; expected {known}")


def _name_numbers(table: _Table, column: int, labels: Mapping[str, str]) -> None:
    """Replace numbers in the column of tags by their names."""
    for rows in table.sentences:
        for row in rows:
            if row[column].isdecimal():
                row[column] = labels.get(row[column], row[column])


def _numbers_tokens(table: _Table, column: int) -> bool:
    """Return whether a column numbers the tokens of each sentence from 0 or 1."""
    longest = 0
    for values in table.column(column):
        numbers = [value for value in values if not _EXTRA.fullmatch(value)]
        if numbers not in ([str(i) for i in range(len(numbers))], [str(i + 1) for i in range(len(numbers))]):
            return False
        longest = max(longest, len(numbers))
    return longest > 1 or table.width >= _CONLL_U_COLUMNS


def _names_sentences(table: _Table, column: int) -> bool:
    """Return whether a column has one value in each sentence, and another one in each."""
    values = [set(found) for found in table.column(column)]
    several = sum(len(rows) > 1 for rows in table.sentences)
    return several > 1 and all(len(found) == 1 for found in values) and len(set().union(*values)) == len(values)


def _is_constant(table: _Table, column: int) -> bool:
    return len({value for values in table.column(column) for value in values}) == 1


def _tag_column(table: _Table, token_column: int, options: ReadOptions) -> tuple[int, TagStyle]:
    counts = {i: Counter(v for values in table.column(i) for v in values) for i in range(table.width)}
    if options.tag_column is not None:
        column = _chosen(table, options.tag_column, "tag_column")
        if style := tag_style(counts[column], plain=True):
            return column, style
        raise DataError(
            f"{table.path}: tag_column {options.tag_column!r}: found {_examples(counts[column])}; expected "
            "tags such as O, B-DRUG and I-DRUG"
        )
    others = [i for i in range(table.width) if i != token_column]
    without_entities: TagStyle | None = None
    for plain in (False, True):
        styles = {i: style for i in others if (style := tag_style(counts[i], plain=plain))}
        tagged = {i: style for i, style in styles.items() if set(counts[i]) - {style.outside}}
        entities = {i: style for i, style in tagged.items() if not _is_chunked(style, counts[i])} or tagged
        if len({tuple(map(tuple, table.column(i))) for i in entities}) > 1:
            listed = "; ".join(f"column {table.name(i)} has {_examples(counts[i])}" for i in entities)
            fullest = max(entities, key=lambda i: sum(counts[i].values()) - counts[i][entities[i].outside])
            raise DataError(
                f"{table.path}: {len(entities)} columns have tags: {listed}. Choose one with --tag-column "
                f"{fullest + 1} (the one with the most tags) or `tag_column:` under `data:`"
            )
        if entities:
            column = max(entities)
            return column, entities[column]
        without_entities = without_entities or styles.get(table.width - 1)
    if without_entities or OUTSIDE in counts[table.width - 1]:
        # without a style, the first tag is an error with its line
        return table.width - 1, without_entities or TagStyle.usual()
    row, number = table.sentences[0][0], table.numbers[0][0]
    raise DataError(
        f"{table.path}:{number}: found {' '.join(row)[:60]!r}; expected a token, then columns, one of them with tags "
        "such as O, B-DRUG or I-DRUG"
    )


def _is_chunked(style: TagStyle, counts: Counter[str]) -> bool:
    found = [style.parse(tag) for tag in counts if tag != style.outside]
    return all(tag and tag[2:] in _CHUNK_TYPES for tag in found)


def _examples(counts: Counter[str]) -> str:
    tags = [tag for tag, _ in counts.most_common() if tag != OUTSIDE][:4]
    return f"{', '.join(tags)}{' …' if len(counts) > len(tags) + 1 else ''}"


def _canonical(style: TagStyle, tag: str, place: str, options: ReadOptions) -> str:
    try:
        return style.canonical(tag, options.multiple_labels)
    except ValueError as error:
        raise DataError(f"{place}: {error}") from error


def _check_sentences(table: _Table) -> None:
    if len(table.sentences) == 1 and len(table.sentences[0]) > _MOST_TOKENS:
        raise DataError(
            f"{table.path}: no empty line between sentences in {len(table.sentences[0]):,} lines; put an empty line "
            "after each sentence"
        )


def _note(table: _Table, token_column: int, tag_column: int, style: TagStyle, dialect: str, skipped: int) -> str:
    written = f", {style.name}" if style.name else ""
    note = (
        f"read as columns: tokens from column {table.name(token_column)} of {table.width}, tags ({dialect}{written}) "
        f"from column {table.name(tag_column)}"
    )
    return note + (f"; {skipped} lines of multiword tokens skipped" if skipped else "")
