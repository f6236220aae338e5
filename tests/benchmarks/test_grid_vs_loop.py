"""The arithmetic of the speed benchmark, and that a stopped one goes on; nothing here is timed."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.comparison import Results, Run, Workload, report
from benchmarks.grid_vs_loop import Inputs, Settings, command, opened, pending, save, space
from benchmarks.measuring import CommandError, Measurement, first_error_line, measure
from benchmarks.outcomes import (
    LeaderboardEntry,
    Trial,
    chosen,
    floor_seconds,
    grid_trials,
    largest_differences,
    loop_trials,
    ratios,
    seconds_outside_trials,
    with_spread,
)
from tests.factories import a_pruned_trial, a_record
from tests.factories import a_run as folder_of
from tune_ner.config.loading import load_space

SETTINGS = Settings("synthetic:200", "keep", "tiny:1x32", ("BIO", "BIOES"), (1e-4, 3e-4), (1, 2), 5, 2)
WORKLOAD = Workload(1000, 40, 2_000_000, 3_000_000, 128, 512)


def trial(
    scheme: str = "BIO",
    seed: int = 1,
    validation: float | None = 0.5,
    test: float | None = 0.4,
    seconds: float | None = 4.0,
) -> Trial:
    return Trial(scheme, 1e-4, seed, validation, test, 5, seconds, 1)


def a_run(way: str, repeat: int, seconds: float, trials: list[Trial], written: int | None = 10**9) -> Run:
    entry = LeaderboardEntry("BIO", 1e-4, (0.5, 0.4, 0.6), (0.4, 0.3, 0.5)) if way in "cde" else None
    return Run(way, repeat, "2026-01-01", 1.5, Measurement(seconds, 10**9, written, 10**8, 10**6), trials, entry)


def some_results() -> Results:
    runs = [
        a_run("a", 0, 100.0, [trial(seed=1), trial(seed=2)]),
        a_run("c", 0, 50.0, [trial(seed=1), trial(seed=2, test=0.41)]),
        a_run("c", 1, 10.0, [trial(seed=1), trial(seed=2)], written=None),
    ]
    return Results(WORKLOAD, (2e11, 1e11), runs)


def test_ratios_are_taken_within_a_repeat_only() -> None:
    seconds = {(0, "a"): 10.0, (1, "a"): 40.0, (0, "c"): 5.0, (1, "c"): 10.0, (2, "c"): 99.0}
    assert ratios(seconds, "c", "a") == [0.5, 0.25]
    assert with_spread([0.5, 0.25]) == "0.38 (0.25–0.50)"
    assert with_spread([]) == "–"


def test_the_floor_is_six_operations_for_each_token_and_parameter() -> None:
    assert floor_seconds(tokens=1_000_000, parameters=10_000_000, rate=1e11) == pytest.approx(600.0)


def test_what_is_outside_trials_is_the_wall_less_the_trials_shared_out_over_the_slots() -> None:
    trials = [trial(seconds=10.0) for _ in range(4)]
    assert seconds_outside_trials(25.0, trials, cores=2) == pytest.approx(5.0)
    assert seconds_outside_trials(25.0, [replace(one, threads=2) for one in trials], cores=2) == pytest.approx(-15.0)
    assert seconds_outside_trials(12.0, trials[:1], cores=8) == pytest.approx(2.0)


def test_the_choice_is_by_the_mean_over_seeds_and_tells_ties() -> None:
    lucky = [trial("BIO", 1, 0.9), trial("BIO", 2, 0.1), trial("BIOES", 1, 0.6), trial("BIOES", 2, 0.6)]
    assert chosen(lucky) == [("BIOES", 1e-4)]
    assert chosen([trial("BIO"), trial("BIOES")]) == [("BIO", 1e-4), ("BIOES", 1e-4)]


def test_a_configuration_with_a_pruned_trial_is_not_chosen_for_its_other_one() -> None:
    stopped = [trial("BIO", 1, 0.9), trial("BIO", 2, None), trial("BIOES", 1, 0.6), trial("BIOES", 2, 0.6)]
    assert chosen(stopped) == [("BIOES", 1e-4)]
    assert chosen(stopped[:2]) == [("BIO", 1e-4)]
    assert chosen([trial(validation=None)]) == []


def test_differences_are_of_the_same_points_and_skip_what_has_no_figure() -> None:
    one = [trial(seed=1, validation=0.5, test=0.4), trial(seed=2, validation=0.5, test=None)]
    other = [trial(seed=2, validation=0.53), trial(seed=1, validation=0.48, test=0.4), trial(seed=3, validation=0.0)]
    assert largest_differences(one, other) == {"validation_f1": pytest.approx(0.03), "test_f1": 0.0}


def test_each_repeat_begins_with_the_next_way_and_nothing_runs_twice() -> None:
    assert pending(["a", "c", "d"], 2, []) == [(0, "a"), (0, "c"), (0, "d"), (1, "c"), (1, "d"), (1, "a")]
    done = [a_run("a", 0, 1.0, []), a_run("d", 1, 1.0, [])]
    assert pending(["a", "c", "d"], 2, done) == [(0, "c"), (0, "d"), (1, "c"), (1, "a")]


def test_measurements_come_back_from_the_file_as_they_were(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    assert opened(output, SETTINGS) is None
    save(output, SETTINGS, some_results())
    assert opened(output, SETTINGS) == some_results()
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_measurements_of_other_settings_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "results.json", SETTINGS, some_results())
    with pytest.raises(SystemExit, match=r"results.json: measured with epochs 5 \(now 3\), threads 2 \(now 4\)"):
        opened(tmp_path / "results.json", replace(SETTINGS, epochs=3, threads=4))


def test_the_report_tells_ratios_floors_failures_and_differences() -> None:
    text = "\n".join(report(some_results(), 2, {"b": "ValueError: no"}))
    assert "0.50 (0.50–0.50)" in text
    assert "b failed: ValueError: no" in text
    # 10 epochs × 1,000 tokens × 6 × 2,000,000 / 2e11
    assert "0.60" in text
    assert "c repeat 1: validation 0.0000, test 0.0100" in text
    assert "all ways choose the same" in text


def test_a_report_of_nothing_but_failures_can_be_printed() -> None:
    text = "\n".join(report(Results(WORKLOAD, (1e11, 1e11), []), 2, {"a": "OSError: full"}))
    assert "a failed: OSError: full" in text


def test_the_error_of_a_log_is_the_last_one_that_is_named() -> None:
    log = "Traceback (most recent call last):\n  File x\nray.tune.error.TuneError: 1 trial failed\nbye\n"
    assert first_error_line(log, 1) == "ray.tune.error.TuneError: 1 trial failed"
    assert first_error_line("one\ntwo\n", 1) == "two"
    assert first_error_line("", 3) == "exit status 3"


def test_a_command_is_measured_with_the_files_it_leaves(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write = f"open({str(folder / 'file')!r}, 'wb').write(bytes(5000))"
    measured = measure([sys.executable, "-c", write], folder, tmp_path / "log", os.environ)
    assert (measured.left_on_disk, measured.most_on_disk) == (5000, 5000)
    assert measured.seconds > 0


def test_a_command_that_fails_tells_its_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="ValueError: no such thing"):
        measure([sys.executable, "-c", "raise ValueError('no such thing')"], tmp_path, tmp_path / "log", os.environ)


def test_the_space_of_the_grid_is_a_valid_one_with_a_trial_for_each_of_the_loops(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path / "corpus.jsonl", tmp_path / "model", tmp_path / "space.yaml")
    inputs.space.write_text(json.dumps(space(SETTINGS, inputs)), encoding="utf-8")
    assert len(load_space(str(inputs.space)).grid_points()) == 8
    loop = command("a", SETTINGS, inputs, tmp_path)
    assert [loop.count(name) for name in ("--scheme", "--lr", "--seed")] == [2, 2, 2]
    assert command("f", SETTINGS, inputs, tmp_path) == [*loop, "--bf16"]
    assert command("e", SETTINGS, inputs, tmp_path)[-8:-2] == [
        *("--batching", "padding_free", "--precision", "fp32", "--scheduler", "asha")
    ]


def test_trials_are_read_from_what_the_loop_writes(tmp_path: Path) -> None:
    row = {"scheme": "BIO", "learning_rate": 1e-4, "seed": 3, "seconds": 9.0, "test": {"f1": 0.4}}
    epochs = [{"f1": 0.1}, {"f1": 0.6}, {"f1": 0.5}]
    (tmp_path / "loop.json").write_text(json.dumps([{**row, "epochs": epochs}]), encoding="utf-8")
    assert loop_trials(tmp_path / "loop.json") == [Trial("BIO", 1e-4, 3, 0.6, 0.4, 3, 9.0)]


def test_trials_are_read_from_a_run_folder_stopped_ones_too(tmp_path: Path) -> None:
    records = [a_record((0.5, 0.6), test=0.4, tagging_scheme="BIOES", seed=3), a_pruned_trial((0.1,))]
    whole, stopped = grid_trials(folder_of(tmp_path, records).path)
    assert records[0].result
    assert whole == Trial("BIOES", records[0].config.learning_rate, 3, 0.6, 0.4, 2, 2.0, records[0].result.threads)
    assert (stopped.validation_f1, stopped.test_f1, stopped.epochs) == (None, None, 1)
