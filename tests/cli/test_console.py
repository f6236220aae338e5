"""The end of a run: what is written, what a file that cannot be written costs, and who is told."""

import io
from importlib.metadata import version
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.factories import a_failure, a_record, a_run
from tune_ner.cli.app import app
from tune_ner.cli.console import EXIT_INTERRUPTED, EXIT_TERMINATED, finish
from tune_ner.errors import Terminated
from tune_ner.results.leaderboard import RunResults
from tune_ner.results.run_dir import RunDir
from tune_ner.tracking.display import Display, QuietDisplay
from tune_ner.tracking.mlflow import MlflowRuns
from tune_ner.training.model_settings import SETTINGS_FILE


class Follower:
    """Who follows a run, and looks at what is there when it is told of its end."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self.interrupted: bool | None = None

    def ended(self, results: RunResults, interrupted: bool) -> None:
        self.found = {file.name for file in results.folder.path.iterdir()}
        self.interrupted = interrupted


@pytest.mark.parametrize(
    ("interrupt", "failed", "code"),
    [
        (None, False, 0),
        (None, True, 3),
        (KeyboardInterrupt(), False, EXIT_INTERRUPTED),
        (Terminated(), True, EXIT_TERMINATED),
    ],
)
def test_who_follows_a_run_gets_its_tables_and_its_page(
    tmp_path: Path, interrupt: KeyboardInterrupt | None, failed: bool, code: int
) -> None:
    results = RunResults(a_run(tmp_path, [a_record((0.5,), seed=1), *([a_failure(seed=2)] if failed else [])]))
    display = QuietDisplay(Console(file=io.StringIO(), width=120))
    follower = Follower()
    assert finish(display, [cast(MlflowRuns, follower)], results, 2, interrupt) == code
    assert {"ranking.csv", "report.html", "trials.jsonl"} <= follower.found
    assert follower.interrupted == (interrupt is not None)


class Notes(Display):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def on_note(self, what: str) -> None:
        self.notes.append(what)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return a_run(tmp_path, [a_record((0.5,), learning_rate=rate) for rate in (1e-3, 2e-3)])


def test_a_run_ends_with_tables_page_and_figures(run: RunDir) -> None:
    display = Notes()
    assert finish(display, [], RunResults(run), 2, None) == 0
    assert display.notes == []
    assert {"ranking.csv", "report.html", "figures"} <= {path.name for path in run.path.iterdir()}
    figures = [path.name for path in (run.path / "figures").iterdir()]
    assert {"ranking.svg", "ranking.png"} <= set(figures)


def test_figures_that_cannot_be_written_cost_nothing_else(run: RunDir) -> None:
    (run.path / "figures").write_text("in the way")
    display = Notes()
    assert finish(display, [], RunResults(run), 2, None) == 0
    (note,) = display.notes
    assert note.startswith(f"charts not written: {run.path / 'figures'}: cannot be created")
    assert (run.path / "report.html").exists()


def test_a_damaged_model_costs_its_card_alone(run: RunDir) -> None:
    run.models.best.mkdir()
    (run.models.best / SETTINGS_FILE).write_text(f'{{"trial_id": "{run.records()[0].trial_id}", "format": 99}}')
    display = Notes()
    assert finish(display, [], RunResults(run), 2, None) == 0
    (note,) = display.notes
    assert note.startswith(f"the model has no card: {run.models.best / SETTINGS_FILE}")
    assert {"ranking.csv", "report.html"} <= {path.name for path in run.path.iterdir()}


def test_the_version_is_that_of_the_package() -> None:
    outcome = CliRunner().invoke(app, ["--version"])
    assert (outcome.exit_code, outcome.output) == (0, f"tune-ner {version('tune-ner')}\n")
