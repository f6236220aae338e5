"""`tune-ner audit [SPACE]`: check a corpus and its split before training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tune_ner.cli.console import reported_errors
from tune_ner.cli.options import DataOptions, overrides, with_options
from tune_ner.errors import EncoderError, OutputError
from tune_ner.tagging.tokenization import WordTokenizer

if TYPE_CHECKING:
    from tune_ner.config.search_space import SearchSpace
    from tune_ner.data.corpus import Corpus
    from tune_ner.training.encoders import Encoder

EXIT_FINDINGS = 4
_ANY: dict[str, Any] = {"model": ["any"], "learning_rate": [1e-5]}
"""A search space with the defaults of all settings that the audit uses; these two are not used."""


@with_options
def audit(
    space: Annotated[
        str | None,
        typer.Argument(
            help="Search space whose data, split, words, lengths and encoders are checked.", show_default="the defaults"
        ),
    ] = None,
    *,
    data: DataOptions,
    words: Annotated[
        WordTokenizer | None,
        typer.Option(help="How to split texts into words; auto chooses.", show_default="the search space's"),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Encoder whose tokenizer is checked; repeatable.", show_default="the search space's"),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(min=3, help="Length of windows in subwords.", show_default="the search space's"),
    ] = None,
    near_duplicates: Annotated[bool, typer.Option(help="Also search for near-identical sentences.")] = True,
    fail_on: Annotated[
        Literal["error", "warning"] | None,
        typer.Option(help="Exit with code 4 on findings of this severity or higher.", show_default="never"),
    ] = None,
    details: Annotated[
        bool, typer.Option("--details", help="Show the effect of each finding and more examples.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write the report as an HTML page.", show_default="none")] = None,
    output: Annotated[Path | None, typer.Option(help="Write the report as JSON.", show_default="none")] = None,
) -> None:
    """Check a corpus and its split for problems that distort the scores of a model.

    The data is read, split and cut into words as `tune-ner grid SPACE` would do it. Each finding has a severity, its
    effect on the scores, a suggestion, and examples with file and line.

    Examples:

        tune-ner audit --data corpus.jsonl

        tune-ner audit clean --data 1177_annotated_sentences.txt --split kfold:5

        tune-ner audit --data corpus.jsonl --fail-on error --html audit.html
    """
    with reported_errors() as console:
        from tune_ner.audit.rendering import print_report
        from tune_ner.config.loading import load_space
        from tune_ner.tuning.experiment import audit_data, load_data, load_tokenizers

        for name, file in (("--output", output), ("--html", html)):
            if file and (file.is_dir() or not file.absolute().parent.is_dir()):
                raise OutputError(f"{name} {file}: expected a file in an existing folder")
        given = {"word_tokenizer": words, "model": model or None, "max_length": max_length}
        settings = load_space(space or _ANY, overrides(data) | {k: v for k, v in given.items() if v is not None})
        with console.status("reading the data"):
            settings, corpus, splits = load_data(settings)
        encoders, corpus = _resolve(settings if space or model else None, corpus, is_required=bool(model))
        with console.status(f"checking {len(corpus):,} sentences"):
            tokenizers = load_tokenizers(encoders, corpus, splits)
            reports = audit_data(settings, corpus, splits, tokenizers, near_duplicates=near_duplicates)
        _write(reports, output, html)
        for fold, report in reports.items():
            if fold is not None:
                console.print(f"fold {fold}")
            print_report(console, report, details=details)
        if not details:
            console.print("`--details` shows the effect of each finding and more examples.", soft_wrap=True)
    if fail_on and any(report.at_least(fail_on) for report in reports.values()):
        raise typer.Exit(EXIT_FINDINGS)


def _resolve(space: SearchSpace | None, corpus: Corpus, *, is_required: bool) -> tuple[dict[str, Encoder], Corpus]:
    """Return the encoders of a search space, and the corpus with a note on those that are not available.

    Raises:
        EncoderError: an encoder is required and not available.
    """
    from tune_ner.training.encoders import resolve_encoder

    encoders: dict[str, Encoder] = {}
    notes: list[str] = []
    for name in space.model if space else ():
        try:
            encoders[name] = resolve_encoder(name)
        except EncoderError:
            if is_required:
                raise
            notes.append(f"encoder {name}: not available here, so its tokenizer is not checked")
    return encoders, replace(corpus, notes=(*corpus.notes, *notes))


def _write(reports: dict[int | None, Any], output: Path | None, html: Path | None) -> None:
    from tune_ner.audit.rendering import page_html
    from tune_ner.utils.io import atomic_write

    if output:
        content = [{"fold": fold, **report.as_dict()} for fold, report in reports.items()]
        plain = reports[None].as_dict() if None in reports else content
        atomic_write(output, json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=2) + "\n")
    if html:
        atomic_write(html, page_html(reports))
