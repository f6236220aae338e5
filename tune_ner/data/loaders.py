"""Loading a corpus from a path, a hub data set, the generator or an object in memory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from tune_ner.data.corpus import SPLIT_NAMES, Corpus, Sentence, ordered_types
from tune_ner.data.formats.files import read_path
from tune_ner.data.formats.hub import read_hub
from tune_ner.data.formats.options import ReadOptions
from tune_ner.data.formats.tables import SplitSentences, read_table, read_tables
from tune_ner.data.markup import MarkupMode, strip_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.errors import DataError
from tune_ner.utils.io import first_problem
from tune_ner.utils.text import near_misses

SYNTHETIC = "synthetic"
HUB = "hub:"
MAX_CHARACTERS = 1_000_000
"""Characters of a sentence: some five hundred pages."""
MAX_SPANS = 10_000
"""Spans of a sentence; the sum of their lengths is limited to `MAX_CHARACTERS`."""
_SIZE_DIGITS = 9

Source = str | os.PathLike[str] | Corpus | Mapping[str, Any] | Iterable[Any]


def load_corpus(source: Source, markup: MarkupMode = "keep", **reading: Any) -> Corpus:
    """Load an annotated corpus.

    Args:
        source: one of
            - the path of a file or folder (bracket text, CoNLL-like columns, JSON, parquet, brat, PubTator);
            - `"hub:DATASET"` or `"hub:DATASET:CONFIG"`, a data set of the Hugging Face hub;
            - `"synthetic"` or `"synthetic:SENTENCES"`, generated Swedish sentences;
            - a `datasets.Dataset`, a pandas DataFrame or a list of dicts, with columns such as `text` and `spans`, or
              `tokens` and `ner_tags`, and optionally `split`;
            - a `datasets.DatasetDict`, or another mapping from split names to such tables;
            - a `Corpus`, which is returned unchanged.
        markup: `keep` texts and spans as published, or `strip` annotation markup from the texts.
        reading: what the files do not decide: `format`, `token_column`, `tag_column`, `columns`, `labels`, `group_by`,
            `multiple_labels` and `discontinuous`; see `ReadOptions`.

    Raises:
        DataError: the source does not exist, is unreachable, unreadable or ambiguous, or has no entity; a sentence
            exceeds `MAX_CHARACTERS` or `MAX_SPANS`; or an argument has an unknown value.
    """
    options = _options(reading)
    if markup not in get_args(MarkupMode):
        modes = get_args(MarkupMode)
        hint = near_misses(str(markup), modes)
        raise DataError(f"markup: found {markup!r}, expected one of {', '.join(modes)}{hint}")
    corpus = source if isinstance(source, Corpus) else _read(source, options)
    if markup == "strip":
        corpus = strip_corpus(corpus)
        # one published span may have contained many bracket pairs
        _check_sizes(corpus.sentences)
    if not any(sentence.spans for sentence in corpus.sentences):
        name = source if isinstance(source, str | os.PathLike) else corpus.name
        raise DataError(
            f"{name}: {len(corpus)} sentences without any entity; expected annotated text: brackets "
            "( ) [ ] { } around entities, or spans, or tags"
        )
    return corpus


def _options(reading: Mapping[str, Any]) -> ReadOptions:
    try:
        return ReadOptions.model_validate(reading)
    except ValidationError as error:
        hints = [
            near_misses(name, ReadOptions.model_fields) for name in reading if name not in ReadOptions.model_fields
        ]
        raise DataError(f"reading the corpus: {first_problem(error)}{''.join(hints)}") from error


def _read(source: Source, options: ReadOptions) -> Corpus:
    if isinstance(source, str):
        return _read_named(source, options)
    if isinstance(source, os.PathLike):
        return _read_path(os.fspath(source), options)
    name = type(source).__name__
    if isinstance(source, Mapping):
        return _corpus(name, options, *read_tables(source, name, name, options))
    return _corpus(name, options, *read_table(source, name, options))


def _read_named(source: str, options: ReadOptions) -> Corpus:
    kind, _, argument = source.partition(":")
    if kind == SYNTHETIC:
        return synthetic_corpus(_size(argument)) if argument else synthetic_corpus()
    if source.startswith(HUB):
        name, _, config = argument.partition(":")
        if not name:
            raise DataError(f"{source}: no data set named; expected hub:OWNER/NAME or hub:OWNER/NAME:CONFIG")
        return _corpus(source, options, *read_hub(name, config or None, options))
    return _read_path(source, options)


def _read_path(source: str, options: ReadOptions) -> Corpus:
    try:
        path = Path(source).expanduser()
    except RuntimeError as error:
        raise DataError(
            f"{source}: the home folder of {source.split('/')[0]} is unknown; give the full path"
        ) from error
    return _corpus(path.absolute().name, options, *read_path(path, options))


def _size(argument: str) -> int:
    if not argument.isdecimal() or len(argument) > _SIZE_DIGITS or int(argument) < 1:
        raise DataError(
            f"synthetic:{argument[:20]}: expected a number of sentences, at least 1, in at most {_SIZE_DIGITS} digits"
        )
    return int(argument)


def _corpus(name: str, options: ReadOptions, found: SplitSentences, notes: tuple[str, ...]) -> Corpus:
    sentences = _renamed([sentence for _, sentence in found], options.labels)
    _check_sizes(sentences)
    indices = {name: tuple(i for i, (split, _) in enumerate(found) if split == name) for name in SPLIT_NAMES}
    types = ordered_types(span.label for sentence in sentences for span in sentence.spans)
    notes = (*notes, *_group_notes(sentences, options.group_by))
    notes = (*notes, *_similar_types(Counter(span.label for sentence in sentences for span in sentence.spans)))
    splits = {split: rows for split, rows in indices.items() if rows}
    return Corpus(name, sentences, types, splits, notes, options.group_by or "")


def _group_notes(sentences: Sequence[Sentence], group_by: str | None) -> list[str]:
    """Return a note on the groups of a corpus, if it has any.

    Raises:
        DataError: with `group_by`, a sentence has no group, or all have the same.
    """
    groups = {sentence.group for sentence in sentences}
    if not group_by:
        number = len(groups - {""})
        return [f"documents: {number:,}; `--group-by document` keeps each in one split"] if number > 1 else []
    without = next((sentence for sentence in sentences if not sentence.group), None)
    if without:
        raise DataError(
            f"{without.source or without.id}: group_by {group_by!r}: this sentence has no {group_by}; expected one "
            "for each sentence, from brat files, `-DOCSTART-` or `# newdoc` in columns, or the key or column that "
            "`group_by` names"
        )
    if len(groups) < 2:
        raise DataError(
            f"group_by {group_by!r}: all {len(sentences):,} sentences have the same; expected several groups"
        )
    return [f"sentences of the same {group_by} stay in one split: {len(groups):,} groups"]


def _renamed(sentences: Sequence[Sentence], labels: Mapping[str, str]) -> tuple[Sentence, ...]:
    """Return the sentences with new names of types; names of integer tags were used before."""
    found = {span.label for sentence in sentences for span in sentence.spans}
    names = {old: new for old, new in labels.items() if not old.isdecimal()}
    if unknown := names.keys() - found:
        known = ", ".join(sorted(found)) or "none"
        raise DataError(f"labels: {', '.join(sorted(unknown))}: no such entity type in the corpus; found {known}")
    if not names:
        return tuple(sentences)
    return tuple(
        replace(s, spans=tuple(sorted(replace(span, label=names.get(span.label, span.label)) for span in s.spans)))
        for s in sentences
    )


def _similar_types(counts: Counter[str]) -> list[str]:
    """Return notes on types that differ in case only, which is mostly a typing error."""
    groups: dict[str, list[str]] = {}
    for name, _ in counts.most_common():
        groups.setdefault(name.casefold(), []).append(name)
    return [
        f"types that differ in case only: {', '.join(names)}; `labels: {{{names[-1]}: {names[0]}}}` under `data:` "
        "makes them one"
        for names in groups.values()
        if len(names) > 1
    ]


def _check_sizes(sentences: Sequence[Sentence]) -> None:
    """Raise DataError for an oversized sentence: a file that lost its line ends looks like a single one."""
    for sentence in sentences:
        characters, spans = len(sentence.text), len(sentence.spans)
        covered = sum(span.end - span.start for span in sentence.spans)
        if max(characters, covered) > MAX_CHARACTERS or spans > MAX_SPANS:
            raise DataError(
                f"{sentence.source}: a sentence of {characters:,} characters and {spans:,} spans, {covered:,} long in "
                f"total; expected at most {MAX_CHARACTERS:,} characters and {MAX_SPANS:,} spans; write one sentence "
                "per line, or split the document into sentences"
            )
