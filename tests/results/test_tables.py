from pathlib import Path

import pandas as pd
import pytest

from tests.factories import a_failure, a_record, a_run, a_stopped_trial
from tune_ner.errors import RunFolderError
from tune_ner.results.leaderboard import RunResults
from tune_ner.results.tables import NOTEBOOK_COLUMNS, curves_table, load_results, ranking, trials_table, write_tables


def test_the_notebook_s_six_columns_come_first_and_hold_test_figures() -> None:
    table = trials_table([a_record((0.5,), test=0.25)])
    assert list(table.columns[:6]) == ["Model", "Tagging Scheme", "Learning Rate", "Precision", "Recall", "F1"]
    assert list(table[NOTEBOOK_COLUMNS].iloc[0]) == ["tiny:1x32", "BIO", 0.001, 0.25, 0.25, 0.25]
    assert table.loc[0, "Validation F1"] == 0.5


def test_trials_are_sorted_by_model_scheme_learning_rate_and_seed() -> None:
    records = [
        a_record(model="b"),
        a_record(model="a", tagging_scheme="BIOES"),
        a_record(model="a", learning_rate=2e-3),
        a_record(model="a", seed=7),
        a_record(model="a", seed=3),
    ]
    table = trials_table(records)
    assert table["Model"].tolist() == ["a", "a", "a", "a", "b"]
    assert table["Tagging Scheme"].tolist() == ["BIO", "BIO", "BIO", "BIOES", "BIO"]
    assert table["Seed"].tolist() == [3, 7, 42, 42, 42]


def test_a_failed_trial_has_a_row_without_figures() -> None:
    table = trials_table([a_record(seed=1), a_failure("broken", seed=2)])
    failed = table[table["Seed"] == 2].iloc[0]
    assert failed["Error"] == "broken"
    assert failed[["F1", "Validation F1", "Best Epoch"]].isna().all()


def test_a_stopped_trial_has_a_row_with_its_epochs_and_without_figures() -> None:
    table = trials_table([a_record((0.1, 0.2), seed=1, epochs=3), a_stopped_trial((0.1,), seed=2, epochs=3)])
    assert table["Status"].tolist() == ["completed", "pruned"]
    assert table["Epochs"].tolist() == [3, 3]
    assert table["Epochs Run"].tolist() == [2, 1]
    assert table.loc[1, ["F1", "Validation F1", "Span F1", "Best Epoch", "Error"]].isna().all()
    assert curves_table([a_stopped_trial((0.1, 0.2))])["Validation F1"].tolist() == [0.1, 0.2]


def test_stopped_replicates_are_counted_beside_failed_ones(tmp_path: Path) -> None:
    records = [a_record(seed=1), a_stopped_trial(seed=2), a_stopped_trial(seed=3), a_failure(seed=4)]
    (row,) = ranking(RunResults(a_run(tmp_path, records))).to_dict("records")
    assert (row["Trials"], row["Failed"], row["Stopped"], row["Validation F1"]) == (1, 1, 2, 0.5)


def test_an_axis_that_varies_gets_a_column() -> None:
    table = trials_table([a_record(word_tokenizer="whitespace"), a_record(word_tokenizer="punctuation")])
    assert sorted(table["word_tokenizer"]) == ["punctuation", "whitespace"]
    assert "word_tokenizer" not in trials_table([a_record()]).columns


def test_curves_have_a_row_an_epoch() -> None:
    table = curves_table([a_record((0.1, 0.3, 0.2)), a_failure(seed=9)])
    assert table["Epoch"].tolist() == [1, 2, 3]
    assert table["Validation F1"].tolist() == [0.1, 0.3, 0.2]
    assert table["Training Loss"].isna().tolist() == [True, False, False]


def test_seeds_are_replicates_of_one_configuration(tmp_path: Path) -> None:
    records = [a_record((0.4,), seed=1), a_record((0.6,), seed=2), a_record((0.45,), seed=1, learning_rate=2e-3)]
    table = ranking(RunResults(a_run(tmp_path, records)))
    assert table["Validation F1"].tolist() == pytest.approx([0.5, 0.45])
    assert table["Trials"].tolist() == [2, 1]
    assert table["Validation F1 SD"].tolist() == pytest.approx([0.2 / 2**0.5, float("nan")], nan_ok=True)


def test_test_figures_never_decide_the_ranking(tmp_path: Path) -> None:
    honest = [a_record((0.5,), test=0.1, learning_rate=1e-3), a_record((0.4,), test=0.9, learning_rate=2e-3)]
    swapped = [a_record((0.5,), test=0.9, learning_rate=1e-3), a_record((0.4,), test=0.1, learning_rate=2e-3)]
    for place, records in enumerate([honest, swapped]):
        run = a_run(tmp_path / str(place), records)
        assert ranking(RunResults(run))["Learning Rate"].tolist() == [1e-3, 2e-3]


def test_failed_trials_are_not_ranked(tmp_path: Path) -> None:
    assert len(ranking(RunResults(a_run(tmp_path, [a_failure(seed=1), a_record(seed=2)])))) == 1


def test_tables_are_derived_from_the_records_on_the_disk(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [a_record((0.1, 0.5)), a_failure(seed=2)])
    files = write_tables(RunResults(folder))
    tables = ["ner_results_with_lr.csv", "curves.csv", "ranking.csv", "timings.csv"]
    assert [file.name for file in files] == [*tables, "ranking.md", "ranking.tex"]
    table = pd.read_csv(files[0])
    assert len(table) == 2
    assert list(table.columns[:6]) == NOTEBOOK_COLUMNS
    assert len(pd.read_csv(files[1])) == 2


def test_a_run_in_which_everything_failed_has_tables_too(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [a_failure()])
    files = write_tables(RunResults(folder))
    assert len(pd.read_csv(files[0])) == 1
    assert pd.read_csv(files[1]).empty


def test_results_of_one_run_and_of_a_folder_of_runs_are_loaded(tmp_path: Path) -> None:
    a_run(tmp_path, [a_record((0.5,), seed=1), a_failure(seed=2)], "first")
    a_run(tmp_path, [a_record((0.7,), batch_size=size) for size in (8, 16)], "second")
    (tmp_path / "notes").mkdir()
    one, both = load_results(tmp_path / "first"), load_results(str(tmp_path))
    assert list(one["Run"]) == ["first", "first"]
    assert list(one["Status"]) == ["completed", "failed"]
    assert list(both["Run"]) == ["first", "first", "second", "second"]
    assert list(both["batch_size"].dropna()) == [8, 16]
    assert list(both.columns[:4]) == ["Run", "Model", "Tagging Scheme", "Learning Rate"]


def test_a_folder_without_runs_or_with_a_damaged_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no such folder"):
        load_results(tmp_path / "nowhere")
    with pytest.raises(RunFolderError, match="it is empty"):
        load_results(tmp_path)
    folder = a_run(tmp_path, [a_record((0.5,))])
    folder.trials_file.write_text("{}\n")
    with pytest.raises(RunFolderError, match=r"trials\.jsonl:1"):
        load_results(tmp_path)


@pytest.mark.parametrize("path", ["~nobody-of-this-name/results", "x" * 300])
def test_a_path_that_cannot_be_is_refused(path: str) -> None:
    with pytest.raises(RunFolderError, match="cannot be read"):
        load_results(path)
