"""One trial, from its configuration to its result."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from seqeval.metrics import f1_score

from tests.config.test_trial_config import OTHER
from tests.tagging.reference import tag_sentence
from tune_ner.config.hyperparameters import HYPERPARAMETERS
from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import Corpus, Sentence, Span, SplitName
from tune_ner.data.splits import Split, SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.errors import DivergedError, EncoderError
from tune_ner.tagging.alignment import tags_to_spans
from tune_ner.tagging.probabilities import unpack
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.tagging.tokenization import split_words
from tune_ner.training import features, tiny_encoder
from tune_ner.training import trial as trial_module
from tune_ner.training.encoders import load_model, resolve_encoder
from tune_ner.training.model_export import TrainedModel
from tune_ner.training.result import EpochMetrics, SentenceCounts, TrialResult
from tune_ner.training.scoring import Scorer
from tune_ner.training.trainer import training_arguments
from tune_ner.training.trial import AnyModel, TrialOptions, run_trial

CORPUS = synthetic_corpus(300)
SPLIT = split_corpus(CORPUS, SplitSpec())
STEPS = math.ceil(len(SPLIT.train) / 16)
SCORED: tuple[SplitName, ...] = ("validation", "test")
pytestmark = pytest.mark.slow


def configuration(**changes: Any) -> TrialConfig:
    fields: dict[str, Any] = {
        "data_fingerprint": CORPUS.fingerprint,
        "model": "tiny:1x64",
        "tagging_scheme": "IO",
        "learning_rate": 5e-3,
        "seed": 1,
        "epochs": 4,
        "word_tokenizer": "punctuation",
    }
    return TrialConfig(**{**fields, **changes})


def trained(
    corpus: Corpus = CORPUS, split: Split = SPLIT, options: TrialOptions | None = None, **changes: Any
) -> TrialResult:
    config = configuration(**changes)
    options = replace(options or TrialOptions(), threads=1)
    return run_trial(config, resolve_encoder(config.model), corpus, split, options)


def without_profile(result: TrialResult) -> TrialResult:
    return replace(result, seconds={}, profile=None)


def sentences_of(split_name: SplitName) -> list[Sentence]:
    return [CORPUS.sentences[index] for index in SPLIT[split_name]]


@pytest.fixture(scope="module")
def reported() -> list[EpochMetrics]:
    return []


@pytest.fixture(scope="module")
def result(reported: list[EpochMetrics]) -> TrialResult:
    return trained(options=TrialOptions(on_epoch=reported.append))


@pytest.fixture(scope="module")
def plain_epoch() -> TrialResult:
    return trained(epochs=1)


def test_every_epoch_is_reported(result: TrialResult, reported: list[EpochMetrics]) -> None:
    assert tuple(reported) == result.epochs
    assert [epoch.epoch for epoch in result.epochs] == [1, 2, 3, 4]
    assert len({epoch.validation_loss for epoch in result.epochs}) == 4


def test_best_epoch_is_the_first_with_the_highest_span_f1_and_its_metrics_are_kept(result: TrialResult) -> None:
    scores = [epoch.validation_span_f1 for epoch in result.epochs]
    best = result.epochs[result.best_epoch - 1]
    assert result.best_epoch == scores.index(max(scores)) + 1
    assert max(scores) > 0
    kept = result.metrics["validation"]
    assert (kept.seqeval.precision, kept.seqeval.recall, kept.seqeval.f1, kept.seqeval.accuracy) == (
        *(best.validation_seqeval_precision, best.validation_seqeval_recall, best.validation_seqeval_f1),
        best.validation_accuracy,
    )
    assert (kept.spans.precision, kept.spans.recall, kept.spans.f1) == (
        *(best.validation_span_precision, best.validation_span_recall, best.validation_span_f1),
    )


def test_result_is_complete(result: TrialResult) -> None:
    assert result.labels == ("O", "I-DISORDER", "I-DRUG", "I-BODY")
    assert result.test_loss is not None
    assert 0 < result.test_loss < 5
    assert 0 < result.train_loss < 5
    assert result.threads == 1
    assert result.parameters > 100_000
    assert set(result.seconds) == {"load", "encode", "train", "evaluate", "save"}
    assert all(seconds >= 0 for seconds in result.seconds.values())
    assert result.profile
    assert 0 < result.profile.tokens <= result.profile.computed_tokens
    assert result.profile.peak_memory_bytes > 10**8
    assert all(seconds > 0 for seconds in result.seconds.values())
    assert {split_name: account["sentences"] for split_name, account in result.encoding.items()} == {
        split_name: len(SPLIT[split_name]) for split_name in ("train", "validation", "test")
    }
    assert {split_name: len(rows) for split_name, rows in result.predicted_spans.items()} == {
        split_name: len(SPLIT[split_name]) for split_name in SCORED
    }


def test_counts_of_each_epoch_give_its_span_f1(result: TrialResult) -> None:
    assert len(result.epoch_counts) == len(result.epochs)
    for counts, epoch in zip(result.epoch_counts, result.epochs, strict=True):
        assert len(counts) == len(SPLIT.validation)
        tp, fp, fn = np.sum(counts, axis=0)
        assert 2 * tp / (2 * tp + fp + fn) == pytest.approx(epoch.validation_span_f1)


def test_support_is_the_number_of_gold_entities_of_each_type(result: TrialResult) -> None:
    for split_name in SCORED:
        metrics = result.metrics[split_name].seqeval
        counts = CORPUS.entity_counts(SPLIT[split_name])
        assert {label: metrics.per_type[label].support for label in CORPUS.entity_types} == counts
        assert metrics.support == sum(counts.values())


def test_training_loss_is_logged_every_fifty_steps_and_before_that_is_the_mean() -> None:
    epochs = math.ceil(50 / STEPS)
    result = trained(epochs=epochs)
    assert [step for step, _ in result.training_log] == [50]
    assert result.epochs[-1].training_loss == result.training_log[0][1]
    early = [epoch.training_loss or 0.0 for epoch in result.epochs[:-1]]
    assert all(later < earlier for earlier, later in pairwise(early))
    assert early[0] == pytest.approx(trained(epochs=1).train_loss, rel=0.05)


def test_weights_of_the_best_epoch_are_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Any] = []
    saved: list[dict[str, torch.Tensor]] = []

    def keeping(*arguments: Any) -> Any:
        built.append(load_model(*arguments))
        return built[-1]

    def spoil_third(metrics: EpochMetrics) -> None:
        saved.append({name: value.clone() for name, value in built[0].state_dict().items()})
        if metrics.epoch == 3:
            with torch.no_grad():
                built[0].classifier.weight.zero_()
                built[0].classifier.bias.copy_(torch.tensor([50.0, 0, 0, 0]))

    monkeypatch.setattr(trial_module, "load_model", keeping)
    result = trained(options=TrialOptions(on_epoch=spoil_third))
    assert result.epochs[result.best_epoch - 1].validation_seqeval_f1 > result.epochs[3].validation_seqeval_f1 == 0
    restored = built[0].state_dict()
    same = [all(torch.equal(restored[name], value) for name, value in weights.items()) for weights in saved]
    assert same == [epoch.epoch == result.best_epoch for epoch in result.epochs]
    assert any(result.predicted_spans["test"])
    assert any(result.predicted_spans["validation"])


def test_trial_is_deterministic_whatever_ran_before(result: TrialResult) -> None:
    other = trained(seed=2, tagging_scheme="BIO", epochs=1)
    assert other.epochs[0].validation_loss != result.epochs[0].validation_loss
    assert without_profile(trained()) == without_profile(result)


@pytest.mark.parametrize(
    "changes",
    [
        *({"seed": 2}, {"learning_rate": 9e-3}, {"batch_size": 8}, {"weight_decay": 0.5}, {"max_length": 12}),
        *({"layer_learning_rate_decay": 0.5}, {"head_learning_rate": 9e-3}, {"frozen_layers": 1}),
        *({"gradient_accumulation": 2}, {"max_grad_norm": 0.1}, {"class_weights": "sqrt"}, {"focal_gamma": 2.0}),
        *({"head": "crf"}, {"lora_rank": 4}),
        *({"train_fraction": 0.5}, {"max_train_sentences": 50}),
        *({"optimizer": name} for name in ("adafactor", "sgd", "rmsprop", "adagrad")),
    ],
)
def test_every_hyperparameter_affects_training(plain_epoch: TrialResult, changes: dict[str, Any]) -> None:
    assert trained(epochs=1, **changes).train_loss != plain_epoch.train_loss


@pytest.mark.parametrize(
    ("scheme", "subword_labels"),
    [
        *(("BIO", "all"), ("BIOES", "first"), ("IO", "first")),
        *(pytest.param(name, "first", marks=pytest.mark.long) for name in ("BIO", "IOB1", "BILOU")),
        pytest.param("BIOES", "all", marks=pytest.mark.long),
    ],
)
def test_predicted_spans_give_the_metrics_with_every_scheme_and_subword_labels(
    monkeypatch: pytest.MonkeyPatch, scheme: str, subword_labels: str
) -> None:
    monkeypatch.setattr(tiny_encoder, "VOCABULARY_SIZE", 900)  # so that many words have several subwords
    monkeypatch.setattr(features, "_cache", {})  # other tests must not use this vocabulary
    result = trained(tagging_scheme=scheme, subword_labels=subword_labels)
    assert result.labels == SCHEMES[scheme].labels(CORPUS.entity_types)
    assert result.metrics["test"].seqeval.f1 > 0
    for split_name in SCORED:
        metrics = result.metrics[split_name].seqeval
        account = result.encoding[split_name]
        assert (account["words_cut"], account["entities_cut"]) == (0, 0)
        rows = list(zip(sentences_of(split_name), result.predicted_spans[split_name], strict=True))
        for sentence, spans in rows:
            assert all(0 <= span.start < span.end <= len(sentence.text) for span in spans)
        if scheme != "IO":  # it merges adjacent entities
            assert account["problems"] == {}
            assert span_f1(rows) == pytest.approx(metrics.f1)
            assert tag_f1(rows) == pytest.approx(metrics.f1)


def span_f1(rows: list[tuple[Sentence, tuple[Span, ...]]]) -> float:
    """Return F1 of predicted against gold spans, counted as sets."""
    correct = sum(len(set(sentence.spans) & set(spans)) for sentence, spans in rows)
    return 2 * correct / sum(len(sentence.spans) + len(spans) for sentence, spans in rows)


def tag_f1(rows: list[tuple[Sentence, tuple[Span, ...]]]) -> float:
    """Return seqeval's F1 of predicted and gold spans, both written as BIO."""

    def tags(sentence: Sentence) -> list[str]:
        return tag_sentence(sentence, split_words(sentence.text, "punctuation"), SCHEMES["BIO"]).tags

    gold = [tags(sentence) for sentence, _ in rows]
    predicted = [tags(replace(sentence, spans=spans)) for sentence, spans in rows]
    return float(f1_score(gold, predicted))


