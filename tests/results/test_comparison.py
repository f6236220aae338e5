import io
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.factories import SPLIT, a_failure, a_finding, a_record, a_run, a_stopped_trial, a_timed_record, an_audit
from tune_ner.data.splits import Split
from tune_ner.results.comparison import common_table, named_apart, print_comparison, run_differences, runs_table
from tune_ner.results.leaderboard import RunResults
from tune_ner.results.records import TrialRecord
from tune_ner.utils.renderers import MarkdownLayout, TerminalLayout

OTHER_TEST = replace(SPLIT, train=(2,), test=(0,))
SPACE = "data: corpus.jsonl\nmarkup: {}\nmodel: [tiny:1x32]\nlearning_rate: [1.0e-3, 2.0e-3, 3.0e-3]\n"


def results(
    path: Path, name: str, records: Sequence[TrialRecord], split: Split = SPLIT, markup: str = "keep"
) -> RunResults:
    return RunResults(a_run(path, records, name, SPACE.format(markup), {None: an_audit(a_finding("x"))}, split))


def compared(runs: dict[str, RunResults], width: int = 100, markdown: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_comparison(MarkdownLayout(console) if markdown else TerminalLayout(console), runs)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, RunResults]:
    """The same grid on text with brackets and without; each lacks a configuration of the other."""
    rates = (1e-3, 2e-3, 3e-3)
    keep = [
        a_timed_record(validation=(f1,), learning_rate=rate) for f1, rate in zip((0.5, 0.9, 0.7), rates, strict=True)
    ]
    strip = [a_record((0.3,), learning_rate=rate, data_fingerprint="stripped") for rate in rates[:2]]
    strip.append(a_failure(learning_rate=3e-3, data_fingerprint="stripped"))
    return {
        "keep": results(tmp_path, "keep", keep),
        "strip": results(tmp_path, "strip", strip, OTHER_TEST, "strip"),
    }


def test_a_run_has_a_row_with_its_best_configuration(runs: dict[str, RunResults]) -> None:
    table = runs_table(runs).set_index("Run")
    assert table.loc["keep", "Data"] == "corpus.jsonl, markup keep"
    assert table["Trials"].tolist() == [3, 3]
    assert table.loc["keep", "Best"] == "tiny:1x32 · BIO · 0.002"
    assert table["Audit"].tolist() == ["warning", "warning"]
    assert table.loc["keep", "Wall Seconds"] == 50
    assert table["Test Parts"].nunique() == 2


def test_stopped_trials_are_told_and_their_configurations_not_compared(tmp_path: Path) -> None:
    records = [a_record(learning_rate=1e-3), a_record(learning_rate=2e-3)]
    cut = [records[0], a_stopped_trial(learning_rate=2e-3)]
    runs = {"whole": results(tmp_path, "whole", records), "cut": results(tmp_path, "cut", cut)}
    assert runs_table(runs)["Stopped"].tolist() == [0, 1]
    assert compared(runs, markdown=True).count("2 of 3 1 stopped") == 1
    assert common_table(runs)["", "Learning Rate"].tolist() == [1e-3]


def test_configurations_that_every_run_finished_stand_side_by_side_in_the_first_one_s_order(
    runs: dict[str, RunResults],
) -> None:
    table = common_table(runs)
    assert table["", "Learning Rate"].tolist() == [2e-3, 1e-3]
    for run in runs:
        assert table[run, "Validation F1"].between(0, 1).all()
        assert (table[run, "Test F1 Low"] <= table[run, "Test F1"]).all()
        assert (table[run, "Test F1"] <= table[run, "Test F1 High"]).all()


def test_what_sets_all_of_a_run_apart_does_not_keep_its_configurations_apart(tmp_path: Path) -> None:
    runs = {
        "one": results(tmp_path, "one", [a_record(word_tokenizer="whitespace", seed=seed) for seed in (1, 2)]),
        "two": results(tmp_path, "two", [a_record(word_tokenizer="punctuation", seed=1)]),
    }
    assert run_differences(runs) == {"word_tokenizer": ["whitespace", "punctuation"], "seed": ["1, 2", "1"]}
    assert len(common_table(runs)) == 1
    assert "the runs differ in word_tokenizer (one: whitespace; two: punctuation)." in compared(runs)


def test_encoders_are_never_taken_for_each_other(tmp_path: Path) -> None:
    runs = {model: results(tmp_path, model[-1], [a_record(model=model)]) for model in ("tiny:a", "tiny:b")}
    assert run_differences(runs) == {}
    assert common_table(runs).empty
    assert "No configuration finished in every run: " in compared(runs)


def test_an_axis_that_varies_within_runs_tells_configurations_apart(tmp_path: Path) -> None:
    records = [a_record(batch_size=size) for size in (8, 16)]
    runs = {name: results(tmp_path, name, records) for name in ("one", "two")}
    assert common_table(runs)["", "batch_size"].tolist() == [8, 16]


def test_different_test_parts_are_noted(runs: dict[str, RunResults], tmp_path: Path) -> None:
    assert "figures on different test parts are not comparable" in " ".join(compared(runs).split())
    same = {"one": runs["keep"], "two": results(tmp_path, "two", [a_record()])}
    assert "test part" not in compared(same)
    (same["two"].folder.path / "test_uses.jsonl").unlink()
    assert "on which test part two was measured is not known" in compared(same)


def test_a_run_without_a_finished_trial_has_a_row_of_dashes(tmp_path: Path) -> None:
    runs = {"one": results(tmp_path, "one", [a_record()]), "two": results(tmp_path, "two", [a_failure()])}
    assert common_table(runs).empty
    row = next(line for line in compared(runs, markdown=True).splitlines() if line.startswith("| two"))
    assert row.split(" | ")[3:6] == ["–", "– ", "– "]
    assert runs_table({"none": results(tmp_path, "none", [])}).loc[0, "Trials"] == 0


def test_runs_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    made = [results(tmp_path / place, "run", []) for place in ("a", "b")] + [results(tmp_path, "other", [])]
    assert list(named_apart(made)) == [str(tmp_path / "a" / "run"), str(tmp_path / "b" / "run"), "other"]


@pytest.mark.parametrize(("width", "tables"), [(80, 4), (100, 2), (140, 1)])
def test_as_many_runs_stand_beside_each_other_as_fit(tmp_path: Path, width: int, tables: int) -> None:
    model = "google-bert/bert-base-multilingual-cased"
    names = [f"notebook-20261123-18150{number}" for number in range(4)]
    runs = {name: results(tmp_path, name, [a_record(model=model, tagging_scheme="BIOES")]) for name in names}
    text = compared(runs, width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("Configurations that every run finished") == tables
    assert compared(runs, markdown=True).count("Configurations that every run finished") == 1


def test_nothing_that_is_no_number_is_shown(runs: dict[str, RunResults]) -> None:
    for markdown in (False, True):
        assert "nan" not in compared(runs, markdown=markdown).lower()
    assert not any(math.isnan(value) for value in common_table(runs)["keep"].to_numpy().ravel())
