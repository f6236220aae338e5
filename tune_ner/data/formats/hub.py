"""Data sets of the Hugging Face hub → sentences, through `datasets.load_dataset`."""

from __future__ import annotations

from typing import Any

from tune_ner.data.formats.options import DEFAULT, ReadOptions
from tune_ner.data.formats.tables import SplitSentences, read_tables
from tune_ner.errors import DataError
from tune_ner.utils.text import first_line


def read_hub(name: str, config: str | None, options: ReadOptions = DEFAULT) -> tuple[SplitSentences, tuple[str, ...]]:
    """Return the sentences of a hub data set with their published splits; a lone split leaves them unsplit.

    Raises:
        DataError: the hub is unreachable, has no such data set or configuration, or a row is invalid.
    """
    return read_tables(_load(name, config), name, config or name.rpartition("/")[2], options)


def _load(name: str, config: str | None) -> Any:
    import datasets

    try:
        return datasets.load_dataset(name, config)
    # depending on version and cache, errors of requests, httpx, fsspec and datasets itself are raised
    except Exception as error:
        data_set = f"{name} ({config})" if config else name
        raise DataError(
            f"hub data set {data_set} cannot be loaded: {first_line(error)}\n"
            "Without the hub there are two ways: `--data FILE` together with a local encoder "
            "(`--model FOLDER` or `--model package:NAME`), or the embedded space `demo`."
        ) from error
