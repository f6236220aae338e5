"""`python -m tune_ner predict MODEL [TEXT ...]`: the entities that a model finds in texts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, cycle, tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tune_ner.cli.console import reported_errors
from tune_ner.data.formats.raw_text import TextRow, check_file, check_text, read_texts, texts_of
from tune_ner.data.markup import MarkupMode
from tune_ner.errors import TextError
from tune_ner.utils.text import visible

if TYPE_CHECKING:
    from tune_ner.data.corpus import Span
    from tune_ner.evaluation.span_metrics import SpanMetrics
    from tune_ner.inference.predictor import PredictedSpan, Predictor

Format = Literal["jsonl", "text"]

STDIN = "-"

_COLOURS = ("bold cyan", "bold magenta", "bold green", "bold yellow", "bold blue", "bold red")
_SCORE_DIGITS = 4


def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model folder, or a run folder for its best model.")],
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT ...]", help="Texts; - for standard input.", show_default="standard input"),
    ] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option(help=".txt with one text a line, or .jsonl with `text`; repeatable.", show_default="none"),
    ] = None,
    output_format: Annotated[
        Format | None,
        typer.Option("--format", help="jsonl, or text with the entities marked.", show_default="text in a terminal"),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(help="Annotated data, as for --data of other commands, to be scored on.", show_default="none"),
    ] = None,
    markup: Annotated[MarkupMode, typer.Option(help="'keep' or 'strip' the annotation in the text of --expect.")] = (
        "keep"
    ),
    at_once: Annotated[
        int, typer.Option(help="Texts read before they are answered, once it runs; 1 answers each one at once.", min=1)
    ] = 1024,
) -> None:
    """Find the entities of texts, one result a text, in order.

    Examples:

        tune-ner predict results/demo-1 "Ta ibuprofen mot feber."

        tune-ner predict results/demo-1 --file notes.txt > found.jsonl

        zcat corpus.jsonl.gz | tune-ner predict results/demo-1 | head

        tune-ner predict results/demo-1 --expect gold.jsonl
    """
    with reported_errors() as console:
        as_text = console.is_terminal if output_format is None else output_format == "text"
        if expect is not None and (texts or file):
            raise TextError("--expect: its data has the texts; expected neither TEXT nor --file beside it")
        rows = iter(()) if expect is not None else _rows(texts or [], [check_file(path) for path in file or []])
        predictor = _load(model)
        for note in predictor.notes:
            Console(stderr=True).print(f"[yellow]note:[/] {visible(note)}", highlight=False, soft_wrap=True)
        if expect is not None:
            _print_scores(console, _scored(predictor, expect, markup), as_text)
            return
        asked, shown = tee(rows)
        found = predictor.stream((row.text for row in asked), at_once)
        colours = dict(zip(predictor.reading.types, cycle(_COLOURS), strict=False))
        for row, spans in zip(shown, found, strict=True):
            if as_text:
                console.print(_marked(row.text, spans, colours), soft_wrap=True)
                if console.quiet:  # its reader went away
                    return
            else:
                typer.echo(_line(row, spans))


def _rows(texts: Sequence[str], files: Sequence[Path]) -> Iterator[TextRow]:
    """The texts of the command line, then those of the files; standard input where there are neither."""
    if not texts and not files:
        if sys.stdin is None or sys.stdin.isatty():
            raise TextError("no text: expected TEXT, --file, or texts piped to standard input")
        texts = [STDIN]
    given = [_argument(number, text) for number, text in enumerate(texts, start=1)]
    return chain.from_iterable([*given, *map(read_texts, files)])


def _argument(number: int, text: str) -> Iterator[TextRow]:
    if text == STDIN:
        if sys.stdin is None:
            raise TextError("standard input: closed; expected texts")
        return texts_of(sys.stdin.buffer, "standard input")
    place = f"TEXT {number}"
    if not text.strip():
        raise TextError(f"{place}: empty; expected a text, or - for standard input")
    if _is_file(text):
        raise TextError(f"{place}: {text!r} is a file; to read it give --file {text}")
    return iter([TextRow(check_text(text, place), place)])


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a NUL in it
        return False


def _load(model: str) -> Predictor:
    import transformers

    from tune_ner.inference.predictor import Predictor
    from tune_ner.results.best_model import model_folder

    folder = model_folder(Path(model))
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    return Predictor.load(folder)


def _line(row: TextRow, spans: Sequence[PredictedSpan]) -> bytes:
    """The row with what was found in it; spans that it came with stand as `gold`."""
    fields: dict[str, Any] = {("gold" if key == "spans" else key): value for key, value in row.fields.items()}
    found = [{**asdict(span), "score": round(span.score, _SCORE_DIGITS)} for span in spans]
    # a lone surrogate in another key is written as its escape
    return json.dumps({"text": row.text, **fields, "spans": found}, ensure_ascii=False).encode(
        "utf-8", "backslashreplace"
    )


def _marked(text: str, spans: Sequence[PredictedSpan], colours: dict[str, str]) -> Text:
    """The text on one line, each entity in brackets and followed by its type."""
    marked, behind = Text(), 0
    for span in spans:
        marked.append(visible(text[behind : span.start]))
        marked.append(f"[{visible(span.text)}]", colours.get(span.label, ""))
        marked.append(f"{visible(span.label)}", f"dim {colours.get(span.label, '')}")
        behind = span.end
    return marked.append(visible(text[behind:]))


@dataclass(frozen=True)
class _Scored:
    """Figures on annotated data: on all of it, and on what the model had not seen of it.

    `known` counts the sentences that the model was trained or chosen on, None where its folder does not say.
    """

    whole: SpanMetrics
    known: int | None
    sentences: int
    unknown: SpanMetrics | None


def _scored(predictor: Predictor, data: str, markup: MarkupMode) -> _Scored:
    from tune_ner.data.loaders import load_corpus

    gold = load_corpus(data, markup).sentences
    found = predictor.stream(sentence.text for sentence in gold)
    pairs = [(sentence.spans, [span.span for span in spans]) for sentence, spans in zip(gold, found, strict=True)]
    types, known = predictor.reading.types, predictor.known
    if known is None:
        return _Scored(_scores(pairs, types), None, len(gold), None)
    new = [pair for sentence, pair in zip(gold, pairs, strict=True) if sentence.text not in known]
    seen = len(gold) - len(new)
    return _Scored(_scores(pairs, types), seen, len(gold), _scores(new, types) if seen and new else None)


def _scores(pairs: Sequence[tuple[Sequence[Span], Sequence[Span]]], types: Sequence[str]) -> SpanMetrics:
    from tune_ner.evaluation.span_metrics import score_spans

    return score_spans([gold for gold, _ in pairs], [predicted for _, predicted in pairs], types)


def _print_scores(console: Console, scored: _Scored, as_text: bool) -> None:
    if scored.known:
        Console(stderr=True).print(
            f"[yellow]warning:[/] this model was trained or chosen on {scored.known:,} of these {scored.sentences:,} "
            "sentences, and figures on them say nothing of new text",
            highlight=False,
            soft_wrap=True,
        )
    if not as_text:
        unknown = None if scored.unknown is None else asdict(scored.unknown)
        content = {**asdict(scored.whole), "known_sentences": scored.known, "without_known": unknown}
        typer.echo(json.dumps(content, ensure_ascii=False).encode())
        return
    _print_table(console, scored.whole, "Exact spans")
    if scored.unknown is not None:
        console.print()
        _print_table(
            console, scored.unknown, f"Without the {scored.known:,} sentences that it was trained or chosen on"
        )


def _print_table(console: Console, scores: SpanMetrics, title: str) -> None:
    from tune_ner.evaluation.seqeval_metrics import TypeMetrics

    table = Table(box=None, pad_edge=False, title=Text(title, style="bold"), title_justify="left")
    table.add_column("type")
    for heading in ("precision", "recall", "F1", "entities"):
        table.add_column(heading, justify="right")
    total = TypeMetrics(scores.precision, scores.recall, scores.f1, scores.support)
    for name, figures in (*scores.per_type.items(), ("all", total)):
        shares = (f"{share:.3f}" for share in (figures.precision, figures.recall, figures.f1))
        table.add_row(Text(visible(name)), *shares, f"{figures.support:,}")
    console.print(table)
    console.print(f"Mean F1 of the types: {scores.macro_f1:.3f}", highlight=False)
