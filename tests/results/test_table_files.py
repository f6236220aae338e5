from pathlib import Path

import pandas as pd

from tests.factories import a_failed_trial, a_record, a_run
from tune_ner.results.run_results import Results
from tune_ner.results.table_files import write_tables
from tune_ner.results.tables import NOTEBOOK_COLUMNS

CSV_FILES = ["ner_results_with_lr.csv", "curves.csv", "leaderboard.csv", "timings.csv"]


def test_tables_are_written_from_the_records(tmp_path: Path) -> None:
    files = write_tables(Results(a_run(tmp_path, [a_record((0.1, 0.5)), a_failed_trial(seed=2)])))
    assert [file.name for file in files] == [*CSV_FILES, "leaderboard.md", "leaderboard.tex"]
    trials = pd.read_csv(files[0])
    assert len(trials) == 2
    assert list(trials.columns[:6]) == NOTEBOOK_COLUMNS
    assert len(pd.read_csv(files[1])) == 2
    assert len(pd.read_csv(files[2])) == len(pd.read_csv(files[3])) == 1


def test_tables_are_written_if_every_trial_failed(tmp_path: Path) -> None:
    files = write_tables(Results(a_run(tmp_path, [a_failed_trial()])))
    assert [file.name for file in files] == CSV_FILES
    assert len(pd.read_csv(files[0])) == 1
    assert pd.read_csv(files[1]).empty


def test_markdown_and_latex_escape_markup(tmp_path: Path) -> None:
    results = Results(a_run(tmp_path, [a_record(model="a|b_c&d\x1b[0m")]))
    files = {file.name: file.read_text(encoding="utf-8") for file in write_tables(results)}
    assert r"a\|b_c&d\\x1b\[0m" in files["leaderboard.md"]
    assert r"a|b\_c\&d" in files["leaderboard.tex"]
    assert "\x1b" not in files["leaderboard.md"] + files["leaderboard.tex"]
    assert files["leaderboard.tex"].count(r"\begin{tabular}") == 1
