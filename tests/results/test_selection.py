from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import a_failed_trial, a_pruned_trial, a_record
from tune_ner.results import selection
from tune_ner.results.records import TrialRecord
from tune_ner.results.selection import Candidate, hyperparameter_values, rank, winner


def test_candidates_have_no_test_metrics() -> None:
    low, high = (Candidate.of(a_record((0.5,), test=test)) for test in (0.1, 0.9))
    assert low == high
    assert not any("test" in field.name for field in fields(Candidate))


def test_selection_code_does_not_mention_the_test_split() -> None:
    source = Path(selection.__file__).read_text(encoding="utf-8")
    assert '"test"' not in source
    assert ".test" not in source


def test_scores_are_averaged_over_seeds_and_folds() -> None:
    records = [a_record((f1,), seed=seed, fold=fold) for f1, seed, fold in ((0.2, 1, 0), (0.4, 1, 1), (0.6, 2, 0))]
    (ranked,) = rank(map(Candidate.of, records))
    assert ranked.mean_score == pytest.approx(0.4)
    assert ranked.deviation == pytest.approx(0.2)
    assert len(ranked.completed) == 3


def test_configuration_with_one_lucky_seed_does_not_win() -> None:
    lucky = [a_record((f1,), seed=seed, learning_rate=1e-3) for seed, f1 in enumerate((0.9, 0.1, 0.1))]
    steady = [a_record((0.5,), seed=seed, learning_rate=2e-3) for seed in range(3)]
    ranked = rank(map(Candidate.of, [*lucky, *steady]))
    assert [item.configuration.learning_rate for item in ranked] == [2e-3, 1e-3]


def test_winner_is_the_best_trial_of_the_best_configuration() -> None:
    records = [a_record((f1,), seed=seed, learning_rate=2e-3) for seed, f1 in enumerate((0.5, 0.6))]
    best = winner(map(Candidate.of, [a_record((0.1,)), *records]))
    assert best
    assert best.trial_id == records[1].trial_id
    assert winner([Candidate.of(a_failed_trial())]) is None


def test_failed_trials_are_counted_and_not_averaged() -> None:
    ranked = rank(
        map(Candidate.of, [a_record((0.5,), seed=1), a_failed_trial(seed=2), a_failed_trial(learning_rate=0.1)])
    )
    assert [(len(item.completed), len(item.failed), item.mean_score) for item in ranked] == [(1, 1, 0.5)]


def test_pruned_trials_are_counted_and_not_averaged() -> None:
    records = [a_record((0.5,), seed=1), a_pruned_trial((0.9, 0.9), seed=2), a_pruned_trial(learning_rate=0.1)]
    ranked = rank(map(Candidate.of, records))
    assert [(len(i.completed), len(i.failed), len(i.pruned), i.mean_score) for i in ranked] == [(1, 0, 1, 0.5)]


def test_configuration_with_a_pruned_trial_does_not_win() -> None:
    pruned = [a_record((0.9,), seed=1), a_pruned_trial(seed=2)]
    completed = [a_record((0.5,), seed=seed, learning_rate=2e-3) for seed in (1, 2)]
    ranked = rank(map(Candidate.of, [*pruned, *completed]))
    assert [item.configuration.learning_rate for item in ranked] == [2e-3, 1e-3]


def test_equal_scores_are_ranked_by_validation_loss() -> None:
    early, late = a_record((0.5, 0.4), learning_rate=1e-3), a_record((0.4, 0.5), learning_rate=2e-3)
    ranked = rank(map(Candidate.of, [early, late]))
    assert [item.configuration.learning_rate for item in ranked] == [2e-3, 1e-3]


@given(st.permutations([a_record((0.5,), dropout=dropout) for dropout in (0.1, None, 0.05, 0.3)]))
def test_hyperparameter_values_do_not_depend_on_the_order_of_trials(records: list[TrialRecord]) -> None:
    assert hyperparameter_values(records, "dropout") == [0.05, 0.1, 0.3, None]
    assert hyperparameter_values(records, "tagging_scheme") == [records[0].config.tagging_scheme]
