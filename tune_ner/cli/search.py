"""`tune-ner search [SPACE]`: search a space within a budget, then retrain and test its best configurations."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar

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


@dataclass(frozen=True)
class BudgetOptions:
    """End of the search, and the confirmation of its best configurations."""

    panel: ClassVar[str] = "Budget"

    trials: Annotated[int, typer.Option(help="Trials of the search, earlier sessions included.")] = 30
    time: Annotated[
        str | None, typer.Option(help="Time limit of the search: 90s, 30m, 8h or 2d.", show_default="none")
    ] = None
    target_f1: Annotated[
        float | None, typer.Option(help="Stop the search once validation F1 reaches this value.", show_default="none")
    ] = None
    confirm: Annotated[int, typer.Option(help="Number of best configurations to retrain and test.")] = 3
    confirm_seeds: Annotated[int, typer.Option(help="Further seeds for each of them.")] = 3


@dataclass(frozen=True)
class SamplerOptions:
    """Optuna's sampler and storage."""

    panel: ClassVar[str] = "Sampler"

    sampler: Annotated[str, typer.Option(help="tpe, or random for comparison.")] = "tpe"
    sampler_seed: Annotated[int, typer.Option(help="Seed of the sampler.")] = 0
    storage: Annotated[
        str | None, typer.Option(help="Database URL of the Optuna study.", show_default="study.db in the run folder")
    ] = None
    study: Annotated[
        str | None,
        typer.Option(help="Name of the study. An existing study is resumed.", show_default="name of the run"),
    ] = None


@with_options
def search(
    space: Annotated[str, typer.Argument(help="Search space: a YAML file, or the bundled space `search`.")] = "search",
    *,
    data: DataOptions,
    hyperparameters: HyperparameterOptions,
    batches: BatchOptions,
    limits: BudgetOptions,
    sampling: SamplerOptions,
    resources: ResourceOptions,
    scheduling: SchedulerOptions,
    failures: FailureOptions,
    output: OutputOptions,
) -> None:
    """Search SPACE with Optuna, then retrain the best configurations with further seeds and test them.

    Examples:

        tune-ner search --trials 12

        tune-ner search --dry-run

        tune-ner search my-space.yaml --data corpus.jsonl --time 30m

        tune-ner search my-space.yaml --name night --storage sqlite:///night.db
    """
    with reported_errors() as console:
        from tune_ner.config.loading import load_space
        from tune_ner.tuning.options import SearchSettings, parse_time

        seconds = parse_time(limits.time) if limits.time else None
        budget = {name: value for name, value in asdict(limits).items() if name != "time"}
        start_run(
            console,
            load_space(space, overrides(data, hyperparameters, batches)),
            output,
            run_arguments(resources, scheduling, failures, output),
            name=output.name or run_name(space),
            search=SearchSettings(seconds=seconds, **budget, **asdict(sampling)),
        )
