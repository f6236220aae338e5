"""`python -m tune_ner.audit_command --data DATA`: what is wrong with a corpus before anyone trains on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tune_ner.cli.console import reported_errors
from tune_ner.data.markup import MarkupMode
from tune_ner.errors import TuneNerError
from tune_ner.tagging.tokenization import WordTokenizer
from tune_ner.utils.text import visible

if TYPE_CHECKING:
    from tune_ner.audit.findings import AuditReport, Finding
    from tune_ner.data.corpus import Corpus
    from tune_ner.data.splits import Split

EXIT_FAULTY_DATA = 4

_COLOURS = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def audit(
    data: Annotated[str, typer.Option(help="hub:DATASET[:CONFIG], synthetic[:SENTENCES], or a file or folder.")],
    markup: Annotated[MarkupMode, typer.Option(help="'keep' the annotation in the text, or 'strip' it.")] = "keep",
    split: Annotated[
        Literal["random", "grouped"], typer.Option(help="'grouped' keeps near duplicates in one part.")
    ] = "random",
    words: Annotated[WordTokenizer, typer.Option(help="Where texts are cut into words.")] = "whitespace",
    model: Annotated[
        list[str] | None, typer.Option(help="Encoder whose tokenizer is audited; repeatable.", show_default="none")
    ] = None,
    max_length: Annotated[int, typer.Option(min=3, help="Subwords after which --model cuts a sentence.")] = 256,
    near_duplicates: Annotated[bool, typer.Option(help="Look for nearly equal sentences too.")] = True,
    fail_on: Annotated[
        Literal["error", "warning"] | None,
        typer.Option(help="Exit with 4 when there is such a finding or a worse one.", show_default="never"),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the whole report as JSON.", show_default="none")] = None,
) -> None:
    """Say what is wrong with a corpus and its split, what that does to the scores, and what to do.

    Examples:

        tune-ner audit --data corpus.jsonl

        tune-ner audit --data 1177_annotated_sentences.txt --markup strip

        tune-ner audit --data corpus.jsonl --fail-on error --output audit.json
    """
    with reported_errors() as console:
        from tune_ner.audit.audit import audit_corpus
        from tune_ner.data.loaders import load_corpus
        from tune_ner.data.splits import SplitSpec, split_corpus

        _check_output(output)
        corpus = load_corpus(data, markup)
        parts = split_corpus(corpus, SplitSpec(method=split))
        report = audit_corpus(
            corpus,
            parts,
            near_duplicates=near_duplicates,
            tokenizers=_tokenizers(model or [], corpus, parts),
            max_length=max_length,
            word_tokenizer=words,
            data_option=data,
        )
        if output is not None:
            _write(report, output)
        print_report(console, report)
    if fail_on is not None and report.at_least(fail_on):
        raise typer.Exit(EXIT_FAULTY_DATA)


def print_report(console: Console, report: AuditReport) -> None:
    """Print the verdict, the parts, every finding and what rules without a model score."""
    console.print(Text(visible(report.verdict), style=_COLOURS[report.worst or "info"]), soft_wrap=True)
    console.print(_parts_table(report))
    for finding in report.findings:
        _print_finding(console, finding)
    console.print(_baselines_table(report))
    for note in report.notes:
        console.print(Text.assemble(("note: ", "yellow"), visible(note)), soft_wrap=True)


def _print_finding(console: Console, finding: Finding) -> None:
    concerned = f" ({finding.count:,} of {finding.of:,})" if finding.count != finding.of else ""
    head = Text.assemble(
        (f"{finding.severity}: ", _COLOURS[finding.severity]), (visible(finding.title), "bold"), concerned
    )
    console.print()
    console.print(head, soft_wrap=True)
    for label, text in (("effect", finding.effect), ("remedy", finding.remedy)):
        console.print(Padding(Text.assemble((f"{label}: ", "dim"), visible(text)), (0, 0, 0, 2), expand=False))
    for example in finding.examples:
        line = Text.assemble((visible(_short_place(example.place)), "dim"), "  ", visible(example.text))
        console.print(Padding(line, (0, 0, 0, 4), expand=False))


def _short_place(place: str) -> str:
    """File names without their folders: `a.txt:784 = a.txt:444`."""
    return " = ".join(piece.rpartition("/")[2] for piece in place.split(" = "))


def _parts_table(report: AuditReport) -> Table:
    table = _table(f"Data: {visible(report.corpus)}", "split")
    for heading in ("sentences", "entities", *next(iter(report.parts.values())).per_type):
        table.add_column(Text(visible(heading)), justify="right")
    for split_name, size in report.parts.items():
        table.add_row(
            split_name, *(f"{number:,}" for number in (size.sentences, size.entities, *size.per_type.values()))
        )
    return table


def _baselines_table(report: AuditReport) -> Table:
    table = _table("Without a model", "rule")
    table.add_column("split")
    for heading in ("precision", "recall", "F1"):
        table.add_column(heading, justify="right")
    for name, by_part in report.baselines.items():
        for split_name, scores in by_part.items():
            figures = (scores.precision, scores.recall, scores.f1)
            table.add_row(name, split_name, *(f"{figure:.3f}" for figure in figures))
    return table


def _table(title: str, first: str) -> Table:
    table = Table(box=None, pad_edge=False, title=Text(f"\n{title}", style="bold"), title_justify="left")
    table.add_column(first)
    return table


def _tokenizers(models: Sequence[str], corpus: Corpus, split: Split) -> dict[str, Any]:
    if not models:
        return {}
    from tune_ner.training.encoders import load_tokenizer, resolve_encoder

    texts = [corpus.sentences[index].text for index in split.train]
    return {name: load_tokenizer(resolve_encoder(name), texts) for name in dict.fromkeys(models)}


def _check_output(output: Path | None) -> None:
    """Refuse a place that cannot be written before the work is done rather than after."""
    if output is None:
        return
    if output.is_dir() or not output.absolute().parent.is_dir():
        found = "is a folder" if output.is_dir() else f"the folder {output.absolute().parent} does not exist"
        raise TuneNerError(f"--output {output}: {found}; expected a file in a folder that exists")


def _write(report: AuditReport, output: Path) -> None:
    """Write the report whole or not at all; a lone surrogate becomes its JSON escape."""
    text = json.dumps(report.as_dict(), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    unfinished = output.with_name(f"{output.name}.unfinished")
    try:
        unfinished.write_bytes(text.encode("utf-8", "backslashreplace"))
        unfinished.replace(output)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise TuneNerError(f"--output {output}: cannot be written: {error.strerror}") from error
