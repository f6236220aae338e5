"""Generate the reference pages of the documentation from the code: `python docs/generate_reference.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

import tune_ner
from tune_ner.cli.app import app
from tune_ner.config.reference import hyperparameter_reference, search_space_schema
from tune_ner.tracking import json_lines

FOLDER = Path(__file__).parent / "reference"
SCHEMA_FILE = Path(__file__).parents[1] / "search_spaces" / "schema.json"


def command_line() -> str:
    """Return the page with the help of every command."""
    lines = ["# Command line", "", "`tune-ner COMMAND`, or `python -m tune_ner COMMAND`.", ""]
    commands: Any = get_command(app)
    for name in commands.commands:
        outcome = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "100"}, prog_name="tune-ner")
        text = [line.rstrip() for line in outcome.output.strip().splitlines()]
        lines += [f"## tune-ner {name}", "", "```text", *text, "```", ""]
    return "\n".join(lines)


def search_space() -> str:
    """Return the page of all hyperparameters and settings."""
    return (
        f"# Search space\n\nKeys of a YAML file, or of the mapping that `Tuner` takes.\n\n{hyperparameter_reference()}"
    )


def json_events() -> str:
    """Return the page of the events that `--json` prints."""
    return f"# JSON events\n\n`--json` prints one JSON object per line.\n\n{(json_lines.__doc__ or '').strip()}"


def api() -> str:
    """Return the page of the public Python API, filled in by mkdocstrings."""
    names = [
        f"## tune_ner.{name}\n\n::: tune_ner.{name}\n    options:\n      show_root_heading: false\n"
        for name in tune_ner.__all__
    ]
    return "\n".join(["# API", "", "`import tune_ner as tn`", "", *names])


def schema() -> str:
    """Return the JSON schema of search space files."""
    return json.dumps(search_space_schema(), indent=1, ensure_ascii=False) + "\n"


PAGES = {"command-line.md": command_line, "search-space.md": search_space, "json-events.md": json_events, "api.md": api}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page().rstrip("\n") + "\n", encoding="utf-8")
    SCHEMA_FILE.write_text(schema(), encoding="utf-8")


if __name__ == "__main__":
    main()
