"""Writing a corpus in the format of another tool, with an account of what that format cannot express."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, pairwise
from pathlib import Path, PurePath
from typing import Any, Literal

from tune_ner.data.corpus import Corpus, PredictedSpan, Sentence, Span
from tune_ner.data.tag_parsing import Chunk
from tune_ner.errors import OutputError
from tune_ner.tagging.overlaps import keep_disjoint
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.tagging.tokenization import FixedWordTokenizer, Word, WordTokenizer, choose_word_tokenizer, split_words
from tune_ner.utils.extras import imported
from tune_ner.utils.io import atomic_write

TargetFormat = Literal["jsonl", "conll", "csv", "brat", "pubtator", "doccano", "label-studio", "prodigy", "spacy"]

SCORE_DIGITS = 4
_LONGEST_NAME = 100
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


@dataclass(frozen=True)
class _Job:
    """How sentences are written: words of columns and tokens, whether a model predicted the spans, and the losses."""

    words: FixedWordTokenizer
    is_predicted: bool
    losses: Counter[str]
    suffix: str = ""


def write_corpus(
    corpus: Corpus, target: Path, to: TargetFormat, word_tokenizer: WordTokenizer = "auto", is_predicted: bool = False
) -> Conversion:
    """Write a corpus; one with published splits as a folder with one file for each, otherwise as one file.

    Args:
        corpus: the corpus.
        target: the file or folder; brat always needs a folder.
        to: the format.
        word_tokenizer: the words of `conll`, `csv` and `.spacy`.
        is_predicted: whether a model found the entities; then Label Studio's are predictions with scores, and no row
            of Prodigy is accepted.

    Raises:
        OutputError: the target exists, cannot be written, or has another ending than files of the format.
        DataError: `.spacy` needs a package that is missing.
    """
    if target.exists():
        raise OutputError(f"{target}: exists already; choose another name or remove it")
    conversion = Conversion(sentences=len(corpus), entities=sum(corpus.entity_counts().values()))
    suffixes, write = _FORMATS[to]
    in_folder = bool(corpus.splits) or to == "brat"
    if not in_folder and target.suffix not in suffixes:
        raise OutputError(f"{target}: expected a file name that ends in {' or '.join(suffixes)} for --to {to}")
    suffix = suffixes[0] if in_folder else target.suffix
    job = _Job(_words(corpus.sentences, word_tokenizer), is_predicted, conversion.losses, suffix)
    if to not in ("jsonl", "brat"):
        conversion.losses["sentences whose document is not kept"] += sum(bool(s.group) for s in corpus.sentences)
    if not in_folder:
        conversion.files = [_written(target, write(corpus.sentences, job))]
        return conversion
    parts: dict[str, Sequence[Sentence]] = {
        name: [corpus.sentences[i] for i in rows] for name, rows in corpus.splits.items()
    }
    new = _new_folder(target)
    try:
        for name, sentences in (parts or {"": corpus.sentences}).items():
            if to == "brat":
                _write_brat(new / name, sentences, job)
            else:
                _written(new / f"{name}{suffix}", write(sentences, job))
        new.rename(target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    conversion.files = sorted(file for file in target.rglob("*") if file.is_file())
    return conversion


def formatted(
    sentences: Sequence[Sentence], to: TargetFormat, word_tokenizer: WordTokenizer, is_predicted: bool
) -> tuple[str, Counter[str]]:
    """Return sentences in a format that is one text, and what was lost; the arguments are those of `write_corpus`.

    Raises:
        OutputError: the format needs files: `brat`.
    """
    if to == "brat":
        raise OutputError(f"{to} needs files; expected --output FOLDER with it")
    job = _Job(_words(sentences, word_tokenizer), is_predicted, Counter())
    content = _FORMATS[to][1](sentences, job)
    return content if isinstance(content, str) else content.decode(), job.losses


def _words(sentences: Sequence[Sentence], word_tokenizer: WordTokenizer) -> FixedWordTokenizer:
    return choose_word_tokenizer(sentences)[0] if word_tokenizer == "auto" else word_tokenizer


def _new_folder(target: Path) -> Path:
    try:
        folder = Path(tempfile.mkdtemp(prefix=".", dir=target.absolute().parent))
        folder.chmod(0o755)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from error
    return folder


def _written(file: Path, content: str | bytes) -> Path:
    if not file.absolute().parent.is_dir():
        raise OutputError(f"{file}: the folder {file.parent} does not exist; create it first")
    return atomic_write(file, content)


# ---- rows of JSON


def _lines(rows: Sequence[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _objects(sentence: Sentence) -> list[dict[str, Any]]:
    return [{"start": span.start, "end": span.end, "label": span.label, **_score(span)} for span in sentence.spans]


def _score(span: Span) -> dict[str, float]:
    """Return the score of a predicted span by its name; nothing for others."""
    return {"score": round(span.score, SCORE_DIGITS)} if isinstance(span, PredictedSpan) else {}


def _jsonl(sentences: Sequence[Sentence], _: _Job) -> str:
    return _lines(
        [
            {"id": s.id, **({"document_id": s.group} if s.group else {}), "text": s.text, "spans": _objects(s)}
            for s in sentences
        ]
    )


def _doccano(sentences: Sequence[Sentence], _: _Job) -> str:
    rows = [{"text": s.text, "label": [[x.start, x.end, x.label] for x in s.spans]} for s in sentences]
    return _lines([{"id": number, **row} for number, row in enumerate(rows, start=1)])


def _prodigy(sentences: Sequence[Sentence], job: _Job) -> str:
    answer = {} if job.is_predicted else {"answer": "accept"}
    return _lines([{"text": s.text, "spans": _objects(s), **answer, "meta": {"id": s.id}} for s in sentences])


def _spacy(sentences: Sequence[Sentence], job: _Job) -> str | bytes:
    if job.suffix == ".spacy":
        return _docbin(sentences, job)
    rows = [[s.text, {"entities": [[x.start, x.end, x.label] for x in s.spans]}] for s in sentences]
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


def _label_studio(sentences: Sequence[Sentence], job: _Job) -> str:
    tasks = [
        {"id": number, "data": {"text": s.text, "source": s.source or s.id}, **_label_studio_result(s, job)}
        for number, s in enumerate(sentences, start=1)
    ]
    return json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"


def _label_studio_result(sentence: Sentence, job: _Job) -> dict[str, Any]:
    """Return annotations, or predictions, whose score is that of their least certain entity."""
    result = [_region(span, sentence.text) for span in sentence.spans]
    if not job.is_predicted:
        return {"annotations": [{"result": result}]}
    score = {"score": min(region["score"] for region in result)} if result else {}
    return {"predictions": [{"model_version": "tune_ner", **score, "result": result}]}


def _region(span: Span, text: str) -> dict[str, Any]:
    value = {"start": span.start, "end": span.end, "text": span.text_in(text), "labels": [span.label]}
    return {"from_name": "label", "to_name": "text", "type": "labels", "value": value, **_score(span)}


# ---- words


@dataclass(frozen=True)
class _Tagged:
    """The words of a sentence, and its entities as ranges of them."""

    words: list[Word]
    chunks: list[Chunk]


def _tagged(sentence: Sentence, words: list[Word], losses: Counter[str]) -> _Tagged:
    """Return words with entities that do not overlap, widened to whole words."""
    chunks = []
    for span in sentence.spans:
        covered = [i for i, (start, end) in enumerate(words) if start < span.end and span.start < end]
        if covered:
            chunks.append((covered[0], covered[-1] + 1, span.label))
            bounds = words[covered[0]][0], words[covered[-1]][1]
            losses["entities widened to whole words"] += bounds != (span.start, span.end)
    kept = keep_disjoint(chunks, "longest")
    losses["overlapping entities left out"] += len(chunks) - len(kept)
    return _Tagged(words, kept)


def _rows(sentence: Sentence, job: _Job) -> list[tuple[str, str]]:
    """Return the tokens of a sentence with their BIO tags."""
    tagged = _tagged(sentence, split_words(sentence.text, job.words), job.losses)
    tokens = [sentence.text[start:end] for start, end in tagged.words]
    job.losses["sentences whose spacing is not kept"] += bool(tokens) and " ".join(tokens) != sentence.text
    job.losses["sentences without a word left out"] += not tokens
    return list(zip(tokens, SCHEMES["BIO"].tags(tagged.chunks, len(tokens)), strict=True))


def _conll(sentences: Sequence[Sentence], job: _Job) -> str:
    blocks = (_rows(sentence, job) for sentence in sentences)
    return "\n".join("".join(f"{token}\t{tag}\n" for token, tag in block) for block in blocks if block)


def _csv(sentences: Sequence[Sentence], job: _Job) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sentence", "token", "tag"])
    for number, sentence in enumerate(sentences, start=1):
        writer.writerows([number, *row] for row in _rows(sentence, job))
    return text.getvalue()


def _docbin(sentences: Sequence[Sentence], job: _Job) -> bytes:
    """Return a `.spacy` file; its words also end where an entity does, so entities keep their bounds."""
    spacy = imported("spacy", "spacy", "writing .spacy files")
    tokens = imported("spacy.tokens", "spacy", "writing .spacy files")
    vocab = spacy.blank("xx").vocab
    docs = []
    for sentence in sentences:
        text = sentence.text
        bounds = {bound for span in sentence.spans for bound in (span.start, span.end)}
        words = [
            part for word in split_words(text, job.words) for part in pairwise(sorted({*word, *_within(bounds, word)}))
        ]
        tagged = _tagged(sentence, words, job.losses)
        pieces, spaces = _pieces(text, words)
        starts = [number == 0 for number in range(len(pieces))]  # the document is one sentence
        doc = tokens.Doc(vocab, words=pieces, spaces=spaces, sent_starts=starts)
        found = [doc.char_span(words[a][0], words[b - 1][1], label) for a, b, label in tagged.chunks]
        doc.ents = [span for span in found if span is not None]
        docs.append(doc)
    return bytes(tokens.DocBin(docs=docs).to_bytes())


def _within(bounds: set[int], word: Word) -> set[int]:
    return {bound for bound in bounds if word[0] < bound < word[1]}


def _pieces(text: str, words: Sequence[Word]) -> tuple[list[str], list[bool]]:
    """Return words and white space as spaCy divides a text: one space belongs to the word before it."""
    pieces: list[str] = []
    spaces: list[bool] = []
    for (_, before), (start, end) in pairwise([(0, 0), *words, (len(text), len(text))]):
        gap = text[before:start]
        if pieces and gap.startswith(" "):
            spaces[-1], gap = True, gap[1:]
        for piece in filter(None, (gap, text[start:end])):
            pieces.append(piece)
            spaces.append(False)
    return pieces, spaces


# ---- standoff


def _one_line(text: str, losses: Counter[str]) -> str:
    line = text.translate(_BREAKS)
    losses["sentences whose line breaks and tabs became spaces"] += line != text
    return line


def _write_brat(folder: Path, sentences: Sequence[Sentence], job: _Job) -> None:
    """Write a text and an annotation file for each document; sentences without one are the document `corpus`."""
    folder.mkdir(exist_ok=True)
    documents: dict[str, list[Sentence]] = {}
    for sentence in sentences:
        documents.setdefault(sentence.group, []).append(sentence)
    used: set[str] = set()
    for group, members in documents.items():
        # a name of a document may be any text
        base = re.sub(r"[^\w.-]+", "_", PurePath(group).name).strip("._")[:_LONGEST_NAME] or "corpus"
        names = chain([base], (f"{base}_{number}" for number in count(2)))
        name = next(each for each in names if each not in used)
        used.add(name)
        _written(folder / f"{name}.txt", _brat(members, job))
        _written(folder / f"{name}.ann", _brat_annotation(members, job.losses))


def _brat(sentences: Sequence[Sentence], job: _Job) -> str:
    job.losses["sentences without text left out"] += sum(not sentence.text.strip() for sentence in sentences)
    texts = (s.text if job.is_predicted else _one_line(s.text, job.losses) for s in sentences)
    return "".join(f"{text}\n" for text in texts)


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


def _pubtator(sentences: Sequence[Sentence], job: _Job) -> str:
    blocks = []
    for number, sentence in enumerate(sentences, start=1):
        text = _one_line(sentence.text, job.losses)
        rows = [f"{number}\t{x.start}\t{x.end}\t{x.text_in(text)}\t{x.label}\n" for x in sentence.spans]
        blocks.append("".join([f"{number}|t|{text}\n", *rows]))
    return "\n".join(blocks)


_Writer = Callable[[Sequence[Sentence], _Job], str | bytes]
_FORMATS: dict[TargetFormat, tuple[tuple[str, ...], _Writer]] = {
    "jsonl": ((".jsonl",), _jsonl),
    "conll": ((".conll",), _conll),
    "csv": ((".csv",), _csv),
    "brat": ((".txt",), _brat),
    "pubtator": ((".pubtator",), _pubtator),
    "doccano": ((".jsonl",), _doccano),
    "label-studio": ((".json",), _label_studio),
    "prodigy": ((".jsonl",), _prodigy),
    "spacy": ((".json", ".spacy"), _spacy),
}
