"""Local files and folders (bracket text, JSONL, CoNLL columns, parquet) → sentences."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from tune_ner.data.corpus import Sentence, split_from_name
from tune_ner.data.formats.rows import Row, sentences_from_rows, tokens_to_text
from tune_ner.data.formats.tables import SplitSentences, class_names
from tune_ner.data.markup import UNPAIRED, first_places, published_spans, unpaired_brackets
from tune_ner.data.tag_parsing import detect_dialect, split_tag
from tune_ner.errors import DataError

Reading = tuple[list[Sentence], tuple[str, ...]]
"""The sentences of a file, and notes on how it was read."""

_SNIFFED_LINES = 200
_NO_DATA = frozenset({"README", "LICENSE", "LICENCE", "COPYING"})


def read_path(path: Path) -> tuple[SplitSentences, tuple[str, ...]]:
    """Return the sentences of a file or of the files of a folder, each with the split that its file is named after.

    The files of a folder are its splits if all of them are named after splits (`train.jsonl`, `dev-1.conll` …);
    otherwise, they are concatenated in the order of their names.

    Raises:
        DataError: the path does not exist or has no data, or a file is invalid at a line that the message names.
    """
    try:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; give a corpus file, a folder of them, or `synthetic`")
        files = _data_files(path) if path.is_dir() else [path]
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}; give a corpus file or a folder of them") from error
    splits = [split_from_name(file.stem) for file in files]
    if None in splits or path.is_file():
        splits = [None] * len(files)
    sentences: SplitSentences = []
    notes: dict[str, None] = {}
    for file, split in zip(files, splits, strict=True):
        found, file_notes = read_file(file)
        sentences += [(split, sentence) for sentence in found]
        notes |= dict.fromkeys(file_notes)
    return sentences, tuple(notes)


def read_file(path: Path) -> Reading:
    """Return the sentences of one file, whose format follows from its ending or, for `.txt`, from its lines.

    Raises:
        DataError: the file is empty, not UTF-8, of an unknown format, or invalid at a line that the message names.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(sorted(_READERS))
        raise DataError(f"{path}: unknown ending {path.suffix!r}; expected one of {known}")
    sentences, notes = reader(path)
    if not sentences:
        raise DataError(f"{path}: no sentences; expected at least one")
    return sentences, notes


def _is_data(file: Path) -> bool:
    named_otherwise = file.name.startswith(".") or file.stem.upper() in _NO_DATA
    return file.is_file() and file.suffix.lower() in _READERS and not named_otherwise


def _data_files(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if _is_data(file))
    if not files:
        raise DataError(f"{folder}: no data files; expected files ending in {', '.join(sorted(_READERS))}")
    return files


def _lines(path: Path) -> list[str]:
    """Return the lines of a file; only line feeds, and carriage returns before them, end a line."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot read file: {error.strerror}") from error
    try:
        # with "utf-8-sig", the offset of an error would not count the byte order mark
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}:{line}: not UTF-8: byte 0x{raw[error.start]:02X} at offset {error.start}; save the file as UTF-8"
        ) from error
    if not text.strip():
        raise DataError(f"{path}: the file is empty; expected sentences")
    return [line.removesuffix("\r") for line in text.split("\n")]


def _read_text(path: Path) -> Reading:
    lines = _lines(path)
    return _conll(path, lines) if _looks_like_columns(lines) else _bracket_text(path, lines)


def _bracket_text(path: Path, lines: list[str]) -> Reading:
    """Read one sentence per line; an empty line is an empty sentence, as in the hub's data set.

    Skipping empty lines would shift all later indices, and so change the notebook's split.
    """
    sentences: list[Sentence] = []
    unpaired: list[str] = []
    brackets = 0
    for number, line in enumerate(lines[:-1] if not lines[-1] else lines, start=1):
        place = f"{path}:{number}"
        if count := unpaired_brackets(line):
            brackets += count
            unpaired.append(place)
        sentences.append(Sentence(f"{path.stem}_{len(sentences)}", line, published_spans(line), place))
    empty = sum(not sentence.text.strip() for sentence in sentences)
    notes = (f"empty lines kept as sentences without words: {empty}",) if empty else ()
    if not unpaired:
        return sentences, notes
    where = first_places(unpaired)
    note = f"{brackets} {UNPAIRED} in {len(unpaired)} lines are kept as text: {where}"
    return sentences, (*notes, note)


def _looks_like_columns(lines: list[str]) -> bool:
    filled = [_columns(line) for line in lines[:_SNIFFED_LINES] if line.strip() and not _is_comment(line)]
    tagged = sum(1 for columns in filled if len(columns) > 1 and _is_tag(columns[-1]))
    return 2 * tagged > len(filled)


def _is_comment(line: str) -> bool:
    """Return whether a line is a comment: it starts with #, and the # is not a token with a tag."""
    return line.startswith("#") and not _is_tag(_columns(line)[-1])


