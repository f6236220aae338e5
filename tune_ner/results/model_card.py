"""The card of the model in `best/`: what it is, on what it was trained, what it reaches, and what it does not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any

import yaml
from rich.console import Console

from tune_ner.data.corpus import SplitName
from tune_ner.evaluation.confidence_intervals import Interval, f1_interval
from tune_ner.evaluation.seqeval_metrics import TypeMetrics
from tune_ner.results.effects import summary_lines
from tune_ner.results.leaderboard import RunResults
from tune_ner.results.overview import data_of, print_audit_section, split_of
from tune_ner.results.records import TrialRecord
from tune_ner.results.selection import varied_axes
from tune_ner.results.warnings import cautions
from tune_ner.training.model_export import InferenceConfig
from tune_ner.training.result import SplitMetrics
from tune_ner.utils.renderers import Column, Layout, MarkdownLayout, Sheet

CARD_FILE = "README.md"

_NOT_KNOWN = "not known to this software: fill in"
_MOST_NAMED = 10
_REVISION = re.compile(r"[0-9a-f]{40}")
_PARTS: tuple[SplitName, ...] = ("validation", "test")
_USE = """\
```python
from transformers import pipeline

find = pipeline("token-classification", MODEL, aggregation_strategy="{strategy}")
find("...")
```

