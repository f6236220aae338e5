"""`tune-ner predict MODEL [TEXT ...]`: find the entities of texts."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, cast, get_args

import typer
from rich.console import Console

from tune_ner.cli.console import quiet_transformers, reported_errors
from tune_ner.cli.options import ColumnOptions, with_options
from tune_ner.config.hyperparameters import Precision
from tune_ner.data.corpus import Corpus, Sentence
from tune_ner.data.markup import MarkupMode
from tune_ner.errors import OutputError, TextError
from tune_ner.inference.corpus_writers import TargetFormat, formatted, write_corpus
from tune_ner.inference.text_io import json_line, marked_text, predicted_sentence, read_inputs
from tune_ner.utils.console import new_console, print_line, print_table
from tune_ner.utils.io import atomic_write
from tune_ner.utils.text import plural

if TYPE_CHECKING:
    from tune_ner.inference.predictor import Predictor
    from tune_ner.inference.scoring import CorpusMetrics

PredictFormat = Literal["text", TargetFormat]
_MOST_FILES = 5


@dataclass(frozen=True)
class ExpectOptions(ColumnOptions):
    """How to read the data of `--expect`."""

    panel: ClassVar[str] = "Reading of --expect"


@with_options
def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model folder, or a run folder for its best model.")],
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT ...]", help="Texts; - for standard input.", show_default="standard input"),
    ] = None,
    *,
    file: Annotated[
        list[Path] | None,
        typer.Option(help=".txt with one text per line, or .jsonl with `text`; repeatable.", show_default="none"),
    ] = None,
    output_format: Annotated[
        PredictFormat | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help=f"text with marked entities, or one of {', '.join(get_args(TargetFormat))}.",
            show_default="text in a terminal, else jsonl",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="New file, or folder for brat.", show_default="standard output")
    ] = None,
    whole_files: Annotated[
        bool, typer.Option("--whole-files", help="Read each .txt file as one text, not as one text per line.")
    ] = False,
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
    reading: ExpectOptions,
) -> None:
    """Find the entities of texts and print one result per text, in order.

    Examples:

        tune-ner predict results/demo-1 "Ta ibuprofen mot feber."

        tune-ner predict results/demo-1 --file notes.txt > found.jsonl

        zcat corpus.jsonl.gz | tune-ner predict results/demo-1 | head

        tune-ner predict results/demo-1 --file notes.txt --format conll

        tune-ner predict results/demo-1 --expect gold.jsonl
    """
    with reported_errors() as console:
        _check_options(expect, texts, file, output_format, output, whole_files)
        output_format = output_format or ("text" if console.is_terminal and output is None else "jsonl")
        as_text = output_format == "text"
        rows = read_inputs(texts or [], file or [], whole_files) if expect is None else iter(())
        from tune_ner.inference.predictor import Predictor

        quiet_transformers()
        predictor = Predictor.load(model, precision=precision)
        for note in predictor.notes:
            print_line(new_console(sys.stderr), note, "note", "yellow")
        if expect is not None:
            from tune_ner.data.loaders import load_corpus
            from tune_ner.inference.scoring import score_corpus

            _print_metrics(console, score_corpus(predictor, load_corpus(expect, markup, **asdict(reading))), as_text)
            return
        inputs, printed = tee(rows)
        found = predictor.stream((row.text for row in inputs), at_once)
        if output is not None and output_format == "jsonl":
            lines = [json_line(row, spans) + b"\n" for row, spans in zip(printed, found, strict=True)]
            atomic_write(output, b"".join(lines))
            print_line(console, f"{plural(len(lines), 'text')}: {output}", "Written")
            return
        if output_format not in ("text", "jsonl"):
            sentences = [predicted_sentence(row, spans) for row, spans in zip(printed, found, strict=True)]
            _write(console, sentences, predictor, output_format, output)
            return
        for row, spans in zip(printed, found, strict=True):
            if as_text:
                console.print(marked_text(row.text, spans, predictor.entity_types), soft_wrap=True)
                if console.quiet:  # the reader closed the pipe
                    return
            else:
                typer.echo(json_line(row, spans))


def _check_options(
    expect: str | None,
    texts: list[str] | None,
    files: list[Path] | None,
    output_format: str | None,
    output: Path | None,
    whole_files: bool,
) -> None:
    """Raise an error for options that exclude each other, before a model is loaded."""
    if expect is not None and (texts or files):
        raise TextError("--expect: its data contains the texts; expected neither TEXT nor --file with it")
    if expect is not None and (output is not None or output_format not in (None, "text", "jsonl")):
        raise TextError("--expect prints metrics; expected neither --output nor a format of corpora with it")
    if whole_files and not files:
        raise TextError("--whole-files: no file; expected --file with it")
    if output is None and output_format == "brat":
        raise OutputError("--format brat writes files; expected --output FOLDER with it")
    if output is not None and output_format == "text":
        raise OutputError("--format text is for terminals; expected another format with --output")
    if output is not None and output_format in (None, "jsonl") and output.suffix != ".jsonl":
        raise OutputError(f"{output}: expected a file name that ends in .jsonl, or another --format")
    if output is not None and output.exists():
        raise OutputError(f"{output}: exists already; choose another name or remove it")


def _write(
    console: Console, sentences: list[Sentence], predictor: Predictor, output_format: str, output: Path | None
) -> None:
    """Write predictions in a format of corpora to a file or to standard output, with notes on what is lost."""
    target = cast(TargetFormat, output_format)
    words = predictor.config.word_tokenizer
    notes = new_console(sys.stderr)
    if output is None:
        content, losses = formatted(sentences, target, words, is_predicted=True)
        typer.echo(content.encode("utf-8", "backslashreplace"), nl=False)
    else:
        corpus = Corpus("predictions", tuple(sentences), predictor.entity_types)
        done = write_corpus(corpus, output, target, words, is_predicted=True)
        losses = done.losses
        numbers = f"{plural(done.sentences, 'text')}, {plural(done.entities, 'entity')}"
        print_line(console, f"{numbers}: {', '.join(map(str, done.files[:_MOST_FILES]))}", "Written")
    for what, count in losses.items():
        if count:
            print_line(notes, f"{target} cannot express: {what}: {count:,}", "note")


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
