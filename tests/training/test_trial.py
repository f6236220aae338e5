"""One trial from its configuration to its result."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from seqeval.metrics import f1_score

from tests.tagging.reference import tag_sentence
from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import Corpus, Sentence, Span, SplitName
from tune_ner.data.splits import Split, SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.errors import DivergedError, EncoderError
from tune_ner.tagging.schemes import SCHEMES
from tune_ner.tagging.tokenization import split_words
from tune_ner.training import encoders, features
from tune_ner.training import trial as trial_module
from tune_ner.training.encoders import load_model, resolve_encoder
from tune_ner.training.result import EpochMetrics, TrialResult
from tune_ner.training.trainer import training_arguments, used_precision
from tune_ner.training.trial import run_trial

CORPUS = synthetic_corpus(300)
SPLIT = split_corpus(CORPUS, SplitSpec())
STEPS = math.ceil(len(SPLIT.train) / 16)
SCORED: tuple[SplitName, ...] = ("validation", "test")
slow = pytest.mark.slow


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
    corpus: Corpus = CORPUS, split: Split = SPLIT, on_epoch: Any = lambda _: None, **changes: Any
) -> TrialResult:
    config = configuration(**changes)
    return run_trial(config, resolve_encoder(config.model), corpus, split, on_epoch, threads=1)


def without_clock(result: TrialResult) -> TrialResult:
    return replace(result, seconds={}, cost=None)


def sentences_of(split_name: SplitName) -> list[Sentence]:
    return [CORPUS.sentences[index] for index in SPLIT[split_name]]


@pytest.fixture(scope="module")
def told() -> list[EpochMetrics]:
    return []


@pytest.fixture(scope="module")
def result(told: list[EpochMetrics]) -> TrialResult:
    return trained(on_epoch=told.append)


@pytest.fixture(scope="module")
def plain_epoch() -> TrialResult:
    return trained(epochs=1)


@slow
def test_every_epoch_is_told_when_it_ends(result: TrialResult, told: list[EpochMetrics]) -> None:
    assert tuple(told) == result.epochs
    assert [epoch.epoch for epoch in result.epochs] == [1, 2, 3, 4]
    assert len({epoch.validation_loss for epoch in result.epochs}) == 4


@slow
def test_the_best_epoch_is_the_first_of_highest_f1_and_its_figures_are_kept(result: TrialResult) -> None:
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


@slow
def test_a_result_has_all_its_parts(result: TrialResult) -> None:
    assert result.labels == ("O", "I-DISORDER", "I-DRUG", "I-BODY")
    assert 0 < result.test_loss < 5
    assert 0 < result.train_loss < 5
    assert result.threads == 1
    assert result.parameters > 100_000
    assert set(result.seconds) == {"load", "encode", "train", "evaluate", "save"}
    assert all(seconds >= 0 for seconds in result.seconds.values())
    assert result.cost
    assert 0 < result.cost.tokens <= result.cost.computed_tokens
    assert 0 < result.cost.floor_share(result.seconds["train"]) < 1
    assert result.cost.peak_memory > 10**8
    assert all(seconds > 0 for seconds in result.seconds.values())
    assert {split_name: account["sentences"] for split_name, account in result.encoding.items()} == {
        split_name: len(SPLIT[split_name]) for split_name in ("train", "validation", "test")
    }
    assert {split_name: len(rows) for split_name, rows in result.predicted_spans.items()} == {
        split_name: len(SPLIT[split_name]) for split_name in SCORED
    }


@slow
def test_support_is_the_number_of_gold_entities_of_each_type(result: TrialResult) -> None:
    for split_name, figures in (
        ("validation", result.metrics["validation"].seqeval),
        ("test", result.metrics["test"].seqeval),
    ):
        counts = CORPUS.entity_counts(SPLIT["validation" if split_name == "validation" else "test"])
        assert {label: figures.per_type[label].support for label in CORPUS.entity_types} == counts
        assert figures.support == sum(counts.values())


@slow
def test_the_training_loss_is_logged_every_fifty_steps() -> None:
    epochs = math.ceil(50 / STEPS)
    result = trained(epochs=epochs)
    assert [step for step, _ in result.training_log] == [50]
    assert [epoch.training_loss for epoch in result.epochs[:-1]] == [None] * (epochs - 1)
    assert result.epochs[-1].training_loss == result.training_log[0][1]


@slow
def test_the_weights_of_the_best_epoch_are_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Any] = []
    saved: list[dict[str, torch.Tensor]] = []

    def keeping(*arguments: Any) -> Any:
        built.append(load_model(*arguments))
        return built[-1]

    def spoil_after_the_third(figures: EpochMetrics) -> None:
        saved.append({name: value.clone() for name, value in built[0].state_dict().items()})
        if figures.epoch == 3:
            with torch.no_grad():
                built[0].classifier.weight.zero_()
                built[0].classifier.bias.copy_(torch.tensor([50.0, 0, 0, 0]))

    monkeypatch.setattr(trial_module, "load_model", keeping)
    result = trained(on_epoch=spoil_after_the_third)
    assert result.epochs[result.best_epoch - 1].validation_seqeval_f1 > result.epochs[3].validation_seqeval_f1 == 0
    restored = built[0].state_dict()
    same = [all(torch.equal(restored[name], value) for name, value in weights.items()) for weights in saved]
    assert same == [epoch.epoch == result.best_epoch for epoch in result.epochs]
    assert any(result.predicted_spans["test"])
    assert any(result.predicted_spans["validation"])


@slow
def test_a_trial_repeats_itself_whatever_ran_before(result: TrialResult) -> None:
    other = trained(seed=2, tagging_scheme="BIO", epochs=1)
    assert other.epochs[0].validation_loss != result.epochs[0].validation_loss
    assert without_clock(trained()) == without_clock(result)


@slow
@pytest.mark.parametrize(
    "changes", [{"seed": 2}, {"learning_rate": 9e-3}, {"batch_size": 8}, {"weight_decay": 0.5}, {"max_length": 12}]
)
def test_every_hyperparameter_reaches_the_training(plain_epoch: TrialResult, changes: dict[str, Any]) -> None:
    assert trained(epochs=1, **changes).train_loss != plain_epoch.train_loss


@slow
@pytest.mark.parametrize(
    ("scheme", "subword_labels"), [*((name, "first") for name in SCHEMES), ("BIO", "all"), ("BIOES", "all")]
)
def test_every_scheme_and_alignment_trains_and_its_spans_are_its_figures(
    monkeypatch: pytest.MonkeyPatch, scheme: str, subword_labels: str
) -> None:
    monkeypatch.setattr(encoders, "_TINY_VOCABULARY", 900)  # so that many words have several subwords
    monkeypatch.setattr(features, "_kept", {})  # which no other test may find
    result = trained(tagging_scheme=scheme, subword_labels=subword_labels)
    assert result.labels == SCHEMES[scheme].labels(CORPUS.entity_types)
    assert result.metrics["test"].seqeval.f1 > 0
    for split_name in SCORED:
        figures = result.metrics["test"].seqeval if split_name == "test" else result.metrics["validation"].seqeval
        account = result.encoding[split_name]
        assert (account["words_cut"], account["entities_cut"]) == (0, 0)
        rows = list(zip(sentences_of(split_name), result.predicted_spans[split_name], strict=True))
        for sentence, spans in rows:
            assert all(0 <= span.start < span.end <= len(sentence.text) for span in spans)
        if scheme != "IO":  # which may hold touching entities as one
            assert account["problems"] == {}
            assert span_f1(rows) == pytest.approx(figures.f1)
            assert tag_f1(rows) == pytest.approx(figures.f1)


def span_f1(rows: list[tuple[Sentence, tuple[Span, ...]]]) -> float:
    """F1 of predicted against gold spans, counted as sets."""
    correct = sum(len(set(sentence.spans) & set(spans)) for sentence, spans in rows)
    return 2 * correct / sum(len(sentence.spans) + len(spans) for sentence, spans in rows)


def tag_f1(rows: list[tuple[Sentence, tuple[Span, ...]]]) -> float:
    """seqeval's F1 of predicted and gold spans, both written as BIO."""

    def tags(sentence: Sentence) -> list[str]:
        return tag_sentence(sentence, split_words(sentence.text, "punctuation"), SCHEMES["BIO"]).tags

    gold = [tags(sentence) for sentence, _ in rows]
    predicted = [tags(replace(sentence, spans=spans)) for sentence, spans in rows]
    return float(f1_score(gold, predicted))


