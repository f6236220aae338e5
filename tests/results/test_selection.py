from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import a_failure, a_record, a_stopped_trial
from tune_ner.results import selection as module
from tune_ner.results.records import TrialRecord
from tune_ner.results.selection import Candidate, axis_values, rank


def test_a_candidate_holds_no_test_figure() -> None:
    low, high = (Candidate.of(a_record((0.5,), test=test)) for test in (0.1, 0.9))
    assert low == high
    assert not any("test" in field.name for field in fields(Candidate))


def test_selection_code_does_not_name_the_test_part() -> None:
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert 'scores["test"]' not in source
    assert ".test" not in source


def test_replicates_are_averaged_over_seeds_and_folds() -> None:
    records = [a_record((f1,), seed=seed, fold=fold) for f1, seed, fold in ((0.2, 1, 0), (0.4, 1, 1), (0.6, 2, 0))]
    (ranked,) = rank(map(Candidate.of, records))
    assert ranked.mean_score == pytest.approx(0.4)
    assert ranked.deviation == pytest.approx(0.2)
    assert len(ranked.completed) == 3


def test_a_lucky_seed_does_not_win() -> None:
    lucky = [a_record((f1,), seed=seed, learning_rate=1e-3) for seed, f1 in enumerate((0.9, 0.1, 0.1))]
    steady = [a_record((0.5,), seed=seed, learning_rate=2e-3) for seed in range(3)]
    ranked = rank(map(Candidate.of, [*lucky, *steady]))
    assert [item.configuration.learning_rate for item in ranked] == [2e-3, 1e-3]


def test_failed_replicates_are_named_and_not_counted() -> None:
    ranked = rank(map(Candidate.of, [a_record((0.5,), seed=1), a_failure(seed=2), a_failure(learning_rate=0.1)]))
    assert [(len(item.completed), len(item.failed), item.mean_score) for item in ranked] == [(1, 1, 0.5)]


def test_stopped_replicates_are_named_and_enter_no_mean() -> None:
    records = [a_record((0.5,), seed=1), a_stopped_trial((0.9, 0.9), seed=2), a_stopped_trial(learning_rate=0.1)]
    ranked = rank(map(Candidate.of, records))
    assert [(len(i.completed), len(i.failed), len(i.pruned), i.mean_score) for i in ranked] == [(1, 0, 1, 0.5)]


def test_a_configuration_whose_luckier_replicate_was_left_does_not_win() -> None:
    left = [a_record((0.9,), seed=1), a_stopped_trial(seed=2)]
    whole = [a_record((0.5,), seed=seed, learning_rate=2e-3) for seed in (1, 2)]
    ranked = rank(map(Candidate.of, [*left, *whole]))
    assert [item.configuration.learning_rate for item in ranked] == [2e-3, 1e-3]


def test_ties_go_to_the_lower_validation_loss() -> None:
    early, late = a_record((0.5, 0.4), learning_rate=1e-3), a_record((0.4, 0.5), learning_rate=2e-3)
    ranked = rank(map(Candidate.of, [early, late]))
    assert [item.configuration.learning_rate for item in ranked] == [2e-3, 1e-3]


@given(st.permutations([a_record((0.5,), dropout=dropout) for dropout in (0.1, None, 0.05, 0.3)]))
def test_values_of_an_axis_do_not_depend_on_which_trial_ended_first(records: list[TrialRecord]) -> None:
    assert axis_values(records, "dropout") == [0.05, 0.1, 0.3, None]
    assert axis_values(records, "tagging_scheme") == [records[0].config.tagging_scheme]
