"""Generate the reference pages of the documentation from the code: `python docs/generate_reference.py`."""

from __future__ import annotations

from pathlib import Path

import click
import typer

import tune_ner
from tune_ner.cli.app import app
from tune_ner.config.hyperparameters import hyperparameter_reference

FOLDER = Path(__file__).parent / "reference"


def command_line() -> str:
    """Return the page of all commands and options."""
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group)
    lines = ["# Command line", "", "`tune-ner COMMAND`, or `python -m tune_ner COMMAND`.", ""]
    for name, command in group.commands.items():
        lines += [
            f"## tune-ner {name}",
            "",
            *_description(command),
            "| option | value | default | meaning |",
            "| --- | --- | --- | --- |",
        ]
        lines += [_row(parameter) for parameter in command.params if parameter.name != "help"]
        lines.append("")
    return "\n".join(lines)


def _description(command: click.Command) -> list[str]:
    text = (command.help or "").split("Examples:")[0].replace("\b", "")
    return [*(" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()), ""]


def _row(parameter: click.Parameter) -> str:
    is_option = isinstance(parameter, click.Option)
    names = (
        "/".join([*parameter.opts, *parameter.secondary_opts])
        if is_option
        else (parameter.metavar or str(parameter.name)).upper()
    )
    shown = getattr(parameter, "show_default", None)
    default = shown if isinstance(shown, str) else _plain(parameter.default)
    value = "" if is_option and parameter.is_flag else parameter.type.name
    cells = (f"`{names}`", value, default, " ".join((getattr(parameter, "help", "") or "").split()))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _plain(default: object) -> str:
    return "" if default is None or default in ([], ()) or callable(default) else str(default)


def api() -> str:
    """Return the page of the public Python API, filled in by mkdocstrings."""
    names = [
        f"## tune_ner.{name}\n\n::: tune_ner.{name}\n    options:\n      show_root_heading: false\n"
        for name in tune_ner.__all__
    ]
    return "\n".join(["# API", "", "`import tune_ner as tn`", "", *names])


PAGES = {"command-line.md": command_line, "search-space.md": hyperparameter_reference, "api.md": api}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page().rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
