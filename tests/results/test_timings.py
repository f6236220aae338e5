import io
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tests.factories import STAGE_SECONDS, a_cost, a_failure, a_timed_record
from tune_ner.results.records import TrialRecord
from tune_ner.results.time_sheets import clock, duration, print_timings, size
from tune_ner.results.timings import STAGES, run_span, timings_table
from tune_ner.utils.renderers import MarkdownLayout, TerminalLayout

SHARES = [f"{stage.title()} Share" for stage in (*STAGES, "other")]
SECONDS = [f"{stage.title()} Seconds" for stage in (*STAGES, "other")]


def only_row(records: Sequence[TrialRecord]) -> dict[str, Any]:
    (row,) = timings_table(records).to_dict("records")
    return {str(name): value for name, value in row.items()}


def printed(records: Sequence[TrialRecord], width: int = 80, markdown: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_timings(MarkdownLayout(console) if markdown else TerminalLayout(console), records)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_trial_s_wall_time_is_told_by_stage_and_the_rest_is_other() -> None:
    row = only_row([a_timed_record(50.0)])
    assert [row[name] for name in SECONDS] == pytest.approx([*STAGE_SECONDS.values(), 0.5])
    assert row["Train Share"] == pytest.approx(0.8)
    assert row["Seconds"] == 50.0


def test_an_encoder_and_a_way_of_batching_have_one_row_of_means() -> None:
    rates = [a_timed_record(wall, learning_rate=rate) for wall, rate in ((50.0, 1e-3), (70.0, 2e-3))]
    others = [a_timed_record(batching="padded", seed=2), a_timed_record(model="tiny:2x64")]
    table = timings_table([*others, *rates, a_failure()])
    assert list(zip(table["Model"], table["Batching"], table["Trials"], table["Seconds"], strict=True)) == [
        ("tiny:1x32", "padded", 1, 50.0),
        ("tiny:1x32", "padding_free", 2, 60.0),
        ("tiny:2x64", "padding_free", 1, 50.0),
    ]


def test_what_decides_the_cost_and_varies_tells_rows_apart() -> None:
    table = timings_table([a_timed_record(batch_size=size) for size in (8, 16)])
    assert table["batch_size"].tolist() == [8, 16]
    assert "batch_size" not in timings_table([a_timed_record()]).columns


def test_speed_is_of_training_alone_with_and_without_padding() -> None:
    row = only_row([a_timed_record(cost=a_cost()), a_timed_record(cost=a_cost(peak_memory_bytes=3 * 10**9), seed=2)])
    assert row["Tokens per Second"] == pytest.approx(100)
    assert row["Computed Tokens per Second"] == pytest.approx(125)
    assert row["Peak Memory Bytes"] == 3 * 10**9
    assert row["Without Cost"] == 0


def test_speed_is_of_the_trials_that_recorded_it() -> None:
    row = only_row([a_timed_record(cost=a_cost()), a_timed_record(seed=2)])
    assert row["Tokens per Second"] == pytest.approx(100)
    assert row["Without Cost"] == 1


def test_older_records_show_dashes_and_say_why() -> None:
    record = a_timed_record(seconds={"load": 1.0, "train_and_evaluate": 40.0})
    row = only_row([record])
    assert pd.isna(row["Train Seconds"])
    assert row["Other Seconds"] == pytest.approx(49)
    text = printed([record])
    assert "not recorded" in text
    assert "an older version recorded train_and_evaluate, which count as other here." in text
    assert "1 of 1 finished trials recorded no tokens and no memory" in text


def test_a_run_s_wall_time_is_from_its_first_start_to_its_last_end() -> None:
    span = run_span(
        [
            a_timed_record(50.0, "2026-01-01T00:01:00.000+00:00"),
            a_timed_record(30.0, "2026-01-01T01:01:10.000+01:00", seed=2),
            a_failure().model_copy(update={"seconds": 20.0, "finished_at": "2026-01-01T00:00:30"}),
        ]
    )
    assert (span.wall, span.trials) == (60.0, 100.0)
    assert span.at_once == pytest.approx(5 / 3)


@pytest.mark.parametrize("ended", ["", "soon", "9999-99-99T00:00:00"])
def test_an_end_that_is_no_time_leaves_the_wall_time_open(ended: str) -> None:
    record = a_timed_record(50.0, ended)
    span = run_span([record])
    assert (span.wall, span.trials, span.at_once) == (None, 50.0, None)
    assert "The run took" not in printed([record])


def test_no_finished_trial_gives_columns_without_rows() -> None:
    assert timings_table([]).empty
    assert list(timings_table([a_failure()]).columns) == list(timings_table([a_timed_record()]).columns)
    assert "The run took 0.5 s" in printed([a_failure()])
    assert printed([]) == ""


@pytest.mark.parametrize("width", [80, 100])
def test_a_terminal_of_this_width_shows_every_figure(width: int) -> None:
    models = ["KB/bert-base-swedish-cased", "google-bert/bert-base-multilingual-cased"]
    records = [
        a_timed_record(4321.0, cost=a_cost(tokens=10**9), model=model, seed=s) for model in models for s in (1, 2)
    ]
    text = printed(records, width)
    assert max(map(len, text.splitlines()[:-1])) <= width
    assert "…" not in text
    for figure in ("4,321", "25,000,000", "1.0 GB", "4,272"):
        assert text.count(figure) >= 2


def test_markdown_has_the_same_tables() -> None:
    text = printed([a_timed_record(cost=a_cost())], markdown=True)
    assert "| tiny:1x32 | padding_free | 1 | s | 1.0 | 2.0 | 3.0 | 40.0 | 3.0 | 0.5 | 0.5 | 50.0 |" in text
    assert "| tiny:1x32 | padding_free | 100 | 125 | 1.0 GB |" in text


def test_times_too_short_to_divide_by_give_no_speed() -> None:
    row = only_row([a_timed_record(0.0, seconds={"train": 1e-312}, cost=a_cost())])
    assert pd.isna(row["Tokens per Second"])
    assert row["Train Share"] == 1


# What a broken clock or a diverged measurement may leave, too.
numbers = st.one_of(st.floats(0, 1e6), st.sampled_from([0.0, -1.0, math.nan, math.inf]))


@st.composite
def timed_records(draw: st.DrawFn) -> TrialRecord:
    """A finished trial with any times and any cost, each of which may be missing."""
    names = draw(st.lists(st.sampled_from([*STAGES, "test"]), unique=True))
    counts = st.integers(0, 10**12)
    cost = draw(st.one_of(st.none(), st.builds(a_cost, tokens=counts, computed_tokens=counts)))
    return a_timed_record(
        draw(numbers),
        seconds={name: draw(numbers) for name in names},
        cost=cost,
        batching=draw(st.sampled_from(["padding_free", "padded"])),
        seed=draw(st.integers(0, 9)),
    )


@settings(deadline=None)
@given(st.lists(timed_records(), max_size=4))
def test_shares_sum_to_one_and_nothing_that_is_no_number_is_shown(records: list[TrialRecord]) -> None:
    for row in timings_table(records).to_dict("records"):
        shares = [row[name] for name in SHARES if not pd.isna(row[name])]
        assert all(0 <= share <= 1 + 1e-9 for share in shares)
        assert math.fsum(shares) == pytest.approx(1) or not row["Seconds"] or pd.isna(row["Seconds"])
        assert math.fsum(row[name] for name in SECONDS if not pd.isna(row[name])) == pytest.approx(row["Seconds"])
    text = printed(records).lower()
    assert not any(word in text for word in ("nan", "inf ", "none"))


@pytest.mark.parametrize(
    ("seconds", "told", "on_a_clock"),
    [
        (0.0, "0.0 s", "0:00:00"),
        (59.94, "59.9 s", "0:01:00"),
        (59.96, "1 min 00 s", "0:01:00"),
        (187.4, "3 min 07 s", "0:03:07"),
        (3599.7, "1 h 00 min", "1:00:00"),
        (90_000, "25 h 00 min", "25:00:00"),
    ],
)
def test_times_are_told_as_a_person_says_them(seconds: float, told: str, on_a_clock: str) -> None:
    assert (duration(seconds), clock(seconds)) == (told, on_a_clock)


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (512e6, "512 MB"), (1.34e9, "1.3 GB"), (5e15, "5,000 TB")],
)
def test_bytes_are_told_with_a_decimal_unit(count: float, told: str) -> None:
    assert size(count) == told
