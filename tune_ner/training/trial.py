"""One trial: train a configuration on a split corpus, and evaluate its best epoch."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import Corpus, SplitName
from tune_ner.data.splits import Split
from tune_ner.errors import DivergedError, EncoderError
from tune_ner.tagging.decoding import Transitions
from tune_ner.tagging.probabilities import WordProbabilities, pack
from tune_ner.training.baseline import BaselineModel, baseline_features, evaluate_baseline, train_baseline
from tune_ner.training.checkpoints import SavedTrial, Tensors, TrialCheckpoint
from tune_ner.training.crf_head import CrfHead, CrfLoss, transitions_of
from tune_ner.training.cuda_graph import GraphedStep
from tune_ner.training.encoders import Encoder, load_model
from tune_ner.training.evaluation_loop import SplitOutput, logits_of, predict
from tune_ner.training.features import TokenizedCorpus, TrialFeatures, trial_features
from tune_ner.training.lora import add_lora
from tune_ner.training.loss import TokenLoss
from tune_ner.training.model_export import TrainedModel
from tune_ner.training.padding_free.collator import BucketCollator, Collator, padding_free_collator
from tune_ner.training.precision import DTYPES, model_precision, precision_note
from tune_ner.training.profiling import StageClock, free_gpu_memory, peak_memory_bytes
from tune_ner.training.result import (
    EpochMetrics,
    SentenceCounts,
    SplitMetrics,
    TrialProfile,
    TrialResult,
    is_last_epoch,
)
from tune_ner.training.scoring import Scorer, Tags
from tune_ner.training.trainer import TrialTrainer, training_arguments

EVALUATED_ROWS = 32
"""Sentences per batch of an evaluation with CUDA graphs."""
MOST_PROBABILITIES = 10_000_000
"""Words of validation and test times labels up to which a trial's probabilities are kept: 20 MB."""


AnyModel = TrainedModel | BaselineModel


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class TrialOptions:
    """How a trial runs; nothing here except `threads` affects its metrics.

    Attributes:
        threads: number of CPU threads; floating-point sums depend on it.
        tokenized: the result of `tokenize_corpus` for this trial, if it is available.
        checkpoint: file to save the trial to between epochs, and to resume it from. A resumed trial reports its earlier
            epochs to `on_epoch` again.
        measure_test: whether the best epoch is evaluated on the test split.
        on_epoch: called with the validation metrics after every epoch.
        on_trained: called at the end with the result and the model, which is discarded afterwards.
    """

    threads: int | None = None
    tokenized: TokenizedCorpus | None = None
    checkpoint: TrialCheckpoint | None = None
    measure_test: bool = True
    on_epoch: Callable[[EpochMetrics], None] = _ignore
    on_trained: Callable[[TrialResult, AnyModel], None] = _ignore


def run_trial(
    config: TrialConfig, encoder: Encoder, corpus: Corpus, split: Split, options: TrialOptions | None = None
) -> TrialResult:
    """Train one configuration with the HF `Trainer` and evaluate it.

    The weights of the epoch with the highest selection metric on validation (the first such epoch) are kept in memory
    and restored before the only evaluation on the test split.

    Args:
        config: the configuration; `config.model` must be the name that `encoder` was resolved from.
        encoder: the resolved encoder.
        corpus: the complete corpus.
        split: the sentences of each split.
        options: threads, checkpoint, callbacks.

    Raises:
        EncoderError: the tokenizer or the weights cannot be loaded, a sentence is longer than the model allows, or a
            batch does not fit into memory.
        DivergedError: a loss is NaN or infinite.
    """
    options = options or TrialOptions()
    if config.is_baseline:
        return _run_baseline(config, corpus, split, options)
    if options.threads:
        torch.set_num_threads(options.threads)
    free_gpu_memory()  # of an earlier trial in this process
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    clock = StageClock(options.checkpoint.seconds if options.checkpoint else {})
    with clock("encode"):
        features = trial_features(config, encoder, corpus, split, options.tokenized)
    trial = _Trial(config, encoder, features, options, clock)
    trial.fit()
    result = trial.result()
    options.on_trained(result, trial.trained_model)
    return result


