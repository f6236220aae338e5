"""Data sets of the Hugging Face hub → sentences, through `datasets.load_dataset`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tune_ner.data.corpus import Part, Sentence
from tune_ner.data.files import class_names
from tune_ner.data.rows import sentences_from_rows
from tune_ner.errors import DataError

_PARTS: Mapping[str, Part] = {
    "train": "train",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
}


def read_hub(name: str, config: str | None) -> tuple[list[tuple[Part | None, Sentence]], tuple[str, ...]]:
    """The sentences of a hub data set, each with its published part, or None where there is only `train`.

    Raises:
        DataError: the hub cannot be reached, has no such data set or configuration, or its rows are of
            none of the known shapes.
    """
    published = _load(name, config)
    unknown = [part for part in published if part not in _PARTS]
    if unknown:
        raise DataError(f"{name}: unknown parts {', '.join(unknown)}; expected {', '.join(_PARTS)}")
    sentences: list[tuple[Part | None, Sentence]] = []
    notes: dict[str, None] = {}
    for part, rows in published.items():
        places = ((f"{name}:{part}[{number}]", row) for number, row in enumerate(rows))
        prefix = f"{config or name.rpartition('/')[2]}_{part}"
        found, part_notes = sentences_from_rows(places, prefix, class_names(rows.features))
        alone = len(published) == 1
        sentences += [(None if alone else _PARTS[part], sentence) for sentence in found]
        notes |= dict.fromkeys(part_notes)
    return sentences, tuple(notes)


def _load(name: str, config: str | None) -> Any:
    import datasets

    try:
        return datasets.load_dataset(name, config)
    # The library lets errors of requests, httpx, fsspec and its own through, by version and by cache state.
    except Exception as error:
        called = f"{name} ({config})" if config else name
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(
            f"hub data set {called} cannot be loaded: {reason[0]}\n"
            "Without the hub there are two ways: `--data FILE` together with a local encoder "
            "(`--model FOLDER` or `--model package:NAME`), or the embedded space `demo`."
        ) from error
