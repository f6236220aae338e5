"""Whose weights a run keeps while it goes on, and whose it leaves."""

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import ray
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import a_failure, a_record, a_run, a_stopped_trial
from tune_ner.config.loading import parse_space
from tune_ner.inference.predictor import Predictor
from tune_ner.results.best_model import BestModelDir, ModelFiles
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.selection import Candidate, winner
from tune_ner.training.model_settings import ModelSettings
from tune_ner.tuning import best_model_store as module
from tune_ner.tuning.best_model_store import BestModelStore, export_winner, lacks_model, offer
from tune_ner.tuning.events import RunEvents
from tune_ner.tuning.experiment import prepare
from tune_ner.tuning.grid_run import run_grid

RATES = (1e-3, 2e-3, 3e-3)


class Here:
    """An object whose methods are called as those of an actor, at once and in this process."""

    def __init__(self, actor: object) -> None:
        self._actor = actor

    def __getattr__(self, name: str) -> Any:
        class Method:
            remote = getattr(self._actor, name)

        return Method


class Notes(RunEvents):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def noted(self, what: str) -> None:
        self.notes.append(what)


class Model:
    """A trained model whose weights are its trial's name."""

    def __init__(self, record: TrialRecord, problem: Exception | None = None) -> None:
        self._config = record.config
        self._problem = problem

    def save(self, folder: Path, trained_again: tuple[str, ...] | None = None) -> None:
        if self._problem:
            raise self._problem
        (folder / "model.safetensors").write_text(self._config.trial_id)
        found = ModelSettings.of(self._config, ("DRUG",)).model_copy(update={"trained_again": trained_again})
        found.write(folder)


@pytest.fixture(autouse=True)
def without_ray(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "slow" not in request.keywords:
        monkeypatch.setattr(ray, "get", lambda value: value)


def ended(folder: RunDir, records: Sequence[TrialRecord], problem: Exception | None = None) -> Here:
    """A keeper that these trials were offered to, one after the other."""
    keeper = Here(BestModelStore(folder.path, []))
    for record in records:
        if record.result:
            offer(keeper, record, Model(record, problem))  # type: ignore[arg-type]
    return keeper


def again(trained: list[str], differences: tuple[str, ...] = ()) -> Callable[[TrialRecord], ModelFiles]:
    def train(record: TrialRecord) -> ModelFiles:
        trained.append(record.trial_id)
        return module.model_files(Model(record), differences)  # type: ignore[arg-type]

    return train


def exported(folder: RunDir, keeper: Any, **changes: Any) -> tuple[list[str], list[str]]:
    """Which trials the end of a run trained again, and its notes."""
    trained: list[str] = []
    events = Notes()
    export_winner(folder, keeper, again(trained, **changes), events)
    assert not (folder.path / ".best").exists()
    return trained, events.notes


def test_the_winner_is_the_best_replicate_of_the_first_configuration() -> None:
    lucky = [a_record((f1,), seed=seed, learning_rate=1e-3) for seed, f1 in enumerate((0.9, 0.1))]
    steady = [a_record((f1,), seed=seed, learning_rate=2e-3) for seed, f1 in enumerate((0.6, 0.7, 0.65))]
    best = winner(map(Candidate.of, [*lucky, *steady, a_failure(), a_stopped_trial((0.99,), learning_rate=5e-3)]))
    assert best
    assert best.trial_id == steady[1].trial_id
    assert winner([]) is None
    assert winner(map(Candidate.of, [a_failure(), a_stopped_trial()])) is None


@settings(deadline=None, max_examples=30)
@given(scores=st.lists(st.integers(0, 9), min_size=1, max_size=8))
def test_of_single_trials_the_winner_s_weights_are_always_there(
    tmp_path_factory: pytest.TempPathFactory, scores: list[int]
) -> None:
    records = [a_record((f1 / 10,), learning_rate=(number + 1) / 100) for number, f1 in enumerate(scores)]
    folder = a_run(tmp_path_factory.mktemp("run"), records)
    assert exported(folder, ended(folder, records)) == ([], [])
    first = next(record for record, f1 in zip(records, scores, strict=True) if f1 == max(scores))
    assert folder.models.exported == first.trial_id
    assert (folder.models.best / "model.safetensors").read_text() == first.trial_id


@settings(deadline=None, max_examples=30)
@given(order=st.permutations([(rate, seed) for rate in RATES for seed in range(2)]), data=st.data())
def test_with_replicates_the_run_leaves_the_winner_and_trains_at_most_that_again(
    tmp_path_factory: pytest.TempPathFactory, order: list[tuple[float, int]], data: st.DataObject
) -> None:
    records = [a_record((data.draw(st.integers(0, 9)) / 10,), learning_rate=rate, seed=seed) for rate, seed in order]
    folder = a_run(tmp_path_factory.mktemp("run"), records)
    keeper = ended(folder, records)
    kept = folder.models.kept
    best = winner(map(Candidate.of, records))
    assert best
    trained, notes = exported(folder, keeper)
    assert trained == ([] if kept == best.trial_id else [best.trial_id])
    assert len(notes) == len(trained)
    assert folder.models.exported == best.trial_id
    assert not lacks_model(folder, records)


def test_only_what_leads_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [a_record((f1,), learning_rate=rate) for f1, rate in zip((0.5, 0.3, 0.7), RATES, strict=True)]
    folder = a_run(tmp_path, [])
    kept: list[str] = []
    monkeypatch.setattr(BestModelDir, "keep", lambda *arguments: kept.append(arguments[1]))
    ended(folder, records)
    assert kept == [records[0].trial_id, records[2].trial_id]


def test_a_keeper_knows_the_trials_of_an_earlier_start(tmp_path: Path) -> None:
    before, after = (a_record((f1,), learning_rate=rate) for f1, rate in ((0.5, 1e-3), (0.4, 2e-3)))
    keeper = BestModelStore(tmp_path, [Candidate.of(before)])
    assert not keeper.leads(Candidate.of(after))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        ray.exceptions.RayError("lost"),
        RuntimeError("CUDA error: out of memory"),
        ValueError("this state dict does not fit"),
    ],
)
def test_what_cannot_be_sent_or_written_is_told_and_nothing_is_trained_in_vain(
    tmp_path: Path, error: Exception
) -> None:
    records = [a_record()]
    folder = a_run(tmp_path, records)
    trained: list[str] = []
    events = Notes()
    export_winner(folder, ended(folder, records, error), again(trained), events)
    assert trained == []
    assert not folder.models.best.exists()
    assert str(error) in events.notes[0]
    assert "the same command with --name run tries again" in events.notes[0]
    assert lacks_model(folder, records)


