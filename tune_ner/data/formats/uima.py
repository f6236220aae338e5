"""Documents of INCEpTION and WebAnno: TSV 3 files, and UIMA CAS as XMI or JSON."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.formats.documents import Document, divided
from tune_ner.data.formats.offsets import UTF16, check_characters, checked_span, trimmed
from tune_ner.data.formats.options import Reading, ReadOptions
from tune_ner.errors import DataError
from tune_ner.utils.extras import imported

ENTITY_LAYER = "NamedEntity.value"
"""The layer and feature of entities in INCEpTION, WebAnno and DKPro Core."""
TYPE_SYSTEM = "TypeSystem.xml"
_SENTENCE_LAYER = "Sentence"
_LINGUISTIC = re.compile(r"uima\.|de\.tudarmstadt\.ukp\.dkpro\.core\.api\.(segmentation|lexmorph|syntax|metadata)\.")
"""Layers of words and grammar, which are not taken for entities unless they are named."""
_NO_VALUE = frozenset(["_", "*"])


def _chosen_layer(path: Path, counts: Mapping[str, int], options: ReadOptions) -> str:
    """Return the layer and feature that holds the types of entities.

    Args:
        path: the file, for messages.
        counts: number of values of each `Layer.feature` that a user may choose.
        options: `tag_column` names the feature, with or without its layer.

    Raises:
        DataError: no feature or several can be meant.
    """
    wanted = options.tag_column
    if wanted is not None:
        found = [name for name in counts if str(wanted) in (name, *name.split("."))]
    else:
        found = [name for name in counts if name == ENTITY_LAYER] or [name for name, count in counts.items() if count]
    if len(found) == 1:
        return found[0]
    if not counts:
        raise DataError(f"{path}: no layer of spans has a feature with a text; expected one with the types of entities")
    listed = ", ".join(f"{name} ({count:,})" for name, count in counts.items())
    what = "no layer is named NamedEntity"
    if wanted is not None:
        what = f"tag_column {str(wanted)!r}: no such layer and feature"
    raise DataError(
        f"{path}: {what if not found else f'{len(found)} features can hold the types of entities'}; found {listed}, "
        "with their numbers of values; choose one with --tag-column LAYER.FEATURE or `tag_column:` under `data:`"
    )


# ---- WebAnno TSV 3


@dataclass
class _Block:
    """A sentence of a TSV file: its text, and rows of line number, offsets in UTF-16 units and cells."""

    texts: list[str] = field(default_factory=list)
    rows: list[tuple[int, int, int, list[str]]] = field(default_factory=list)


def is_webanno(lines: Sequence[str]) -> bool:
    """Return whether a file is in the format WebAnno TSV 3."""
    return lines[0].startswith("#FORMAT=WebAnno TSV 3")


def read_webanno(path: Path, lines: Sequence[str], options: ReadOptions) -> Reading:
    """Return the sentences of a WebAnno TSV 3 file.

    Offsets count UTF-16 units, as the format says.

    Raises:
        DataError: a line is not in this format, a token is another one than at its offsets, or it is unclear which
            layer holds entities.
    """
    columns = _layers(lines)
    blocks = list(_blocks(path, lines))
    counts = {name: sum(_has_value(r[3], place) for b in blocks for r in b.rows) for name, place in columns.items()}
    layer = _chosen_layer(path, counts, options)
    skipped: Counter[str] = Counter()
    sentences: list[Sentence] = []
    for block in blocks:
        spans = _block_spans(path, block, columns[layer], skipped)
        place = f"{path}:{block.rows[0][0]}"
        check_characters(block.texts[0], spans, place)
        group = f"{path.absolute().parent.name}/{path.stem}"
        sentences.append(Sentence(f"{path.stem}_{len(sentences)}", block.texts[0], tuple(sorted(spans)), place, group))
    notes = [f"{what}: {count:,}" for what, count in skipped.items()]
    return sentences, (f"read as WebAnno TSV 3, types from {layer}", *notes)


def _layers(lines: Sequence[str]) -> dict[str, int]:
    """Return the column of each feature of a span layer, by its name `Layer.feature`."""
    columns: dict[str, int] = {}
    place = 3  # after number, offsets and token
    for line in lines:
        if found := re.match(r"#T_(SP|CH|RL)=([^|]*)\|?(.*)", line):
            kind, layer, features = found[1], found[2].rpartition(".")[2], found[3].split("|")
            if kind == "SP":
                columns |= {f"{layer}.{name}" if name else layer: place + i for i, name in enumerate(features)}
            place += len(features)
    return columns


def _blocks(path: Path, lines: Sequence[str]) -> Iterator[_Block]:
    block = _Block()
    for number, line in enumerate([*lines, ""], start=1):
        if line.startswith("#Text=") and not block.rows:
            block.texts.append(line.removeprefix("#Text="))
        elif line and not line.startswith("#"):
            cells = line.split("\t")
            offsets = re.fullmatch(r"(\d{1,9})-(\d{1,9})", cells[1]) if len(cells) > 2 else None
            if not offsets or not re.fullmatch(r"\d+-\d+(\.\d+)?", cells[0]) or not block.texts:
                raise DataError(
                    f"{path}:{number}: found {line[:60]!r}; expected a line `#Text=` and then a token in each line: "
                    "its number as 1-1, offsets as 0-4, and the token, between tabs"
                )
            block.rows.append((number, int(offsets[1]), int(offsets[2]), cells))
        elif not line and block.rows:
            yield _Block([_unescaped("\n".join(block.texts))], block.rows)
            block = _Block()


def _has_value(cells: Sequence[str], column: int) -> bool:
    return column < len(cells) and cells[column] not in ("", *_NO_VALUE)


def _block_spans(path: Path, block: _Block, column: int, skipped: Counter[str]) -> list[Span]:
    text = block.texts[0]
    ranges: dict[tuple[str, str], tuple[int, int]] = {}
    base: int | None = None
    for number, begin, end, cells in block.rows:
        if base is None:
            base = begin - UTF16.length(text[: max(0, text.find(_unescaped(cells[2])))])
        start, after = (UTF16.characters(text, max(0, offset - base)) for offset in (begin, end))
        if text[start:after] != _unescaped(cells[2]):
            raise DataError(
                f"{path}:{number}: the token {cells[2][:60]!r} is not at its offsets {cells[1]}, where the text is "
                f"{text[start:after][:60]!r}; expected offsets in UTF-16 units from the start of the document"
            )
        for value in re.split(r"(?<!\\)\|", cells[column] if column < len(cells) else "_"):
            found = re.fullmatch(r"(.*?)(?:(?<!\\)\[(\d+)\])?", value, re.DOTALL)
            label, chain = (found[1], found[2]) if found else (value, None)
            if label == "*":
                skipped["annotations without a value left out"] += 1
            elif label not in ("", "_"):
                key = _unescaped(label), chain or f"{number}"
                first, last = ranges.get(key, (start, after))
                ranges[key] = min(first, start), max(last, after)
    place = f"{path}:{block.rows[0][0]}"
    spans = (checked_span(start, after, label, text, place) for (label, _), (start, after) in ranges.items())
    return [span for each in spans if (span := trimmed(each, text, skipped))]


def _unescaped(text: str) -> str:
    return re.sub(r"\\(->|.)", lambda found: {"t": "\t", "n": "\n", "r": "\r"}.get(found[1], found[1]), text)


# ---- UIMA CAS


def read_cas(path: Path, options: ReadOptions) -> Reading:
    """Return the sentences of a UIMA CAS, an `.xmi` file next to its `TypeSystem.xml` or a `.json` file.

    Sentences are those of the layer `Sentence`, or else lines.

    Raises:
        DataError: the package dkpro-cassis is missing, the file or its type system cannot be read, an annotation is
            outside of the text, or it is unclear which layer holds entities.
    """
    cas = _load_cas(path)
    text = cas.sofa_string
    if not text:
        raise DataError(f"{path}: a CAS without a text in its first view; expected a document text")
    starts: list[int] = []
    values: dict[str, list[tuple[int, int, str]]] = {}
    for annotation in cas.select_all_annotations():
        begin, end = getattr(annotation, "begin", None), getattr(annotation, "end", None)
        if not isinstance(begin, int) or not isinstance(end, int):
            continue
        name = annotation.type.name
        if name.rpartition(".")[2] == _SENTENCE_LAYER:
            starts.append(begin)
        for feature in _text_features(annotation):
            key = f"{annotation.type.short_name}.{feature}"
            if key == ENTITY_LAYER or options.tag_column is not None or not _LINGUISTIC.match(name):
                values.setdefault(key, []).append((begin, end, getattr(annotation, feature)))
    layer = _chosen_layer(path, {key: len(found) for key, found in values.items()}, options)
    counts: Counter[str] = Counter()
    spans = (trimmed(checked_span(*found, text, str(path)), text, counts) for found in values[layer])
    document = Document(
        path.stem,
        text,
        sorted({span for span in spans if span}),
        f"{path.absolute().parent.name}/{path.stem}",
        str(path),
        sorted(starts),
    )
    check_characters(text, document.spans, str(path))
    each = "each sentence of the layer Sentence is one" if starts else "each line is a sentence"
    return list(divided(document)), (
        f"read as UIMA CAS, types from {layer}: {each}",
        *(f"{what}: {count:,}" for what, count in counts.items()),
    )


def _text_features(annotation: Any) -> list[str]:
    """Return the features of an annotation that have a text."""
    names = [feature.name for feature in annotation.type.all_features if feature.rangeType.name == "uima.cas.String"]
    return [name for name in names if getattr(annotation, name, None)]


def _load_cas(path: Path) -> Any:
    cassis = imported("cassis", "formats", f"{path}: reading UIMA CAS")
    types = path.with_name(TYPE_SYSTEM)
    try:
        if path.suffix.lower() == ".json":
            return cassis.load_cas_from_json(path.read_bytes().decode())
        if not types.is_file():
            raise DataError(f"{path}: there is no {TYPE_SYSTEM} next to it; export it with the document")
        with types.open("rb") as file:
            system = cassis.load_typesystem(file)
        with path.open("rb") as file:
            return cassis.load_cas_from_xmi(file, typesystem=system)
    except DataError:
        raise
    # broken files raise errors of many unrelated classes
    except Exception as error:
        raise DataError(f"{path}: not a readable UIMA CAS ({type(error).__name__}: {error})") from error
