from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.factories import SPLIT, a_failed_trial, a_finding, a_pruned_trial, a_record, a_run, a_timed_record, an_audit
from tune_ner.data.splits import Split
from tune_ner.results.comparison import common_table, comparison_notes, run_differences, runs_table, unique_names
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.results.table_files import format_common, format_runs
from tune_ner.results.test_set_log import LOG_FILE

OTHER_TEST = replace(SPLIT, train=(2,), test=(0,))
SPACE = "data: corpus.jsonl\nmarkup: {}\nmodel: [tiny:1x32]\nlearning_rate: [1.0e-3, 2.0e-3, 3.0e-3]\n"


def a_result_of(
    path: Path, name: str, records: Sequence[TrialRecord], split: Split = SPLIT, markup: str = "keep"
) -> Results:
    return Results(a_run(path, records, name, SPACE.format(markup), {None: an_audit(a_finding("x"))}, split))


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, Results]:
    """The same grid on a corpus with and without markup; each lacks a configuration of the other."""
    rates = (1e-3, 2e-3, 3e-3)
    keep = [
        a_timed_record(validation=(f1,), learning_rate=rate) for f1, rate in zip((0.5, 0.9, 0.7), rates, strict=True)
    ]
    strip = [a_record((0.3,), learning_rate=rate, data_fingerprint="stripped") for rate in rates[:2]]
    strip.append(a_failed_trial(learning_rate=3e-3, data_fingerprint="stripped"))
    return {
        "keep": a_result_of(tmp_path, "keep", keep),
        "strip": a_result_of(tmp_path, "strip", strip, OTHER_TEST, "strip"),
    }


def test_each_run_has_a_row_with_its_best_configuration(runs: dict[str, Results]) -> None:
    table = runs_table(runs).set_index("run")
    assert table.loc["keep", "data"] == "corpus.jsonl, markup keep"
    assert table["n_trials"].tolist() == [3, 3]
    assert table.loc["keep", "best"] == "tiny:1x32 · BIO · lr 0.002"
    assert table["audit"].tolist() == ["warning", "warning"]
    assert table.loc["keep", "wall_seconds"] == 50
    assert table["test_sets"].nunique() == 2


def test_pruned_configurations_are_counted_and_not_compared(tmp_path: Path) -> None:
    records = [a_record(learning_rate=1e-3), a_record(learning_rate=2e-3)]
    pruned = [records[0], a_pruned_trial(learning_rate=2e-3)]
    runs = {name: a_result_of(tmp_path, name, of_run) for name, of_run in (("all", records), ("pruned", pruned))}
    assert runs_table(runs)["n_pruned"].tolist() == [0, 1]
    assert format_runs(runs_table(runs))["trials"].tolist() == ["2 of 3", "2 of 3"]
    assert common_table(runs)["learning_rate"].tolist() == [1e-3, 1e-3]


def test_common_configurations_are_in_the_order_of_the_first_run(runs: dict[str, Results]) -> None:
    table = common_table(runs)
    assert table["learning_rate"].tolist() == [2e-3, 2e-3, 1e-3, 1e-3]
    assert table["run"].tolist() == ["keep", "strip"] * 2
    assert table["validation_span_f1"].between(0, 1).all()
    assert (table["test_span_f1_low"] <= table["test_span_f1"]).all()
    assert (table["test_span_f1"] <= table["test_span_f1_high"]).all()


def test_settings_that_differ_between_runs_do_not_separate_configurations(tmp_path: Path) -> None:
    runs = {
        "one": a_result_of(tmp_path, "one", [a_record(word_tokenizer="whitespace", seed=seed) for seed in (1, 2)]),
        "two": a_result_of(tmp_path, "two", [a_record(word_tokenizer="punctuation", seed=1)]),
    }
    assert run_differences(runs) == {"word_tokenizer": ["whitespace", "punctuation"], "seed": ["1, 2", "1"]}
    assert len(common_table(runs)) == 2
    assert "one: whitespace; two: punctuation" in comparison_notes(runs)[0]


def test_different_encoders_are_different_configurations(tmp_path: Path) -> None:
    runs = {model: a_result_of(tmp_path, model[-1], [a_record(model=model)]) for model in ("tiny:a", "tiny:b")}
    assert run_differences(runs) == {}
    assert common_table(runs).empty
    assert len(comparison_notes(runs)) == 1


def test_hyperparameter_that_varies_within_runs_separates_configurations(tmp_path: Path) -> None:
    records = [a_record(batch_size=size) for size in (8, 16)]
    runs = {name: a_result_of(tmp_path, name, records) for name in ("one", "two")}
    assert common_table(runs)["batch_size"].tolist() == [8, 8, 16, 16]
    table = format_common(common_table(runs))
    assert table[["batch_size", "run"]].to_numpy().tolist() == [["8", "one"], ["", "two"], ["16", "one"], ["", "two"]]


def test_different_and_unknown_test_sets_are_noted(runs: dict[str, Results], tmp_path: Path) -> None:
    assert any("not comparable" in note for note in comparison_notes(runs))
    same = {"one": runs["keep"], "two": a_result_of(tmp_path, "two", [a_record()])}
    assert not any("test set" in note for note in comparison_notes(same))
    (same["two"].run_dir.path / LOG_FILE).unlink()
    assert any("test set of two is unknown" in note for note in comparison_notes(same))


def test_run_without_a_completed_trial_has_missing_metrics(tmp_path: Path) -> None:
    runs = {"one": a_result_of(tmp_path, "one", [a_record()]), "two": a_result_of(tmp_path, "two", [a_failed_trial()])}
    assert common_table(runs).empty
    row = format_runs(runs_table(runs)).iloc[1]
    assert set(row[["best configuration", "validation span F1", "test span F1", "95 % interval"]]) == {"–"}
    assert runs_table({"none": a_result_of(tmp_path, "none", [])}).loc[0, "n_trials"] == 0


def test_runs_of_the_same_name_are_called_by_their_paths(tmp_path: Path) -> None:
    made = [a_result_of(tmp_path / place, "run", []) for place in ("a", "b")]
    made.append(a_result_of(tmp_path, "other", []))
    assert list(unique_names(made)) == [str(tmp_path / "a" / "run"), str(tmp_path / "b" / "run"), "other"]


def test_common_table_has_no_missing_values(runs: dict[str, Results]) -> None:
    assert common_table(runs).notna().all(axis=None)
