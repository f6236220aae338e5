"""Sentences of caution, each from a run that deserves it."""

from pathlib import Path
from typing import Any

import pytest

from tests.factories import a_record, a_run, an_audit
from tests.results.test_leaderboard import a_run as a_large_run
from tests.results.test_leaderboard import trial
from tune_ner.results.leaderboard import RunResults
from tune_ner.results.run_dir import RunDir
from tune_ner.results.warnings import cautions


def told(folder: RunDir) -> str:
    return " ".join(cautions(RunResults(folder)))


def test_a_run_that_can_be_believed_needs_none(tmp_path: Path) -> None:
    evidence, _ = a_large_run(tmp_path, [trial(0.9), trial(0.3, learning_rate=2e-3)])
    assert told(evidence.folder) == ""


def test_a_tie_for_the_first_place_is_told(tmp_path: Path) -> None:
    records = [a_record((0.5,), learning_rate=rate) for rate in (1e-3, 2e-3)]
    folder = a_run(tmp_path, [*records, a_record((0.4,), learning_rate=3e-3)])
    assert "2 configurations share the highest validation F1" in told(folder)


def test_a_validation_part_that_is_too_small_for_any_difference_is_told(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [a_record((0.5,)), a_record((0.4,), learning_rate=2e-3)], "small")
    assert "too few for any two of 2 configurations to be told apart" in told(folder)
    evidence, _ = a_large_run(tmp_path, [trial(0.9), trial(0.89, learning_rate=2e-3)])
    assert "too few" not in told(evidence.folder)


def test_a_best_configuration_with_fewer_replicates_than_others_is_told(tmp_path: Path) -> None:
    others = [trial(0.5, seed=seed, learning_rate=2e-3) for seed in (1, 2)]
    evidence, _ = a_large_run(tmp_path, [trial(0.9, seed=1), *others])
    assert "The best configuration has 1 finished replicate and others up to 2" in told(evidence.folder)


def test_trials_that_learnt_nothing_are_counted(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [a_record((0.0, 0.0)), a_record((0.0, 0.4), learning_rate=2e-3)])
    assert "1 of 2 trials found no entity of validation in any epoch" in told(folder)


@pytest.mark.parametrize(("f1", "beside"), [(0.95, "below"), (0.1, "above")])
def test_a_rule_without_a_model_stands_beside_the_best(tmp_path: Path, f1: float, beside: str) -> None:
    baselines: dict[str, Any] = {"gazetteer": {"test": {"f1": f1}}}
    evidence, _ = a_large_run(tmp_path, [trial(0.6)], audits={None: an_audit(baselines=baselines)})
    assert f"reaches a test F1 of {f1:.3f}; the best configuration is " in told(evidence.folder)
    assert f"{beside} it." in told(evidence.folder)
