"""`python -m tune_ner.grid [SPACE]`: every combination of a search space, trained and ranked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tune_ner.cli.console import (
    Epochs,
    Json,
    Quiet,
    Scheme,
    Track,
    Words,
    display_of,
    finish,
    given,
    logged_folder,
    run_name,
    told_errors,
    trackers_of,
)

Data = Annotated[
    str | None,
    typer.Option(help="hub:DATASET[:CONFIG], synthetic[:SENTENCES], or a file or folder.", show_default="the space's"),
]
Markup = Annotated[
    str | None, typer.Option(help="'keep' the annotation in the text, or 'strip' it.", show_default="the space's")
]


def grid(
    space: Annotated[str, typer.Argument(help="A YAML file, or notebook, clean, demo or minilm.")] = "notebook",
    data: Data = None,
    markup: Markup = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Hub id, folder, package:NAME or tiny:LxH; repeatable.")
    ] = None,
    scheme: Scheme = None,
    lr: Annotated[list[float] | None, typer.Option(help="Learning rate; repeatable.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Seed; repeatable, each one a replicate.")] = None,
    epochs: Epochs = None,
    split: Annotated[
        str | None,
        typer.Option(help="random, grouped (near duplicates on one side) or kfold:K (grouped).", show_default="random"),
    ] = None,
    words: Words = None,
    batching: Annotated[
        str | None, typer.Option(help="auto, padding_free or padded.", show_default="the space's")
    ] = None,
    trim_vocabulary: Annotated[
        bool | None,
        typer.Option(
            "--trim-vocabulary/--whole-vocabulary",
            help="Leave out embeddings of subwords that the corpus lacks.",
            show_default="the space's",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the run; one that is there goes on.", show_default="space, time"),
    ] = None,
    results_dir: Annotated[Path, typer.Option(help="Where run folders are made.")] = Path("results"),
    gpus_per_trial: Annotated[float | None, typer.Option(help="0 to 1.", show_default="by memory")] = None,
    cpus_per_trial: Annotated[int | None, typer.Option(help="Threads of a trial.", show_default="1")] = None,
    max_concurrent: Annotated[int | None, typer.Option(help="Trials at once.", show_default="all that fit")] = None,
    scheduler: Annotated[
        str, typer.Option(help="fifo, or stop configurations that are behind: asha, median.")
    ] = "fifo",
    grace_period: Annotated[int, typer.Option(help="Epochs before a trial may be stopped.")] = 1,
    reduction_factor: Annotated[int, typer.Option(help="asha: of how many configurations about one goes on.")] = 3,
    target_f1: Annotated[
        float | None, typer.Option(help="Train no further than this validation F1.", show_default="all epochs")
    ] = None,
    max_failures: Annotated[int, typer.Option(help="How often a trial whose worker died is tried anew.", min=0)] = 2,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run trials again that failed in an earlier start.")
    ] = False,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            help="Save trials in the run folder after every N epochs, to go on from there.", show_default="never", min=1
        ),
    ] = None,
    export: Annotated[bool, typer.Option(help="Leave the winner's model in best/ of the run folder.")] = True,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster: auto, or HOST:6379.")] = None,
    dashboard: Annotated[bool, typer.Option(help="Start Ray's dashboard on this machine.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    track: Track = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train every combination of SPACE under Ray Tune and rank them by validation F1.

    Examples:

        tune-ner grid demo

        tune-ner grid minilm --data corpus.jsonl --lr 1e-4 --lr 3e-4

        tune-ner grid notebook --dry-run

        tune-ner grid demo --name mine --json > events.jsonl
    """
    overrides = {
        "data": data,
        "markup": markup,
        "model": model,
        "tagging_scheme": scheme,
        "learning_rate": lr,
        "seed": seed,
        "epochs": epochs,
        "split": split,
        "word_tokenizer": words,
        "batching": batching,
        "trim_vocabulary": trim_vocabulary,
        "target_f1": target_f1,
    }
    with told_errors() as console, logged_folder(results_dir, name or run_name(space)) as folder:
        from tune_ner.config.loading import load_space
        from tune_ner.results.leaderboard import RunResults
        from tune_ner.tuning.events import Listeners
        from tune_ner.tuning.experiment import audit_experiment, earlier_test_uses, prepare
        from tune_ner.tuning.options import FailureConfig, ResourceRequest, RunOptions, SchedulerConfig

        display = display_of(console, folder.name, quiet, as_json)
        options = RunOptions(
            ResourceRequest(cpus_per_trial, gpus_per_trial, max_concurrent),
            SchedulerConfig(scheduler, grace_period, reduction_factor),
            FailureConfig(max_failures, retry_failed, checkpoint_every),
            address,
            dashboard,
            export,
        )
        resolved = load_space(space, given(overrides))
        resolved.check_grid()
        from tune_ner.tuning.tuner import plan, run_experiment

        experiment = prepare(resolved)
        display.data(experiment)
        audits = audit_experiment(experiment)
        display.audit(audits, earlier_test_uses(experiment, folder))
        if dry_run:
            display.plan(experiment, plan(experiment, options, len(experiment.trials)), options.scheduler)
            return
        trackers = trackers_of(track, folder, experiment.title, display.on_note)
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
