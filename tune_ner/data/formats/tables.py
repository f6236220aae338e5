"""Tables in memory (a `datasets.Dataset`, a pandas DataFrame, a list of rows) → sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tune_ner.data.corpus import SPLIT_ALIASES, Sentence, SplitName, split_from_name
from tune_ner.data.formats.options import DEFAULT, ReadOptions
from tune_ner.data.formats.rows import Row, sentences_from_rows
from tune_ner.errors import DataError

SplitSentences = list[tuple[SplitName | None, Sentence]]
"""Sentences in order, each with its published split; None for all sentences of an unsplit corpus."""

SPLIT_COLUMN = "split"


def read_table(table: Any, name: str, options: ReadOptions = DEFAULT) -> tuple[SplitSentences, tuple[str, ...]]:
    """Return the sentences of one table, by its `split` column where it has one, and notes on how it was read.

    Args:
        table: a `datasets.Dataset`, a DataFrame or an iterable of rows in one of the shapes of `rows.py`.
        name: name of the table in messages and in the ids of sentences.

    Raises:
        DataError: the object is not a table, or a row is invalid.
    """
    rows, names = _open(table, name)
    splits: list[SplitName | None] = []

    def collect_splits() -> Iterator[tuple[str, Row]]:
        for place, row in _placed(rows, name):
            splits.append(_split_of(row, place))
            yield place, row

    sentences, notes = sentences_from_rows(collect_splits(), name, names, options)
    found = set(splits)
    if None in found and len(found) > 1:
        missing = splits.index(None)
        raise DataError(
            f"{name}[{missing}]: no value in the column `{SPLIT_COLUMN}`; expected one in every row or none"
        )
    if len(found) < 2:
        return [(None, sentence) for sentence in sentences], notes
    return list(zip(splits, sentences, strict=True)), (*notes, f"splits read from the column `{SPLIT_COLUMN}`")


def read_tables(
    tables: Mapping[str, Any], name: str, id_prefix: str, options: ReadOptions = DEFAULT
) -> tuple[SplitSentences, tuple[str, ...]]:
    """Return the sentences of tables named after splits, such as a `DatasetDict`; a lone split leaves them unsplit.

    Args:
        tables: one table for each split; tables with other names are ignored with a note.
        name: name of the tables in messages.
        id_prefix: sentences without an id are called `{id_prefix}_{split}_0`, `{id_prefix}_{split}_1` …

    Raises:
        DataError: no table is named after a split, or a row is invalid.
    """
    splits = {key: split_from_name(str(key)) for key in tables}
    exact = {split for key in tables if (split := SPLIT_ALIASES.get(str(key).lower()))}
    # next to `test`, `test_unlabeled` is no part of the split
    splits |= {key: None for key in tables if splits[key] in exact and str(key).lower() not in SPLIT_ALIASES}
    known = [key for key, split in splits.items() if split]
    if len({splits[key] for key in known}) < len(known):
        raise DataError(
            f"{name}: several of the splits {', '.join(map(str, known))} have one meaning; give one of each"
        )
    if not known:
        raise DataError(
            f"{name}: found the splits {', '.join(map(str, splits))}; expected train, validation or test among them"
        )
    notes = [f"split {key!r} ignored: not train, validation or test" for key, split in splits.items() if not split]
    sentences: SplitSentences = []
    for key in known:
        rows, names = _open(tables[key], f"{name}:{key}")
        found, table_notes = sentences_from_rows(_placed(rows, f"{name}:{key}"), f"{id_prefix}_{key}", names, options)
        sentences += [(splits[key] if len(known) > 1 else None, sentence) for sentence in found]
        notes += table_notes
    return sentences, tuple(dict.fromkeys(notes))


def class_names(features: object) -> tuple[str, ...]:
    """Return the names of the first `ClassLabel` in a data set's features; empty if there is no such feature."""
    names = getattr(features, "names", None)
    if isinstance(names, list):
        return tuple(names)
    inner = getattr(features, "feature", None)
    children = [inner] if inner is not None else []
    if isinstance(features, dict):
        keys = ("entities", "spans", "ner_tags", "tags", "ner", "labels", "label", "type")
        children = [features[key] for key in keys if key in features]
    if isinstance(features, list):
        children = features
    return next((found for child in children if (found := class_names(child))), ())


def _open(table: Any, name: str) -> tuple[Iterable[Any], tuple[str, ...]]:
    """Return the rows of a table as plain Python values, and the names of its class indices."""
    import datasets
    import pandas as pd

    if isinstance(table, datasets.Dataset | datasets.IterableDataset):
        return table.with_format(None), class_names(table.features)
    if isinstance(table, pd.DataFrame):
        records = table.to_dict("records")
        return ({key: value for key, value in _plain(row).items() if not _is_missing(value)} for row in records), ()
    if isinstance(table, Iterable) and not isinstance(table, str | bytes | Mapping):
        return map(_plain, table), ()
    raise DataError(
        f"{name}: not a table of sentences; expected a path, 'hub:NAME', 'synthetic', a Corpus, a Dataset, a "
        "DatasetDict, a DataFrame or a list of rows"
    )


def _placed(rows: Iterable[Any], name: str) -> Iterator[tuple[str, Row]]:
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(f"{name}[{number}]: found {type(row).__name__}; expected a dict of column names and values")
        yield f"{name}[{number}]", row


def _plain(value: Any) -> Any:
    """Return a value with numpy scalars, arrays and tuples replaced by Python scalars and lists."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _is_missing(value: object) -> bool:
    import pandas as pd

    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def _split_of(row: Row, place: str) -> SplitName | None:
    value = row.get(SPLIT_COLUMN)
    if value is None:
        return None
    split = SPLIT_ALIASES.get(str(value).lower())
    if split is None:
        raise DataError(f"{place}: found `{SPLIT_COLUMN}` {value!r}; expected train, validation or test")
    return split
