"""The example notebook, executed in a real Jupyter kernel; its run folder equals that of the command line."""

import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

import tune_ner

ROOT = Path(tune_ner.__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"
MOST_OUTPUTS = 3
UNSTABLE = ["seconds"]
OPTIONS = [
    *("--data", "synthetic:300", "--model", "tiny:1x64", "--scheme", "BIO", "--scheme", "BIOES", "--lr", "4e-3"),
    *("--epochs", "8", "--words", "punctuation", "--name", "quickstart", "--no-dashboard", "--quiet"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def notebook(folder: Path) -> Any:
    os.environ["PYTHONPATH"] = str(ROOT)
    content = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(content, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return content


def shown(cell: Any) -> list[str]:
    """Return the outputs of a cell as a notebook shows them: consecutive pieces of a stream are one output."""
    names = (output.get("name", output.output_type) for output in cell.outputs)
    return [name for name, _ in groupby(names)]


@pytest.mark.long
@pytest.mark.slow
def test_cells_show_what_they_return_without_a_flood_of_outputs(notebook: Any) -> None:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert max(len(shown(cell)) for cell in cells) <= MOST_OUTPUTS
    results = {cell.source: cell.outputs[-1] for cell in cells if cell.outputs}
    assert "text/html" in results["results.leaderboard()"].data
    assert "text/html" in results["results.report()"].data
    assert "Finding" not in str(results["tn.audit(corpus)"].data["text/plain"])


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("notebook")
def test_files_equal_those_of_the_command_line(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tune_ner", "grid", "demo", *OPTIONS, "--results-dir", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    ours, theirs = folder / "results" / "quickstart", tmp_path / "quickstart"
    names = {path.name for path in theirs.iterdir()} - {"run.log"}
    assert names <= {path.name for path in ours.iterdir()}
    tables = [pd.read_csv(run / "leaderboard.csv").drop(columns=UNSTABLE) for run in (ours, theirs)]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert (ours / "leaderboard.md").stat().st_size > 100
