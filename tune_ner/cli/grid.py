"""`tune-ner grid [SPACE]`: train and rank every combination of a search space."""

from __future__ import annotations

from typing import Annotated

import typer

from tune_ner.cli.console import reported_errors, run_name, start_run
from tune_ner.cli.options import (
    BatchOptions,
    DataOptions,
    FailureOptions,
    HyperparameterOptions,
    OutputOptions,
    ResourceOptions,
    SchedulerOptions,
    overrides,
    run_arguments,
    with_options,
)


@with_options
def grid(
    space: Annotated[
        str, typer.Argument(help="Search space: a YAML file, or notebook, clean, demo or minilm.")
    ] = "notebook",
    *,
    data: DataOptions,
    hyperparameters: HyperparameterOptions,
    batches: BatchOptions,
    resources: ResourceOptions,
    scheduling: SchedulerOptions,
    target_f1: Annotated[
        float | None,
        typer.Option(
            help="Stop a trial's training once its validation F1 reaches this value.",
            show_default="all epochs",
            rich_help_panel=SchedulerOptions.panel,
        ),
    ] = None,
    failures: FailureOptions,
    output: OutputOptions,
) -> None:
    """Train every combination of SPACE and rank the configurations by validation F1.

    Examples:

        tune-ner grid demo

        tune-ner grid minilm --data corpus.jsonl --lr 1e-4 --lr 3e-4

        tune-ner grid notebook --dry-run

        tune-ner grid demo --name mine --json > events.jsonl
    """
    replaced = overrides(data, hyperparameters, batches) | ({} if target_f1 is None else {"target_f1": target_f1})
    with reported_errors() as console:
        from tune_ner.config.loading import load_space

        start_run(
            console,
            load_space(space, replaced),
            output,
            run_arguments(resources, scheduling, failures, output),
            name=output.name or run_name(space),
        )
