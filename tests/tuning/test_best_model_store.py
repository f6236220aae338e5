"""Models that a run keeps and exports."""

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import ray
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import a_failed_trial, a_pruned_trial, a_record, a_run
from tune_ner.config.loading import parse_space
from tune_ner.inference.predictor import Predictor
from tune_ner.results.best_model import BestModelDir, ModelFiles
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.selection import Candidate, winner
from tune_ner.training.model_export import InferenceConfig
from tune_ner.tuning.best_model_store import BestModelStore, export_best, lacks_model, model_files, offer
from tune_ner.tuning.events import RunEvents
from tune_ner.tuning.experiment import prepare
from tune_ner.tuning.options import RunOptions
from tune_ner.tuning.tuner import run_experiment

RATES = (1e-3, 2e-3, 3e-3)


class LocalActor:
    """Calls the methods of an object like those of a Ray actor, immediately and in this process."""

    def __init__(self, actor: object) -> None:
        self._actor = actor

    def __getattr__(self, name: str) -> Any:
        class Method:
            remote = getattr(self._actor, name)

        return Method


class Notes(RunEvents):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def on_note(self, message: str) -> None:
        self.notes.append(message)


class Model:
    """A trained model whose weights are the id of its trial."""

    def __init__(self, record: TrialRecord, problem: Exception | None = None) -> None:
        self._config = record.config
        self._problem = problem

    def save(self, folder: Path, retraining_differences: tuple[str, ...] | None = None) -> None:
        if self._problem:
            raise self._problem
        (folder / "model.safetensors").write_text(self._config.trial_id)
        found = InferenceConfig.of(self._config, ("DRUG",)).model_copy(
            update={"retraining_differences": retraining_differences}
        )
        found.write(folder)


@pytest.fixture(autouse=True)
def without_ray(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "slow" not in request.keywords:
        monkeypatch.setattr(ray, "get", lambda value: value)


def a_store(run_dir: RunDir, records: Sequence[TrialRecord], problem: Exception | None = None) -> LocalActor:
    """Return a store to which these trials were offered one after another."""
    store = LocalActor(BestModelStore(run_dir.path, []))
    for record in records:
        if record.result:
            offer(store, record.config, record.result, Model(record, problem))  # type: ignore[arg-type]
    return store


def retraining(retrained: list[str], differences: tuple[str, ...] = ()) -> Callable[[TrialRecord], ModelFiles]:
    """Return a function that retrains a trial and notes its id."""

    def retrain(record: TrialRecord) -> ModelFiles:
        retrained.append(record.trial_id)
        return model_files(Model(record), differences)  # type: ignore[arg-type]

    return retrain


def export(run_dir: RunDir, store: Any, **changes: Any) -> tuple[list[str], list[str]]:
    """Export the best model; return the trials that were retrained, and the notes."""
    retrained: list[str] = []
    events = Notes()
    export_best(run_dir, run_dir.records(), store, retraining(retrained, **changes), events)
    assert not (run_dir.path / ".best").exists()
    return retrained, events.notes


def test_the_best_trial_is_the_best_seed_of_the_best_configuration() -> None:
    lucky = [a_record((f1,), seed=seed, learning_rate=1e-3) for seed, f1 in enumerate((0.9, 0.1))]
    steady = [a_record((f1,), seed=seed, learning_rate=2e-3) for seed, f1 in enumerate((0.6, 0.7, 0.65))]
    best = winner(map(Candidate.of, [*lucky, *steady, a_failed_trial(), a_pruned_trial((0.99,), learning_rate=5e-3)]))
    assert best
    assert best.trial_id == steady[1].trial_id
    assert winner([]) is None
    assert winner(map(Candidate.of, [a_failed_trial(), a_pruned_trial()])) is None


@settings(deadline=None, max_examples=30)
@given(scores=st.lists(st.integers(0, 9), min_size=1, max_size=8))
def test_with_one_seed_the_best_weights_are_always_kept(
    tmp_path_factory: pytest.TempPathFactory, scores: list[int]
) -> None:
    records = [a_record((f1 / 10,), learning_rate=(number + 1) / 100) for number, f1 in enumerate(scores)]
    run_dir = a_run(tmp_path_factory.mktemp("run"), records)
    assert export(run_dir, a_store(run_dir, records)) == ([], [])
    first = next(record for record, f1 in zip(records, scores, strict=True) if f1 == max(scores))
    assert run_dir.models.exported == first.trial_id
    assert (run_dir.models.best / "model.safetensors").read_text() == first.trial_id


@settings(deadline=None, max_examples=30)
@given(order=st.permutations([(rate, seed) for rate in RATES for seed in range(2)]), data=st.data())
def test_with_several_seeds_the_best_model_is_exported_and_at_most_that_one_retrained(
    tmp_path_factory: pytest.TempPathFactory, order: list[tuple[float, int]], data: st.DataObject
) -> None:
    records = [a_record((data.draw(st.integers(0, 9)) / 10,), learning_rate=rate, seed=seed) for rate, seed in order]
    run_dir = a_run(tmp_path_factory.mktemp("run"), records)
    store = a_store(run_dir, records)
    kept = run_dir.models.kept
    best = winner(map(Candidate.of, records))
    assert best
    retrained, notes = export(run_dir, store)
    assert retrained == ([] if kept == best.trial_id else [best.trial_id])
    assert len(notes) == len(retrained)
    assert run_dir.models.exported == best.trial_id
    assert not lacks_model(run_dir, records)


def test_only_the_models_of_trials_that_lead_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [a_record((f1,), learning_rate=rate) for f1, rate in zip((0.5, 0.3, 0.7), RATES, strict=True)]
    run_dir = a_run(tmp_path, [])
    kept: list[str] = []
    monkeypatch.setattr(BestModelDir, "keep", lambda *arguments: kept.append(arguments[1]))
    a_store(run_dir, records)
    assert kept == [records[0].trial_id, records[2].trial_id]


def test_a_store_compares_with_the_trials_of_earlier_sessions(tmp_path: Path) -> None:
    before, after = (a_record((f1,), learning_rate=rate) for f1, rate in ((0.5, 1e-3), (0.4, 2e-3)))
    store = BestModelStore(tmp_path, [Candidate.of(before)])
    assert not store.is_best(Candidate.of(after))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        ray.exceptions.RayError("lost"),
        RuntimeError("CUDA error: out of memory"),
        ValueError("this state dict does not fit"),
    ],
)
def test_a_model_that_cannot_be_sent_is_reported_and_not_retrained(tmp_path: Path, error: Exception) -> None:
    records = [a_record()]
    run_dir = a_run(tmp_path, records)
    retrained: list[str] = []
    events = Notes()
    export_best(run_dir, records, a_store(run_dir, records, error), retraining(retrained), events)
    assert retrained == []
    assert not run_dir.models.best.exists()
    assert str(error) in events.notes[0]
    assert "--name run" in events.notes[0]
    assert lacks_model(run_dir, records)