def test_a_full_disk_costs_the_model_and_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    records = [a_record()]
    folder = a_run(tmp_path, records)
    monkeypatch.setattr(BestModelDir, "keep", full)
    trained, notes = exported(folder, ended(folder, records))
    assert trained == []
    assert "No space left on device" in notes[0]
    assert [record.trial_id for record in folder.records()] == [records[0].trial_id]


def test_a_model_that_came_out_otherwise_says_so(tmp_path: Path) -> None:
    records = [a_record()]
    folder = a_run(tmp_path, records)
    trained, notes = exported(folder, ended(folder, []), differences=("test F1 0.4 in the record, 0.5 here",))
    assert trained == [records[0].trial_id]
    assert notes[-1].endswith("did not come out as before: test F1 0.4 in the record, 0.5 here")


def test_a_run_without_a_finished_trial_leaves_no_model(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [a_failure(), a_stopped_trial(learning_rate=0.1)])
    assert exported(folder, ended(folder, [])) == ([], [])
    assert not folder.models.best.exists()
    assert not lacks_model(folder, folder.records())


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


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_a_grid_that_ran_without_export_trains_its_winner_again_and_then_lets_it_be(tmp_path: Path) -> None:
    experiment = prepare(parse_space(SPACE, "test"))

    def run(export: bool) -> tuple[RunDir, list[str]]:
        folder, events = RunDir.available(tmp_path, "grid", may_go_on=True), Notes()
        run_grid(experiment, folder, events=events, export=export)
        return folder, events.notes

    folder, notes = run(export=False)
    assert (notes, folder.models.exported) == ([], None)
    _, (note,) = run(export=True)
    assert "it is trained once more" in note
    best = winner(map(Candidate.of, folder.records()))
    assert best
    assert folder.models.exported == best.trial_id
    settings = ModelSettings.read(folder.models.best)
    assert settings
    assert settings.trained_again == ()
    texts = [experiment.corpus.sentences[index].text for index in experiment.splits[None].test]
    found = [[span.span for span in spans] for spans in Predictor.load(folder.models.best).predict(texts)]
    assert found == folder.predictions_of(best.trial_id, "test").predicted
    assert any(found)
    written = (folder.models.best / "model.safetensors").stat().st_mtime_ns
    assert run(export=True)[1] == []
    assert (folder.models.best / "model.safetensors").stat().st_mtime_ns == written
