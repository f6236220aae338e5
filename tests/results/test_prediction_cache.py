"""Counts of a run's trials: sentences of one document are one unit of resampling."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.factories import an_audit
from tests.results.simulated import _CORPUS, _SPLIT, SIZE, simulated_trial
from tune_ner.data.corpus import Corpus
from tune_ner.evaluation.seed_variance import ASSUMED_DEVIATION, SeedVariance, pooled_seed_variances
from tune_ner.results.prediction_cache import PredictionCache
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir


def cache_of(folder: Path, corpus: Corpus, records: list[TrialRecord]) -> PredictionCache:
    run_dir = RunDir.new(folder, "run")
    run_dir.create("", audits={})
    for record in records:
        run_dir.append(record, corpus, _SPLIT)
    return PredictionCache(run_dir)


def in_documents(size: int) -> Corpus:
    """Return the corpus with documents of some sentences."""
    sentences = [replace(sentence, group=f"d{i // size}") for i, sentence in enumerate(_CORPUS.sentences)]
    return replace(_CORPUS, sentences=tuple(sentences))


def test_sentences_of_a_document_have_one_id(tmp_path: Path) -> None:
    record = simulated_trial(0.8)
    cache = cache_of(tmp_path, in_documents(5), [record])
    counts, (ids,) = cache.replicate_counts([record], "test")
    assert counts[0].shape == (1, SIZE, 3)
    assert np.unique(ids, return_counts=True)[1].tolist() == [5] * (SIZE // 5)


def test_a_document_has_one_id_in_all_folds(tmp_path: Path) -> None:
    records = [simulated_trial(0.8, fold=fold) for fold in (0, 1)]
    _, (one, other) = cache_of(tmp_path, in_documents(5), records).replicate_counts(records, "test")
    assert one.tolist() == other.tolist()


def test_sentences_without_a_document_have_ids_of_their_own(tmp_path: Path) -> None:
    records = [simulated_trial(0.8, fold=fold) for fold in (0, 1)]
    _, (one, other) = cache_of(tmp_path, _CORPUS, records).replicate_counts(records, "test")
    assert len({*one.tolist(), *other.tolist()}) == 2 * SIZE


def test_the_interval_is_wider_if_a_document_is_right_or_wrong_as_a_whole(tmp_path: Path) -> None:
    record = simulated_trial(0.8)
    assert record.result
    gold = [(_CORPUS.sentences[0].spans[0],)] * 10
    found = tuple(spans for i in range(SIZE // 10) for spans in (gold if i % 3 else [()] * 10))
    result = replace(record.result, predicted_spans={"validation": found, "test": found})
    record = record.model_copy(update={"result": result})
    widths = []
    for name, corpus in (("grouped", in_documents(10)), ("plain", _CORPUS)):
        interval = cache_of(tmp_path / name, corpus, [record]).interval([record], "test")
        widths.append(interval.high - interval.low)
    assert widths[0] > 2 * widths[1]


def test_few_documents_are_not_resampled(tmp_path: Path) -> None:
    record = simulated_trial(0.8)
    _, (ids,) = cache_of(tmp_path, in_documents(SIZE // 3), [record]).replicate_counts([record], "test")
    assert len(set(ids.tolist())) == SIZE


def test_recall_counts_an_entity_once_for_all_seeds_and_the_entities_of_every_fold(tmp_path: Path) -> None:
    def width(name: str, records: list[TrialRecord]) -> float:
        run_dir = RunDir.new(tmp_path, name)
        run_dir.create("", audits={fold: an_audit(seen_entities=frozenset({"medicin"})) for fold in (None, 0, 1)})
        for record in records:
            run_dir.append(record, _CORPUS, _SPLIT)
        found = PredictionCache(run_dir).recall(records, "test", "seen")
        return found.high - found.low

    single = width("single", [simulated_trial(0.8)])
    assert width("seeds", [simulated_trial(0.8, seed=seed) for seed in range(4)]) == pytest.approx(single, rel=0.15)
    folds = width("folds", [simulated_trial(0.8, fold=fold) for fold in (0, 1)])
    assert folds == pytest.approx(single / 2**0.5, rel=0.15)
    seeds_and_folds = [simulated_trial(0.8, fold=fold, seed=seed) for fold in (0, 1) for seed in range(3)]
    assert width("both", seeds_and_folds) == pytest.approx(single / 2**0.5, rel=0.15)


def test_variance_of_a_single_trial_is_assumed_and_that_of_folds_is_estimated(tmp_path: Path) -> None:
    record = simulated_trial(0.8)
    assumed = cache_of(tmp_path / "single", _CORPUS, [record]).seed_variance_of([record], "test")
    assert assumed == SeedVariance.known(ASSUMED_DEVIATION**2)
    folds = [simulated_trial(0.8, fold=fold, seed=fold) for fold in (0, 1, 2)]
    cache = cache_of(tmp_path / "folds", _CORPUS, folds)
    estimated = cache.seed_variance_of(folds, "test")
    assert estimated.degrees_of_freedom == 2
    assert estimated == pooled_seed_variances([cache.sample(folds, "test")])[0]
