"""`--data` → `Corpus`: where a corpus can come from, under the names that the command line uses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tune_ner.data.corpus import SPLIT_NAMES, Corpus, Sentence, SplitName, ordered_types
from tune_ner.data.formats.files import read_path
from tune_ner.data.formats.hub import read_hub
from tune_ner.data.markup import MarkupMode, strip_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.errors import DataError

SYNTHETIC = "synthetic"
HUB = "hub:"
MAX_CHARACTERS = 1_000_000
"""Of a sentence: some five hundred pages."""
MAX_SPANS = 10_000
"""Of a sentence; together they may cover as many characters as a sentence may have, each counted."""
_SIZE_DIGITS = 9


def load_corpus(data: str, markup: MarkupMode = "keep") -> Corpus:
    """The corpus that `data` names.

    Args:
        data: `hub:DATASET[:CONFIG]`, `synthetic[:SENTENCES]`, or the path of a file or folder (bracket
            text, JSONL, CoNLL columns, parquet).
        markup: `keep` the text and the spans as published, or `strip` the annotation from the text.

    Raises:
        DataError: what `data` names is not there, cannot be reached or read, has no entity in it, or a sentence
            beyond `MAX_CHARACTERS` or `MAX_SPANS`.
    """
    corpus = _load(data)
    if markup == "strip":
        corpus = strip_corpus(corpus)
        # inside a published span there may have been many
        _check_sizes(corpus.sentences)
    if not any(sentence.spans for sentence in corpus.sentences):
        raise DataError(
            f"{data}: {len(corpus)} sentences and not one entity in them; expected annotated text: brackets "
            "( ) [ ] { } around entities, or spans, or tags"
        )
    return corpus


def _load(data: str) -> Corpus:
    source, _, argument = data.partition(":")
    if source == SYNTHETIC:
        return synthetic_corpus(_size(argument)) if argument else synthetic_corpus()
    if data.startswith(HUB):
        name, _, config = argument.partition(":")
        if not name:
            raise DataError(f"--data {data}: no data set named; expected hub:OWNER/NAME or hub:OWNER/NAME:CONFIG")
        return _assembled(data, *read_hub(name, config or None))
    try:
        path = Path(data).expanduser()
    except RuntimeError as error:
        raise DataError(
            f"--data {data}: no home folder is known for {data.split('/')[0]}; give the full path"
        ) from error
    return _assembled(path.absolute().name, *read_path(path))


def _size(argument: str) -> int:
    if not argument.isdecimal() or len(argument) > _SIZE_DIGITS or int(argument) < 1:
        raise DataError(
            f"--data synthetic:{argument[:20]}: expected a number of sentences from 1 on, in at most "
            f"{_SIZE_DIGITS} digits"
        )
    return int(argument)


def _assembled(name: str, found: list[tuple[SplitName | None, Sentence]], notes: tuple[str, ...]) -> Corpus:
    sentences = tuple(sentence for _, sentence in found)
    _check_sizes(sentences)
    indices = {
        split_name: tuple(i for i, (of, _) in enumerate(found) if of == split_name) for split_name in SPLIT_NAMES
    }
    types = ordered_types(span.label for sentence in sentences for span in sentence.spans)
    return Corpus(name, sentences, types, {split_name: rows for split_name, rows in indices.items() if rows}, notes)


def _check_sizes(sentences: Sequence[Sentence]) -> None:
    """That every sentence can be one; with the line ends of a file lost, a whole corpus looks like a single one."""
    for sentence in sentences:
        characters, spans = len(sentence.text), len(sentence.spans)
        covered = sum(span.end - span.start for span in sentence.spans)
        if max(characters, covered) > MAX_CHARACTERS or spans > MAX_SPANS:
            raise DataError(
                f"{sentence.source}: a sentence of {characters:,} characters and {spans:,} spans, {covered:,} long "
                f"together; expected at most {MAX_CHARACTERS:,} characters and {MAX_SPANS:,} spans; write one sentence "
                "a line, or cut the document into sentences"
            )
