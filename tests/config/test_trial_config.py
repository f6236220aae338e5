"""A trial's configuration and the name that follows from it."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from tune_ner.config import trial_config
from tune_ner.config.trial_config import TrialConfig

FIELDS: dict[str, Any] = {
    "data_fingerprint": "d",
    "model": "KB/bert-base-swedish-cased",
    "head": "linear",
    "model_fingerprint": "m",
    "tagging_scheme": "BIO",
    "learning_rate": 2e-5,
    "seed": 1,
    "epochs": 5,
    "batch_size": 16,
    "weight_decay": 0.01,
    "layer_learning_rate_decay": 1.0,
    "head_learning_rate": None,
    "frozen_layers": 0,
    "lora_rank": 0,
    "lora_alpha": None,
    "lora_targets": "attention",
    "optimizer": "adamw_torch_fused",
    "early_stopping_patience": None,
    "gradient_accumulation": 1,
    "max_grad_norm": 1.0,
    "gradient_checkpointing": False,
    "class_weights": "none",
    "focal_gamma": 0.0,
    "train_fraction": 1.0,
    "max_train_sentences": None,
    "crf_c1": 0.01,
    "crf_c2": 0.01,
    "lr_schedule": "linear",
    "warmup": 0.0,
    "label_smoothing": 0.0,
    "dropout": None,
    "max_length": 256,
    "word_tokenizer": "whitespace",
    "subword_labels": "first",
    "stride": None,
    "decoding": "argmax",
    "fold": None,
    "precision": "auto",
    "batching": "padded",
    "trim_vocabulary": False,
    "selection_metric": "span_f1",
    "target_f1": None,
    "overlaps": "longest",
}
OTHER: dict[str, Any] = {
    "data_fingerprint": "e",
    "model": "tiny:1x32",
    "head": "crf",
    "model_fingerprint": "n",
    "tagging_scheme": "BIOES",
    "learning_rate": 3e-5,
    "seed": 2,
    "epochs": 6,
    "batch_size": 8,
    "weight_decay": 0.0,
    "layer_learning_rate_decay": 0.9,
    "head_learning_rate": 1e-3,
    "frozen_layers": 2,
    "lora_rank": 8,
    "lora_alpha": 8.0,
    "lora_targets": "all-linear",
    "optimizer": "adafactor",
    "early_stopping_patience": 3,
    "gradient_accumulation": 2,
    "max_grad_norm": 0.0,
    "gradient_checkpointing": True,
    "class_weights": "sqrt",
    "focal_gamma": 2.0,
    "train_fraction": 0.5,
    "max_train_sentences": 100,
    "crf_c1": 0.1,
    "crf_c2": 0.1,
    "lr_schedule": "cosine",
    "warmup": 0.1,
    "label_smoothing": 0.1,
    "dropout": 0.0,
    "max_length": 128,
    "word_tokenizer": "punctuation",
    "subword_labels": "all",
    "stride": 32,
    "decoding": "viterbi",
    "fold": 1,
    "precision": "fp32",
    "batching": "padding_free",
    "trim_vocabulary": True,
    "selection_metric": "seqeval_f1",
    "target_f1": 0.9,
    "overlaps": "innermost",
}


def trial(**changes: Any) -> TrialConfig:
    return TrialConfig(**{**FIELDS, **changes})


def test_all_fields_are_tested() -> None:
    assert set(FIELDS) == set(OTHER) == set(TrialConfig.model_fields)


@pytest.mark.parametrize("field", FIELDS)
def test_trial_id_depends_on_every_field(field: str) -> None:
    assert trial(**{field: OTHER[field]}).trial_id != trial().trial_id


def test_single_changes_have_different_ids() -> None:
    assert len({trial(**{field: OTHER[field]}).trial_id for field in FIELDS}) == len(FIELDS)


def test_trial_id_has_twelve_hexadecimal_digits() -> None:
    assert re.fullmatch("[0-9a-f]{12}", trial().trial_id)


@pytest.mark.parametrize(
    "same",
    [
        TrialConfig(**dict(reversed(FIELDS.items()))),
        TrialConfig.model_validate_json(trial().model_dump_json()),
        TrialConfig(**{key: value for key, value in FIELDS.items() if value != TrialConfig.model_fields[key].default}),
        trial().model_copy(),
    ],
    ids=["fields in another order", "through JSON", "defaults left out", "a copy"],
)
def test_equal_configurations_have_the_same_id(same: TrialConfig) -> None:
    assert same == trial()
    assert same.trial_id == trial().trial_id


@pytest.mark.parametrize(
    ("fraction", "limit", "size"), [(1.0, None, 150), (0.5, None, 75), (0.5, 60, 60), (1.0, 900, 150), (1e-6, None, 1)]
)
def test_train_size_is_the_smaller_of_fraction_and_limit(fraction: float, limit: int | None, size: int) -> None:
    assert trial(train_fraction=fraction, max_train_sentences=limit).train_size(150) == size


def test_integer_and_equal_float_have_the_same_id() -> None:
    assert trial(weight_decay=0).trial_id == trial(weight_decay=0.0).trial_id


@pytest.mark.parametrize("library", ["tune-ner", "torch", "transformers", "tokenizers", "seqeval", "datasets"])
def test_trial_id_depends_on_library_versions(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    before = trial().trial_id
    versions = {**trial_config.library_versions(), library: "0.0.1"}
    monkeypatch.setattr(trial_config, "library_versions", lambda: versions)
    assert trial().trial_id != before


@pytest.mark.parametrize("field", FIELDS)
def test_configuration_is_frozen(field: str) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(trial(), field, OTHER[field])


def test_defaults_are_the_notebooks() -> None:
    made = TrialConfig(data_fingerprint="d", model="m", tagging_scheme="BIO", learning_rate=1e-5, seed=0)
    assert (made.epochs, made.batch_size, made.weight_decay, made.max_length) == (5, 16, 0.01, 256)
    assert (made.word_tokenizer, made.subword_labels, made.precision) == ("whitespace", "first", "auto")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", ""),
        *(("learning_rate", value) for value in (0, 1, -1e-5, float("nan"), float("inf"))),
        *(("seed", value) for value in (-1, 2**32, 0.5)),
        *(("epochs", value) for value in (0, -1, 1.5)),
        ("batch_size", 0),
        *(("weight_decay", value) for value in (-0.01, float("nan"), float("inf"))),
        ("max_length", 2),
        ("tagging_scheme", "bio"),
        ("word_tokenizer", "spaces"),
        ("subword_labels", "last"),
        ("precision", "fp8"),
    ],
)
def test_value_out_of_bounds_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        trial(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", 0), ("seed", 2**32 - 1), ("epochs", 1), ("batch_size", 1), ("weight_decay", 0.0), ("max_length", 3)],
)
def test_value_at_its_bound_is_accepted(field: str, value: int) -> None:
    assert getattr(trial(**{field: value}), field) == value


def test_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="warmup"):
        trial(warmup=10)


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("KB/bert-base-swedish-cased", "bert-base-swedish-cased"),
        ("tiny:1x32", "tiny:1x32"),
        ("models/mine/", "mine"),
        ("/", "/"),
    ],
)
def test_title_contains_the_model_without_its_folder(model: str, shown: str) -> None:
    assert trial(model=model).title == f"{shown} · BIO · lr 2e-5 · seed 1"


@pytest.mark.parametrize(
    ("model", "title"),
    [
        ("tiny:1x32", "tiny:1x32 · BIOES · lr 0.001 · epochs 4"),
        ("baseline:crf", "baseline:crf · BIOES · crf_c1 0.1"),
        ("baseline:gazetteer", "baseline:gazetteer"),
    ],
)
def test_titles_have_only_hyperparameters_with_an_effect(model: str, title: str) -> None:
    config = trial(model=model, tagging_scheme="BIOES", learning_rate=1e-3, epochs=4, crf_c1=0.1)
    assert config.titled(("epochs", "crf_c1"), replicate=False) == title
    assert config.effective("model") == model
    assert config.effective("seed") == config.seed
    assert config.effective("epochs") == (4 if model == "tiny:1x32" else None)


def test_a_crf_has_no_decoding_and_no_weights_of_labels() -> None:
    names = ("decoding", "class_weights", "head")
    settings = {"decoding": "viterbi", "class_weights": "sqrt"}
    assert [trial(**settings).effective(name) for name in names] == ["viterbi", "sqrt", "linear"]
    assert [trial(head="crf", **settings).effective(name) for name in names] == [None, None, "crf"]
    assert trial(head="crf", **settings).titled(names, replicate=False).endswith(" · head crf")


def test_titles_can_leave_out_what_all_trials_share() -> None:
    config = trial(tagging_scheme="BIOES")
    assert config.titled(replicate=False, without=["model", "learning_rate"]) == "BIOES"
