"""Console output before a run: the data, the audit's verdict, notes and the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from rich.console import Console

from tune_ner.audit.findings import AuditReport
from tune_ner.audit.rendering import print_summary
from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import SPLIT_NAMES
from tune_ner.report.sections import Section, print_sections
from tune_ner.results.summary import describe_space
from tune_ner.results.test_set_log import EarlierUse
from tune_ner.tuning.experiment import Experiment
from tune_ner.tuning.options import SchedulerConfig, SearchSettings
from tune_ner.tuning.resources import TrialResources
from tune_ner.utils.console import print_line, print_table
from tune_ner.utils.text import MISSING, format_bytes, format_duration, format_value, plural, redact

_IN_EVERY_PLAN = ("model", "tagging_scheme", "learning_rate", "seed")


@dataclass(frozen=True)
class Plan:
    """A run that is planned and not started.

    Attributes:
        experiment: the prepared experiment.
        resources: resources of each trial.
        scheduler: the scheduler.
        search: budget and sampler of a search; None for a grid.
    """

    experiment: Experiment
    resources: TrialResources
    scheduler: SchedulerConfig
    search: SearchSettings | None = None


def print_data(console: Console, experiment: Experiment) -> None:
    """Print the number of sentences and entities of each split, and how the corpus was read."""
    corpus = experiment.corpus
    fold, split = next(iter(experiment.splits.items()))
    rows = []
    for split_name in SPLIT_NAMES:
        counts = corpus.entity_counts(split[split_name])
        numbers = {"sentences": len(split[split_name]), "entities": sum(counts.values()), **counts}
        rows.append({"split": split_name, **{name: f"{number:,}" for name, number in numbers.items()}})
    of_fold = "" if fold is None else f", fold {fold} of {len(experiment.splits)}"
    print_table(console, pd.DataFrame(rows), f"Data: {corpus.name}{of_fold}")
    for note in corpus.notes:
        print_note(console, note)


def print_note(console: Console, message: str) -> None:
    """Print a message for the user without the secrets in it."""
    print_line(console, redact(message), "note", "yellow")


def print_audit(console: Console, audits: Mapping[int | None, AuditReport], uses: Sequence[EarlierUse]) -> None:
    """Print the summary of the audit of each fold, and earlier runs that used the same test set."""
    for report in {report.summary: report for report in audits.values()}.values():
        print_summary(console, report)
    if uses:
        runs = ", ".join(f"{use.run} ({plural(use.trials, 'trial')})" for use in uses)
        text = f"evaluated before by {runs}. If models were chosen by these results, test scores are too optimistic."
        print_line(console, text, "test set", "yellow")


def print_plan(console: Console, plan: Plan) -> None:
    """Print the trials of a grid in the order of their start, or the ranges and the budget of a search."""
    experiment = plan.experiment
    if plan.search:
        print_sections(console, [Section("Search", (_describe_search(plan, plan.search),))])
        print_line(console, describe_trials(plan.search.trials, plan.resources, at_most=True))
        return
    values = experiment.space.grid_values
    shown = [name for name, found in values.items() if len(found) > 1 or name in _IN_EVERY_PLAN]
    rows = [
        {"#": number, "trial": trial.trial_id, **{name: _value(trial, name) for name in shown}}
        for number, trial in enumerate(experiment.schedule, start=1)
    ]
    print_table(console, pd.DataFrame(rows), "Trials, longest first")
    print_line(console, describe_trials(len(rows), plan.resources))
    if rungs := plan.scheduler.rungs(experiment.space.largest("epochs")):
        print_line(console, _describe_pruning(plan.scheduler, rungs))
    if experiment.precisions:
        print_line(console, describe_precision(experiment))
    print_line(console, f"Memory: about {format_bytes(experiment.memory.on_cpu)} per trial on a CPU (estimate).")
    print_line(console, f"Disk: about {format_bytes(experiment.disk_bytes)} of records, and the best model.")


def _value(trial: TrialConfig, name: str) -> str:
    return format_value(getattr(trial, name)) if trial.has_effect(name) else MISSING


def describe_trials(trials: int, resources: TrialResources, *, at_most: bool = False) -> str:
    """Return the number of trials, how many run at once, and the resources of each, in a sentence."""
    gpus = f" and {resources.gpus:g} GPU" if resources.gpus else ""
    threads = f"{plural(resources.cpus, 'CPU thread')}{gpus}"
    start = "At most " if at_most else ""
    if trials == 1:
        return f"{start}1 trial with {threads}."
    return f"{start}{trials} trials, {resources.concurrent} at once, each with {threads}."


def describe_precision(experiment: Experiment) -> str:
    """Return the precision that trials of this machine train in, in a sentence."""
    from tune_ner.training.precision import bf16_speedup

    by_encoder = experiment.precisions
    used = sorted(set(by_encoder.values()))
    encoders = [f"{name} in {precision}" for name, precision in by_encoder.items()] if len(used) > 1 else used
    reason = ""
    if "bf16" in used and experiment.space.precision == "auto":
        reason = f"; this CPU multiplies bf16 matrices {bf16_speedup():.1f} times as fast as fp32 ones"
    return f"Precision: {', '.join(encoders)}{reason}."


def _describe_pruning(scheduler: SchedulerConfig, rungs: Sequence[int]) -> str:
    if scheduler.name == "median":
        return f"Median scheduler: from epoch {rungs[0]} on, configurations below the median are pruned."
    epochs = f"epoch{'' if len(rungs) == 1 else 's'} {' and '.join(map(str, rungs))}"
    return f"ASHA scheduler: after {epochs}, about 1 in {scheduler.reduction_factor} configurations continues."


def _describe_search(plan: Plan, search: SearchSettings) -> dict[str, str]:
    space = plan.experiment.space
    points = [
        ", ".join(f"{name} {format_value(value)}" for name, value in point.items())
        for point in space.expand_initial_points()
    ]
    limits = [plural(search.trials, "trial")]
    if search.seconds is not None:
        limits.append(format_duration(search.seconds))
    if search.target_f1 is not None:
        limits.append(f"validation_{space.selection_metric} {search.target_f1:g}")
    return {
        **describe_space(space),
        "initial points": "; ".join(points) or "none",
        "sampler": f"{search.sampler}, seed {search.sampler_seed}",
        "scheduler": plan.scheduler.name,
        "ends after": " or ".join(limits),
        "confirmation": f"the best {plural(search.confirm, 'configuration')} with "
        f"{plural(search.confirm_seeds, 'new seed')} each, evaluated on test",
    }