@slow
def test_the_alignment_decides_what_the_loss_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "_TINY_VOCABULARY", 900)
    assert trained(epochs=1, subword_labels="first").train_loss != trained(epochs=1, subword_labels="all").train_loss


@slow
def test_entities_behind_the_limit_are_counted_as_cut() -> None:
    result = trained(max_length=8, epochs=1)
    assert result.encoding["test"]["entities_cut"] > 0
    assert result.metrics["test"].seqeval.support < sum(CORPUS.entity_counts(SPLIT.test).values())


@slow
def test_words_that_the_tokenizer_drops_are_no_error() -> None:
    first, *others = sentences_of("test")
    odd = replace(first, text=f"\u200b {first.text}", spans=())
    empty = Sentence("empty", "")
    sentences = (*CORPUS.sentences, odd, empty)
    corpus = replace(CORPUS, sentences=sentences)
    split = replace(SPLIT, test=(*SPLIT.test, len(CORPUS), len(CORPUS) + 1))
    result = trained(corpus, split, epochs=1)
    assert result.encoding["test"]["words_cut"] == 1
    assert result.predicted_spans["test"][-1] == ()
    assert len(result.predicted_spans["test"]) == len(others) + 3


@slow
def test_a_sentence_longer_than_the_model_reads_is_told() -> None:
    long = Sentence("long", "och " * 600)
    corpus = replace(CORPUS, sentences=(*CORPUS.sentences, long))
    split = replace(SPLIT, train=(*SPLIT.train, len(CORPUS)))
    message = (
        "model 'tiny:1x64': a sentence has 600 subwords at max_length 600; expected a max_length up to 512, "
        "the positions that the model has"
    )
    with pytest.raises(EncoderError, match=message):
        trained(corpus, split, max_length=600)