def _is_tag(word: str) -> bool:
    try:
        split_tag(word)
    except ValueError:
        return False
    return True


def _read_conll(path: Path) -> Reading:
    return _conll(path, _lines(path))


def _conll(path: Path, lines: list[str]) -> Reading:
    """Read tokens from the first column and tags from the last one; an empty line ends a sentence."""
    sentences: list[Sentence] = []
    dialects: list[list[str]] = []
    for first, rows in _blocks(path, lines):
        tokens, tags = [row[0] for row in rows], [row[-1] for row in rows]
        place = f"{path}:{first}"
        text, spans = tokens_to_text(tokens, tags, place)
        dialects.append(tags)
        sentences.append(Sentence(f"{path.stem}_{len(sentences)}", text, spans, place))
    return sentences, (f"tags read as {detect_dialect(dialects)}",)


def _columns(line: str) -> list[str]:
    """Split a line at tabs, or at spaces if it has no tabs; no-break spaces belong to tokens."""
    if "\t" in line:
        return [column.strip(" ") for column in line.split("\t")]
    return [column for column in line.split(" ") if column]


def _blocks(path: Path, lines: list[str]) -> Iterator[tuple[int, list[list[str]]]]:
    rows: list[list[str]] = []
    first = 1
    for number, line in enumerate([*lines, ""], start=1):
        columns = _columns(line)
        if not line.strip():
            if rows:
                yield first, rows
            rows = []
            continue
        if columns[0] == "-DOCSTART-" or _is_comment(line):
            continue
        if len(columns) < 2 or not columns[0] or not _is_tag(columns[-1]):
            raise DataError(
                f"{path}:{number}: found {line[:60]!r}; expected a token, then columns, the last one a tag such "
                "as O, B-DRUG or I-DRUG"
            )
        first = first if rows else number
        rows.append(columns)


def _read_jsonl(path: Path) -> Reading:
    return sentences_from_rows(_json_rows(path), path.stem)


def _json_rows(path: Path) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = json.loads(line)
        # ValueError: invalid JSON, or a number with more digits than Python reads
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place}: not JSON ({error}); expected one object on each line") from error
        if not isinstance(row, dict):
            raise DataError(f"{place}: found {type(row).__name__}; expected one JSON object on each line")
        yield place, row


def _read_parquet(path: Path) -> Reading:
    import datasets
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
        # data sets written by `datasets` have their class names in the schema's metadata
        names = class_names(datasets.Features.from_arrow_schema(table.schema))
        rows = table.to_pylist()
    # broken files, broken metadata and text that is not UTF-8 raise errors of many unrelated classes
    except Exception as error:
        raise DataError(f"{path}: not a readable parquet file ({error})") from error
    places = ((f"{path}:{number}", row) for number, row in enumerate(rows, start=1))
    return sentences_from_rows(places, path.stem, names)


_READERS: dict[str, Callable[[Path], Reading]] = {
    ".txt": _read_text,
    ".jsonl": _read_jsonl,
    ".json": _read_jsonl,
    ".conll": _read_conll,
    ".iob": _read_conll,
    ".iob2": _read_conll,
    ".bio": _read_conll,
    ".tsv": _read_conll,
    ".parquet": _read_parquet,
}
