"""`tune-ner audit`: check a corpus and its split before training."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from tune_ner.cli.console import reported_errors
from tune_ner.cli.options import ReadingOptions, with_options
from tune_ner.data.markup import MarkupMode
from tune_ner.errors import OutputError
from tune_ner.tagging.tokenization import WordTokenizer

EXIT_FINDINGS = 4


@with_options
def audit(
    *,
    data: Annotated[str, typer.Option(help="hub:DATASET[:CONFIG], synthetic[:SENTENCES], or a file or folder.")],
    reading: ReadingOptions,
    markup: Annotated[MarkupMode, typer.Option(help="Keep or strip annotation markup in the text.")] = "keep",
    split: Annotated[
        Literal["random", "grouped"], typer.Option(help="'grouped' keeps near-identical sentences in the same split.")
    ] = "random",
    words: Annotated[WordTokenizer, typer.Option(help="How to split texts into words; auto chooses.")] = "whitespace",
    model: Annotated[
        list[str] | None, typer.Option(help="Encoder whose tokenizer is checked; repeatable.", show_default="none")
    ] = None,
    max_length: Annotated[int, typer.Option(min=3, help="Length in subwords at which --model truncates.")] = 256,
    near_duplicates: Annotated[bool, typer.Option(help="Also search for near-identical sentences.")] = True,
    fail_on: Annotated[
        Literal["error", "warning"] | None,
        typer.Option(help="Exit with code 4 on findings of this severity or higher.", show_default="never"),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the report as JSON.", show_default="none")] = None,
) -> None:
    """Check a corpus and its split for problems that distort the scores of a model.

    Each finding has a severity, its effect on the scores, a suggestion, and examples with file and line.

    Examples:

        tune-ner audit --data corpus.jsonl

        tune-ner audit --data 1177_annotated_sentences.txt --markup strip

        tune-ner audit --data corpus.jsonl --fail-on error --output audit.json
    """
    with reported_errors() as console:
        from tune_ner.audit.audit import audit as run_audit
        from tune_ner.audit.rendering import print_report
        from tune_ner.data.formats.options import ReadOptions
        from tune_ner.data.loaders import load_corpus
        from tune_ner.data.splits import SplitSpec, split_corpus
        from tune_ner.training.encoders import load_tokenizer, resolve_encoder
        from tune_ner.utils.io import atomic_write

        if output and (output.is_dir() or not output.absolute().parent.is_dir()):
            raise OutputError(f"--output {output}: expected a file in an existing folder")
        corpus = load_corpus(data, markup, **asdict(reading))
        splits = split_corpus(corpus, SplitSpec(method=split))
        train_texts = [corpus.sentences[index].text for index in splits.train]
        report = run_audit(
            corpus,
            splits,
            near_duplicates=near_duplicates,
            tokenizers={name: load_tokenizer(resolve_encoder(name), train_texts) for name in model or []},
            max_length=max_length,
            word_tokenizer=words,
            data_option=f"{data}{ReadOptions.model_validate(asdict(reading)).arguments}",
        )
        if output:
            atomic_write(output, json.dumps(report.as_dict(), ensure_ascii=False, allow_nan=False, indent=2) + "\n")
        print_report(console, report)
    if fail_on and report.at_least(fail_on):
        raise typer.Exit(EXIT_FINDINGS)
