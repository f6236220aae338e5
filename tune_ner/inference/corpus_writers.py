"""Writing a corpus in the format of another tool, with an account of what that format cannot express."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tune_ner.data.corpus import Corpus, Sentence, Span
from tune_ner.errors import OutputError
from tune_ner.tagging.overlaps import keep_disjoint
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.tagging.tokenization import FixedWordTokenizer, WordTokenizer, choose_word_tokenizer, split_words
from tune_ner.utils.io import atomic_write

TargetFormat = Literal["jsonl", "conll", "csv", "brat", "pubtator", "doccano", "label-studio", "prodigy", "spacy"]

_BREAKS = str.maketrans("\n\r\t", "   ")


@dataclass
class Conversion:
    """What was written, and how many of what were lost or changed.

    Attributes:
        files: the written files.
        sentences, entities: their numbers in the corpus.
        losses: numbers of sentences and entities that the format cannot express unchanged, by reason.
    """

    files: list[Path] = field(default_factory=list)
    sentences: int = 0
    entities: int = 0
    losses: Counter[str] = field(default_factory=Counter)


def write_corpus(corpus: Corpus, target: Path, to: TargetFormat, word_tokenizer: WordTokenizer = "auto") -> Conversion:
    """Write a corpus; one with published splits as a folder with one file for each, otherwise as one file.

    Args:
        corpus: the corpus.
        target: the file or folder; brat always needs a folder.
        to: the format.
        word_tokenizer: the words of `conll` and `csv`.

    Raises:
        OutputError: the target exists, cannot be written, or has another ending than files of the format.
    """
    if target.exists():
        raise OutputError(f"{target}: exists already; choose another name or remove it")
    words = choose_word_tokenizer(corpus.sentences)[0] if word_tokenizer == "auto" else word_tokenizer
    conversion = Conversion(sentences=len(corpus), entities=sum(corpus.entity_counts().values()))
    if to != "jsonl":
        conversion.losses["sentences whose document is not kept"] += sum(bool(s.group) for s in corpus.sentences)
    suffix, write = _FORMATS[to]
    if not corpus.splits and to != "brat":
        if target.suffix != suffix:
            raise OutputError(f"{target}: expected a file name that ends in {suffix} for --to {to}")
        content = write(corpus.sentences, words, conversion.losses)
        conversion.files = [_written(target, content)]
        return conversion
    parts: dict[str, Sequence[Sentence]] = {
        name: [corpus.sentences[i] for i in rows] for name, rows in corpus.splits.items()
    }
    parts = parts or {"": corpus.sentences}
    new = _new_folder(target)
    try:
        for name, sentences in parts.items():
            folder = new / name if to == "brat" else new
            folder.mkdir(exist_ok=True)
            stem = "corpus" if to == "brat" else name
            _written(folder / f"{stem}{suffix}", write(sentences, words, conversion.losses))
            if to == "brat":
                _written(folder / f"{stem}.ann", _brat_annotation(sentences, conversion.losses))
        new.rename(target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    conversion.files = sorted(file for file in target.rglob("*") if file.is_file())
    return conversion


def _new_folder(target: Path) -> Path:
    try:
        folder = Path(tempfile.mkdtemp(prefix=".", dir=target.absolute().parent))
        folder.chmod(0o755)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from error
    return folder


def _written(file: Path, content: str) -> Path:
    if not file.absolute().parent.is_dir():
        raise OutputError(f"{file}: the folder {file.parent} does not exist; create it first")
    return atomic_write(file, content)


# ---- rows of JSON


def _lines(rows: Sequence[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _objects(sentence: Sentence) -> list[dict[str, Any]]:
    return [{"start": span.start, "end": span.end, "label": span.label} for span in sentence.spans]


def _jsonl(sentences: Sequence[Sentence], _: FixedWordTokenizer, __: Counter[str]) -> str:
    return _lines(
        [
            {"id": s.id, **({"document_id": s.group} if s.group else {}), "text": s.text, "spans": _objects(s)}
            for s in sentences
        ]
    )


def _doccano(sentences: Sequence[Sentence], _: FixedWordTokenizer, __: Counter[str]) -> str:
    rows = [{"text": s.text, "label": [[x.start, x.end, x.label] for x in s.spans]} for s in sentences]
    return _lines([{"id": number, **row} for number, row in enumerate(rows, start=1)])


def _prodigy(sentences: Sequence[Sentence], _: FixedWordTokenizer, __: Counter[str]) -> str:
    return _lines([{"text": s.text, "spans": _objects(s), "answer": "accept", "meta": {"id": s.id}} for s in sentences])


def _spacy(sentences: Sequence[Sentence], _: FixedWordTokenizer, __: Counter[str]) -> str:
    rows = [[s.text, {"entities": [[x.start, x.end, x.label] for x in s.spans]}] for s in sentences]
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


def _label_studio(sentences: Sequence[Sentence], _: FixedWordTokenizer, __: Counter[str]) -> str:
    tasks = [
        {"id": number, "data": {"text": s.text}, "annotations": [{"result": [_region(x, s.text) for x in s.spans]}]}
        for number, s in enumerate(sentences, start=1)
    ]
    return json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"


def _region(span: Span, text: str) -> dict[str, Any]:
    value = {"start": span.start, "end": span.end, "text": span.text_in(text), "labels": [span.label]}
    return {"from_name": "label", "to_name": "text", "type": "labels", "value": value}


# ---- columns


def _tagged(sentence: Sentence, words: FixedWordTokenizer, losses: Counter[str]) -> list[tuple[str, str]]:
    """Return the tokens of a sentence with their BIO tags."""
    found = split_words(sentence.text, words)
    tokens = [sentence.text[start:end] for start, end in found]
    losses["sentences whose spacing is not kept"] += bool(tokens) and " ".join(tokens) != sentence.text
    losses["sentences without a word left out"] += not tokens
    chunks = []
    for span in sentence.spans:
        covered = [i for i, (start, end) in enumerate(found) if start < span.end and span.start < end]
        if covered:
            chunks.append((covered[0], covered[-1] + 1, span.label))
            bounds = found[covered[0]][0], found[covered[-1]][1]
            losses["entities widened to whole words"] += bounds != (span.start, span.end)
    kept = keep_disjoint(chunks, "longest")
    losses["overlapping entities left out"] += len(chunks) - len(kept)
    return list(zip(tokens, SCHEMES["BIO"].tags(kept, len(tokens)), strict=True))


def _conll(sentences: Sequence[Sentence], words: FixedWordTokenizer, losses: Counter[str]) -> str:
    blocks = (_tagged(sentence, words, losses) for sentence in sentences)
    return "\n".join("".join(f"{token}\t{tag}\n" for token, tag in block) for block in blocks if block)


def _csv(sentences: Sequence[Sentence], words: FixedWordTokenizer, losses: Counter[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sentence", "token", "tag"])
    for number, sentence in enumerate(sentences, start=1):
        writer.writerows([number, *row] for row in _tagged(sentence, words, losses))
    return text.getvalue()


# ---- standoff


def _one_line(text: str, losses: Counter[str]) -> str:
    line = text.translate(_BREAKS)
    losses["sentences whose line breaks and tabs became spaces"] += line != text
    return line


def _brat(sentences: Sequence[Sentence], _: FixedWordTokenizer, losses: Counter[str]) -> str:
    losses["sentences without text left out"] += sum(not sentence.text.strip() for sentence in sentences)
    return "".join(_one_line(sentence.text, losses) + "\n" for sentence in sentences)


def _brat_annotation(sentences: Sequence[Sentence], losses: Counter[str]) -> str:
    lines: list[str] = []
    offset = 0
    for sentence in sentences:
        text = sentence.text.translate(_BREAKS)
        for span in sentence.spans:
            label = "_".join(span.label.split())
            losses["entities whose type lost its spaces"] += label != span.label
            place = f"{offset + span.start} {offset + span.end}"
            lines.append(f"T{len(lines) + 1}\t{label} {place}\t{span.text_in(text)}\n")
        offset += len(text) + 1
    return "".join(lines)


def _pubtator(sentences: Sequence[Sentence], _: FixedWordTokenizer, losses: Counter[str]) -> str:
    blocks = []
    for number, sentence in enumerate(sentences, start=1):
        text = _one_line(sentence.text, losses)
        rows = [f"{number}\t{x.start}\t{x.end}\t{x.text_in(text)}\t{x.label}\n" for x in sentence.spans]
        blocks.append("".join([f"{number}|t|{text}\n", *rows]))
    return "\n".join(blocks)


_Writer = Callable[[Sequence[Sentence], FixedWordTokenizer, Counter[str]], str]
_FORMATS: dict[TargetFormat, tuple[str, _Writer]] = {
    "jsonl": (".jsonl", _jsonl),
    "conll": (".conll", _conll),
    "csv": (".csv", _csv),
    "brat": (".txt", _brat),
    "pubtator": (".pubtator", _pubtator),
    "doccano": (".jsonl", _doccano),
    "label-studio": (".json", _label_studio),
    "prodigy": (".jsonl", _prodigy),
    "spacy": (".json", _spacy),
}
