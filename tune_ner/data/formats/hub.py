"""Data sets of the Hugging Face hub → sentences, through `datasets.load_dataset`."""

from __future__ import annotations

from typing import Any

from tune_ner.data.corpus import Sentence, SplitName
from tune_ner.data.formats.files import class_names, part_named
from tune_ner.data.formats.rows import sentences_from_rows
from tune_ner.errors import DataError


def read_hub(name: str, config: str | None) -> tuple[list[tuple[SplitName | None, Sentence]], tuple[str, ...]]:
    """The sentences of a hub data set, each with its published part, or None where there is only `train`.

    Raises:
        DataError: the hub cannot be reached, has no such data set or configuration, or its rows are of
            none of the known shapes.
    """
    published = _load(name, config)
    parts = {split_name: part_named(split_name) for split_name in published}
    known = [split_name for split_name, meaning in parts.items() if meaning]
    if not known:
        raise DataError(f"{name}: found the parts {', '.join(parts)}; expected train, validation or test among them")
    notes = {
        f"part {split_name!r} is neither train, validation nor test, and left out": None
        for split_name in {*parts} - {*known}
    }
    sentences: list[tuple[SplitName | None, Sentence]] = []
    for split_name in known:
        rows = published[split_name]
        places = ((f"{name}:{split_name}[{number}]", row) for number, row in enumerate(rows))
        prefix = f"{config or name.rpartition('/')[2]}_{split_name}"
        found, part_notes = sentences_from_rows(places, prefix, class_names(rows.features))
        alone = len(known) == 1
        sentences += [(None if alone else parts[split_name], sentence) for sentence in found]
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
