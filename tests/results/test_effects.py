from pathlib import Path

import pytest

from tests.factories import a_config, a_result
from tests.results.simulated import simulated_run, simulated_trial
from tune_ner.results.effects import convergence_epoch
from tune_ner.results.records import TrialRecord


def validation_f1(record: TrialRecord) -> float:
    assert record.result
    return record.result.metrics["validation"].spans.f1


def test_effect_is_estimated_from_matched_trials(tmp_path: Path) -> None:
    records = [simulated_trial(f1, model=model, seed=s) for f1, model in ((0.9, "a"), (0.5, "b")) for s in (1, 2)]
    records.append(simulated_trial(0.1, model="a", seed=3))
    (effect,) = simulated_run(tmp_path, records).effects["model"]
    assert effect.pairs == 2
    assert effect.f1_one - effect.f1_other == pytest.approx(effect.difference.difference)
    assert 0.1 < effect.difference.low < effect.difference.high
    assert effect.difference.p_value < 0.01
    assert effect.title == "a minus b"


def test_effect_does_not_depend_on_the_order_of_records(tmp_path: Path) -> None:
    records = [simulated_trial(share, tagging_scheme=scheme) for share, scheme in ((0.9, "BIO"), (0.5, "BIOES"))]
    one, reversed_ = (
        simulated_run(tmp_path, ordered, name).effects
        for name, ordered in (("one", records), ("reversed", records[::-1]))
    )
    (effect,) = one["tagging_scheme"]
    assert (effect.one, effect.other) == ("BIO", "BIOES")
    assert one == reversed_


def test_every_varied_hyperparameter_has_a_question(tmp_path: Path) -> None:
    records = [simulated_trial(share, batch_size=size) for share, size in ((0.9, 16), (0.5, 8))]
    results = simulated_run(tmp_path, records)
    assert list(results.effects) == ["batch_size"]
    assert [len(sentences) for sentences in results.answers.values()] == [1]


def test_only_the_best_of_many_values_are_compared(tmp_path: Path) -> None:
    records = [simulated_trial(0.1 + place / 20, learning_rate=place * 1e-4) for place in range(1, 15)]
    results = simulated_run(tmp_path, records)
    best = sorted(r.config.learning_rate for r in sorted(records, key=validation_f1)[-6:])
    effects = results.effects["learning_rate"]
    assert sorted({effect.one for effect in effects} | {effect.other for effect in effects}) == best
    ((_, sentences),) = results.answers.items()
    assert "14 values" in sentences[0]
    assert len(sentences) == 1 + 15 + 6


def test_single_configuration_has_no_questions(tmp_path: Path) -> None:
    results = simulated_run(tmp_path, [simulated_trial(0.9)])
    assert (results.effects, results.answers) == ({}, {})


def test_convergence_is_the_first_epoch_near_the_best() -> None:
    record = TrialRecord.completed(a_config(), a_result((0.1, 0.795, 0.8, 0.79)), seconds=1.0)
    assert convergence_epoch(record) == 2
