from pathlib import Path

import pytest

from tests.factories import a_failed_trial, a_record, a_run, an_audit
from tests.results.simulated import simulated_run, simulated_trial
from tune_ner.results.run_results import Results


def test_reliable_leaderboard_has_no_warnings(tmp_path: Path) -> None:
    records = [simulated_trial(0.9), simulated_trial(0.3, learning_rate=2e-3)]
    assert simulated_run(tmp_path, records).warnings == []


def test_run_without_completed_trials_has_no_warnings(tmp_path: Path) -> None:
    assert Results(a_run(tmp_path, [a_failed_trial()])).warnings == []


def test_equal_best_scores_are_counted(tmp_path: Path) -> None:
    records = [a_record((f1,), learning_rate=rate) for f1, rate in ((0.5, 1e-3), (0.5, 2e-3), (0.4, 3e-3))]
    assert Results(a_run(tmp_path, records)).warnings[0].startswith("2 configurations")


def test_too_few_validation_sentences_for_any_difference(tmp_path: Path) -> None:
    small = Results(a_run(tmp_path, [a_record((0.5,)), a_record((0.4,), learning_rate=2e-3)], "small"))
    assert any("1 sentence " in warning for warning in small.warnings)
    large = simulated_run(tmp_path, [simulated_trial(0.9), simulated_trial(0.89, learning_rate=2e-3)], "large")
    assert large.warnings == []


def test_best_configuration_with_fewer_seeds_than_others(tmp_path: Path) -> None:
    others = [simulated_trial(0.5, seed=seed, learning_rate=2e-3) for seed in (1, 2)]
    (warning,) = simulated_run(tmp_path, [simulated_trial(0.9, seed=1), *others]).warnings
    assert "1 completed trial and others have up to 2" in warning


def test_trials_without_any_correct_entity_are_counted(tmp_path: Path) -> None:
    results = Results(a_run(tmp_path, [a_record((0.0, 0.0)), a_record((0.0, 0.4), learning_rate=2e-3)]))
    assert any(warning.startswith("1 of 2 trials") for warning in results.warnings)


@pytest.mark.parametrize(("f1", "side"), [(0.95, "below"), (0.1, "above")])
def test_best_configuration_is_compared_with_the_baseline(tmp_path: Path, f1: float, side: str) -> None:
    audit = an_audit(baselines={"gazetteer": f1})
    (warning,) = simulated_run(tmp_path, [simulated_trial(0.6)], audits={None: audit}).warnings
    assert f"{f1:.3f}" in warning
    assert side in warning