```sh
tune-ner predict MODEL "..."
tune-ner predict MODEL --file texts.jsonl
```
"""
_FIGURE_COLUMNS = tuple(Column(heading, right=True) for heading in ("precision", "recall", "F1", "95 %", "entities"))


def model_card(results: RunResults) -> str | None:
    """The card, as Markdown with the front matter of the Hugging Face hub; None where the run left no model.

    Raises:
        ModelError: the settings in `best/` are faulty.
    """
    models = results.folder.models
    record = next((record for record in results.records if record.trial_id == models.exported), None)
    if record is None or record.result is None:
        return None
    settings = InferenceConfig.read(models.best)
    text = StringIO()
    text.write(f"---\n{yaml.safe_dump(_front_matter(results, record), allow_unicode=True, sort_keys=False)}---\n")
    layout = MarkdownLayout(Console(file=text))
    _print_what_it_is(layout, results, record)
    layout.heading("Use")
    # what a word's later subwords say was never trained where its first one alone has a label
    text.write("\n" + _USE.format(strategy="simple" if record.config.subword_labels == "all" else "first"))
    _print_use(layout, record)
    _print_figures(layout, results, record)
    _print_data(layout, results, record)
    print_audit_section(layout, results.evidence.audits)
    _print_training(layout, record, settings)
    _print_limits(layout, record)
    return text.getvalue()


def _front_matter(results: RunResults, record: TrialRecord) -> dict[str, Any]:
    """What the hub reads. The language is left out, since nobody said which it is."""
    config, space = record.config, results.space
    found: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "token-classification",
        "tags": ["token-classification", "named-entity-recognition", "tune-ner"],
    }
    if _REVISION.fullmatch(config.model_fingerprint):
        found["base_model"] = config.model
    if not isinstance(space, str) and (space.data or "").startswith("hub:"):
        found["datasets"] = [(space.data or "").split(":")[1]]
    return found


def _print_what_it_is(layout: Layout, results: RunResults, record: TrialRecord) -> None:
    assert record.result
    config = record.config
    layout.title(config.titled(varied_axes(results.records)))
    types = list(record.result.metrics["test"].spans.per_type)
    layout.line(
        f"Marks entities of the types {', '.join(types)} in text. Fine-tuned from {config.model}, with the tagging "
        f"scheme {config.tagging_scheme}, by tune_ner; trial {record.trial_id} of run {results.folder.name}."
    )


def _print_use(layout: Layout, record: TrialRecord) -> None:
    config = record.config
    layout.line("MODEL is the folder of this file, or the name that it has on the hub.")
    layout.item(
        f"`tune-ner predict` cuts texts into words as training did ({config.word_tokenizer}), reads a word at its "
        f"first subword, decodes by the scheme ({config.decoding}) and reads long texts in overlapping windows: the "
        "figures below are of that."
    )
    layout.item(
        'The pipeline, with `aggregation_strategy="first"`, reads a word at its first subword too; it cuts what is '
        "longer than its tokenizer allows unless it is given a `stride`."
    )
    if config.subword_labels == "first":
        layout.item(
            'With "simple" every subword speaks, and only the first one of a word was trained to: do not use it.'
        )
    if config.tagging_scheme in ("BIOES", "BILOU"):
        layout.item(
            f"The pipeline knows the letters B and I alone: groups of this {config.tagging_scheme} model come out in "
            "pieces, and those of other letters carry them in their name, as in `S-TYPE`."
        )


def _print_figures(layout: Layout, results: RunResults, record: TrialRecord) -> None:
    assert record.result
    layout.heading("Figures")
    scores = record.result.metrics
    rows = ((split_name, _micro(scores[split_name]), _interval(results, record, split_name)) for split_name in _PARTS)
    layout.table(_sheet("Exact spans of this model", "split", rows))
    test = scores["test"]
    kinds: Mapping[str, TypeMetrics] = {
        **test.spans.per_type,
        "forms seen in train": test.seen,
        "forms not seen": test.unseen,
    }
    layout.table(_sheet("Test, by type and form", "what", ((name, each, None) for name, each in kinds.items())))
    best = results.leaderboard_entries[0]
    if record.trial_id in best.ranked.completed:
        for line in summary_lines(results.leaderboard_entries, results.records):
            layout.item(line)
        told = [item.ranked.configuration for item in results.leaderboard_entries[1:] if item.tied]
        names = [each.titled(varied_axes(results.records), replicate=False) for each in told[:_MOST_NAMED]]
        if names:
            more = f"; and {len(told) - len(names)} more" if len(told) > len(names) else ""
            layout.item(f"Not told from the best on validation: {'; '.join(names)}{more}.")
    for line in cautions(results):
        layout.item(line)


def _sheet(title: str, first: str, rows: Iterable[tuple[str, TypeMetrics, Interval | None]]) -> Sheet:
    return Sheet(
        title,
        (Column(first), *_FIGURE_COLUMNS),
        tuple(
            (
                name,
                *(f"{value:.3f}" for value in (figures.precision, figures.recall, figures.f1)),
                f"{interval.low:.3f} to {interval.high:.3f}" if interval else "",
                f"{figures.support:,}",
            )
            for name, figures, interval in rows
        ),
    )


def _micro(scores: SplitMetrics) -> TypeMetrics:
    return TypeMetrics(scores.spans.precision, scores.spans.recall, scores.spans.f1, scores.spans.support)


def _interval(results: RunResults, record: TrialRecord, split_name: SplitName) -> Interval:
    counts, sentences = results.evidence.replicates([record], split_name)
    return f1_interval(counts, groups=sentences)


def _print_data(layout: Layout, results: RunResults, record: TrialRecord) -> None:
    assert record.result
    space, config = results.space, record.config
    layout.heading("Data")
    sizes = ", ".join(
        f"{split_name} {account['sentences']:,}" for split_name, account in record.result.encoding.items()
    )
    layout.facts(
        {
            "data": data_of(space),
            "licence of the data": _NOT_KNOWN,
            "language": _NOT_KNOWN,
            **({} if isinstance(space, str) else {"split": split_of(space.split)}),
            **({} if config.fold is None else {"fold": f"{config.fold}, whose test part it was measured on"}),
            "sentences": sizes,
            "fingerprint": config.data_fingerprint,
        }
    )
    layout.line(
        "Protocol: trained on train; the epoch and the configuration were chosen by validation alone; test was "
        "measured once a trial, and nothing was chosen by it."
    )


def _print_training(layout: Layout, record: TrialRecord, settings: InferenceConfig | None) -> None:
    assert record.result
    result = record.result
    layout.heading("Training")
    config = record.config.model_dump(exclude={"data_fingerprint"}, exclude_none=True)
    layout.facts(
        {
            **{name: str(value) for name, value in config.items() if value != ""},
            **({} if record.config.dropout is not None else {"dropout": "the encoder's own"}),
            "epochs trained": f"{len(result.epochs)}, of which number {result.best_epoch} is this model",
            "precision used": result.precision_used,
            "parameters": f"{result.parameters:,}",
            "hardware": f"{result.device}, {result.threads} CPU threads",
            "seconds": f"{record.seconds:.0f}",
            "versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
        }
    )
    if settings and settings.retraining_differences is not None:
        same = "with the same figures as its record has"
        other = f"and did not come out as its record has it: {'; '.join(settings.retraining_differences)}"
        layout.line(
            f"These weights were trained once more {other if settings.retraining_differences else same}.", "note"
        )


def _print_limits(layout: Layout, record: TrialRecord) -> None:
    assert record.result
    scores = record.result.metrics["test"]
    layout.heading("Limits")
    layout.item("The figures hold for texts like those of the test part. On others it has to be measured anew.")
    layout.item(
        f"On entities whose form train did not have, test F1 is {scores.unseen.f1:.3f}; on the others "
        f"{scores.seen.f1:.3f}."
    )
    layout.item("Entities that overlap or lie within each other are not found, nor are parts of a word.")
    account = record.result.encoding["test"]
    lost = account["entities_cut"] + sum(account["problems"].values())
    if lost:
        layout.item(f"Its tags could not hold {lost} of {account['entities']} test entities as annotated.")
    layout.item("A score is a probability of the model, not calibrated.")
