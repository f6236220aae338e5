import io
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from tests.factories import a_failure, a_record, a_run
from tune_ner.commands import EXIT_INTERRUPTED, EXIT_TERMINATED, finish
from tune_ner.errors import Terminated
from tune_ner.reporting import QuietDisplay, RunResults
from tune_ner.reporting.mlflow_runs import MlflowRuns


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
