"""Resumed trials, whose metrics equal those of a trial that was never interrupted."""

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
from tune_ner.training.trial import TrialOptions, run_trial

CORPUS = synthetic_corpus(200)
SPLIT = split_corpus(CORPUS, SplitSpec())


class InterruptedTrialError(Exception):
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
    options = TrialOptions(threads=1, checkpoint=checkpoint, on_epoch=on_epoch)
    return run_trial(config, resolve_encoder(config.model), CORPUS, SPLIT, options)


def interrupt(config: TrialConfig, file: Path, after: int, every: int = 1) -> None:
    def die(metrics: EpochMetrics) -> None:
        if metrics.epoch > after:
            raise InterruptedTrialError

    with pytest.raises(InterruptedTrialError):
        run(config, TrialCheckpoint(file, config.trial_id, every), die)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "every", "after", "kept"),
    [
        ({"batching": "padding_free"}, 1, 4, 4),
        ({"batching": "padded", "dropout": 0.3}, 2, 3, 2),
        ({"precision": "bf16", "batching": "padding_free"}, 2, 3, 2),
        ({"batching": "padding_free", "trim_vocabulary": True, "label_smoothing": 0.1}, 3, 5, 3),
        ({"decoding": "viterbi", "tagging_scheme": "BIOES", "target_f1": 0.99}, 1, 1, 1),
        ({"lora_rank": 4, "precision": "bf16", "batching": "padding_free", "head": "crf"}, 1, 2, 2),
        ({"head": "crf", "batching": "padding_free", "tagging_scheme": "BIOES", "gradient_accumulation": 2}, 1, 2, 2),
        ({"frozen_layers": 1, "head_learning_rate": 1e-2, "layer_learning_rate_decay": 0.7}, 1, 2, 2),
        *(
            pytest.param(changes, 1, 2, 2, marks=pytest.mark.long)
            for changes in (
                {"lora_rank": 4, "batching": "padding_free"},
                {"head": "crf", "precision": "bf16", "batching": "padding_free", "gradient_accumulation": 2},
                {"precision": "bf16", "batching": "padding_free", "frozen_layers": 1, "head_learning_rate": 1e-2},
                {"class_weights": "sqrt", "focal_gamma": 2.0, "gradient_accumulation": 2, "train_fraction": 0.5},
                *({"optimizer": name} for name in ("sgd", "rmsprop", "adagrad")),
            )
        ),
        ({"optimizer": "adafactor"}, 1, 2, 2),
    ],
)
def test_resumed_trial_equals_an_uninterrupted_one(
    tmp_path: Path, changes: dict[str, Any], every: int, after: int, kept: int
) -> None:
    config, file = configuration(**changes), tmp_path / "checkpoints" / "trial.safetensors"
    complete = run(config)
    interrupt(config, file, after, every)
    checkpoint = TrialCheckpoint(file, config.trial_id, every)
    assert checkpoint.epochs == kept
    reported: list[EpochMetrics] = []
    resumed = run(config, checkpoint, reported.append)
    assert resumed.note.endswith(f"resumed after epoch {kept}")
    assert tuple(reported) == resumed.epochs
    assert resumed.profile
    assert complete.profile
    assert resumed.profile.computed_tokens == complete.profile.computed_tokens
    assert replace(resumed, seconds={}, profile=None, note="") == replace(complete, seconds={}, profile=None, note="")
    assert resumed.seconds["train"] > checkpoint.seconds["train"] > 0


def test_last_epoch_is_not_saved(tmp_path: Path) -> None:
    config, file = configuration(epochs=2), tmp_path / "trial.safetensors"
    run(config, TrialCheckpoint(file, config.trial_id, 2))
    assert list(tmp_path.iterdir()) == []


def test_write_error_does_not_end_the_trial(tmp_path: Path) -> None:
    config = configuration(epochs=2)
    (tmp_path / "checkpoints").write_text("a file")
    result = run(config, TrialCheckpoint(tmp_path / "checkpoints" / "trial.safetensors", config.trial_id, 1))
    assert "not saved after epoch 1" in result.note
    assert len(result.epochs) == 2


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("saved") / "trial.safetensors"
    interrupt(configuration(), file, 1)
    return file


def test_checkpoint_is_a_safetensors_file(saved: Path) -> None:
    with safe_open(saved, framework="pt") as file:
        content = json.loads(file.metadata()["tune_ner"])
    assert len(content["epochs"]) == 1


def test_checkpoint_of_another_trial_is_ignored(saved: Path) -> None:
    checkpoint = TrialCheckpoint(saved, configuration(seed=4).trial_id, 1)
    assert checkpoint.saved is None
    assert "trial.safetensors" in checkpoint.problem
    assert configuration().trial_id in checkpoint.problem


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_checkpoint_is_reported_and_ignored(
    saved: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Damage to a single number is undetectable; everything that is read has the right form."""
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
