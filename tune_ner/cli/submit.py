"""`tune-ner submit [SPACE]`: run a grid or search as a job of a Ray cluster and fetch its results."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tune_ner.cli.console import reported_errors, run_name
from tune_ner.cli.options import (
    BatchOptions,
    DataOptions,
    HyperparameterOptions,
    Name,
    overrides,
    with_options,
)
from tune_ner.errors import interrupt_code

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@with_options
def submit(
    context: typer.Context,
    address: Annotated[str, typer.Option(help="URL of the cluster's dashboard, such as http://head:8265.")],
    space: Annotated[
        str | None,
        typer.Argument(help="Search space: a YAML file or a bundled one.", show_default="that of grid or search"),
    ] = None,
    search: Annotated[bool, typer.Option("--search", help="Run a search instead of a grid.")] = False,
    name: Name = None,
    results_dir: Annotated[Path, typer.Option(help="Folder in which the run folder is put.")] = Path("results"),
    weights: Annotated[
        bool, typer.Option("--weights/--no-weights", help="Fetch the weights of the best model (best/) too.")
    ] = True,
    remote_results_dir: Annotated[
        str,
        typer.Option(
            help="Folder in which run folders are created: on the head node, or a URL such as s3://bucket/runs."
        ),
    ] = "~/tune_ner_results",
    *,
    data: DataOptions,
    hyperparameters: HyperparameterOptions,
    batches: BatchOptions,
) -> None:
    """Run SPACE as a job of a Ray cluster, print its output, and fetch its run folder.

    Local data and models are uploaded. All other options of `grid`, or of `search` with --search, are passed on.
    Ctrl-C leaves the job running; repeat the command with the same --name to follow it again.

    Examples:

        tune-ner submit demo --address http://127.0.0.1:8265 --name night

        tune-ner submit my-space.yaml --search --address http://head:8265
    """
    with reported_errors() as console:
        from tune_ner.cluster.job_submission import Job, JobServer
        from tune_ner.config.loading import load_space
        from tune_ner.results.run_dir import RunDir

        space = space or ("search" if search else "notebook")
        name = name or run_name(space)
        folder = RunDir.new(results_dir, name, resume=True)
        resolved = load_space(space, overrides(data, hyperparameters, batches))
        if search:
            resolved.check_search()
        else:
            resolved.check_grid()
        job = Job("search" if search else "grid", resolved, name, tuple(context.args), remote_results_dir)
        server = JobServer(address)
        # standard output contains only the job's output, which is JSON with --json
        notes = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
        job_id = server.submit(job)
        notes.print(f"Job {job_id} on {address}, run {name}")
        try:
            server.follow(job_id, partial(_pass_on, console))
        except KeyboardInterrupt as error:
            notes.print(
                f"The job is still running. Repeat the command with --name {name} to follow it again, or stop it with "
                f"`ray job stop --address {address} {job_id}`."
            )
            raise typer.Exit(interrupt_code(error)) from None
        if server.fetch(job, folder.path, weights):
            notes.print(f"Fetched to {folder.path}")
        # after fetching, because a stopped job has records too
        code = server.exit_code(job_id)
    raise typer.Exit(code)


def _pass_on(console: Console, text: str) -> None:
    """Print the output of a job unchanged, without rich's wrapping and markup."""
    try:
        print(text, end="", flush=True)  # noqa: T201
    except BrokenPipeError:
        console.on_broken_pipe()
