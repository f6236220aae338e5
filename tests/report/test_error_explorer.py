import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.factories import a_pruned_trial, a_record, a_run, an_audit
from tune_ner.data.splits import Split
from tune_ner.evaluation.error_analysis import ERROR_KINDS
from tune_ner.report.error_explorer import errors_of
from tune_ner.results.run_results import Results


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Two trials that are correct on validation and miss the entity of test, and a pruned one."""
    return Results(a_run(tmp_path, [a_record((0.5,), seed=1), a_record((0.6,), seed=2), a_pruned_trial(seed=3)]))


def test_sentences_with_an_error_are_kept_once(results: Results) -> None:
    assert errors_of(results, "validation").sentences == []
    found = errors_of(results, "test")
    assert found.sentences == [[None, 2, "Ont i <b>halsen</b>.", [[9, 15, found.types.index("BODY"), 0]]]]
    assert not found.has_seen  # the run was not audited
    assert [trial["errors"] for trial in found.trials] == [[(0, [[ERROR_KINDS.index("missed"), 0]])]] * 2
    assert found.split_size == 1
    assert not found.is_truncated


def test_trials_that_exceed_the_budget_are_counted(results: Results) -> None:
    found = errors_of(results, "test", budget=1)
    assert (len(found.trials), found.omitted_trials) == (1, 1)
    assert json.loads(json.dumps(asdict(found)))["omitted_trials"] == 1
    assert errors_of(results, "test", budget=0).trials == []


def test_only_a_single_trial_is_truncated(tmp_path: Path) -> None:
    records = []
    for seed in (1, 2, 3):
        record = a_record((0.5,), seed=seed)
        assert record.result
        blind = replace(record.result, predicted_spans={**record.result.predicted_spans, "test": ((), ())})
        records.append(record.model_copy(update={"result": blind}))
    results = Results(a_run(tmp_path, records, split=Split(train=(), validation=(1,), test=(0, 2))))
    outcomes = set()
    for budget in range(1, 400, 5):
        found = errors_of(results, "test", budget)
        whole = [len(trial["errors"]) == 2 for trial in found.trials]
        assert whole == [True] * len(whole) or (whole, found.is_truncated) == ([False], True)
        assert len(whole) + found.omitted_trials == len(records)
        assert {row for trial in found.trials for row, _ in trial["errors"]} == set(range(len(found.sentences)))
        outcomes.add((len(whole), found.is_truncated))
    assert outcomes == {(1, True), (1, False), (2, False), (3, False)}


def test_types_have_the_same_order_in_both_splits(results: Results) -> None:
    validation, test = (errors_of(results, split_name) for split_name in ("validation", "test"))
    assert test.types[: len(validation.types)] == validation.types


def test_entities_of_train_are_marked_as_seen(tmp_path: Path) -> None:
    audited = replace(an_audit(), seen_entities=frozenset({"halsen"}))
    found = errors_of(Results(a_run(tmp_path, [a_record((0.5,))], audits={None: audited})), "test")
    assert found.has_seen
    assert [span[3] for _, _, _, gold in found.sentences for span in gold] == [1]