def test_a_full_disk_prevents_the_export_but_keeps_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    records = [a_record()]
    run_dir = a_run(tmp_path, records)
    monkeypatch.setattr(BestModelDir, "keep", full)
    retrained, notes = export(run_dir, a_store(run_dir, records))
    assert retrained == []
    assert "No space left on device" in notes[0]
    assert [record.trial_id for record in run_dir.records()] == [records[0].trial_id]


def test_differences_after_retraining_are_reported(tmp_path: Path) -> None:
    records = [a_record()]
    run_dir = a_run(tmp_path, records)
    difference = "test_span_f1 0.4 in the record, 0.5 after retraining"
    retrained, notes = export(run_dir, a_store(run_dir, []), differences=(difference,))
    assert retrained == [records[0].trial_id]
    assert notes[-1].endswith(difference)


def test_a_run_without_a_completed_trial_exports_no_model(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path, [a_failed_trial(), a_pruned_trial(learning_rate=0.1)])
    assert export(run_dir, a_store(run_dir, [])) == ([], [])
    assert not run_dir.models.best.exists()
    assert not lacks_model(run_dir, run_dir.records())


SPACE = {
    "data": "synthetic:300",
    "model": "tiny:1x32",
    "tagging_scheme": "BIO",
    "learning_rate": 8e-3,
    "seed": [1, 2],
    "epochs": 4,
    "batch_size": 8,
    "word_tokenizer": "punctuation",
}


@pytest.mark.long
@pytest.mark.slow
def test_a_grid_that_ran_without_export_retrains_its_best_trial_once(tmp_path: Path) -> None:
    experiment = prepare(parse_space(SPACE, "test"))

    def run(export: bool) -> tuple[RunDir, list[str]]:
        run_dir, events = RunDir.new(tmp_path, "grid", resume=True), Notes()
        run_experiment(experiment, run_dir, options=RunOptions(export=export), events=events)
        return run_dir, events.notes

    run_dir, notes = run(export=False)
    assert (notes, run_dir.models.exported) == ([], None)
    _, (note,) = run(export=True)
    assert "retraining" in note
    best = winner(map(Candidate.of, run_dir.records()))
    assert best
    assert run_dir.models.exported == best.trial_id
    settings = InferenceConfig.read(run_dir.models.best)
    assert settings
    assert settings.retraining_differences == ()
    texts = [experiment.corpus.sentences[index].text for index in experiment.splits[None].test]
    found = [[span.span for span in spans] for spans in Predictor.load(run_dir.models.best).predict(texts)]
    assert found == run_dir.predictions_of(best.trial_id, "test").predicted
    assert any(found)
    written = (run_dir.models.best / "model.safetensors").stat().st_mtime_ns
    assert run(export=True)[1] == []
    assert (run_dir.models.best / "model.safetensors").stat().st_mtime_ns == written
