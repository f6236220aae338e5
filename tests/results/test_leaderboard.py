"""Standings and answers from predictions made by hand on a corpus large enough to tell configurations apart."""

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.factories import a_config, a_result, an_audit
from tune_ner.data.corpus import Corpus, Sentence, Span, SplitName
from tune_ner.data.splits import Split
from tune_ner.evaluation.span_metrics import score_spans
from tune_ner.results.effects import answers, convergence, effects, summary_lines
from tune_ner.results.leaderboard import Evidence, leaderboard_entries
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir

Audits = dict[int | None, dict[str, Any]]

SIZE = 150
TEXT = "Ta medicin."
GOLD = Span(3, 10, "DRUG")
CORPUS = Corpus("made", tuple(Sentence(str(i), TEXT, (GOLD,)) for i in range(3 * SIZE)), ("DRUG",))
SPLIT = Split(tuple(range(SIZE)), tuple(range(SIZE, 2 * SIZE)), tuple(range(2 * SIZE, 3 * SIZE)))


def trial(right: float, **changes: object) -> TrialRecord:
    """A finished trial that finds this share of the entities, drawn by its seed."""
    config = a_config(**changes)
    random = Random(f"{config.seed}{config.learning_rate}{config.model}")
    parts: tuple[SplitName, ...] = ("validation", "test")
    spans: dict[SplitName, tuple[tuple[Span, ...], ...]] = {
        split_name: tuple((GOLD,) if random.random() < right else () for _ in range(SIZE)) for split_name in parts
    }
    result = a_result((right / 2, right))
    scores = {
        split_name: replace(result.metrics[split_name], spans=score_spans([[GOLD]] * SIZE, predicted, ["DRUG"]))
        for split_name, predicted in spans.items()
    }
    return TrialRecord.completed(config, replace(result, predicted_spans=spans, metrics=scores), seconds=1.0)


def validation_f1(record: TrialRecord) -> float:
    assert record.result
    return record.result.metrics["validation"].spans.f1


def a_run(
    tmp_path: Path, records: list[TrialRecord], audits: Audits | None = None
) -> tuple[Evidence, list[TrialRecord]]:
    folder = RunDir.available(tmp_path, "run")
    folder.create("", audits=audits or {})
    for record in records:
        folder.append(record, CORPUS, SPLIT)
    return Evidence(folder), folder.records()


def test_a_clearly_worse_configuration_is_told_from_the_best(tmp_path: Path) -> None:
    made = [
        trial(share, learning_rate=rate, seed=seed)
        for share, rate in ((0.9, 1e-3), (0.88, 2e-3), (0.3, 3e-3))
        for seed in (1, 2)
    ]
    found = leaderboard_entries(*a_run(tmp_path, made))
    like = {entry.ranked.configuration.learning_rate: entry.tied for entry in found}
    assert like == {1e-3: True, 2e-3: True, 3e-3: False}
    assert all(s.validation.low < s.validation.estimate < s.validation.high for s in found)
    assert found[0].validation.estimate == pytest.approx(found[0].ranked.mean_score)


def test_configurations_are_compared_on_the_replicates_that_they_share(tmp_path: Path) -> None:
    made = [trial(0.9, seed=1), trial(0.9, seed=2), trial(0.85, seed=1, learning_rate=2e-3)]
    made.append(trial(0.8, seed=9, learning_rate=3e-3))
    found = leaderboard_entries(*a_run(tmp_path, made))
    assert [entry.tied for entry in found][-1] is None
    assert found[0].tied is True


def test_a_seed_that_one_configuration_lacks_is_taken_from_no_other_comparison(tmp_path: Path) -> None:
    made = [trial(0.9, seed=seed) for seed in (1, 2, 3)]
    # on the first seed alone far behind, over all three within what seeds do
    made += [trial(share, seed=seed, learning_rate=2e-3) for seed, share in ((1, 0.5), (2, 0.95), (3, 0.95))]
    made.append(trial(0.2, seed=1, learning_rate=3e-3))
    (tmp_path / "alone").mkdir()
    alone = leaderboard_entries(*a_run(tmp_path / "alone", [record for record in made[:4] if record.config.seed == 1]))
    assert [entry.tied for entry in alone] == [True, False]
    found = leaderboard_entries(*a_run(tmp_path, made))
    like = {entry.ranked.configuration.learning_rate: entry.tied for entry in found}
    # one seed does not tell what seeds do
    assert like == {1e-3: True, 2e-3: True, 3e-3: None}


def test_configurations_that_share_some_replicates_are_compared_on_those(tmp_path: Path) -> None:
    made = [trial(0.9, seed=seed) for seed in (1, 2, 3)]
    made += [trial(0.85, seed=seed, learning_rate=2e-3) for seed in (1, 2)]
    made.append(trial(0.8, seed=9, learning_rate=3e-3))
    assert [entry.tied for entry in leaderboard_entries(*a_run(tmp_path, made))] == [True, True, None]


def test_an_effect_is_measured_between_trials_that_differ_in_nothing_else(tmp_path: Path) -> None:
    made = [trial(share, model=model, seed=seed) for share, model in ((0.9, "a"), (0.5, "b")) for seed in (1, 2)]
    made.append(trial(0.1, model="a", seed=3))
    (effect,) = effects(*a_run(tmp_path, made), axis="model")
    assert effect.trials == 2
    assert effect.f1_one - effect.f1_other == pytest.approx(effect.difference.difference)
    assert 0.1 < effect.difference.low < effect.difference.high
    assert effect.difference.p_value < 0.01


