"""`tune-ner init DATA`: write a commented search space for a corpus."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
import yaml

from tune_ner.cli.console import reported_errors
from tune_ner.cli.options import ReadingOptions, overrides, with_options
from tune_ner.data.markup import MarkupMode
from tune_ner.utils.console import print_line


def name_of(data: str) -> str:
    """Return a file name for a corpus: that of its path, or of its data set on the Hub, without configuration."""
    path = Path(data).expanduser()
    return path.resolve().stem if path.exists() else data.removeprefix("hub:").split(":")[0].rpartition("/")[2]


@with_options
def init(
    *,
    data: Annotated[str, typer.Argument(metavar="DATA", help="A file, a folder, or hub:DATASET[:CONFIG].")],
    output: Annotated[
        Path | None, typer.Option(help="New file.", show_default="name of the data with .yaml", dir_okay=False)
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Code of the language, such as sv.", show_default="detected")
    ] = None,
    markup: Annotated[MarkupMode, typer.Option(help="Keep or strip annotation markup in the text.")] = "keep",
    reading: ReadingOptions,
) -> None:
    """Write a commented search space for DATA: encoders for its language, learning rates, split, seeds and epochs.

    Examples:

        tune-ner init corpus.jsonl

        tune-ner init corpus.jsonl --language sv --output mine.yaml
    """
    with reported_errors() as console:
        from tune_ner.config.loading import parse_space, schema_file
        from tune_ner.config.starting_space import starting_space
        from tune_ner.data.loaders import load_corpus
        from tune_ner.errors import OutputError
        from tune_ner.utils.io import atomic_write

        file = output or Path(f"{name_of(data)}.yaml")
        if file.exists():
            raise OutputError(f"{file}: exists already; give --output another name")
        options = overrides(reading)
        corpus = load_corpus(data, markup, **asdict(reading))
        for note in corpus.notes:
            print_line(console, note, "note")
        text = starting_space(data, corpus, options, markup=markup, language=language, schema=schema_file())
        trials = len(parse_space(yaml.safe_load(text), str(file)).grid_points())
        atomic_write(file, text)
        print_line(console, f"{file}, a grid of {trials} trials", "Search space")
        print_line(console, f"tune-ner audit {file}, then tune-ner grid {file}", "Next")