def _run_baseline(config: TrialConfig, corpus: Corpus, split: Split, options: TrialOptions) -> TrialResult:
    clock = StageClock({})
    with clock("encode"):
        features = baseline_features(config, corpus, split)
    with clock("train"):
        model = train_baseline(config, features)
    result = evaluate_baseline(config, features, model, clock, measure_test=options.measure_test)
    options.on_epoch(result.epochs[0])
    options.on_trained(result, model)
    return result


def _checkpoint_activations(config: TrialConfig, model: Any) -> None:
    if not model.supports_gradient_checkpointing:
        raise EncoderError(
            f"model {config.model!r}: a {model.config.model_type} encoder cannot compute its activations again; "
            "expected gradient_checkpointing false"
        )
    # the second name is deprecated, and the only one of older versions
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


class _BestEpoch:
    """The validation metrics of all epochs, with the weights and the predicted tags of the best one in memory."""

    def __init__(self, config: TrialConfig) -> None:
        self._config = config
        self.weights: Tensors = {}
        self.epochs: list[EpochMetrics] = []
        self.counts: list[SentenceCounts] = []
        self.number = 0
        self.tags: Tags = []

    def add(self, metrics: EpochMetrics, tags: Tags, counts: SentenceCounts, weights: Tensors) -> None:
        """Add an epoch; keep a copy of its weights if it is the best so far."""
        metric = self._config.selection_metric
        if not self.epochs or metrics.score(metric) > self.epochs[self.number - 1].score(metric):
            self.number, self.tags = metrics.epoch, tags
            # on the same device, since a copy to the host would take as long as many steps
            self.weights = {name: value.detach().clone() for name, value in weights.items()}
        self.epochs.append(metrics)
        self.counts.append(counts)

    def snapshot(self) -> tuple[Tensors, dict[str, Any]]:
        """Return the state as tensors and JSON-compatible values."""
        weights = {f"best.{name}": value for name, value in self.weights.items()}
        state = {"epochs": [asdict(epoch) for epoch in self.epochs], "best": self.number, "tags": self.tags}
        return weights, {**state, "counts": self.counts}

    def restore(self, saved: SavedTrial) -> None:
        """Continue from a saved state."""
        self.weights = saved.group("best")
        self.number, self.tags = saved.content["best"], saved.content["tags"]
        self.epochs = [EpochMetrics(**epoch) for epoch in saved.content["epochs"]]
        self.counts = [tuple(map(tuple, epoch)) for epoch in saved.content["counts"]]


