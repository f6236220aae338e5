"""A trial that goes on where it was saved: its figures are those of one that was never cut off."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.splits import SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.training.checkpoints import TrialCheckpoint
from tune_ner.training.encoders import resolve_encoder
from tune_ner.training.result import EpochMetrics, TrialResult
from tune_ner.training.trial import run_trial

CORPUS = synthetic_corpus(200)
SPLIT = split_corpus(CORPUS, SplitSpec())


class CutOffError(Exception):
    """The process died."""


def configuration(**changes: Any) -> TrialConfig:
    fields: dict[str, Any] = {
        "data_fingerprint": CORPUS.fingerprint,
        "model": "tiny:1x32",
        "tagging_scheme": "BIO",
        "learning_rate": 5e-3,
        "seed": 3,
        "epochs": 6,
        "word_tokenizer": "punctuation",
        "lr_schedule": "cosine",
        "warmup": 0.1,
    }
    return TrialConfig(**{**fields, **changes})


def run(config: TrialConfig, checkpoint: TrialCheckpoint | None = None, on_epoch: Any = lambda _: None) -> TrialResult:
    return run_trial(config, resolve_encoder(config.model), CORPUS, SPLIT, on_epoch, 1, checkpoint=checkpoint)


def cut_off(config: TrialConfig, file: Path, after: int, every: int = 1) -> None:
    def die(figures: EpochMetrics) -> None:
        if figures.epoch > after:
            raise CutOffError

    with pytest.raises(CutOffError):
        run(config, TrialCheckpoint(file, config.trial_id, every), die)


@pytest.mark.parametrize(
    ("changes", "every", "after", "kept"),
    [
        ({"batching": "padding_free"}, 1, 4, 4),
        ({"batching": "padded", "dropout": 0.3}, 2, 3, 2),
        ({"batching": "padding_free", "trim_vocabulary": True, "label_smoothing": 0.1}, 3, 5, 3),
        ({"decoding": "viterbi", "tagging_scheme": "BIOES", "target_f1": 0.99}, 1, 1, 1),
    ],
)
def test_a_trial_that_was_cut_off_ends_as_if_nothing_had_happened(
    tmp_path: Path, changes: dict[str, Any], every: int, after: int, kept: int
) -> None:
    config, file = configuration(**changes), tmp_path / "checkpoints" / "trial.safetensors"
    whole = run(config)
    cut_off(config, file, after, every)
    checkpoint = TrialCheckpoint(file, config.trial_id, every)
    assert checkpoint.epochs == kept
    told: list[EpochMetrics] = []
    resumed = run(config, checkpoint, told.append)
    assert resumed.note.endswith(f"went on after epoch {kept}, where it was saved")
    assert tuple(told) == resumed.epochs
    assert resumed.cost
    assert whole.cost
    assert resumed.cost.computed_tokens == whole.cost.computed_tokens
    assert replace(resumed, seconds={}, cost=None, note="") == replace(whole, seconds={}, cost=None, note="")
    assert resumed.seconds["train"] > checkpoint.seconds["train"] > 0


def test_the_last_epoch_is_not_saved_for_nothing_follows_it(tmp_path: Path) -> None:
    config, file = configuration(epochs=2), tmp_path / "trial.safetensors"
    run(config, TrialCheckpoint(file, config.trial_id, 2))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_cannot_be_written_does_not_end_the_trial(tmp_path: Path) -> None:
    config = configuration(epochs=2)
    (tmp_path / "checkpoints").write_text("a file")
    result = run(config, TrialCheckpoint(tmp_path / "checkpoints" / "trial.safetensors", config.trial_id, 1))
    assert "not saved after epoch 1" in result.note
    assert len(result.epochs) == 2


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("saved") / "trial.safetensors"
    cut_off(configuration(), file, 1)
    return file


def test_nothing_that_is_saved_is_a_pickle(saved: Path) -> None:
    with safe_open(saved, framework="pt") as file:
        content = json.loads(file.metadata()["tune_ner"])
    assert len(content["epochs"]) == 1


def test_what_another_trial_saved_is_not_read(saved: Path) -> None:
    checkpoint = TrialCheckpoint(saved, configuration(seed=4).trial_id, 1)
    assert checkpoint.saved is None
    assert "begun anew, since trial.safetensors cannot be read: of format 1" in checkpoint.problem


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_is_told_and_the_trial_begins_anew(
    saved: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Where the damage is in a number alone, nobody can tell; all that is read has the right form."""
    content = bytearray(saved.read_bytes())
    header = int.from_bytes(content[:8], "little")
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, 7 + header))] ^= 1 << data.draw(st.integers(0, 7))
    file = tmp_path_factory.mktemp("damaged") / "trial.safetensors"
    file.write_bytes(content)
    checkpoint = TrialCheckpoint(file, configuration().trial_id, 1)
    assert (checkpoint.saved is None) == bool(checkpoint.problem)
