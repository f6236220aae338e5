from pathlib import Path

import pytest

from tests.factories import a_config, a_result
from tests.results.simulated import simulated_run, simulated_trial
from tune_ner.evaluation.significance import Difference
from tune_ner.results import effects as effects_module
from tune_ner.results.effects import ComparedEffect, Effect, best_setting_effects, comparable, convergence_epoch
from tune_ner.results.records import TrialRecord
from tune_ner.results.table_files import format_effects
from tune_ner.utils.text import signed


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


def test_values_are_compared_at_their_best_setting_on_validation(tmp_path: Path) -> None:
    # one collapsed trial makes BIO worse on average, but not at its best setting
    shares = {("BIO", 1e-3): 0.0, ("BIO", 2e-3): 0.9, ("BIOES", 1e-3): 0.5, ("BIOES", 2e-3): 0.75}
    records = [simulated_trial(share, tagging_scheme=s, learning_rate=rate) for (s, rate), share in shares.items()]
    results = simulated_run(tmp_path, records)
    (average,) = results.effects["tagging_scheme"]
    (best,) = best_setting_effects(results.cache, results.records, "tagging_scheme")
    assert average.difference.difference < -0.1
    assert best.difference.difference > 0.05
    assert best.settings == ("learning_rate 0.002", "learning_rate 0.002")
    first, second, *_ = results.answers["Which tagging scheme?"]
    assert first.startswith("Each at its best setting on validation, BIO (learning_rate 0.002) vs. BIOES")
    assert second.startswith("On average over 2 matched pairs of trials, BIO vs. BIOES")
    assert "simultaneous 95 % interval" in second
    at_best, on_average = results.compared_effects["tagging_scheme"]
    row = format_effects(results.compared_effects).iloc[0]
    assert (row["hyperparameter"], row["values"]) == ("tagging_scheme", "BIO minus BIOES")
    for cell, each in ((row["at best settings"], at_best), (row["on average"], on_average)):
        assert cell.startswith(f"{signed(each.effect.difference.difference)} ({signed(each.interval.low)} to")
        assert cell.endswith("*") == each.is_significant


def test_intervals_of_several_comparisons_hold_together(tmp_path: Path) -> None:
    records = [simulated_trial(0.8, learning_rate=rate * 1e-3) for rate in (1, 2, 3)]
    results = simulated_run(tmp_path, records)
    effect = results.effects["learning_rate"][0]
    wider = results.cache.difference([records[0]], [records[1]], "test", level=1 - 0.05 / 3)
    assert wider.low < effect.difference.low < effect.difference.high < wider.high
    shown = results.answers["What is the effect of the learning rate?"][0]
    assert f"{signed(wider.low)} to {signed(wider.high)}" in shown


def test_interactions_are_tested(tmp_path: Path) -> None:
    shares = {("a", "BIO"): 0.9, ("a", "BIOES"): 0.4, ("b", "BIO"): 0.6, ("b", "BIOES"): 0.6}
    records = [simulated_trial(share, model=m, tagging_scheme=s) for (m, s), share in shares.items()]
    sentences = simulated_run(tmp_path, records).answers["Which tagging scheme?"]
    (tested,) = [line for line in sentences if "between a and b" in line]
    assert tested.startswith("BIO minus BIOES differs significantly between a and b: by +0.")
    assert "p < 0.001" in tested


@pytest.mark.parametrize(
    ("p_value", "low", "verdict"),
    [
        (0.04, 0.01, "): significantly different on the test set."),
        (
            0.04,
            -0.01,
            "): significantly different by this test, though not by the interval, which is more cautious, on",
        ),
        (0.06, -0.01, "): not significantly different on the test set."),
    ],
)
def test_verdict_says_where_test_and_interval_differ(p_value: float, low: float, verdict: str) -> None:
    effect = Effect("tagging_scheme", "BIO", "IO", 0.6, 0.5, Difference(0.1, low, 0.2, p_value), pairs=2)
    assert verdict in effects_module._comparison(ComparedEffect(effect, p_value, effect.difference, 3))


def test_effects_on_encoders_and_on_baselines_are_separate(tmp_path: Path) -> None:
    records = [
        *(simulated_trial(0.5, learning_rate=rate, seed=seed) for rate in (1e-3, 2e-3) for seed in (1, 2)),
        *(simulated_trial(0.7, model="baseline:crf", crf_c1=c1, seed=seed) for c1 in (0.01, 0.1) for seed in (1, 2)),
        simulated_trial(0.4, model="baseline:gazetteer"),
    ]
    results = simulated_run(tmp_path, records)
    assert set(results.effects) == {"learning_rate", "crf_c1"}
    by_name = {
        name: {trial for side in found[0].trial_ids for trial in side} for name, found in results.effects.items()
    }
    assert by_name["learning_rate"] == {record.trial_id for record in records[:4]}
    assert by_name["crf_c1"] == {record.trial_id for record in records[4:8]}
    assert {record.config.model for record in comparable(records, "tagging_scheme")} == {"tiny:1x32"}
