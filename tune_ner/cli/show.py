"""`tune-ner show`: a corpus at a glance, and its sentences with their entities marked."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tune_ner.cli.console import reported_errors
from tune_ner.cli.options import ReadingOptions, with_options
from tune_ner.data.markup import MarkupMode
from tune_ner.utils.console import new_console, print_line, print_table

_PAGE_WIDTH = 120


@with_options
def show(
    *,
    data: Annotated[str, typer.Argument(metavar="DATA", help="A file, a folder, or hub:DATASET[:CONFIG].")],
    split: Annotated[str | None, typer.Option(help="Only sentences of this split.", show_default="all")] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Only sentences with this entity type; repeatable.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Only sentences that contain this text, in any case.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Largest number of sentences.")] = 10,
    html: Annotated[Path | None, typer.Option(help="Also write a page.", show_default="none", dir_okay=False)] = None,
    markup: Annotated[MarkupMode, typer.Option(help="Keep or strip annotation markup in the text.")] = "keep",
    reading: ReadingOptions,
) -> None:
    """Show how a corpus was read: its splits, types and scripts, and sentences with their entities marked.

    Examples:

        tune-ner show corpus.jsonl

        tune-ner show corpus.jsonl --type DRUG --limit 50 --html drugs.html
    """
    with reported_errors() as console:
        from tune_ner.data.description import describe_splits, describe_types, matching, scripts
        from tune_ner.data.loaders import load_corpus
        from tune_ner.errors import DataError
        from tune_ner.inference.text_io import marked_text
        from tune_ner.utils.io import atomic_write
        from tune_ner.utils.text import near_misses

        corpus = load_corpus(data, markup, **asdict(reading))
        for found, known, option in (
            (types or [], corpus.entity_types, "type"),
            ([split] if split else [], corpus.splits, "split"),
        ):
            for name in found:
                if name not in known:
                    expected = ", ".join(known) or "none, since the corpus has no published splits"
                    raise DataError(f"--{option} {name}: expected one of {expected}{near_misses(name, known)}")
        sentences = matching(corpus, split, types or [], text)
        page = new_console(io.StringIO(), record=True, width=_PAGE_WIDTH, force_terminal=True) if html else None
        for target in filter(None, (console, page)):
            for note in corpus.notes:
                print_line(target, note, "note")
            print_line(
                target,
                ", ".join(f"{name} {share:.0%}" for name, share in scripts(s.text for s in corpus.sentences).items()),
                "scripts",
            )
            print_table(target, describe_splits(corpus))
            print_table(target, describe_types(corpus), hide_first=("most frequent",))
            print_line(target, f"{min(limit, len(sentences)):,} of {len(sentences):,} matching sentences", style="bold")
            for sentence in sentences[:limit]:
                target.print(marked_text(sentence.text, sentence.spans, corpus.entity_types), soft_wrap=True)
                print_line(target, sentence.source, style="dim", indent=4)
        if page and html:
            print_line(console, str(atomic_write(html, page.export_html(inline_styles=True))), "Page")