def test_an_effect_has_the_same_sign_whichever_trial_ended_first(tmp_path: Path) -> None:
    made = [trial(share, tagging_scheme=scheme) for share, scheme in ((0.9, "BIO"), (0.5, "BIOES"))]
    (tmp_path / "turned").mkdir()
    one, turned = (
        effects(*a_run(folder, records), axis="tagging_scheme")
        for folder, records in ((tmp_path, made), (tmp_path / "turned", made[::-1]))
    )
    assert [(effect.one, effect.other) for effect in one] == [("BIO", "BIOES")]
    assert one == turned


def test_any_axis_that_a_grid_varies_is_asked_about(tmp_path: Path) -> None:
    made = [trial(share, batch_size=size) for share, size in ((0.9, 16), (0.5, 8))]
    ((question, sentences),) = answers(*a_run(tmp_path, made))
    assert question == "What does batch size do?"
    assert sentences[0].startswith("8 against 16: test F1 0.")


def test_of_many_values_the_best_by_validation_are_asked_about(tmp_path: Path) -> None:
    made = [trial(0.1 + place / 20, learning_rate=place * 1e-4, tagging_scheme="BIO") for place in range(1, 15)]
    evidence, records = a_run(tmp_path, made)
    by_validation = sorted(records, key=lambda record: -validation_f1(record))
    best = sorted(record.config.learning_rate for record in by_validation[:6])
    found = effects(evidence, records, axis="learning_rate")
    assert sorted({effect.one for effect in found} | {effect.other for effect in found}) == best
    ((_, sentences),) = answers(evidence, records)
    assert sentences[0] == "Of 14 values, the 6 with the best mean validation F1."
    assert len(sentences) == 1 + 15 + 6


def test_an_axis_of_one_value_asks_nothing(tmp_path: Path) -> None:
    assert answers(*a_run(tmp_path, [trial(0.9)])) == []


def test_the_three_questions_are_answered_with_intervals(tmp_path: Path) -> None:
    made = [
        trial(share, model=model, tagging_scheme=scheme, learning_rate=rate)
        for share, model in ((0.9, "KB/bert-base-swedish-cased"), (0.6, "google-bert/bert-base-multilingual-cased"))
        for scheme in ("BIO", "BIOES")
        for rate in (1e-5, 2e-5)
    ]
    told = dict(answers(*a_run(tmp_path, made)))
    assert list(told) == [
        "Language-specific or multilingual encoder?",
        "Which tagging scheme?",
        "What does the learning rate do?",
    ]
    encoder = told["Language-specific or multilingual encoder?"]
    assert ": told apart by" in encoder[0]
    assert "95 % interval" in encoder[0]
    assert sum("alone" in sentence for sentence in encoder) == 2
    assert "not to be told apart" in told["Which tagging scheme?"][0]
    assert any("within 1 % of its best" in sentence for sentence in told["What does the learning rate do?"])


def test_convergence_is_the_first_epoch_near_the_best() -> None:
    record = TrialRecord.completed(a_config(), a_result((0.1, 0.795, 0.8, 0.79)), seconds=1.0)
    assert convergence(record) == 2


def test_the_summary_says_that_one_seed_says_little(tmp_path: Path) -> None:
    evidence, records = a_run(tmp_path, [trial(0.9), trial(0.85, learning_rate=2e-3)])
    lines = summary_lines(leaderboard_entries(evidence, records), records)
    assert any("One seed only" in line for line in lines)
    assert any("1 of the 1 others cannot be told from the best" in line for line in lines)


def test_the_summary_says_how_many_were_not_compared(tmp_path: Path) -> None:
    evidence, records = a_run(tmp_path, [trial(0.9), trial(0.85, learning_rate=2e-3), trial(0.5, seed=9, model="y")])
    lines = summary_lines(leaderboard_entries(evidence, records), records)
    assert any("1 of the 1 others that were compared cannot be told" in line for line in lines)
    assert any(line.startswith("1 were not compared: ") for line in lines)


def test_the_best_is_the_best_of_those_that_were_stopped_too(tmp_path: Path) -> None:
    evidence, records = a_run(tmp_path, [trial(0.9), trial(0.85, learning_rate=2e-3)])
    behind = TrialRecord.of(a_config(learning_rate=3e-3), "pruned", 1.0)
    broken = TrialRecord.of(a_config(learning_rate=4e-3), "failed", 1.0, error="no memory")
    lines = summary_lines(leaderboard_entries(evidence, records), [*records, behind, broken])
    assert any("the best of 3 is chosen" in line for line in lines)


def test_what_rules_reach_and_what_stands_in_train_comes_from_the_audit_of_each_fold(tmp_path: Path) -> None:
    evidence, _ = a_run(tmp_path, [trial(0.9)])
    assert evidence.baseline_f1 is None
    baselines = {"a": {"test": {"f1": 0.2}}, "b": {"test": {"f1": 0.6}}}
    made = an_audit(baselines=baselines, test_sentences_in_train={"near": [1, 2]})
    other = an_audit(baselines={"a": {"test": {"f1": 0.4}}}, test_sentences_in_train={"near": [], "exact": [7]})
    folder = RunDir.available(tmp_path, "audited")
    folder.create("", audits={0: made, 1: other})
    read = Evidence(folder)
    assert read.baseline_f1 == pytest.approx(0.5)
    assert read.contaminated(0) == {1, 2}
    assert read.contaminated(1) == {7}
    assert read.contaminated(None) == frozenset()
