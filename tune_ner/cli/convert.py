"""`tune-ner convert`: write a corpus in the format of another tool."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tune_ner.cli.console import reported_errors
from tune_ner.cli.options import ReadingOptions, with_options
from tune_ner.data.markup import MarkupMode
from tune_ner.inference.corpus_writers import TargetFormat
from tune_ner.tagging.tokenization import WordTokenizer
from tune_ner.utils.console import print_line
from tune_ner.utils.text import plural


@with_options
def convert(
    *,
    data: Annotated[str, typer.Argument(metavar="IN", help="A file, a folder, or hub:DATASET[:CONFIG].")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The new file; a folder if there are splits.")],
    to: Annotated[TargetFormat, typer.Option(help="Format of OUT.")],
    words: Annotated[WordTokenizer, typer.Option(help="Words of conll and csv.")] = "auto",
    markup: Annotated[MarkupMode, typer.Option(help="Keep or strip annotation markup in the text.")] = "keep",
    reading: ReadingOptions,
) -> None:
    """Write a corpus in another format and report what that format cannot express.

    Examples:

        tune-ner convert corpus.jsonl corpus.conll --to conll

        tune-ner convert corpus.jsonl words.csv --to csv --words whitespace
    """
    with reported_errors() as console:
        from tune_ner.data.loaders import load_corpus
        from tune_ner.inference.corpus_writers import write_corpus

        corpus = load_corpus(data, markup, **asdict(reading))
        for note in corpus.notes:
            print_line(console, note, "note")
        done = write_corpus(corpus, target, to, words)
        for what, count in done.losses.items():
            if count:
                print_line(console, f"{to} cannot express: {what}: {count:,}", "note")
        numbers = f"{plural(done.sentences, 'sentence')}, {plural(done.entities, 'entity')}"
        print_line(console, f"{numbers}: {', '.join(map(str, done.files))}", "Written")
