"""The help of every command: whole at 80 columns, with examples that run unchanged."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests import test_docs
from tests.test_docs import check_options, executed, of_package, package_help, place, run_of_package
from tune_ner.cli.app import app

__all__ = ["place"]

COMMANDS = (
    "init",
    "grid",
    "search",
    "audit",
    "report",
    "predict",
    "show",
    "convert",
    "export",
    "serve",
    "push",
    "submit",
)
LINE = 80


def examples(command: str) -> list[str]:
    """The indented lines below the word; one that was broken would miss its end."""
    _, _, after = package_help(command).partition("Examples:\n")
    return re.findall(r"^      (\S.*)$", re.split(r"^\S", after, maxsplit=1, flags=re.MULTILINE)[0], re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_line_is_cut_off_or_too_long(command: str) -> None:
    text = package_help(command)
    assert max(map(len, text.splitlines())) <= LINE
    assert "…" not in text
    assert all("tune-ner" in line for line in examples(command))
    assert len(examples(command)) >= 2


def test_every_command_is_listed() -> None:
    outcome = CliRunner().invoke(app, ["--help"], env={"COLUMNS": str(LINE)})
    assert re.findall(r"^  ([a-z]+)  ", outcome.output, re.MULTILINE) == list(COMMANDS)
    assert "..." not in outcome.output.partition("Commands:")[2]
    assert "No text is uploaded" not in outcome.output  # the second sentence of one of them
    assert max(map(len, outcome.output.splitlines())) <= LINE


def examples_only_in_the_help() -> list[str]:
    """The examples that no page has; those of pages are executed by the tests of the docs."""
    of_pages = {example.words for example in test_docs.examples()}
    of_pages |= {(*words, "--dry-run") for words in of_pages if words[1:2] in (("grid",), ("search",))}
    return [line for command in COMMANDS for line in examples(command) if tuple(line.split()) not in of_pages]


@pytest.mark.slow
@pytest.mark.parametrize("line", examples_only_in_the_help())
def test_an_example_of_the_help_runs(place: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command = line.split()[1]
    if command in ("submit", "serve", "push"):  # they need a cluster, run until they are stopped, or need the Hub
        check_options(line.split(), package_help(command), package_help("search"))
    elif set(line) & set("|<$&;"):
        # what would train for minutes is planned
        executed(place, ["bash", "-ec", re.sub(r"^tune-ner (grid|search)", r"\g<0> --dry-run", line)])
    else:
        monkeypatch.chdir(place)
        monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        run_of_package(place, *of_package(shlex.split(line.partition(" > ")[0])))