def test_subword_labels_affect_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_encoder, "VOCABULARY_SIZE", 900)
    assert trained(epochs=1, subword_labels="first").train_loss != trained(epochs=1, subword_labels="all").train_loss


def test_truncated_entities_are_counted() -> None:
    result = trained(max_length=8, stride=0, epochs=1)
    assert result.encoding["test"]["entities_cut"] > 0
    assert result.metrics["test"].seqeval.support < sum(CORPUS.entity_counts(SPLIT.test).values())


def test_words_without_subwords_are_allowed() -> None:
    first, *others = sentences_of("test")
    odd = replace(first, text=f"\u200b {first.text}", spans=())
    empty = Sentence("empty", "")
    sentences = (*CORPUS.sentences, odd, empty)
    corpus = replace(CORPUS, sentences=sentences)
    split = replace(SPLIT, test=(*SPLIT.test, len(CORPUS), len(CORPUS) + 1))
    result = trained(corpus, split, epochs=1)
    assert result.encoding["test"]["words_cut"] == 0
    assert result.predicted_spans["test"][-1] == ()
    assert len(result.predicted_spans["test"]) == len(others) + 3


def test_sentence_with_more_subwords_than_positions_is_an_error() -> None:
    long = Sentence("long", "och " * 600)
    corpus = replace(CORPUS, sentences=(*CORPUS.sentences, long))
    split = replace(SPLIT, train=(*SPLIT.train, len(CORPUS)))
    with pytest.raises(EncoderError, match=r"a sentence has 600 subwords .* max_length up to 512"):
        trained(corpus, split, max_length=600)


