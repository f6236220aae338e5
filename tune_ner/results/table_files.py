"""Table files of a run: CSV, Markdown, LaTeX, the refined search space and the model card."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tune_ner.results.formatted_tables import format_leaderboard
from tune_ner.results.model_card import CARD_FILE, model_card
from tune_ner.results.run_results import Results
from tune_ner.results.search_analysis import REFINED_SPACE_FILE
from tune_ner.utils.io import atomic_write
from tune_ner.utils.tables import is_right_aligned, markdown_table
from tune_ner.utils.text import visible


def write_tables(results: Results) -> list[Path]:
    """Write the tables of a run and return the files.

    Always written: `ner_results_with_lr.csv`, `curves.csv`, `leaderboard.csv` and `timings.csv`. With a completed
    trial: `leaderboard.md` and `leaderboard.tex`. For a search: `optimization_history.csv` and, with enough trials,
    `importances.csv` and `refined_space.yaml`. With an exported model: its card in `best/`.

    Raises:
        RunFolderError: a file cannot be written; it is unchanged.
        ModelError: `best/` is corrupt; all files but the model card are written.
    """
    tables = {
        "ner_results_with_lr.csv": results.trials(),
        "curves.csv": results.curves(),
        "leaderboard.csv": results.leaderboard(),
        "timings.csv": results.timings(),
    }
    texts: dict[str, str] = {}
    if results.entries:
        leaderboard = format_leaderboard(results)
        texts["leaderboard.md"] = f"{markdown_table(leaderboard)}\n"
        texts["leaderboard.tex"] = latex_table(leaderboard, f"Leaderboard of run {results.name}, ranked on validation.")
    if search := results.search:
        tables["optimization_history.csv"] = search.history
        if search.importances is not None:
            tables["importances.csv"] = search.importances
        if refined := search.refined_yaml():
            texts[REFINED_SPACE_FILE] = refined
    texts = {name: table.to_csv(index=False) for name, table in tables.items()} | texts
    written = [atomic_write(results.run_dir.path / name, text) for name, text in texts.items()]
    if card := model_card(results):
        written.append(atomic_write(results.run_dir.models.best / CARD_FILE, card))
    return written


def latex_table(table: pd.DataFrame, caption: str) -> str:
    r"""Return a table of text as a LaTeX `table` for documents with `\usepackage{booktabs}`; markup is escaped."""
    style = table.map(visible).rename(columns=visible).style.hide(axis="index")
    style = style.format(escape="latex").format_index(axis="columns", escape="latex")
    return style.to_latex(
        hrules=True,
        column_format="".join("r" if is_right_aligned(list(table[name])) else "l" for name in table.columns),
        caption=visible(caption),
        position_float="centering",
    )
