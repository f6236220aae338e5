"""Options that are derived from the hyperparameter table, and the dataclasses that group options."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import pytest
import typer
from typer.testing import CliRunner

from tests.test_docs import package_help
from tune_ner.cli.options import DataOptions, GroupedCommand, HyperparameterOptions, overrides, with_options
from tune_ner.config.hyperparameters import HYPERPARAMETERS


@dataclass(frozen=True)
class ColourOptions:
    """Two options."""

    panel: ClassVar[str] = "Colours"

    red: Annotated[int, typer.Option(help="Amount of red.")] = 1
    is_dark: Annotated[bool, typer.Option("--dark")] = False


received: list[Any] = []


@with_options
def paint(
    wall: Annotated[str, typer.Argument()] = "north",
    *,
    colours: ColourOptions,
    data: DataOptions,
    hyperparameters: HyperparameterOptions,
) -> None:
    """Paint a wall."""
    received[:] = [wall, colours, overrides(data, hyperparameters)]


app = typer.Typer(rich_markup_mode=None)
app.command(cls=GroupedCommand)(paint)


def test_command_receives_its_options_as_dataclasses() -> None:
    assert CliRunner().invoke(app, ["south", "--red", "3", "--dark"]).exit_code == 0
    assert received == ["south", ColourOptions(3, True), {}]


def test_overrides_are_search_space_entries() -> None:
    arguments = [
        "--lr",
        "1e-4",
        "--lr",
        "3e-4",
        "--words",
        "punctuation",
        "--seed",
        "0",
        "--scheme",
        "BIO",
        "--data",
        "x",
    ]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert received[-1] == {
        "data": "x",
        "tagging_scheme": ["BIO"],
        "learning_rate": [1e-4, 3e-4],
        "word_tokenizer": "punctuation",
        "seed": [0],
    }


def test_help_lists_options_by_panel() -> None:
    lines = CliRunner().invoke(app, ["--help"]).output.splitlines()
    panels = [line.partition(" (")[0].rstrip(":") for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert panels == ["Arguments", "Colours", "Data", "Hyperparameters", "Options"]
    assert lines.index("Colours:") < next(n for n, line in enumerate(lines) if "--red" in line and "Amount" in line)


@pytest.mark.parametrize("command", ["grid", "search", "submit"])
def test_command_has_the_options_of_the_table(command: str) -> None:
    text = package_help(command)
    options = {each.row.option for each in HYPERPARAMETERS.values() if each.row.option}
    assert options == {"model", "scheme", "head", "lr", "epochs", "words", "seed"}
    assert all(f"\n  --{option} " in text for option in options)
