from pathlib import Path

import pandas as pd
import pytest

from tests.factories import a_config, a_failed_trial, a_pruned_trial, a_record, a_result, a_run, an_audit
from tests.results.simulated import simulated_run, simulated_trial
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.results.tables import NOTEBOOK_COLUMNS, curves_table, trials_table


def test_the_six_columns_of_the_notebook_come_first_and_hold_test_metrics() -> None:
    table = trials_table([a_record((0.5,), test=0.25)])
    assert list(table.columns[:6]) == ["Model", "Tagging Scheme", "Learning Rate", "Precision", "Recall", "F1"]
    assert list(table[NOTEBOOK_COLUMNS].iloc[0]) == ["tiny:1x32", "BIO", 0.001, 0.25, 0.25, 0.25]
    assert table.loc[0, "validation_span_f1"] == 0.5
    assert table.loc[0, "test_span_f1"] == 0.25
    assert all(name == name.lower() and " " not in name for name in table.columns[6:])


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
    assert table["seed"].tolist() == [3, 7, 42, 42, 42]


def test_failed_trial_has_a_row_without_metrics() -> None:
    table = trials_table([a_record(seed=1), a_failed_trial("broken", seed=2)])
    failed = table[table["seed"] == 2].iloc[0]
    assert failed["error"] == "broken"
    assert failed[["F1", "validation_span_f1", "best_epoch"]].isna().all()


def test_pruned_trial_has_a_row_with_its_epochs_and_without_metrics() -> None:
    table = trials_table([a_record((0.1, 0.2), seed=1, epochs=3), a_pruned_trial((0.1,), seed=2, epochs=3)])
    assert table["status"].tolist() == ["completed", "pruned"]
    assert table["epochs"].tolist() == [3, 3]
    assert table["epochs_run"].tolist() == [2, 1]
    assert table.loc[1, ["F1", "validation_span_f1", "test_span_f1", "best_epoch", "error"]].isna().all()
    assert curves_table([a_pruned_trial((0.1, 0.2))])["validation_span_f1"].tolist() == [0.1, 0.2]


def test_trial_of_a_search_has_validation_metrics_of_its_best_epoch() -> None:
    table = trials_table([TrialRecord.searched(a_config(), a_result((0.1, 0.3, 0.2)).epochs, 1.0)])
    assert (table.loc[0, "validation_span_f1"], table.loc[0, "best_epoch"]) == (0.3, 2)
    assert table.loc[0, ["F1", "test_span_f1", "test_accuracy"]].isna().all()
    assert table.loc[0, "phase"] == "search"


def test_varied_hyperparameter_has_a_column() -> None:
    table = trials_table([a_record(word_tokenizer="whitespace"), a_record(word_tokenizer="punctuation")])
    assert sorted(table["word_tokenizer"]) == ["punctuation", "whitespace"]
    assert "word_tokenizer" not in trials_table([a_record()]).columns
    assert list(trials_table([a_record(epochs=1), a_record(epochs=2)]).columns).count("epochs") == 1


def test_curves_have_one_row_per_epoch() -> None:
    table = curves_table([a_record((0.1, 0.3, 0.2), fold=1), a_failed_trial(seed=9)])
    assert table["epoch"].tolist() == [1, 2, 3]
    assert table["validation_seqeval_f1"].tolist() == [0.1, 0.3, 0.2]
    assert table["training_loss"].isna().tolist() == [True, False, False]
    assert table["fold"].tolist() == [1, 1, 1]


def test_leaderboard_has_means_and_deviations_over_seeds(tmp_path: Path) -> None:
    records = [a_record((0.4,), seed=1), a_record((0.6,), seed=2), a_record((0.45,), seed=1, learning_rate=2e-3)]
    table = Results(a_run(tmp_path, records)).leaderboard()
    assert table["rank"].tolist() == [1, 2]
    assert table["validation_span_f1"].tolist() == pytest.approx([0.5, 0.45])
    assert table["n_completed"].tolist() == [2, 1]
    assert table["validation_span_f1_sd"].tolist() == pytest.approx([0.2 / 2**0.5, float("nan")], nan_ok=True)


def test_leaderboard_counts_failed_and_pruned_trials(tmp_path: Path) -> None:
    records = [a_record(seed=1), a_pruned_trial(seed=2), a_pruned_trial(seed=3), a_failed_trial(seed=4)]
    records.append(a_failed_trial(learning_rate=0.5))
    (row,) = Results(a_run(tmp_path, records)).leaderboard().to_dict("records")
    assert (row["n_completed"], row["n_failed"], row["n_pruned"], row["validation_span_f1"]) == (1, 1, 2, 0.5)


def test_test_metrics_do_not_affect_the_rank(tmp_path: Path) -> None:
    for place, (low, high) in enumerate([(0.1, 0.9), (0.9, 0.1)]):
        records = [a_record((0.5,), low, learning_rate=1e-3), a_record((0.4,), high, learning_rate=2e-3)]
        table = Results(a_run(tmp_path / str(place), records)).leaderboard()
        assert table["learning_rate"].tolist() == [1e-3, 2e-3]


def test_leaderboard_compares_with_the_baseline_and_without_train_sentences(tmp_path: Path) -> None:
    audit = an_audit(baselines={"gazetteer": 0.2}, test_sentences_in_train={"near": list(range(300, 400))})
    (row,) = simulated_run(tmp_path, [simulated_trial(0.9)], audits={None: audit}).leaderboard().to_dict("records")
    assert row["improvement_over_baseline"] == pytest.approx(row["test_span_f1"] - 0.2)
    assert row["test_without_train_sentences_f1"] != row["test_span_f1"]
    (row,) = simulated_run(tmp_path, [simulated_trial(0.9)], "other").leaderboard().to_dict("records")
    assert row["test_without_train_sentences_f1"] == row["test_span_f1"]
    assert pd.isna(row["improvement_over_baseline"])


def test_leaderboard_of_a_run_without_completed_trials_is_empty(tmp_path: Path) -> None:
    table = Results(a_run(tmp_path, [a_failed_trial()])).leaderboard()
    assert table.empty
    assert {"rank", "model", "tied", "test_span_f1"} <= set(table.columns)
