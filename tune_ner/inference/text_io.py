"""Input and output of the predict command: texts from arguments, files and standard input; entities as text or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain, cycle
from pathlib import Path

from rich.text import Text

from tune_ner.data.corpus import PredictedSpan, Sentence, Span
from tune_ner.data.formats.raw_text import TextRow, check_file, check_text, read_texts, read_whole, texts_of
from tune_ner.errors import TextError
from tune_ner.inference.corpus_writers import SCORE_DIGITS
from tune_ner.tagging.overlaps import keep_disjoint
from tune_ner.utils.text import visible

STDIN = "-"

_COLOURS = ("bold cyan", "bold magenta", "bold green", "bold yellow", "bold blue", "bold red")


def read_inputs(texts: Sequence[str], files: Sequence[Path], whole_files: bool = False) -> Iterator[TextRow]:
    """Return the texts given as arguments, then those of the files; without either, those of standard input.

    Streams are read as needed. With `whole_files`, each file is one text; otherwise, each line is.

    Raises:
        TextError: a text is missing or empty, or a file is unreadable.
    """
    paths = [check_file(path) for path in files]
    if not texts and not paths:
        if sys.stdin is None or sys.stdin.isatty():
            raise TextError("no text: expected TEXT, --file, or texts piped to standard input")
        texts = [STDIN]
    arguments = [_argument(number, text) for number, text in enumerate(texts, start=1)]
    return chain.from_iterable([*arguments, *map(read_whole if whole_files else read_texts, paths)])


def _argument(number: int, text: str) -> Iterator[TextRow]:
    if text == STDIN:
        if sys.stdin is None:
            raise TextError("standard input: closed; expected texts")
        return texts_of(sys.stdin.buffer, "standard input")
    place = f"TEXT {number}"
    if not text.strip():
        raise TextError(f"{place}: empty; expected a text, or - for standard input")
    try:
        is_file = Path(text).is_file()
    except (OSError, ValueError):  # too long for a file name, or containing NUL
        is_file = False
    if is_file:
        raise TextError(f"{place}: {text!r} is a file; to read it, use --file {text}")
    return iter([TextRow(check_text(text, place), place)])


def json_line(row: TextRow, spans: Sequence[PredictedSpan]) -> bytes:
    """Return the row with its file, line and offset and the entities found; spans that it had are renamed `gold`."""
    fields = {("gold" if key == "spans" else key): value for key, value in row.fields.items()}
    found = [{**asdict(span), "score": round(span.score, SCORE_DIGITS)} for span in spans]
    line = json.dumps({"text": row.text, **row.origin, **fields, "spans": found}, ensure_ascii=False)
    return line.encode("utf-8", "backslashreplace")  # other keys may have lone surrogates


def predicted_sentence(row: TextRow, spans: Sequence[PredictedSpan]) -> Sentence:
    """Return a text with the entities found in it; its document is its file."""
    return Sentence(row.place, row.text, tuple(sorted(spans)), row.place, Path(row.file).stem)


def marked_text(text: str, spans: Sequence[PredictedSpan | Span], entity_types: Sequence[str]) -> Text:
    """Return the text on one line, entities in brackets and followed by their type; of overlapping ones the longest."""
    colours = dict(zip(entity_types, cycle(_COLOURS), strict=False))
    marked, end = Text(), 0
    for start, after, label in keep_disjoint([(span.start, span.end, span.label) for span in spans], "longest"):
        colour = colours[label]
        marked.append(visible(text[end:start])).append(f"[{visible(text[start:after])}]", colour)
        marked.append(visible(label), f"dim {colour}")
        end = after
    return marked.append(visible(text[end:]))
