"""`tune-ner search [SPACE]`: search a space within a budget, then retrain and test its best configurations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from tune_ner.cli.console import display_of, finish, logged_folder, run_name, told_errors, trackers_of
from tune_ner.cli.options import (
    BatchOptions,
    DataOptions,
    FailureOptions,
    HyperparameterOptions,
    OutputOptions,
    ResourceOptions,
    SchedulerOptions,
    overrides,
    run_options,
    with_options,
)
from tune_ner.errors import SchedulingError

_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


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
    with told_errors() as console, logged_folder(output.results_dir, output.name or run_name(space)) as folder:
        from tune_ner.config.loading import load_space
        from tune_ner.results.leaderboard import RunResults
        from tune_ner.tracking.search_plan import SearchPlan
        from tune_ner.tuning.events import Listeners
        from tune_ner.tuning.experiment import audit_experiment, earlier_test_uses, prepare
        from tune_ner.tuning.options import SearchSettings

        display = display_of(console, folder.name, output.quiet, output.as_json)
        options = run_options(resources, scheduling, failures, output)
        resolved = load_space(space, overrides(data, hyperparameters, batches))
        resolved.check_search()
        from tune_ner.tuning.tuner import plan, run_experiment

        settings = SearchSettings(
            limits.trials,
            seconds_of(limits.time) if limits.time else None,
            limits.target_f1,
            sampling.sampler,
            sampling.sampler_seed,
            limits.confirm,
            limits.confirm_seeds,
            sampling.storage,
            sampling.study,
        )
        experiment = prepare(resolved)
        display.data(experiment)
        audits = audit_experiment(experiment)
        display.audit(audits, earlier_test_uses(experiment, folder))
        if output.dry_run:
            planned = plan(experiment, options, limits.trials)
            display.search_plan(SearchPlan(experiment, planned, options.scheduler, settings))
            return
        confirmations = limits.confirm * limits.confirm_seeds
        trackers = trackers_of(output.track, folder, experiment.title, display.on_note)
        interrupt: KeyboardInterrupt | None = None
        try:
            with display.following(experiment) as progress:
                run_experiment(experiment, folder, settings, options, Listeners(progress, *trackers), audits)
        except KeyboardInterrupt as error:
            interrupt = error
        if not folder.path.exists():
            raise interrupt or KeyboardInterrupt
        results = RunResults(folder)
        # a time limit or a target ends a search before its last trial
        expected = limits.trials + confirmations if interrupt else len(results.records)
        code = finish(display, trackers, results, expected, interrupt)
    raise typer.Exit(code)


def seconds_of(time: str) -> float:
    """Return the seconds of a time such as `30m`.

    Raises:
        SchedulingError: not a number with a unit.
    """
    match = _TIME.fullmatch(time.strip())
    if not match:
        raise SchedulingError(f"--time {time[:60]}: expected a number with s, m, h or d, for instance 30m")
    return float(match[1]) * _SECONDS[match[2]]