def epochs_of(metric: str, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> TrialResult:
    """Train with predetermined validation metrics: span F1 is highest in epoch 1, seqeval F1 in epoch 3."""
    scores = iter([(0.6, 0.2), (0.5, 0.4), (0.4, 0.8), (0.3, 0.6)])
    measured = Scorer.epoch_metrics

    def epoch_metrics(scorer: Scorer, predicted: Any) -> tuple[dict[str, float], SentenceCounts]:
        span_f1, seqeval_f1 = next(scores)
        metrics, counts = measured(scorer, predicted)
        return {**metrics, "span_f1": span_f1, "seqeval_f1": seqeval_f1}, counts

    monkeypatch.setattr(Scorer, "epoch_metrics", epoch_metrics)
    return trained(selection_metric=metric, **changes)


@pytest.mark.parametrize(("metric", "best"), [("span_f1", 1), ("seqeval_f1", 3)])
def test_selection_metric_decides_the_best_epoch(metric: str, best: int, monkeypatch: pytest.MonkeyPatch) -> None:
    models: list[Any] = []
    weights: list[torch.Tensor] = []

    def keep_model(*arguments: Any) -> Any:
        models.append(load_model(*arguments))
        return models[-1]

    def keep_weights(_: EpochMetrics) -> None:
        weights.append(models[0].classifier.weight.detach().clone())

    monkeypatch.setattr(trial_module, "load_model", keep_model)
    result = epochs_of(metric, monkeypatch, options=TrialOptions(on_epoch=keep_weights))
    assert len(result.epochs) == 4
    assert result.best_epoch == best
    assert [torch.equal(models[0].classifier.weight, epoch) for epoch in weights].index(True) == best - 1


@pytest.mark.parametrize(("metric", "target", "epochs"), [("span_f1", 0.6, 1), ("seqeval_f1", 0.6, 3)])
def test_training_stops_when_the_selection_metric_reaches_the_target(
    metric: str, target: float, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = epochs_of(metric, monkeypatch, target_f1=target)
    assert len(result.epochs) == result.best_epoch == epochs


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 4), (3, 5), (None, 6)])
def test_training_stops_when_the_selection_metric_does_not_improve(
    patience: int | None, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.1, 0.5, 0.5, 0.4, 0.45, 0.6])
    original = Scorer.epoch_metrics

    def scored(self: Scorer, tags: Any) -> tuple[dict[str, float], SentenceCounts]:
        metrics, counts = original(self, tags)
        return {**metrics, "span_f1": next(scores)}, counts

    monkeypatch.setattr(Scorer, "epoch_metrics", scored)
    result = trained(epochs=6, early_stopping_patience=patience)
    assert len(result.epochs) == epochs
    assert result.best_epoch == (6 if patience is None else 2)


