"""Local files and folders → sentences: which files are read, with which format and which split."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tune_ner.data.corpus import SPLIT_ALIASES, Sentence, SplitName, split_from_name
from tune_ner.data.formats.columns import cells_of, read_columns
from tune_ner.data.formats.docbin import read_docbin
from tune_ner.data.formats.options import DEFAULT, FormatName, Reading, ReadOptions
from tune_ner.data.formats.rows import Placed, Row, is_row, sentences_from_rows
from tune_ner.data.formats.sentence_table import sentence_rows
from tune_ner.data.formats.standoff import is_pubtator, read_brat, read_pubtator
from tune_ner.data.formats.tables import SplitSentences, class_names
from tune_ner.data.formats.uima import is_webanno, read_cas, read_webanno
from tune_ner.data.markup import UNPAIRED, first_places, published_spans, unpaired_brackets
from tune_ner.data.tag_parsing import is_tag
from tune_ner.errors import DataError
from tune_ner.utils.extras import imported

_SNIFFED_LINES = 200
_CAS_KEY = re.compile('"%(TYPES|FEATURE_STRUCTURES|VIEWS|VERSION|FLAGS)"')
_CAS_START, _CAS_LINES = 100_000, 9
"""Characters of a line, and lines, in which the keys of a UIMA CAS begin."""
_MOST_NAMED = 5
_NO_DATA = frozenset({"README", "LICENSE", "LICENCE", "COPYING", "TYPESYSTEM"})
_SHARD = re.compile(r"(?P<name>.*?)[-_.]?(?P<number>\d+)(?:-of-\d+)?", re.DOTALL)
_ENDINGS: dict[str, FormatName | None] = {
    ".txt": None,
    ".jsonl": "jsonl",
    ".json": None,
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pubtator": "pubtator",
    ".xml": "bioc",
    ".xmi": "cas",
    ".spacy": "spacy",
    **dict.fromkeys(
        (".conll", ".conllu", ".conll03", ".iob", ".iob2", ".bio", ".bioes", ".csv", ".ssv", ".ner", ".col"), "columns"
    ),
    ".tsv": None,
}
"""Formats of files by their ending; None where the content decides."""


def read_path(path: Path, options: ReadOptions = DEFAULT) -> tuple[SplitSentences, tuple[str, ...]]:
    """Return the sentences of a file or folder, each with its published split, and notes on how they were read.

    The files of a folder, or its subfolders, are splits if their names contain the word (`train.jsonl`, `sv_dev.conll`,
    `eng.testa`). Files of other names are not read then. Without such names, files of one ending are joined.

    Raises:
        DataError: the path does not exist or has no data, it is ambiguous which files are which split, or a file is
            invalid at a line that the message names.
    """
    try:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; give a corpus file, a folder of them, or `synthetic`")
        files, folder_notes = _files_of(path) if path.is_dir() else ([(None, path)], [])
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}; give a corpus file or a folder of them") from error
    sentences: SplitSentences = []
    notes: dict[str, list[Path]] = {}
    for split, file in files:
        found, file_notes = read_file(file, options)
        if options.group_by == "file":
            found = [replace(sentence, group=f"{file.absolute().parent.name}/{file.name}") for sentence in found]
        sentences += [(split, sentence) for sentence in found]
        for note in file_notes:
            notes.setdefault(note, []).append(file)
    return sentences, (*folder_notes, *_notes_of_files(notes, len(files)))


def _notes_of_files(notes: Mapping[str, Sequence[Path]], count: int) -> list[str]:
    """Return each note once, with the names of its files if it is not one of all `count` files."""
    return [note if len(files) == count else f"{_named(files)}: {note}" for note, files in notes.items()]


def read_file(path: Path, options: ReadOptions = DEFAULT) -> Reading:
    """Return the sentences of one file or brat folder, in the format of its ending or of its content.

    Raises:
        DataError: the file is empty, not UTF-8, of an unknown format, or invalid at a line that the message names.
    """
    name = "brat" if path.is_dir() else options.format or _ENDINGS.get(path.suffix.lower()) or _sniffed(path)
    sentences, notes = _READERS[name](path, options)
    if not sentences:
        raise DataError(f"{path}: no sentences; expected at least one")
    return sentences, notes


def _files_of(folder: Path) -> tuple[list[tuple[SplitName | None, Path]], list[str]]:
    """Return the files of a folder that are read, with their splits, and notes."""
    if any(folder.glob("*.ann")):
        return [(None, folder)], []
    files = sorted(file for file in folder.iterdir() if _is_data(file))
    if not files and (found := _split_folders(folder)):
        names = {file.relative_to(folder).parts[0] for _, file in found}
        return found, [f"splits are the folders {', '.join(sorted(names))}"]
    if not files:
        raise DataError(f"{folder}: no data files; expected files ending in {', '.join(sorted(_ENDINGS))}")
    by_split: dict[SplitName | None, list[Path]] = {}
    for file in files:
        by_split.setdefault(split_from_name(file.name), []).append(file)
    others = by_split.pop(None, [])
    if not by_split:
        return _unsplit_files(folder, others)
    chosen = [(split, file) for split, found in by_split.items() for file in _files_of_split(folder, split, found)]
    left_out = sorted({*files} - {file for _, file in chosen})
    _check_splits(folder, by_split, [file for file in others if file.suffix in {f.suffix for _, f in chosen}])
    notes = [f"not read, since their names are not those of splits: {_named(left_out)}"] if left_out else []
    if any(split not in (None, _exact_split(file)) for split, file in chosen):
        notes.append("splits: " + ", ".join(f"{split} from {file.name}" for split, file in chosen))
    return sorted(chosen, key=lambda item: item[1]), notes


def _split_folders(folder: Path) -> list[tuple[SplitName | None, Path]]:
    found: list[tuple[SplitName | None, Path]] = []
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        if split := SPLIT_ALIASES.get(inner.name.lower()):
            annotated = any(inner.glob("*.ann"))
            files = [inner] if annotated else sorted(file for file in inner.iterdir() if _is_data(file))
            found += [(split, file) for file in files]
    return found


def _unsplit_files(folder: Path, files: Sequence[Path]) -> tuple[list[tuple[SplitName | None, Path]], list[str]]:
    endings = sorted({file.suffix.lower() for file in files})
    if len(endings) > 1:
        raise DataError(
            f"{folder}: files of several formats, none of them named after a split: {_named(files)}; give one file, or "
            "name the files train, dev and test"
        )
    joined = f"{len(files)} files without names of splits joined in this order: {_named(files)}"
    return [(None, file) for file in files], [joined] if len(files) > 1 else []


def _files_of_split(folder: Path, split: SplitName | None, files: Sequence[Path]) -> Sequence[Path]:
    """Return the files of a split: all parts of one file, or that which has just the name of the split."""
    if len(files) == 1 or _are_parts(files):
        return files
    exact = [file for file in files if _exact_split(file)]
    if len(exact) == 1:
        return exact
    raise DataError(
        f"{folder}: {len(files)} files could be the split {split}: {_named(files)}; move all but one of them "
        "out of the folder"
    )


def _exact_split(file: Path) -> SplitName | None:
    return SPLIT_ALIASES.get(file.stem.lower())


def _are_parts(files: Sequence[Path]) -> bool:
    """Return whether names differ in a number only that counts from 0 or 1, such as `train-00000-of-00002`."""
    found = [_SHARD.fullmatch(file.stem) for file in files]
    if (
        not all(found)
        or len({(match["name"], file.suffix) for match, file in zip(found, files, strict=True) if match}) > 1
    ):
        return False
    numbers = sorted(int(match["number"]) for match in found if match)
    return numbers in (list(range(len(numbers))), list(range(1, len(numbers) + 1)))


def _check_splits(folder: Path, splits: Mapping[SplitName | None, list[Path]], others: Sequence[Path]) -> None:
    names = _named([file for files in splits.values() for file in files])
    if len(splits) == 1 and others:
        raise DataError(
            f"{folder}: {names} has the name of a split, but {_named(others)} have not; name all files after splits, "
            "or give one file"
        )
    if "train" not in splits and len(splits) > 1:
        raise DataError(
            f"{folder}: no file is named after the split train; found {names}; expected a file such as train.conll"
        )


def _is_data(file: Path) -> bool:
    named_otherwise = file.name.startswith(".") or file.stem.upper() in _NO_DATA
    if not file.is_file() or named_otherwise:
        return False
    return file.suffix.lower() in _ENDINGS or (split_from_name(file.name) is not None and _has_data(file))


def _has_data(file: Path) -> bool:
    """Return whether a file of an unknown ending, such as `test.gold`, has the content of a corpus."""
    try:
        return bool(_sniffed(file))
    except DataError:
        return False


def _named(files: Sequence[Path]) -> str:
    more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
    return ", ".join(file.name for file in files[:_MOST_NAMED]) + more


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


def _sniffed(path: Path) -> FormatName:
    """Return the format of a file by its content."""
    lines = _lines(path)
    if is_webanno(lines):
        return "webanno"
    if path.suffix.lower() == ".json":
        return "cas" if any(_CAS_KEY.search(line[:_CAS_START]) for line in lines[:_CAS_LINES]) else "jsonl"
    if is_pubtator(lines):
        return "pubtator"
    if path.suffix.lower() == ".tsv" or _looks_like_columns(lines):
        return "columns"
    if path.suffix.lower() == ".txt":
        return "brackets"
    if next(line for line in lines if line.strip()).lstrip().startswith(("{", "[{")):
        return "jsonl"
    known = ", ".join(sorted(_ENDINGS))
    raise DataError(f"{path}: unknown ending {path.suffix!r}; expected one of {known}, or `format:` under `data:`")


def _read_brackets(path: Path, _: ReadOptions) -> Reading:
    """Read one sentence per line; an empty line is an empty sentence, as in the hub's data set.

    Skipping empty lines would shift all later indices, and so change the notebook's split.
    """
    lines = _lines(path)
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
    notes = ["read as bracket text: ( disorder ), [ drug ], { body part }, one sentence per line"]
    notes += [f"empty lines kept as sentences without words: {empty}"] if empty else []
    if not unpaired:
        return sentences, tuple(notes)
    where = first_places(unpaired)
    note = f"{brackets} {UNPAIRED} in {len(unpaired)} lines are kept as text: {where}"
    return sentences, (*notes, note)


def _looks_like_columns(lines: list[str]) -> bool:
    filled = [cells_of(line) for line in lines[:_SNIFFED_LINES] if line.strip()]
    tagged = sum(len(cells) > 1 and is_tag(cells[-1]) for cells in filled)
    return 2 * tagged > sum(not cells[0].startswith("#") or is_tag(cells[-1]) for cells in filled)


def _read_columns(path: Path, options: ReadOptions) -> Reading:
    lines = _lines(path)
    rows = sentence_rows(path, lines, options) if path.suffix.lower() in (".csv", ".tsv") else None
    return read_columns(path, lines, options) if rows is None else sentences_from_rows(rows, path.stem, (), options)


def _read_pubtator(path: Path, _: ReadOptions) -> Reading:
    return read_pubtator(path, _lines(path))


def _read_webanno(path: Path, options: ReadOptions) -> Reading:
    return read_webanno(path, _lines(path), options)


def _read_bioc(path: Path, options: ReadOptions) -> Reading:
    biocxml = imported("bioc.biocxml", "formats", f"{path}: reading BioC XML")
    biocjson = imported("bioc.biocjson", "formats", f"{path}: reading BioC XML")
    try:
        with path.open("rb") as file:
            collection = json.loads(biocjson.dumps(biocxml.load(file)))
    # other XML raises errors of many unrelated classes
    except Exception as error:
        raise DataError(f"{path}: not a readable BioC collection ({type(error).__name__}: {error})") from error
    rows = ((f"{path}: document {row['id'] or number}", row) for number, row in enumerate(collection["documents"], 1))
    return sentences_from_rows(rows, path.stem, (), options)


def _read_brat(path: Path, options: ReadOptions) -> Reading:
    return read_brat(path, options.discontinuous)


def _read_json(path: Path, options: ReadOptions) -> Reading:
    lines = _lines(path)
    first = next(line for line in lines if line.strip()).lstrip()
    is_one_value = first.startswith("[") or first.strip() == "{" or sum(bool(line.strip()) for line in lines) == 1
    rows = _json_items(path, "\n".join(lines)) if is_one_value else None
    return sentences_from_rows(_json_lines(path, lines) if rows is None else rows, path.stem, (), options)


def _json_items(path: Path, text: str) -> list[Placed] | None:
    """Return the items of a file that is one JSON array, or an object with one; None if it is not JSON as a whole."""
    try:
        content = json.loads(text)
    # ValueError: invalid JSON, or a number with more digits than Python reads
    except (ValueError, RecursionError):
        return None
    if isinstance(content, dict):
        lists = [
            value for value in content.values() if isinstance(value, list) and value and isinstance(value[0], dict)
        ]
        if is_row(content) or len(lists) != 1:
            return None if "\n" not in text.strip() else [(f"{path}:1", content)]
        content = lists[0]
    return [(f"{path}[{number}]", _item(item, f"{path}[{number}]")) for number, item in enumerate(content)]


def _item(item: Any, place: str) -> Row:
    """Return an item of an array as a row; spaCy's training examples are pairs of a text and its entities."""
    if isinstance(item, list) and len(item) == 2 and isinstance(item[0], str) and isinstance(item[1], dict):
        return {"text": item[0], "spans": item[1].get("entities", [])}
    if not isinstance(item, dict):
        raise DataError(f"{place}: found {type(item).__name__}; expected a JSON object for each sentence")
    return item


def _json_lines(path: Path, lines: Sequence[str]) -> Iterator[Placed]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place}: not JSON ({error}); expected one object on each line") from error
        if not isinstance(row, dict):
            raise DataError(f"{place}: found {type(row).__name__}; expected one JSON object on each line")
        yield place, row


def _read_parquet(path: Path, options: ReadOptions) -> Reading:
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
    return sentences_from_rows(places, path.stem, names, options)


_READERS: dict[FormatName, Callable[[Path, ReadOptions], Reading]] = {
    "brackets": _read_brackets,
    "columns": _read_columns,
    "jsonl": _read_json,
    "parquet": _read_parquet,
    "brat": _read_brat,
    "pubtator": _read_pubtator,
    "bioc": _read_bioc,
    "webanno": _read_webanno,
    "cas": read_cas,
    "spacy": read_docbin,
}
