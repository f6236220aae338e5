"""Options shared by the commands: one dataclass per panel of `--help`, and a decorator that adds them to a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import asdict, dataclass, fields, is_dataclass, make_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from tune_ner.config.hyperparameters import HYPERPARAMETERS, Hyperparameter
from tune_ner.data.formats.options import FormatName
from tune_ner.tagging.overlaps import OverlapPolicy

Name = Annotated[
    str | None, typer.Option(help="Run name. An existing run is resumed.", show_default="search space and time")
]
ResultsDir = Annotated[
    str, typer.Option(help="Folder in which run folders are created: a path, or a URL such as s3://bucket/runs.")
]


@dataclass(frozen=True)
class ColumnOptions:
    """Where a corpus has its tokens, tags and types; the names are those of `ReadOptions`."""

    panel: ClassVar[str] = "Reading"

    token_column: Annotated[
        str | None, typer.Option(help="Column of the tokens, by number from 1 or name.", show_default="detected")
    ] = None
    tag_column: Annotated[
        str | None,
        typer.Option(help="Column of the tags, or layer of entities, by number or name.", show_default="detected"),
    ] = None
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column", help="Key of JSON rows: text, spans, tokens or tags=KEY; repeatable.", show_default="detected"
        ),
    ] = None
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            help="New name of a type, or name of an integer tag: OLD=NEW; repeatable.",
            show_default="as read",
        ),
    ] = None
    multiple_labels: Annotated[
        str | None, typer.Option(help="Tags with several labels: error, or first.", show_default="error")
    ] = None
    discontinuous: Annotated[
        str | None, typer.Option(help="Entities of several parts: omit, cover, or error.", show_default="omit")
    ] = None


@dataclass(frozen=True)
class ReadingOptions(ColumnOptions):
    """How to read a corpus; the names are those of `ReadOptions`."""

    group_by: Annotated[
        str | None,
        typer.Option(
            help="Keep sentences of the same group in one split: document, file, or a key or column of the data.",
            show_default="each sentence on its own",
        ),
    ] = None
    format: Annotated[
        str | None,
        typer.Option(help=f"Format of the data: {', '.join(get_args(FormatName))}.", show_default="ending and content"),
    ] = None


@dataclass(frozen=True)
class DataOptions(ReadingOptions):
    """Corpus, annotation markup and split."""

    panel: ClassVar[str] = "Data (replaces the search space's)"

    data: Annotated[
        str | None, typer.Option(help="A file or folder, hub:DATASET[:CONFIG], or synthetic[:SENTENCES].")
    ] = None
    markup: Annotated[str | None, typer.Option(help="keep the annotation markup in the text, or strip it.")] = None
    overlaps: Annotated[
        str | None,
        typer.Option(help=f"Which of overlapping entities is trained on: {', '.join(get_args(OverlapPolicy))}."),
    ] = None
    split: Annotated[
        str | None, typer.Option(help="random, grouped (near-duplicates in one split), or kfold:K (grouped).")
    ] = None


def _hyperparameter_field(each: Hyperparameter) -> tuple[str, Any, None]:
    """Return the dataclass field of a hyperparameter."""
    one_of = f" One of {', '.join(each.choices)}." if each.choices else ""
    repeatable = " Repeatable." if each.row.is_repeatable else ""
    metavar = {float: "FLOAT", int: "INT"}.get(each.base_type, "TEXT")
    option = typer.Option(f"--{each.row.option}", help=each.row.help + one_of + repeatable, metavar=metavar)
    kind: Any = list[each.base_type] if each.row.is_repeatable else each.base_type  # type: ignore[name-defined]
    return each.name, Annotated[kind | None, option], None


class _HyperparameterPanel:
    panel: ClassVar[str] = "Hyperparameters (replace the search space's)"


if TYPE_CHECKING:

    @dataclass(frozen=True)
    class HyperparameterOptions(_HyperparameterPanel):
        """Values of hyperparameters; the fields are those of the table that have an option."""
else:
    HyperparameterOptions = make_dataclass(
        "HyperparameterOptions",
        [_hyperparameter_field(each) for each in HYPERPARAMETERS.values() if each.row.option],
        bases=(_HyperparameterPanel,),
        frozen=True,
    )


@dataclass(frozen=True)
class BatchOptions:
    """Precision, layout of batches and size of the vocabulary."""

    panel: ClassVar[str] = "Speed and memory (replace the search space's)"

    precision: Annotated[
        str | None,
        typer.Option(help="fp32, fp16, bf16, or auto: fp16 on CUDA, bf16 on CPUs that compute it faster, else fp32."),
    ] = None
    batching: Annotated[
        str | None, typer.Option(help="padding_free, padded, or auto: padding_free for encoders that support it.")
    ] = None
    trim_vocabulary: Annotated[
        bool | None,
        typer.Option("--trim-vocabulary/--whole-vocabulary", help="Drop embeddings of subwords that the corpus lacks."),
    ] = None


@dataclass(frozen=True)
class ResourceOptions:
    """Resources of each trial, and the cluster."""

    panel: ClassVar[str] = "Resources"

    gpus_per_trial: Annotated[
        float | None, typer.Option(help="GPUs per trial, from 0 to 1.", show_default="by memory")
    ] = None
    cpus_per_trial: Annotated[int | None, typer.Option(help="CPU threads per trial.", show_default="1")] = None
    max_concurrent: Annotated[
        int | None, typer.Option(help="Largest number of concurrent trials.", show_default="as many as fit")
    ] = None
    address: Annotated[str | None, typer.Option(help="Address of a running Ray cluster: auto, or HOST:6379.")] = None
    dashboard: Annotated[bool, typer.Option(help="Start Ray's dashboard on this machine.")] = True


@dataclass(frozen=True)
class SchedulerOptions:
    """Pruning of weak configurations."""

    panel: ClassVar[str] = "Scheduling"

    scheduler: Annotated[
        str, typer.Option(help="fifo trains every trial to its end; asha and median stop weak configurations early.")
    ] = "fifo"
    grace_period: Annotated[int, typer.Option(help="Epochs before a trial can be stopped.")] = 1
    reduction_factor: Annotated[
        int, typer.Option(help="ASHA reduction factor: about 1 in N configurations continues at each rung.")
    ] = 3


@dataclass(frozen=True)
class FailureOptions:
    """Retries, checkpoints and data with errors."""

    panel: ClassVar[str] = "Failures"

    max_failures: Annotated[int, typer.Option(help="Retries for a trial whose worker crashed.", min=0)] = 2
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Retry the trials that failed in an earlier session of this run.")
    ] = False
    checkpoint_every: Annotated[
        int | None,
        typer.Option(help="Save a checkpoint of each trial every N epochs.", show_default="never", min=1),
    ] = None
    trial_timeout: Annotated[
        str | None,
        typer.Option(
            help="Kill a worker that reports no epoch for so long (30m, 2h) and retry its trial.", show_default="never"
        ),
    ] = None
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 4 before training if the audit finds an error.")
    ] = False


@dataclass(frozen=True)
class OutputOptions:
    """Run folder, export and console output."""

    panel: ClassVar[str] = "Output"

    name: Name = None
    results_dir: ResultsDir = "results"
    export: Annotated[bool, typer.Option(help="Export the best model to best/ in the run folder.")] = True
    track: Annotated[
        Literal["mlflow", "wandb", "trackio"] | None,
        typer.Option(
            help="Log the run to the MLflow server in MLFLOW_TRACKING_URI, to Weights & Biases, or with trackio.",
            show_default="TensorBoard files only",
        ),
    ] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and exit.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only a short summary at the end.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False


def overrides(*groups: Any) -> dict[str, Any]:
    """Return the search space entries that options replace: those that are neither None nor an empty list."""
    values = {name: value for group in groups for name, value in asdict(group).items()}
    return {name: value for name, value in values.items() if value not in (None, [])}


def run_arguments(
    resources: ResourceOptions, scheduling: SchedulerOptions, failures: FailureOptions, output: OutputOptions
) -> dict[str, Any]:
    """Return the keyword arguments of `Tuner` for a command's options."""
    groups = asdict(resources) | asdict(scheduling) | asdict(failures)
    return {**groups, "results_dir": output.results_dir, "export": output.export, "track": output.track}


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace every dataclass parameter of a command by its fields, as options in the panel of that dataclass."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            parameters += _parameters_of(groups[parameter.name])
        else:
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY))

    @wraps(command)
    def run(**values: Any) -> None:
        grouped = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**values, **grouped)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # read by typer
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _parameters_of(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    parameters = []
    for field in fields(group):
        hint = hints[field.name]
        option = copy(hint.__metadata__[0])  # other commands have the same option in another panel
        option.rich_help_panel = group.panel
        annotation: Any = Annotated[hint.__origin__, option]
        parameters.append(
            inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=annotation)
        )
    return parameters


class GroupedCommand(TyperCommand):
    """A command whose help lists options by panel as plain text; rich's panels leave little room at 80 columns."""

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return the first sentence of the help, complete, for the list of commands."""
        paragraph = " ".join((self.help or "").strip().partition("\n\n")[0].split())
        return f"{paragraph.partition('. ')[0].rstrip('.')}."

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and options of each panel."""
        panels: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                general = "Arguments" if parameter.param_type_name == "argument" else "Options"
                panels.setdefault(getattr(parameter, "rich_help_panel", None) or general, []).append(record)
        for panel, records in panels.items():
            if records:
                with formatter.section(panel):
                    formatter.write_dl(records)