@slow
def test_a_trial_stops_at_its_aim_and_keeps_that_epoch(result: TrialResult) -> None:
    curve = [epoch.validation_seqeval_f1 for epoch in result.epochs]
    aim = max(curve[:-1])
    assert aim > 0
    stopped = trained(target_f1=aim)
    assert [epoch.validation_seqeval_f1 for epoch in stopped.epochs] == curve[: curve.index(aim) + 1]
    assert stopped.best_epoch == len(stopped.epochs)


@slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="fp16 is real on a GPU")
def test_half_precision_that_a_cpu_cannot_give_is_reported_as_single() -> None:
    result = trained(precision="fp16", epochs=1)
    assert (result.precision_used, result.device) == ("fp32", "cpu")


@slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="trains on the GPU")
def test_bf16_trains_on_a_cpu() -> None:
    result = trained(precision="bf16", epochs=1)
    assert (result.precision_used, result.device) == ("bf16", "cpu")
    assert result.epochs[0].validation_loss != trained(precision="fp32", epochs=1).epochs[0].validation_loss


@pytest.mark.skipif(torch.cuda.is_available(), reason="trains on the GPU")
def test_training_without_cuda_selects_the_cpu_even_if_there_is_another_accelerator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert training_arguments(configuration(), str(tmp_path), 1).device == torch.device("cpu")


@pytest.mark.parametrize("cuda", [False, True])
@pytest.mark.parametrize("wanted", ["auto", "fp32", "fp16", "bf16"])
def test_the_precision_used_is_the_wanted_one_where_the_device_has_it(
    monkeypatch: pytest.MonkeyPatch, wanted: str, cuda: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    half = "fp16" if cuda else "fp32"
    assert used_precision(wanted) == {"auto": half, "fp16": half}.get(wanted, wanted)


# ---- batches


def test_packed_trials_learn_as_padded_ones_do() -> None:
    padded, packed = (trained(batching=batching) for batching in ("padded", "padding_free"))
    assert (padded.batching_used, packed.batching_used) == ("padded", "padding_free")
    # dropout draws other masks, nothing else differs
    assert packed.epochs[-1].validation_loss == pytest.approx(padded.epochs[-1].validation_loss, rel=0.3)
    assert padded.cost
    assert packed.cost
    assert packed.cost.tokens == packed.cost.computed_tokens == padded.cost.tokens < padded.cost.computed_tokens


def test_a_batch_that_does_not_fit_is_halved_and_the_mathematics_stay(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_batch_that_cannot_be_halved_further_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(transformers.Trainer, "training_step", no_memory)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    with pytest.raises(EncoderError, match=r"a batch of 3 sentences of up to 256 subwords does not fit .* a GPU"):
        trained(epochs=1, batch_size=6)


def test_a_loss_that_is_no_number_ends_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    load = encoders.load_model

    def broken(*arguments: Any) -> Any:
        model = load(*arguments)
        with torch.no_grad():
            next(model.parameters()).fill_(float("nan"))
        return model

    monkeypatch.setattr(trial_module, "load_model", broken)
    with pytest.raises(DivergedError, match=r"the (training|validation) loss is nan"):
        trained(epochs=1)