class _Trial:
    """A trial from the encoded corpus to its result."""

    def __init__(
        self, config: TrialConfig, encoder: Encoder, features: TrialFeatures, options: TrialOptions, clock: StageClock
    ) -> None:
        self._config = config
        self._encoder = encoder
        self._features = features
        self._options = options
        self._clock = clock
        self._scorers = {name: Scorer(config, features, name) for name in ("validation", "test")}
        self._steps = 1  # that a batch is divided into because of its memory
        self._model: Any = None
        self._trainer: Any = None

    def fit(self) -> None:
        """Train, with batches divided into as many steps as the memory requires, and restore the best epoch."""
        saved = self._options.checkpoint.saved if self._options.checkpoint else None
        self._steps = saved.content["accumulated"] if saved else 1
        while True:
            try:
                self._load()
                if saved and saved.content["precision"] != self._precision:
                    note = f"restarted from the first epoch: the checkpoint is in {saved.content['precision']}"
                    self._notes.append(note)
                    saved = None
                self._train(saved)
                break
            except torch.OutOfMemoryError as error:
                self._halve_steps(error)
            saved = None  # smaller steps are another training
            free_gpu_memory()
        self._trainer.load_weights(self._best.weights)

    def _halve_steps(self, error: torch.OutOfMemoryError) -> None:
        size = self._config.batch_size // self._steps
        if size % 2:
            raise EncoderError(
                f"a batch of {size} sentences of up to {self._config.max_length} subwords does not fit into the memory "
                f"of {torch.cuda.get_device_name()}, and cannot be halved further: give each trial more of the GPU "
                "(--gpus-per-trial), or lower batch_size or max_length"
            ) from error
        self._steps *= 2
        self._model = self._trainer = None  # frees their memory

    def _load(self) -> None:
        config, features = self._config, self._features
        with self._clock("load"):
            model = load_model(self._encoder, features.labels, features.tokenizer, config.seed, config.dropout)
            features.check_lengths(config, model)
            if config.head == "crf":
                model.crf = CrfHead(len(features.labels))
            if config.lora_rank:
                add_lora(config, model)
            if torch.cuda.is_available():
                model.to("cuda")
            if config.gradient_checkpointing:
                _checkpoint_activations(config, model)
            self._parameters = sum(weights.numel() for weights in model.parameters())
            self._windows, self._vocabulary = features.trim_vocabulary(config, model)
            pad_id, train = features.tokenizer.pad_token_id, self._windows["train"]
            if config.batching == "padded" or config.gradient_checkpointing:
                # a padding-free batch would draw other dropout masks when it is computed again
                self._collate, note = Collator(model, pad_id, padding_free=False), ""
            else:
                sample = train.take(range(min(config.batch_size, len(train))))
                self._collate, note = padding_free_collator(model, pad_id, sample, config.seed)
            self._precision = model_precision(config.precision, model)
            # padded batches and other optimizers are those of the plain Trainer, with autocast
            has_own_adamw = self._collate.padding_free and config.optimizer == "adamw_torch_fused"
            self._in_half = self._precision != "fp32" and has_own_adamw
            if self._in_half and self._accumulated == 1 and torch.cuda.is_available():
                self._collate = BucketCollator(model, pad_id, config.batch_size)
        self._model = model
        self._notes = [note, precision_note(config.precision, model)]
        # a second collator, since the first one counts what training computes
        is_graphed = isinstance(self._collate, BucketCollator)
        self._evaluation_collate = (
            BucketCollator(model, pad_id, EVALUATED_ROWS)
            if is_graphed
            else Collator(model, pad_id, padding_free=self._collate.padding_free)
        )
        self._forward = GraphedStep(partial(logits_of, model)) if is_graphed else None

    def _train(self, saved: SavedTrial | None) -> None:
        self._best = _BestEpoch(self._config)
        if saved:
            self._best.restore(saved)
            self._notes.append(f"resumed after epoch {len(self._best.epochs)}")
            for epoch in self._best.epochs:
                self._options.on_epoch(epoch)
        if self._config.head == "crf":
            loss: TokenLoss | CrfLoss = CrfLoss(self._model.crf)
        else:
            loss = TokenLoss.of(self._config, self._windows["train"].labels, len(self._features.labels))
        autocast = "fp32" if self._in_half else self._precision
        with tempfile.TemporaryDirectory(prefix="tune-ner-") as folder:
            self._trainer = TrialTrainer(
                model=self._model,
                args=training_arguments(self._config, folder, self._steps, autocast),
                config=self._config,
                train_dataset=self._windows["train"],
                eval_dataset=self._windows["validation"],
                loss=loss,
                collate=self._collate,
                on_epoch_end=self._end_epoch,
                saved=saved,
                dtype=DTYPES[self._precision] if self._in_half else None,
                graphed=isinstance(self._collate, BucketCollator),
            )
            with self._clock("train"):
                self._trainer.train_from_saved(Path(folder))

    def _end_epoch(self) -> bool:
        """Evaluate, report and save an epoch; return whether training ends."""
        log = self._trainer.losses.log
        with self._clock("evaluate"):
            output = self._predict("validation")
            tags = self._tags("validation", output)
            scores, counts = self._scorers["validation"].epoch_metrics(tags)
            metrics = EpochMetrics(
                epoch=len(self._best.epochs) + 1,
                validation_loss=output.loss(self._config.batch_size),
                # a small corpus has fewer steps than the log takes to write
                training_loss=log[-1][1] if log else self._trainer.losses.mean,
                tokens=self._train_tokens,
                **{f"validation_{name}": score for name, score in scores.items()},
            )
        if not math.isfinite(metrics.validation_loss):
            raise DivergedError(f"the validation loss is {metrics.validation_loss} after epoch {metrics.epoch}")
        with self._clock("save"):
            self._best.add(metrics, tags, counts, self._trainer.weights)
        self._options.on_epoch(metrics)
        is_last = is_last_epoch(self._config, self._best.epochs)
        if self._options.checkpoint and self._options.checkpoint.is_due(metrics.epoch) and not is_last:
            with self._clock("save"):
                self._save(self._options.checkpoint)
        return is_last

    def _save(self, checkpoint: TrialCheckpoint) -> None:
        weights, epochs = self._best.snapshot()
        tensors, state = self._trainer.snapshot()
        used = {"precision": self._precision, "accumulated": self._steps, "seconds": self._clock.so_far()}
        checkpoint.write({**tensors, **weights}, {**epochs, **state, **used})

    def _predict(self, split_name: SplitName, *, with_scores: bool = False) -> SplitOutput:
        return predict(
            self._model,
            self._windows[split_name],
            self._evaluation_collate,
            with_scores=with_scores or self._config.decodes_sequences,
            forward=self._forward,
        )

    def _tags(self, split_name: SplitName, output: SplitOutput) -> Tags:
        return self._scorers[split_name].tags(output.output, self._transitions)

    def _probabilities(self, split_name: SplitName, output: SplitOutput) -> WordProbabilities:
        return self._scorers[split_name].probabilities(output.output, self._transitions)

    @property
    def _transitions(self) -> Transitions | None:
        return transitions_of(self._model.crf.state_dict()) if self._config.head == "crf" else None

    @property
    def _keeps_probabilities(self) -> bool:
        words = sum(len(self._features.encoded[name].subwords.words) for name in ("validation", "test"))
        return words * len(self._features.labels) <= MOST_PROBABILITIES

    @property
    def _accumulated(self) -> int:
        """Batches that the model computes for one step of the optimizer."""
        return self._steps * self._config.gradient_accumulation

    @property
    def _train_tokens(self) -> int:
        return int(self._windows["train"].lengths.sum())

    def result(self) -> TrialResult:
        """Evaluate the best epoch; all splits but train are predicted once."""
        config, best, features = self._config, self._best, self._features
        tags: dict[SplitName, Tags] = {"validation": best.tags}
        test_loss, probabilities = None, b""
        if self._options.measure_test:
            with self._clock("evaluate"):
                test = self._predict("test", with_scores=self._keeps_probabilities)
                tags["test"], test_loss = self._tags("test", test), test.loss(config.batch_size)
                if self._keeps_probabilities:
                    validation = self._predict("validation", with_scores=True)
                    outputs: dict[SplitName, SplitOutput] = {"validation": validation, "test": test}
                    probabilities = pack({name: self._probabilities(name, each) for name, each in outputs.items()})
        problem = self._options.checkpoint.problem if self._options.checkpoint else ""
        metrics: dict[SplitName, SplitMetrics] = {name: self._scorers[name].metrics(tags[name]) for name in tags}
        return TrialResult(
            epochs=tuple(best.epochs),
            best_epoch=best.number,
            test_loss=test_loss,
            metrics=metrics,
            predicted_spans={name: self._scorers[name].spans(tags[name]) for name in tags},
            epoch_counts=tuple(best.counts),
            probabilities=probabilities,
            encoding={name: encoded.stats.as_dict() for name, encoded in features.encoded.items()},
            labels=features.labels,
            training_log=tuple(self._trainer.losses.log),
            train_loss=self._trainer.losses.mean,
            precision_used=self._precision,
            device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            threads=torch.get_num_threads(),
            parameters=self._parameters,
            seconds=self._clock.seconds,
            profile=TrialProfile(
                tokens=len(best.epochs) * self._train_tokens,
                computed_tokens=self._collate.computed_tokens,
                peak_memory_bytes=peak_memory_bytes(),
            ),
            batching_used=self._collate.name,
            accumulated_steps=self._steps,
            note="; ".join(filter(None, [*self._notes, problem])),
        )

    @property
    def trained_model(self) -> TrainedModel:
        """Return the model of the best epoch, ready for export."""
        features = self._features
        return TrainedModel(
            config=self._config,
            encoder=self._encoder,
            tokenizer=features.tokenizer,
            labels=features.labels,
            entity_types=features.entity_types,
            weights=self._best.weights,
            vocabulary=self._vocabulary,
            training_text_hashes=features.training_text_hashes,
        )