@pytest.mark.parametrize(
    ("precision", "changes"),
    [
        ("fp32", {"class_weights": "balanced", "focal_gamma": 1.5, "label_smoothing": 0.1}),
        ("bf16", {}),
        pytest.param("fp32", {}, marks=pytest.mark.long),
        pytest.param("bf16", {"class_weights": "balanced", "focal_gamma": 1.5}, marks=pytest.mark.long),
    ],
)
def test_accumulated_batches_equal_one_large_batch(precision: str, changes: dict[str, Any]) -> None:
    """The mean is over all labels of the step, although batches differ in their number of labels."""
    common: dict[str, Any] = {
        "epochs": 2,
        "batching": "padding_free",
        "precision": precision,
        "dropout": 0.0,
        **changes,
    }
    one = trained(batch_size=16, **common)
    two = trained(batch_size=4, gradient_accumulation=4, **common)
    assert two.train_loss == pytest.approx(one.train_loss, rel={"fp32": 1e-4, "bf16": 0.01}[precision])
    assert two.metrics["test"].spans.f1 == pytest.approx(one.metrics["test"].spans.f1, abs=0.05)


def test_gradient_checkpointing_changes_the_memory_only(plain_epoch: TrialResult) -> None:
    """Dropout included: it is drawn again with the same random numbers."""
    checkpointed = trained(epochs=1, gradient_checkpointing=True, batching="padding_free")
    assert checkpointed.batching_used == "padded"
    assert checkpointed.train_loss == pytest.approx(plain_epoch.train_loss, rel=1e-5)
    assert checkpointed.predicted_spans == plain_epoch.predicted_spans


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("batching", ["padded", "padding_free"])
def test_frozen_layers_and_embeddings_keep_the_weights_of_the_encoder(precision: str, batching: str) -> None:
    models: list[AnyModel] = []
    options = TrialOptions(on_trained=lambda _, model: models.append(model))
    changes: dict[str, Any] = {"model": "tiny:2x32", "precision": precision, "batching": batching, "epochs": 1}
    trained(options=options, frozen_layers=1, **changes)
    (model,) = models
    assert isinstance(model, TrainedModel)
    before = load_model(model.encoder, model.labels, model.tokenizer, 1).state_dict()
    changed = {name for name, weights in model.weights.items() if not torch.equal(weights, before[name])}
    assert changed == {name for name in before if name.startswith(("bert.encoder.layer.1.", "classifier."))}


