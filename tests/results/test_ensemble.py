"""Ensembles of a run's trials, from stored probabilities."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.results.simulated import GOLD, SIZE, simulated_run, simulated_trial
from tune_ner.data.corpus import Span, SplitName
from tune_ner.errors import RunFolderError
from tune_ner.evaluation.span_metrics import exact_f1
from tune_ner.results.ensemble import ENSEMBLES_FILE, read_ensembles
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.results.test_set_log import LOG_FILE
from tune_ner.tagging.probabilities import WordProbabilities, pack
from tune_ner.tagging.tokenization import Words

SPLITS: tuple[SplitName, ...] = ("validation", "test")
LABELS = ("O", "I-DRUG")
WORDS = Words(np.tile([0, 3], SIZE), np.tile([2, 10], SIZE), np.arange(0, 2 * SIZE + 1, 2))


def probabilities(found: np.ndarray, certainty: float) -> WordProbabilities:
    """Return those of a model that finds the entity of some sentences, shape (sentences,), with this certainty."""
    values = np.zeros((SIZE, 2, 2))
    values[:, 0] = [1, 0]
    values[:, 1, 1] = np.where(found, certainty, 1 - certainty)
    values[:, 1, 0] = 1 - values[:, 1, 1]
    return WordProbabilities(WORDS, values.reshape(-1, 2), "IO", LABELS)


def a_trial(share: float, certainty: float = 0.9, **changes: object) -> TrialRecord:
    """Return a trial that finds this share of the entities, with its probabilities."""
    record = simulated_trial(share, tagging_scheme="IO", **changes)
    assert record.result
    splits: dict[SplitName, WordProbabilities] = {
        name: probabilities(np.array([bool(spans) for spans in record.result.predicted_spans[name]]), certainty)
        for name in SPLITS
    }
    result = replace(record.result, labels=LABELS, probabilities=pack(splits))
    return record.model_copy(update={"result": result})


def found_by(results: Results, trial_id: str, split_name: SplitName) -> np.ndarray:
    return np.array([bool(spans) for spans in results.cache.predictions(trial_id, split_name).predicted])


def test_an_ensemble_of_three_models_is_their_majority(tmp_path: Path) -> None:
    results = simulated_run(tmp_path, [a_trial(0.7, seed=seed) for seed in (1, 2, 3)])
    ensemble = results.ensemble(1)
    votes = np.sum([found_by(results, record.trial_id, "test") for record in results.records], axis=0)
    expected = exact_f1([[GOLD]] * SIZE, [[GOLD] if count >= 2 else [] for count in votes])
    assert ensemble.test_span_f1 == pytest.approx(expected)
    assert (ensemble.n_configurations, ensemble.n_models) == (1, 3)
    single = np.mean([record.result.metrics["test"].spans.f1 for record in results.records if record.result])
    assert ensemble.best_test_span_f1 == pytest.approx(single)
    assert ensemble.difference == pytest.approx(expected - single)
    assert ensemble.difference_low < ensemble.difference < ensemble.difference_high
    assert ensemble.test_span_f1_low < ensemble.test_span_f1 < ensemble.test_span_f1_high


def test_a_certain_model_outvotes_uncertain_ones(tmp_path: Path) -> None:
    records = [a_trial(0.9, 0.99, seed=1), a_trial(0.2, 0.6, seed=2), a_trial(0.2, 0.6, seed=3)]
    results = simulated_run(tmp_path, records)
    certain = found_by(results, records[0].trial_id, "test")
    expected = exact_f1([[GOLD]] * SIZE, [[GOLD] if each else [] for each in certain])
    assert results.ensemble(1).test_span_f1 == pytest.approx(expected)


def test_configurations_are_those_that_lead_on_validation(tmp_path: Path) -> None:
    shares = {1e-3: 0.9, 2e-3: 0.8, 3e-3: 0.3}
    records = [a_trial(share, learning_rate=lr, seed=seed) for lr, share in shares.items() for seed in (1, 2)]
    results = simulated_run(tmp_path, records)
    ensemble = results.ensemble(2)
    assert set(ensemble.trial_ids.split()) == {record.trial_id for record in records[:4]}
    by_size = [float(score) for score in ensemble.validation_by_size.split()]
    assert len(by_size) == 2
    assert by_size[-1] == pytest.approx(ensemble.validation_span_f1, abs=1e-6)
    text = " ".join(ensemble.sentences())
    assert f"Ensemble of 4 models, all of the 2 best configurations: test span F1 {ensemble.test_span_f1:.3f}" in text


def test_ensembles_are_recorded_and_their_use_of_the_test_set_is_logged_once(tmp_path: Path) -> None:
    results = simulated_run(tmp_path, [a_trial(0.8, learning_rate=lr) for lr in (1e-3, 2e-3, 3e-3)])
    assert results.ensembles == []
    found = [results.ensemble(size) for size in (3, 2, 3)]
    assert read_ensembles(results.run_dir) == results.ensembles == [found[1], found[0]]
    log = [json.loads(line)["trial"] for line in (results.run_dir.path / LOG_FILE).read_text().splitlines()]
    assert log[3:] == ["ensemble-3", "ensemble-2"]


def test_a_recorded_ensemble_is_not_shown_after_the_leaderboard_changed(tmp_path: Path) -> None:
    results = simulated_run(tmp_path, [a_trial(0.5, seed=1), a_trial(0.5, seed=2)])
    results.ensemble(1)
    other = Results(results.run_dir)
    assert len(other.ensembles) == 1
    (results.run_dir.path / "trials.jsonl").write_bytes(
        (results.run_dir.path / "trials.jsonl").read_bytes().splitlines(keepends=True)[0]
    )
    assert Results(results.run_dir).ensembles == []


def test_mistakes_are_reported(tmp_path: Path) -> None:
    one = simulated_run(tmp_path, [a_trial(0.5)], "one")
    with pytest.raises(RunFolderError, match="has one trial; expected an ensemble of more configurations"):
        one.ensemble(1)
    with pytest.raises(RunFolderError, match=r"an ensemble of 2 configurations; expected 1 to 1"):
        one.ensemble(2)
    with pytest.raises(RunFolderError, match="no completed trial"):
        simulated_run(tmp_path, [], "none").ensemble(1)
    old = simulated_run(tmp_path, [a_trial(0.5, seed=seed) for seed in (1, 2)], "old")
    for file in old.run_dir.predictions.glob("*.npz"):
        file.unlink()
    with pytest.raises(RunFolderError, match=r"\.npz: missing; expected the label probabilities"):
        old.ensemble(1)
    assert not (old.run_dir.path / ENSEMBLES_FILE).exists()


def test_damaged_files_are_reported(tmp_path: Path) -> None:
    records = [a_trial(0.5, seed=seed) for seed in (1, 2)]
    results = simulated_run(tmp_path, records)
    file = results.run_dir.predictions / f"{records[0].trial_id}.npz"
    few = WordProbabilities(Words(WORDS.starts[:2], WORDS.ends[:2], WORDS.firsts[:2]), np.ones((2, 2)), "IO", LABELS)
    for other in results.run_dir.predictions.glob("*.npz"):
        other.write_bytes(pack(dict.fromkeys(SPLITS, few)))
    with pytest.raises(RunFolderError, match=r"\.npz has 1 validation sentences and .*\.jsonl 150"):
        results.ensemble(1)
    file.write_bytes(b"PK")
    with pytest.raises(RunFolderError, match="not the label probabilities of a trial"):
        Results(results.run_dir).ensemble(1)
    (results.run_dir.path / ENSEMBLES_FILE).write_text("a,b\n1,2\n")
    with pytest.raises(RunFolderError, match=rf"{ENSEMBLES_FILE}: cannot be read"):
        _ = results.ensembles


def test_configurations_with_other_words_are_refused(tmp_path: Path) -> None:
    other = a_trial(0.5, word_tokenizer="punctuation")
    assert other.result
    words = Words(np.tile([0, 3], SIZE), np.tile([2, 11], SIZE), WORDS.firsts)
    splits: dict[SplitName, WordProbabilities] = {
        name: replace(probabilities(np.ones(SIZE), 0.9), words=words) for name in SPLITS
    }
    other = other.model_copy(update={"result": replace(other.result, probabilities=pack(splits))})
    with pytest.raises(RunFolderError, match="different words; expected configurations with the same word_tokenizer"):
        simulated_run(tmp_path, [a_trial(0.5), other]).ensemble(2)


def test_each_fold_has_its_own_ensemble(tmp_path: Path) -> None:
    records = [a_trial(0.5 + 0.2 * fold, seed=seed, fold=fold) for fold in (0, 1) for seed in (1, 2, 3)]
    results = simulated_run(tmp_path, records)
    scores = []
    for fold in (0, 1):
        votes = np.sum([found_by(results, each.trial_id, "test") for each in records[3 * fold :][:3]], axis=0)
        scores.append(exact_f1([[GOLD]] * SIZE, [[GOLD] if count >= 2 else list[Span]() for count in votes]))
    assert results.ensemble(1).test_span_f1 == pytest.approx(np.mean(scores))
