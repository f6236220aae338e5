"""`python -m tune_ner submit [SPACE]`: a grid or search as a job of a Ray cluster, its results brought here."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tune_ner.cli.console import code_of, given, run_name, told_errors

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def submit(
    context: typer.Context,
    address: Annotated[str, typer.Option(help="The cluster's dashboard, for instance http://head:8265.")],
    space: Annotated[
        str | None,
        typer.Argument(help="A YAML file, or the name of a bundled space.", show_default="that of the grid or search"),
    ] = None,
    search: Annotated[bool, typer.Option("--search", help="Search instead of a grid.")] = False,
    data: Annotated[str | None, typer.Option(help="As for the grid; a file or folder is shipped.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="As for the grid; a folder is shipped; repeatable.")] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the run; one that is there goes on.", show_default="space, time"),
    ] = None,
    results_dir: Annotated[Path, typer.Option(help="Where the run folder is brought to.")] = Path("results"),
    weights: Annotated[
        bool, typer.Option("--weights/--no-weights", help="Bring the winner's weights (best/) too.")
    ] = True,
    remote_results_dir: Annotated[
        str, typer.Option(help="Where run folders are made on the head node.")
    ] = "~/tune_ner_results",
) -> None:
    """Run SPACE on a cluster through Ray's job server, follow it, and bring its run folder here.

    All other options are those of the grid, or of the search with --search. After Ctrl-C the job goes on, and the same
    command with the same --name follows it again.

    Examples:

        tune-ner submit demo --address http://127.0.0.1:8265 --name night

        tune-ner submit my-space.yaml --search --address http://head:8265
    """
    with told_errors() as console:
        from tune_ner.cluster.job_submission import Job, JobServer
        from tune_ner.config.loading import load_space
        from tune_ner.results.run_dir import RunDir

        space = space or ("search" if search else "notebook")
        name = name or run_name(space)
        folder = RunDir.available(results_dir, name, may_go_on=True)
        resolved = load_space(space, given({"data": data, "model": model}))
        if search:
            resolved.check_search()
        else:
            resolved.check_grid()
        job = Job("search" if search else "grid", resolved, name, tuple(context.args), remote_results_dir)
        server = JobServer(address)
        # standard output is the job's alone, which with --json is read by machines
        notes = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
        job_id = server.submit(job)
        notes.print(f"Job {job_id} on {address}, run {name}")
        try:
            server.follow(job_id, partial(_pass_on, console))
        except KeyboardInterrupt as error:
            notes.print(
                f"The job goes on; the same command with --name {name} follows it again, and `ray job stop --address "
                f"{address} {job_id}` ends it."
            )
            raise typer.Exit(code_of(error)) from None
        if server.fetch(job, folder.path, weights):
            notes.print(f"Fetched to {folder.path}")
        # only now: one that was stopped has left records all the same
        code = server.exit_code(job_id)
    raise typer.Exit(code)


def _pass_on(console: Console, text: str) -> None:
    """Print what a job printed as it came, without rich's wrapping and markup."""
    try:
        print(text, end="", flush=True)  # noqa: T201
    except BrokenPipeError:
        console.on_broken_pipe()