def test_smaller_training_split_is_used_for_seen_entities_and_hashes_too() -> None:
    models: list[AnyModel] = []
    result = trained(options=TrialOptions(on_trained=lambda _, model: models.append(model)), train_fraction=0.1)
    size = round(0.1 * len(SPLIT.train))
    assert result.encoding["train"]["sentences"] == size
    hashes = models[0].training_text_hashes
    assert hashes is not None
    assert sum(CORPUS.sentences[index].text in hashes for index in SPLIT.train) < len(SPLIT.train)
    complete = trained(epochs=1)
    assert result.metrics["test"].seen.support < complete.metrics["test"].seen.support


def test_early_stopped_trial_equals_the_first_epochs_of_the_complete_one(result: TrialResult) -> None:
    curve = [epoch.validation_span_f1 for epoch in result.epochs]
    target = max(curve[:-1])
    assert target > 0
    stopped = trained(target_f1=target)
    assert stopped.epochs == result.epochs[: curve.index(target) + 1]
    assert stopped.best_epoch == len(stopped.epochs)


def test_without_the_test_split_only_validation_is_measured(result: TrialResult) -> None:
    searched = trained(options=TrialOptions(measure_test=False))
    assert searched.test_loss is None
    assert searched.metrics == {"validation": result.metrics["validation"]}
    assert searched.predicted_spans == {"validation": result.predicted_spans["validation"]}
    assert searched.epochs == result.epochs


