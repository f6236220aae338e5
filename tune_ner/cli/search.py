"""`python -m tune_ner.search [SPACE]`: a space with continuous axes searched within a budget, its best confirmed."""

from __future__ import annotations

import re
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
from tune_ner.cli.grid import Data, Markup
from tune_ner.errors import SchedulingError

_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def search(
    space: Annotated[str, typer.Argument(help="A YAML file, or the bundled space `search`.")] = "search",
    data: Data = None,
    markup: Markup = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Hub id, folder, package:NAME or tiny:LxH; repeatable.")
    ] = None,
    scheme: Scheme = None,
    epochs: Epochs = None,
    split: Annotated[
        str | None, typer.Option(help="random, or grouped (near duplicates on one side).", show_default="random")
    ] = None,
    words: Words = None,
    trials: Annotated[int, typer.Option(help="Trials of the search, those of an earlier start included.")] = 30,
    time: Annotated[str | None, typer.Option(help="Time for it: 90s, 30m, 8h or 2d.", show_default="any")] = None,
    target_f1: Annotated[
        float | None, typer.Option(help="Search no further once validation F1 is this.", show_default="none")
    ] = None,
    confirm: Annotated[int, typer.Option(help="How many of the best are trained anew and measured on test.")] = 3,
    confirm_seeds: Annotated[int, typer.Option(help="With how many fresh seeds each.")] = 3,
    sampler: Annotated[str, typer.Option(help="tpe, or random for comparison.")] = "tpe",
    sampler_seed: Annotated[int, typer.Option(help="Seed of the sampler.")] = 0,
    storage: Annotated[
        str | None, typer.Option(help="Database URL of the Optuna study.", show_default="study.db of the run")
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Its name there; one that is there goes on.", show_default="that of the run")
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
    """Search SPACE with Optuna under Ray Tune, then train the best with fresh seeds and measure them on test.

    Examples:

        tune-ner search --trials 12

        tune-ner search --dry-run

        tune-ner search my-space.yaml --data corpus.jsonl --time 30m

        tune-ner search my-space.yaml --name night --storage sqlite:///night.db
    """
    overrides = {
        "data": data,
        "markup": markup,
        "model": model,
        "tagging_scheme": scheme,
        "epochs": epochs,
        "split": split,
        "word_tokenizer": words,
    }
    with told_errors() as console, logged_folder(results_dir, name or run_name(space)) as folder:
        from tune_ner.config.loading import load_space
        from tune_ner.results.leaderboard import RunResults
        from tune_ner.tracking.search_plan import SearchPlan
        from tune_ner.tuning.events import Listeners
        from tune_ner.tuning.experiment import audit_experiment, earlier_test_uses, prepare
        from tune_ner.tuning.options import FailureConfig, ResourceRequest, RunOptions, SchedulerConfig, SearchSettings

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
        resolved.check_search()
        from tune_ner.tuning.tuner import plan, run_experiment

        settings = SearchSettings(
            trials,
            None if time is None else seconds_of(time),
            target_f1,
            sampler,
            sampler_seed,
            confirm,
            confirm_seeds,
            storage,
            study,
        )
        experiment = prepare(resolved)
        display.data(experiment)
        audits = audit_experiment(experiment)
        display.audit(audits, earlier_test_uses(experiment, folder))
        if dry_run:
            resources = plan(experiment, options, trials)
            display.search_plan(SearchPlan(experiment, resources, options.scheduler, settings))
            return
        total = trials + confirm * confirm_seeds
        trackers = trackers_of(track, folder, experiment.title, display.on_note)
        interrupt: KeyboardInterrupt | None = None
        try:
            with display.following(experiment) as progress:
                run_experiment(experiment, folder, settings, options, Listeners(progress, *trackers), audits)
        except KeyboardInterrupt as error:
            interrupt = error
        if not folder.path.exists():
            raise interrupt or KeyboardInterrupt
        results = RunResults(folder)
        # Within a budget of time, or with an aim, a search that ends as it should has fewer trials than it might have.
        expected = total if interrupt else len(results.records)
        code = finish(display, trackers, results, expected, interrupt)
    raise typer.Exit(code)


def seconds_of(said: str) -> float:
    """Seconds of a time such as `30m`.

    Raises:
        SchedulingError: it is none.
    """
    match = _TIME.fullmatch(said.strip())
    if not match:
        raise SchedulingError(f"--time {said[:60]}: expected a number with s, m, h or d, for instance 30m")
    return float(match[1]) * _SECONDS[match[2]]
