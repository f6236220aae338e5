"""Standard deviation between seeds: of earlier runs on the same data, or the default."""

from pathlib import Path
from statistics import stdev

import pytest

from tests.results.simulated import simulated_run, simulated_trial
from tune_ner.evaluation.seed_variance import ASSUMED_DEVIATION
from tune_ner.results.run_results import Results


def single(folder: Path) -> Results:
    return simulated_run(folder, [simulated_trial(0.8), simulated_trial(0.7, learning_rate=2e-3)], "single")


def test_default_without_an_earlier_run(tmp_path: Path) -> None:
    results = single(tmp_path)
    assert (results.cache.seed_deviation.value, results.cache.seed_deviation.source) == (ASSUMED_DEVIATION, "")
    assert any("0.020 between seeds, which is assumed" in sentence for sentence in results.summary)


def test_earlier_run_on_the_same_data(tmp_path: Path) -> None:
    seeds = [simulated_trial(0.8, seed=seed) for seed in (1, 2, 3)]
    simulated_run(tmp_path, seeds, "several")
    simulated_run(tmp_path, [t.model_copy(update={"config": t.config.model_copy(update={"data_fingerprint": "other"})})
                             for t in (simulated_trial(share, seed=share) for share in (1, 0))], "other")  # fmt: skip
    found = single(tmp_path).cache.seed_deviation
    expected = stdev(trial.result.metrics["test"].spans.f1 for trial in seeds if trial.result)
    assert found.value == pytest.approx(expected)
    assert found.source == "run several"


def test_unreadable_runs_in_the_same_folder_do_not_matter(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "trials.jsonl").write_text("{", encoding="utf-8")
    assert single(tmp_path).cache.seed_deviation.value == ASSUMED_DEVIATION


def test_a_single_seed_widens_intervals_and_blurs_ties(tmp_path: Path) -> None:
    results = single(tmp_path)
    with_seed = results.entries[0].test
    results.cache.__dict__["seed_deviation"] = type(results.cache.seed_deviation)(1e-9, "")
    without = results.cache.interval(results.entries[0].records, "test")
    assert with_seed.high - with_seed.low > without.high - without.low