@pytest.mark.skipif(torch.cuda.is_available(), reason="fp16 is real on a GPU")
def test_fp16_on_a_cpu_is_recorded_as_fp32() -> None:
    result = trained(precision="fp16", epochs=1)
    assert (result.precision_used, result.device) == ("fp32", "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="trains on the GPU")
def test_bf16_trains_on_a_cpu() -> None:
    result = trained(precision="bf16", epochs=1)
    assert (result.precision_used, result.device) == ("bf16", "cpu")
    assert result.epochs[0].validation_loss != trained(precision="fp32", epochs=1).epochs[0].validation_loss


@pytest.mark.skipif(torch.cuda.is_available(), reason="trains on the GPU")
def test_without_cuda_training_uses_the_cpu_even_with_another_accelerator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert training_arguments(configuration(), str(tmp_path), 1, "fp32").device == torch.device("cpu")


# ---- batches


def test_crf_learns_the_same_from_padded_and_padding_free_batches_and_predicts_valid_tags() -> None:
    common: dict[str, Any] = {"head": "crf", "tagging_scheme": "BIOES", "dropout": 0.0, "max_length": 12, "stride": 2}
    padded, free = (trained(batching=batching, **common) for batching in ("padded", "padding_free"))
    assert (padded.batching_used, free.batching_used) == ("padded", "padding_free")
    assert free.train_loss == pytest.approx(padded.train_loss, rel=1e-3)
    assert free.metrics["test"].spans.f1 == pytest.approx(padded.metrics["test"].spans.f1, abs=0.05)
    assert 0 < free.train_loss < 2  # per label, as the cross-entropy
    assert free.metrics["test"].invalid_transitions == 0
    learned = {epoch.validation_span_f1 for epoch in free.epochs}
    assert max(learned) > 0.2


def test_hyperparameters_without_an_effect_with_a_crf_do_not_change_the_result() -> None:
    others = {name: OTHER[name] for name, found in HYPERPARAMETERS.items() if "crf" not in found.row.heads}
    assert others.keys() == {"label_smoothing", "class_weights", "focal_gamma", "decoding"}
    expected, found = (trained(head="crf", epochs=1, **changes) for changes in ({}, others))
    assert without_profile(found) == without_profile(expected)


def test_padding_free_trials_learn_as_padded_ones_do() -> None:
    padded, padding_free = (trained(batching=batching) for batching in ("padded", "padding_free"))
    assert (padded.batching_used, padding_free.batching_used) == ("padded", "padding_free")
    # only the masks of dropout differ
    assert padding_free.epochs[-1].validation_loss == pytest.approx(padded.epochs[-1].validation_loss, rel=0.3)
    assert padded.profile
    assert padding_free.profile
    assert padding_free.profile.computed_tokens == padding_free.profile.tokens == padded.profile.tokens
    assert padded.profile.tokens < padded.profile.computed_tokens


def test_batch_that_does_not_fit_is_halved_with_equal_results(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_dropout(*arguments: Any) -> Any:
        model = load_model(*arguments)
        for layer in model.modules():
            if isinstance(layer, torch.nn.Dropout):
                layer.p = 0.0
        return model

    monkeypatch.setattr(trial_module, "load_model", without_dropout)
    whole = trained(epochs=1)
    steps: list[int] = []
    train = transformers.Trainer.training_step

    def training_step(self: Any, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        steps.append(len(inputs["input_ids"]))
        if len(inputs["input_ids"]) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return train(self, model, inputs, *arguments, **named)

    monkeypatch.setattr(transformers.Trainer, "training_step", training_step)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    halved = trained(epochs=1)
    assert steps[:3] == [16, 8, 4]
    assert (whole.accumulated_steps, halved.accumulated_steps) == (1, 4)
    assert [step for step, _ in halved.training_log] == [step for step, _ in whole.training_log]
    assert halved.epochs[0].validation_loss == pytest.approx(whole.epochs[0].validation_loss, rel=1e-4)


def test_batch_that_cannot_be_halved_further_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(transformers.Trainer, "training_step", no_memory)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    with pytest.raises(EncoderError, match=r"a batch of 3 sentences of up to 256 subwords does not fit .* a GPU"):
        trained(epochs=1, batch_size=6)


def test_nan_loss_ends_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:

    def broken(*arguments: Any) -> Any:
        model = load_model(*arguments)
        with torch.no_grad():
            next(model.parameters()).fill_(float("nan"))
        return model

    monkeypatch.setattr(trial_module, "load_model", broken)
    with pytest.raises(DivergedError, match=r"the (training|validation) loss is nan"):
        trained(epochs=1)


def with_blank_sentences() -> tuple[Corpus, Split]:
    """Return a corpus of which every third train sentence has no word."""
    blanks = tuple(Sentence(f"blank{i}", text, ()) for i, text in enumerate(["", " ", "\u200b", "\n"] * 20))
    corpus = replace(CORPUS, sentences=(*CORPUS.sentences[:160], *blanks))
    train = (*range(120), *range(160, 220))
    return corpus, Split(train, (*range(120, 140), 221), (*range(140, 160), 222))


@pytest.mark.parametrize(
    ("batching", "label_smoothing", "batch_size"),
    [("padded", 0.0, 1), ("padding_free", 0.1, 1)],
)
def test_batches_without_labels_have_no_loss(batching: str, label_smoothing: float, batch_size: int) -> None:
    corpus, split = with_blank_sentences()
    found = trained(corpus, split, batching=batching, label_smoothing=label_smoothing, batch_size=batch_size, epochs=2)
    assert math.isfinite(found.train_loss)
    assert found.train_loss > 0
    assert all(epoch.training_loss is not None and math.isfinite(epoch.training_loss) for epoch in found.epochs)
    assert all(math.isfinite(epoch.validation_loss) for epoch in found.epochs)


def test_training_on_sentences_without_words_has_loss_zero() -> None:
    corpus, split = with_blank_sentences()
    found = trained(corpus, replace(split, train=tuple(range(160, 168))), batch_size=4, epochs=1)
    assert found.train_loss == 0.0
    assert found.metrics["test"].seqeval.f1 < 0.1


@pytest.mark.parametrize("changes", [{}, {"head": "crf"}, {"decoding": "viterbi", "batching": "padded"}])
def test_stored_probabilities_give_the_predicted_spans_of_a_model_that_decodes_by_viterbi(
    changes: dict[str, Any],
) -> None:
    result = trained(epochs=3, tagging_scheme="BIO", **changes)
    for name in SCORED:
        found = unpack(result.probabilities, name, "BIO", result.labels)
        assert len(found.words.firsts) == len(SPLIT[name]) + 1
        assert found.values.sum(axis=1) == pytest.approx(np.ones(len(found.words)), abs=0.01)
        if changes.get("decoding") == "viterbi":
            assert tuple(found.spans()) == result.predicted_spans[name]
        elif not changes:
            labels = np.array(result.labels)[found.values.argmax(axis=1)].tolist()
            pairs = pairwise(found.words.firsts.tolist())
            spans = [tags_to_spans(labels[a:b], found.words.of(index)) for index, (a, b) in enumerate(pairs)]
            assert tuple(spans) == result.predicted_spans[name]


def test_probabilities_are_not_stored_without_test_or_for_too_many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trained(epochs=1, options=TrialOptions(measure_test=False)).probabilities == b""
    monkeypatch.setattr(trial_module, "MOST_PROBABILITIES", 10)
    assert trained(epochs=1).probabilities == b""
