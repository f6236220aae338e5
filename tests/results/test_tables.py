import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import (
    STAGE_SECONDS,
    a_config,
    a_failed_trial,
    a_profile,
    a_pruned_trial,
    a_record,
    a_result,
    a_run,
    a_timed_record,
    an_audit,
)
from tests.results.simulated import simulated_run, simulated_trial
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.results.table_files import format_leaderboard, format_speed, format_stages
from tune_ner.results.tables import NOTEBOOK_COLUMNS, STAGES, curves_table, run_time, timings_table, trials_table
from tune_ner.utils.text import MISSING


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


SHARES = [f"{stage}_share" for stage in (*STAGES, "other")]
SECONDS = [f"{stage}_seconds" for stage in (*STAGES, "other")]


def only_row(records: Sequence[TrialRecord]) -> dict[str, Any]:
    (row,) = timings_table(records).to_dict("records")
    return {str(name): value for name, value in row.items()}


def test_wall_time_without_the_stages_is_other() -> None:
    row = only_row([a_timed_record(50.0)])
    assert [row[name] for name in SECONDS] == pytest.approx([*STAGE_SECONDS.values(), 0.5])
    assert row["train_share"] == pytest.approx(0.8)
    assert row["seconds"] == 50.0


def test_each_encoder_and_batching_has_a_row_of_means() -> None:
    rates = [a_timed_record(wall, learning_rate=rate) for wall, rate in ((50.0, 1e-3), (70.0, 2e-3))]
    others = [a_timed_record(batching="padded", seed=2), a_timed_record(model="tiny:2x64")]
    table = timings_table([*others, *rates, a_failed_trial()])
    assert list(zip(table["model"], table["batching"], table["n_trials"], table["seconds"], strict=True)) == [
        ("tiny:1x32", "padded", 1, 50.0),
        ("tiny:1x32", "padding_free", 2, 60.0),
        ("tiny:2x64", "padding_free", 1, 50.0),
    ]


def test_hyperparameters_that_affect_the_cost_separate_rows() -> None:
    table = timings_table([a_timed_record(batch_size=size) for size in (8, 16)])
    assert table["batch_size"].tolist() == [8, 16]
    assert "batch_size" not in timings_table([a_timed_record()]).columns


def test_speed_is_that_of_training_with_and_without_padding() -> None:
    row = only_row(
        [a_timed_record(profile=a_profile()), a_timed_record(profile=a_profile(peak_memory_bytes=3 * 10**9), seed=2)]
    )
    assert row["tokens_per_second"] == pytest.approx(100)
    assert row["computed_tokens_per_second"] == pytest.approx(125)
    assert row["peak_memory_bytes"] == 3 * 10**9


def test_trials_without_a_profile_do_not_affect_the_speed() -> None:
    assert only_row([a_timed_record(profile=a_profile()), a_timed_record(seed=2)])[
        "tokens_per_second"
    ] == pytest.approx(100)


def test_unmeasured_stages_are_missing() -> None:
    row = only_row([a_timed_record(seconds={"load": 1.0})])
    assert pd.isna(row["train_seconds"])
    assert row["other_seconds"] == pytest.approx(49)


def test_run_lasts_from_the_first_start_to_the_last_end() -> None:
    time = run_time(
        [
            a_timed_record(50.0, "2026-01-01T00:01:00.000+00:00"),
            a_timed_record(30.0, "2026-01-01T01:01:10.000+01:00", seed=2),
            a_failed_trial().model_copy(update={"seconds": 20.0, "finished_at": "2026-01-01T00:00:30"}),
        ]
    )
    assert (time.wall_seconds, time.trial_seconds) == (60.0, 100.0)
    assert time.mean_concurrent_trials == pytest.approx(5 / 3)
    assert "1 min 00 s" in time.sentence


@pytest.mark.parametrize("ended", ["", "soon", "9999-99-99T00:00:00"])
def test_invalid_end_leaves_the_wall_time_unknown(ended: str) -> None:
    time = run_time([a_timed_record(50.0, ended)])
    assert (time.wall_seconds, time.trial_seconds, time.mean_concurrent_trials) == (None, 50.0, None)
    assert time.sentence == ""


def test_without_completed_trials_there_are_columns_and_no_rows() -> None:
    assert timings_table([]).empty
    assert list(timings_table([a_failed_trial()]).columns) == list(timings_table([a_timed_record()]).columns)
    assert run_time([]).sentence == ""


def test_times_too_short_to_divide_by_give_no_speed() -> None:
    row = only_row([a_timed_record(0.0, seconds={"train": 1e-312}, profile=a_profile())])
    assert pd.isna(row["tokens_per_second"])
    assert row["train_share"] == 1


# values that a broken clock or a diverged measurement may leave are included
numbers = st.one_of(st.floats(0, 1e6), st.sampled_from([0.0, -1.0, math.nan, math.inf]))


@st.composite
def timed_records(draw: st.DrawFn) -> TrialRecord:
    """Draw a completed trial with any times and any cost, each of which may be missing."""
    names = draw(st.lists(st.sampled_from([*STAGES, "test"]), unique=True))
    counts = st.integers(0, 10**12)
    profile = draw(st.one_of(st.none(), st.builds(a_profile, tokens=counts, computed_tokens=counts)))
    return a_timed_record(
        draw(numbers),
        seconds={name: draw(numbers) for name in names},
        profile=profile,
        batching=draw(st.sampled_from(["padding_free", "padded"])),
        seed=draw(st.integers(0, 9)),
    )


@given(st.lists(timed_records(), max_size=3))
def test_shares_add_up_to_one_and_cells_are_numbers_or_dashes(records: list[TrialRecord]) -> None:
    table = timings_table(records)
    for row in table.to_dict("records"):
        shares = [row[name] for name in SHARES if not pd.isna(row[name])]
        assert all(0 <= share <= 1 + 1e-9 for share in shares)
        assert math.fsum(shares) == pytest.approx(1) or not row["seconds"] or pd.isna(row["seconds"])
        assert math.fsum(row[name] for name in SECONDS if not pd.isna(row[name])) == pytest.approx(row["seconds"])
    cells = [*format_stages(table).to_numpy().ravel(), *format_speed(table).to_numpy().ravel()]
    assert not {"nan", "inf", "None"} & set(cells)


def test_hyperparameters_without_an_effect_on_a_baseline_are_missing(tmp_path: Path) -> None:
    settings: list[dict[str, Any]] = [
        {"model": "baseline:gazetteer"},
        {"model": "baseline:crf", "crf_c1": 0.1},
        {"learning_rate": 2e-3},
    ]
    records = [a_record(batch_size=8 * place, **each) for place, each in enumerate(settings, start=1)]
    table = Results(a_run(tmp_path, records)).trials().set_index("Model")
    assert table["Tagging Scheme"].isna().tolist() == [False, True, False]
    assert table["Learning Rate"].tolist()[-1] == 2e-3
    assert table["Learning Rate"].isna().tolist() == [True, True, False]
    assert table["crf_c1"].isna().tolist() == [False, True, True]
    assert table["batch_size"].dtype == "Int64"
    shown = format_leaderboard(Results(RunDir(tmp_path / "run"))).to_dict("records")
    rows = {row["model"]: [row[name] for name in ("scheme", "lr", "crf_c1", "batch_size")] for row in shown}
    assert rows["baseline:gazetteer"] == [MISSING] * 4
    assert rows["tiny:1x32"] == ["BIO", "0.002", MISSING, "24"]
