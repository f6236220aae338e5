"""What a person sees before trials run: the data, what the audit found, and the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tune_ner.audit.findings import AuditReport
from tune_ner.audit.rendering import print_summary
from tune_ner.data.corpus import SPLIT_NAMES
from tune_ner.results.test_set_log import EarlierUse
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.options import SchedulerConfig
from tune_ner.tuning.resources import TrialResources
from tune_ner.utils.redaction import redact
from tune_ner.utils.text import visible


def print_data(console: Console, experiment: Experiment) -> None:
    """Print what the corpus holds, part by part, and how it was read."""
    corpus = experiment.corpus
    fold, split = next(iter(experiment.splits.items()))
    table = Table(
        box=None,
        pad_edge=False,
        title=f"Data: {_plain(corpus.name)}{_fold(fold, experiment)}",
        title_justify="left",
        title_style="bold",
    )
    for heading in ("split", "sentences", "entities", *map(_plain, corpus.entity_types)):
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for split_name in SPLIT_NAMES:
        counts = corpus.entity_counts(split[split_name])
        numbers = [len(split[split_name]), sum(counts.values()), *counts.values()]
        table.add_row(split_name, *(f"{number:,}" for number in numbers))
    console.print(table)
    for note in corpus.notes:
        print_note(console, note)


def print_note(console: Console, what: str) -> None:
    """Print something that a user should know; a terminal breaks it between words, a pipe gets it whole."""
    _print(console, f"[yellow]note:[/] {_plain(redact(what))}")


def _fold(fold: int | None, experiment: Experiment) -> str:
    return "" if fold is None else f", fold {fold} of {len(experiment.splits)}"


def print_plan(
    console: Console,
    experiment: Experiment,
    resources: TrialResources,
    scheduler_config: SchedulerConfig = SchedulerConfig(),  # noqa: B008 - frozen
) -> None:
    """Print every trial in the order of their start, what each gets, and what they leave on the disk."""
    trials = experiment.schedule
    table = Table(box=None, pad_edge=False, title=_PLAN_TITLE, title_justify="left", title_style="bold")
    axes = {
        name: values for name, values in experiment.space.grid_values.items() if len(values) > 1 or name in _PLAN_AXES
    }
    for heading in ("#", "trial", *axes):
        table.add_column(heading, justify="right" if heading == "#" else "left", no_wrap=heading == "trial")
    for number, trial in enumerate(trials, start=1):
        table.add_row(str(number), trial.trial_id, *(_plain(f"{getattr(trial, name)}") for name in axes))
    console.print(table)
    _print(console, describe_resources(resources, len(trials)))
    if rungs := scheduler_config.rungs(experiment.space.largest("epochs")):
        after = " and ".join(f"{rung}" for rung in rungs)
        _print(
            console,
            f"ASHA: after epoch {after}, about 1 in {scheduler_config.reduction_factor} configurations continues, and "
            "the first to come.",
        )
    _print(console, f"Memory: about {_gigabytes(experiment.memory.on_cpu)} a trial on a CPU, by estimate.")
    console.print(
        f"Disk: about {experiment.disk_bytes / 1e6:.1f} MB of records and predicted spans, and the winner's weights.",
        highlight=False,
    )


_PLAN_TITLE = "Trials, the longest first"
_PLAN_AXES = ("model", "tagging_scheme", "learning_rate", "seed")


def describe_resources(resources: TrialResources, trials: int) -> str:
    """One sentence on what a trial gets and how many run at once."""
    gpus = f" and {resources.gpus:g} GPU" if resources.gpus else ""
    cpus = "1 CPU thread" if resources.cpus == 1 else f"{resources.cpus} CPU threads"
    if trials == 1:
        return f"1 trial with {cpus}{gpus}."
    return f"{trials} trials, {resources.concurrent} at once, each with {cpus}{gpus}."


def print_audit(console: Console, audits: Mapping[int | None, AuditReport], uses: Sequence[EarlierUse]) -> None:
    """Print the summary of the audit of each fold, and whether the test set was used before."""
    for report in {report.summary: report for report in audits.values()}.values():
        print_summary(console, report)
    if uses:
        told = ", ".join(f"{use.run} ({use.trials} trials)" for use in uses)
        _print(
            console,
            f"[yellow]test part used before[/] by {_plain(told)}: whoever read those figures may have chosen by them; "
            "a fresh test part is worth more.",
        )


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB"


def _plain(text: str) -> str:
    """Text that rich prints as it stands, square brackets included, and control characters as escapes."""
    return escape(visible(text))


def _print(console: Console, markup: str) -> None:
    """Print a line: whole for a reader that is a program, broken between words for a person."""
    console.print(markup, highlight=False, soft_wrap=not console.is_terminal)
