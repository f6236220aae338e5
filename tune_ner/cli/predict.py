"""`tune-ner predict MODEL [TEXT ...]`: find the entities of texts."""

from __future__ import annotations

import json
import sys
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from tune_ner.cli.console import reported_errors
from tune_ner.config.hyperparameters import Precision
from tune_ner.data.markup import MarkupMode
from tune_ner.errors import TextError
from tune_ner.inference.text_io import json_line, marked_text, read_inputs
from tune_ner.utils.console import new_console, print_line, print_table

if TYPE_CHECKING:
    from tune_ner.inference.scoring import CorpusMetrics


def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model folder, or a run folder for its best model.")],
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT ...]", help="Texts; - for standard input.", show_default="standard input"),
    ] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option(help=".txt with one text per line, or .jsonl with `text`; repeatable.", show_default="none"),
    ] = None,
    output_format: Annotated[
        Literal["jsonl", "text"] | None,
        typer.Option("--format", help="jsonl, or text with marked entities.", show_default="text in a terminal"),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(help="Evaluate on annotated data, given as for --data of other commands.", show_default="none"),
    ] = None,
    markup: Annotated[MarkupMode, typer.Option(help="'keep' or 'strip' the annotation in the text of --expect.")] = (
        "keep"
    ),
    precision: Annotated[
        Precision, typer.Option(help="Half precision (fp16, bf16, or auto) is faster where the hardware has it.")
    ] = "fp32",
    at_once: Annotated[
        int, typer.Option(help="Largest number of texts read before their results are printed.", min=1)
    ] = 1024,
) -> None:
    """Find the entities of texts and print one result per text, in order.

    Examples:

        tune-ner predict results/demo-1 "Ta ibuprofen mot feber."

        tune-ner predict results/demo-1 --file notes.txt > found.jsonl

        zcat corpus.jsonl.gz | tune-ner predict results/demo-1 | head

        tune-ner predict results/demo-1 --expect gold.jsonl
    """
    with reported_errors() as console:
        as_text = console.is_terminal if output_format is None else output_format == "text"
        if expect is not None and (texts or file):
            raise TextError("--expect: its data contains the texts; expected neither TEXT nor --file with it")
        rows = read_inputs(texts or [], file or []) if expect is None else iter(())
        import transformers

        from tune_ner.inference.predictor import Predictor

        transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        predictor = Predictor.load(model, precision=precision)
        for note in predictor.notes:
            print_line(new_console(sys.stderr), note, "note", "yellow")
        if expect is not None:
            from tune_ner.data.loaders import load_corpus
            from tune_ner.inference.scoring import score_corpus

            _print_metrics(console, score_corpus(predictor, load_corpus(expect, markup)), as_text)
            return
        inputs, printed = tee(rows)
        found = predictor.stream((row.text for row in inputs), at_once)
        for row, spans in zip(printed, found, strict=True):
            if as_text:
                console.print(marked_text(row.text, spans, predictor.entity_types), soft_wrap=True)
                if console.quiet:  # the reader closed the pipe
                    return
            else:
                typer.echo(json_line(row, spans))


def _print_metrics(console: Console, found: CorpusMetrics, as_text: bool) -> None:
    if found.training_sentences:
        warning = (
            f"the model was trained or selected on {found.training_sentences:,} of these {found.sentences:,} "
            "sentences; metrics on them do not generalize to new texts"
        )
        print_line(new_console(sys.stderr), warning, "warning", "yellow")
    if not as_text:
        typer.echo(json.dumps(found.as_dict(), ensure_ascii=False).encode())
        return
    for title, table in found.tables().items():
        print_table(console, table, title)
