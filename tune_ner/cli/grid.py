"""`tune-ner grid [SPACE]`: train and rank every combination of a search space."""

from __future__ import annotations

from typing import Annotated

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
    with told_errors() as console, logged_folder(output.results_dir, output.name or run_name(space)) as folder:
        from tune_ner.config.loading import load_space
        from tune_ner.results.leaderboard import RunResults
        from tune_ner.tuning.events import Listeners
        from tune_ner.tuning.experiment import audit_experiment, earlier_test_uses, prepare

        display = display_of(console, folder.name, output.quiet, output.as_json)
        options = run_options(resources, scheduling, failures, output)
        resolved = load_space(space, replaced)
        resolved.check_grid()
        from tune_ner.tuning.tuner import plan, run_experiment

        experiment = prepare(resolved)
        display.data(experiment)
        audits = audit_experiment(experiment)
        display.audit(audits, earlier_test_uses(experiment, folder))
        if output.dry_run:
            display.plan(experiment, plan(experiment, options, len(experiment.trials)), options.scheduler)
            return
        trackers = trackers_of(output.track, folder, experiment.title, display.on_note)
        interrupt: KeyboardInterrupt | None = None
        try:
            with display.following(experiment) as progress:
                run_experiment(experiment, folder, None, options, Listeners(progress, *trackers), audits)
        except KeyboardInterrupt as error:
            interrupt = error
        if not folder.path.exists():
            raise interrupt or KeyboardInterrupt
        results = RunResults(folder)
        code = finish(display, trackers, results, len(experiment.trials), interrupt)
    raise typer.Exit(code)
