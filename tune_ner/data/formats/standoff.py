"""Annotation that stands apart from its text: brat folders and PubTator files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from tune_ner.data.corpus import Sentence, Span
from tune_ner.data.formats.documents import Document, check_mention, check_parts, divided, whole_range
from tune_ner.data.formats.offsets import OffsetUnit, checked_span, in_any_unit
from tune_ner.data.formats.options import Discontinuous
from tune_ner.errors import DataError

_OFFSET = re.compile(r"\d{1,9}")
_PUBTATOR_TEXT = re.compile(r"(\d+)\|([ta])\|(.*)", re.DOTALL)


def is_pubtator(lines: Sequence[str]) -> bool:
    """Return whether the first line with text is the title of a PubTator document."""
    first = next((line for line in lines if line.strip()), "")
    found = _PUBTATOR_TEXT.fullmatch(first)
    return bool(found) and found[2] == "t" if found else False


def read_pubtator(path: Path, lines: Sequence[str]) -> tuple[list[Sentence], tuple[str, ...]]:
    """Return the titles and abstracts of a PubTator file as sentences.

    Offsets count the characters of the title, one separator, and the abstract; or UTF-16 units or bytes, if the texts
    of the entities show it.

    Raises:
        DataError: a line is neither a text nor an annotation, a span is outside of its document or crosses from the
            title into the abstract, or its text is another one than at its offsets.
    """
    sentences: list[Sentence] = []
    skipped: Counter[str] = Counter()
    for identifier, texts, marks in _documents(path, lines, skipped):
        spans = in_any_unit(partial(_pubtator_spans, path, texts, marks), skipped)
        for part, (number, text) in texts.items():
            name = f"{identifier}_{'title' if part == 't' else 'abstract'}"
            sentences.append(Sentence(name, text, tuple(sorted(spans[part])), f"{path}:{number}", identifier))
    notes = [f"{kind}: {count:,}" for kind, count in skipped.items() if count]
    return sentences, ("read as PubTator: each title and each abstract is a sentence", *notes)


_Annotation = tuple[int, tuple[int, int, str, str]]
_Document = tuple[str, dict[str, tuple[int, str]], list[_Annotation]]


def _pubtator_spans(
    path: Path,
    texts: Mapping[str, tuple[int, str]],
    marks: Sequence[_Annotation],
    unit: OffsetUnit,
    counts: Counter[str],
) -> dict[str, list[Span]]:
    spans: dict[str, list[Span]] = {"t": [], "a": []}
    begins = unit.length(texts["t"][1]) + 1 if "t" in texts else 0
    for number, (start, end, mention, label) in marks:
        place = f"{path}:{number}"
        part, offset = ("a", begins) if start >= begins and "a" in texts else ("t", 0)
        text = texts[part][1]
        first, after = (unit.characters(text, each - offset) for each in (start, end))
        span = checked_span(first, after, label, text, place)
        check_mention(span, text, mention, place, counts)
        spans[part].append(span)
    return spans


def _documents(path: Path, lines: Sequence[str], skipped: Counter[str]) -> Iterator[_Document]:
    identifier, texts, annotations = "", dict[str, tuple[int, str]](), list[_Annotation]()
    for number, line in enumerate(lines, start=1):
        if found := _PUBTATOR_TEXT.fullmatch(line):
            if found[2] in texts or (texts and found[1] != identifier):
                yield identifier, texts, annotations
                texts, annotations = {}, []
            identifier, texts[found[2]] = found[1], (number, found[3])
        elif line.strip():
            cells = line.split("\t")
            if len(cells) >= 5 and all(map(_OFFSET.fullmatch, cells[1:3])) and cells[0] == identifier:
                annotations.append((number, (int(cells[1]), int(cells[2]), cells[3], cells[4])))
            elif len(cells) >= 3 and cells[0] == identifier and not re.match(r"-?\d", cells[1]):
                skipped["relations skipped"] += 1
            else:
                raise DataError(
                    f"{path}:{number}: found {line[:60]!r}; expected `ID|t|title`, `ID|a|abstract`, or the document's "
                    "id, start, end, text and type between tabs"
                )
    if texts:
        yield identifier, texts, annotations


def read_brat(folder: Path, discontinuous: Discontinuous = "omit") -> tuple[list[Sentence], tuple[str, ...]]:
    """Return the documents of a brat folder, pairs of `NAME.txt` and `NAME.ann`, as sentences: one for each line.

    Lines that an entity crosses are one sentence. Relations, events and attributes are not read.

    Args:
        folder: the folder.
        discontinuous: what an entity of several parts is read as; a note counts them.

    Raises:
        DataError: an annotation has no text file, is invalid, or its text is another one than at its offsets.
    """
    sentences: list[Sentence] = []
    counts: Counter[str] = Counter()
    for annotation in sorted(folder.glob("*.ann")):
        file = annotation.with_suffix(".txt")
        if not file.exists():
            raise DataError(f"{annotation}: there is no {file.name} next to it; brat needs the text of each document")
        text = _text(file)
        group = f"{file.absolute().parent.name}/{file.stem}"
        spans = in_any_unit(partial(_brat_spans, annotation, text, discontinuous), counts)
        document = Document(file.stem, text, spans, group, str(file))
        sentences += divided(document, partial(_line_at, file, text))
    unannotated = [file.name for file in folder.glob("*.txt") if not file.with_suffix(".ann").exists()]
    notes = [f"{what}: {count:,}" for what, count in counts.items() if count]
    if unannotated:
        notes.append(f"not read, since they have no .ann file: {', '.join(sorted(unannotated)[:5])}")
    return sentences, ("read as brat standoff: each line is a sentence", *notes)


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as UTF-8: {error}") from error


def _line_at(file: Path, text: str, offset: int) -> str:
    number = text.count("\n", 0, offset) + 1
    return f"{file}:{number}"


def _brat_spans(
    annotation: Path, text: str, discontinuous: Discontinuous, unit: OffsetUnit, counts: Counter[str]
) -> list[Span]:
    spans, line_text = [], text.replace("\r", " ").replace("\n", " ")
    for number, line in enumerate(_text(annotation).split("\n"), start=1):
        if not line.startswith("T"):
            continue  # relations, events, attributes and notes
        place = f"{annotation}:{number}"
        found = re.fullmatch(r"T\S*\t(\S+) (\d{1,9} \d{1,9}(?:;\d{1,9} \d{1,9})*)\t(.*)", line.removesuffix("\r"))
        if not found:
            raise DataError(f"{place}: found {line[:60]!r}; expected `T1<tab>TYPE START END<tab>TEXT`")
        label, offsets, mention = found.groups()
        parts = [part.split() for part in offsets.split(";")]
        ranges = [(unit.characters(text, int(start)), unit.characters(text, int(end))) for start, end in parts]
        whole = whole_range(ranges, discontinuous, place, counts)
        if whole is None:
            continue
        span = checked_span(*whole, label, text, place)
        if len(ranges) > 1:
            check_parts(ranges, line_text, mention, place)
        else:
            check_mention(span, line_text, mention, place, counts)
        spans.append(span)
    return spans
