"""Parity of a trial with the notebook's loop, which is written separately and shares no code with the package."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import transformers

from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import Corpus
from tune_ner.data.loaders import load_corpus
from tune_ner.data.splits import SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.training.encoders import load_tokenizer, resolve_encoder
from tune_ner.training.result import TrialResult
from tune_ner.training.trial import TrialOptions, run_trial

pytestmark = pytest.mark.slow

SCHEMES = ("BIO", "BIOES")
EPOCHS = 3
LEARNING_RATE = 1e-2
SEED = 7
METRICS = ("precision", "recall", "f1", "accuracy")
EPOCH_FIELDS = {
    "validation_loss": "loss",
    "validation_accuracy": "accuracy",
    **{f"validation_seqeval_{name}": name for name in ("precision", "recall", "f1")},
}
BRACKETS = {"DISORDER": ("(", ")"), "DRUG": ("[", "]"), "BODY": ("{", "}")}
ROOT = Path(__file__).parents[2]


def annotated(corpus: Corpus) -> str:
    """Return the corpus in the notebook's form: padded brackets around each entity, one sentence per line."""
    lines = []
    for sentence in corpus.sentences:
        text = sentence.text
        for span in sorted(sentence.spans, reverse=True):
            opening, closing = BRACKETS[span.label]
            text = f"{text[: span.start]}{opening} {span.text_in(text)} {closing}{text[span.end :]}"
        lines.append(text + "\n")
    return "".join(lines)


def save_bert(folder: Path, texts: list[str]) -> None:
    """Save a BERT of one small layer with random weights, dropout included."""
    tokenizer = load_tokenizer(resolve_encoder("tiny:1x32"), texts)
    tokenizer.save_pretrained(folder)
    transformers.set_seed(0)
    transformers.BertModel(
        transformers.BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=128,
            hidden_dropout_prob=0.1,
            attention_probs_dropout_prob=0.1,
            initializer_range=0.1,
        )
    ).save_pretrained(folder)


def run_loop(text: Path, model: Path, output: Path) -> dict[str, dict[str, Any]]:
    """Return the results of the loop, by scheme."""
    command = [sys.executable, str(ROOT / "benchmarks" / "notebook_loop.py")]
    command += ["--data", str(text), "--model", str(model), "--output", str(output)]
    command += [option for scheme in SCHEMES for option in ("--scheme", scheme)]
    command += ["--lr", str(LEARNING_RATE), "--seed", str(SEED), "--epochs", str(EPOCHS), "--threads", "1", "--no-fp16"]
    # the data set cache stays in the test's folder
    environment = {**os.environ, "HF_DATASETS_CACHE": str(output.parent / "cache"), "HF_HUB_OFFLINE": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=600)
    return {result["scheme"]: result for result in json.loads(output.read_text(encoding="utf-8"))}


def run_package(text: Path, model: Path, scheme: str) -> TrialResult:
    corpus = load_corpus(str(text))
    config = TrialConfig.model_validate(
        {
            "data_fingerprint": corpus.fingerprint,
            "model": str(model),
            "tagging_scheme": scheme,
            "learning_rate": LEARNING_RATE,
            "seed": SEED,
            "epochs": EPOCHS,
            "precision": "fp32",
            "selection_metric": "seqeval_f1",
        }
    )
    split = split_corpus(corpus, SplitSpec())
    return run_trial(config, resolve_encoder(str(model)), corpus, split, TrialOptions(threads=1))


def assert_same_metrics(result: TrialResult, loop: dict[str, Any]) -> None:
    assert list(result.labels) == loop["labels"]
    for ours, theirs in zip(result.epochs, loop["epochs"], strict=True):
        for field, name in EPOCH_FIELDS.items():
            assert getattr(ours, field) == pytest.approx(theirs[name], abs=1e-6), (ours.epoch, name)
    logged = [(entry["step"], entry["loss"]) for entry in loop["training_log"]]
    assert [step for step, _ in result.training_log] == [step for step, _ in logged]
    assert [loss for _, loss in result.training_log] == pytest.approx([loss for _, loss in logged], abs=1e-6)
    assert loop["best_step"] == result.best_epoch * math.ceil(loop["parts"]["train"]["sentences"] / 16)
    assert result.train_loss == pytest.approx(loop["train_loss"], abs=1e-6)
    assert result.test_loss == pytest.approx(loop["test"]["loss"], abs=1e-6)
    for name in METRICS:
        assert getattr(result.metrics["test"].seqeval, name) == pytest.approx(loop["test"][name], abs=1e-6), name
    assert result.metrics["test"].seqeval.support == loop["parts"]["test"]["entities"]
    # comparing zeros would prove nothing
    assert min(result.metrics["validation"].seqeval.f1, result.metrics["test"].seqeval.f1) > 0.3
    assert len({epoch.validation_seqeval_f1 for epoch in result.epochs}) > 1
    assert result.training_log


def prepared(text: Path, folder: Path) -> tuple[Path, Path, dict[str, dict[str, Any]]]:
    """Return the text, a model for it, and the results of the loop."""
    save_bert(folder / "bert", text.read_text(encoding="utf-8").splitlines())
    return text, folder / "bert", run_loop(text, folder / "bert", folder / "loop.json")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("generated")
    text = folder / "text.txt"
    text.write_text(annotated(synthetic_corpus(600)), encoding="utf-8")
    return prepared(text, folder)


@pytest.fixture(scope="module")
def published(
    swedish_medical_ner: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, dict[str, dict[str, Any]]]:
    return prepared(swedish_medical_ner, tmp_path_factory.mktemp("published"))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_trial_on_generated_text_equals_the_notebook(
    generated: tuple[Path, Path, dict[str, dict[str, Any]]], scheme: str
) -> None:
    text, model, loop = generated
    assert_same_metrics(run_package(text, model, scheme), loop[scheme])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_trial_on_published_text_equals_the_notebook(
    published: tuple[Path, Path, dict[str, dict[str, Any]]], scheme: str
) -> None:
    text, model, loop = published
    result = run_package(text, model, scheme)
    assert_same_metrics(result, loop[scheme])
    assert (result.metrics["validation"].seqeval.support, result.metrics["test"].seqeval.support) == (81, 209)
