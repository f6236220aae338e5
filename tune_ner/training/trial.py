"""One trial: a configuration and a divided corpus in, figures and predicted spans out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import transformers

from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import Corpus, SplitName
from tune_ner.data.splits import Split
from tune_ner.errors import EncoderError
from tune_ner.training.checkpoints import Saved, TrialCheckpoint
from tune_ner.training.dataset import Windows
from tune_ner.training.encoders import Encoder, load_model
from tune_ner.training.evaluation_loop import SplitOutput, predict
from tune_ner.training.features import TokenizedSplit, TrialFeatures, trial_features
from tune_ner.training.model_export import TrainedModel
from tune_ner.training.padding_free.collator import Collator, collator_for
from tune_ner.training.padding_free.vocabulary_trimming import Vocabulary, can_trim
from tune_ner.training.profiling import StageClock, linear_parameters, matmul_rate, peak_memory
from tune_ner.training.result import EpochMetrics, TrialCost, TrialResult
from tune_ner.training.scoring import Scorer
from tune_ner.training.trainer import (
    BestEpoch,
    OnEpoch,
    TrialTrainer,
    loss_of_accumulated,
    training_arguments,
    used_precision,
)

OnTrained = Callable[[TrialResult, TrainedModel], None]


def run_trial(
    config: TrialConfig,
    encoder: Encoder,
    corpus: Corpus,
    split: Split,
    on_epoch: OnEpoch = lambda _: None,
    threads: int | None = None,
    tokenized: TokenizedSplit | None = None,
    checkpoint: TrialCheckpoint | None = None,
    on_trained: OnTrained = lambda *_: None,
) -> TrialResult:
    """Train one configuration with the HF `Trainer` and measure it.

    The epoch with the best validation F1 (the first of equals) is kept in memory and restored before the one
    evaluation on the test part.

    Args:
        config: what to train; `config.model` must be what `encoder` was resolved from.
        encoder: the resolved encoder.
        corpus: the whole corpus.
        split: which of its sentences belong to which part.
        on_epoch: called with the validation figures after every epoch.
        threads: CPU threads; float sums depend on their number, so equal figures need equal threads.
        tokenized: what `tokenize_split` gives for this trial, if it is at hand.
        checkpoint: where the trial is saved now and then, and what an earlier start saved of it: it goes on from there,
            told its epochs once more.
        on_trained: called at the end with the result and the model, which is gone afterwards.

    Raises:
        EncoderError: the encoder's tokenizer or weights cannot be loaded, or a sentence is longer than it reads.
        DivergedError: a loss is no number or infinite.
    """
    trained = _trained(config, encoder, corpus, split, on_epoch, threads, tokenized, checkpoint)
    result = _measured(trained)
    on_trained(result, trained.model)
    return result


def train_trial(
    config: TrialConfig,
    encoder: Encoder,
    corpus: Corpus,
    split: Split,
    on_epoch: OnEpoch = lambda _: None,
    threads: int | None = None,
    tokenized: TokenizedSplit | None = None,
    checkpoint: TrialCheckpoint | None = None,
) -> tuple[EpochMetrics, ...]:
    """Train one configuration and measure it on validation alone; as `run_trial`, which measures it on test too.

    Returns:
        The validation figures of every epoch.

    Raises:
        EncoderError, DivergedError: as for `run_trial`.
    """
    trained = _trained(config, encoder, corpus, split, on_epoch, threads, tokenized, checkpoint)
    return tuple(trained.best.epochs)


@dataclass(frozen=True)
class _Trained:
    """A trial whose model has the weights of its best epoch."""

    config: TrialConfig
    inputs: TrialFeatures
    windows: dict[SplitName, Windows]
    parameters: int
    collate: Collator
    note: str
    trainer: TrialTrainer
    best: BestEpoch
    predicted: Callable[[SplitName], SplitOutput]
    scorer: dict[SplitName, Scorer]
    train_loss: float
    accumulated: int
    clock: StageClock
    model: TrainedModel


def _trained(
    config: TrialConfig,
    encoder: Encoder,
    corpus: Corpus,
    split: Split,
    on_epoch: OnEpoch,
    threads: int | None,
    tokenized: TokenizedSplit | None,
    checkpoint: TrialCheckpoint | None,
) -> _Trained:
    if threads:
        torch.set_num_threads(threads)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    saved = checkpoint.saved if checkpoint else None
    clock = StageClock(checkpoint.seconds if checkpoint else {})
    with clock("encode"):
        inputs = trial_features(config, encoder, corpus, split, tokenized)
    accumulated: int = saved.content["accumulated"] if saved else 1
    while True:
        try:
            return _fit(config, encoder, inputs, clock, on_epoch, accumulated, checkpoint, saved)
        except torch.OutOfMemoryError as error:
            accumulated *= 2
            if config.batch_size % accumulated:
                tried = config.batch_size * 2 // accumulated
                raise EncoderError(
                    f"a batch of {tried} sentences of up to {config.max_length} subwords does not fit into the memory "
                    f"of {torch.cuda.get_device_name()}, and cannot be halved further: give each trial more of the "
                    "GPU (--gpus-per-trial), or lower batch_size or max_length"
                ) from error
            torch.cuda.empty_cache()
            saved = None  # other steps are another training


def _fit(
    config: TrialConfig,
    encoder: Encoder,
    inputs: TrialFeatures,
    clock: StageClock,
    on_epoch: OnEpoch,
    accumulated: int,
    checkpoint: TrialCheckpoint | None,
    saved: Saved | None,
) -> _Trained:
    """The trial with its batches divided into `accumulated` steps, whose gradients are added up."""
    with clock("load"):
        model = load_model(encoder, inputs.labels, inputs.tokenizer, config.seed, config.dropout)
        inputs.check_lengths(config, model)
        parameters = sum(weights.numel() for weights in model.parameters())
        windows = inputs.windows
        vocabulary: Vocabulary | None = None
        if config.trim_vocabulary and can_trim(model):
            vocabulary, windows = inputs.vocabulary, inputs.trimmed_windows
            vocabulary.trim(model)
        pad_id = inputs.tokenizer.pad_token_id
        sample = windows["train"].take(range(min(config.batch_size, len(windows["train"]))))
        collate, note = collator_for(
            model, pad_id, packed=config.batching == "padding_free", sample=sample, seed=config.seed
        )
    scorer: dict[SplitName, Scorer] = {
        split_name: Scorer(
            config, inputs.sentences[split_name], inputs.encoded[split_name], inputs.labels, inputs.types, inputs.forms
        )
        for split_name in ("validation", "test")
    }
    # evaluation has a collator of its own, for the one of training counts what training computes
    evaluation = Collator(model, pad_id, packed=collate.packed)
    tokens = int(windows["train"].lengths.sum())
    best = BestEpoch(scorer["validation"], on_epoch, clock, tokens, config)

    def predicted(split_name: SplitName) -> SplitOutput:
        with clock("evaluate"):
            return predict(
                trainer.model,
                windows[split_name],
                evaluation,
                scores=config.decoding == "viterbi",
                autocast=trainer.compute_loss_context_manager,
            )

    def save() -> None:
        if checkpoint and checkpoint.is_due(len(best.epochs)) and not best.is_last(config.epochs):
            with clock("save"):
                weights, content = best.snapshot()
                tensors, more = trainer.snapshot()
                content |= {**more, "accumulated": accumulated, "seconds": clock.so_far()}
                checkpoint.write({**tensors, **weights}, content)

    if saved:
        best.go_on(saved)
        note = "; ".join(filter(None, [note, f"went on after epoch {len(best.epochs)}, where it was saved"]))
    with tempfile.TemporaryDirectory(prefix="tune-ner-") as folder:
        trainer = TrialTrainer(
            model=model,
            args=training_arguments(config, folder, accumulated),
            train_dataset=windows["train"],
            eval_dataset=windows["validation"],
            collate=collate,
            saved=saved,
            compute_loss_func=partial(loss_of_accumulated, config.label_smoothing) if accumulated > 1 else None,
            callbacks=[best],
            validate=lambda: best.measure(predicted("validation"), config.batch_size),
            save=save,
        )
        trainer.remove_callback(transformers.PrinterCallback)
        with clock("train"):
            train_loss = trainer.train_from_saved(folder)
        best.restore(trainer.model)
    if checkpoint and checkpoint.problem:
        note = "; ".join(filter(None, [note, checkpoint.problem]))
    return _Trained(
        config=config,
        inputs=inputs,
        windows=windows,
        parameters=parameters,
        collate=collate,
        note=note,
        trainer=trainer,
        best=best,
        predicted=predicted,
        scorer=scorer,
        train_loss=train_loss,
        accumulated=accumulated,
        clock=clock,
        model=TrainedModel(
            config, encoder, inputs.tokenizer, inputs.labels, inputs.types, model, vocabulary, inputs.known
        ),
    )


def _measured(trained: _Trained) -> TrialResult:
    """The one evaluation on the test part, and all that is to be kept of the trial."""
    config, inputs, best, scorer = trained.config, trained.inputs, trained.best, trained.scorer
    test = trained.predicted("test")
    tags = scorer["test"].tags(test.output)
    return TrialResult(
        epochs=tuple(best.epochs),
        best_epoch=best.epoch,
        test_loss=test.loss(config.batch_size),
        metrics={"validation": scorer["validation"].metrics(best.tags), "test": scorer["test"].metrics(tags)},
        predicted_spans={"validation": scorer["validation"].spans(best.tags), "test": scorer["test"].spans(tags)},
        encoding={split_name: item.stats.as_dict() for split_name, item in inputs.encoded.items()},
        labels=inputs.labels,
        training_log=tuple((int(e["step"]), e["loss"]) for e in trained.trainer.state.log_history if "loss" in e),
        train_loss=trained.train_loss,
        precision_used=used_precision(config.precision),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        threads=torch.get_num_threads(),
        parameters=trained.parameters,
        seconds=trained.clock.seconds,
        cost=_cost(config, trained.trainer.model, trained.windows["train"], trained.collate, len(best.epochs)),
        batching_used="padding_free" if trained.collate.packed else "padded",
        accumulated_steps=trained.accumulated,
        note=trained.note,
    )


def _cost(config: TrialConfig, model: Any, train: Windows, collate: Collator, epochs: int) -> TrialCost:
    precision = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(used_precision(config.precision), torch.float32)
    return TrialCost(
        tokens=epochs * int(train.lengths.sum()),
        computed_tokens=collate.computed_tokens,
        peak_memory=peak_memory(),
        linear_parameters=linear_parameters(model),
        matmul_rate=matmul_rate(model.config.hidden_size, precision, torch.get_num_threads()),
    )
