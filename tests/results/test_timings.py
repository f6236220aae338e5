import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import STAGE_SECONDS, a_failed_trial, a_profile, a_timed_record
from tune_ner.results.formatted_tables import format_speed, format_stages
from tune_ner.results.records import TrialRecord
from tune_ner.results.timings import STAGES, run_time, timings_table

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
