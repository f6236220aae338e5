"""One trial: a configuration and a divided corpus in, figures and predicted spans out."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
import transformers
from torch.nn.functional import cross_entropy

from tune_ner.data import Corpus, Part, Split
from tune_ner.errors import DivergedError, EncoderError
from tune_ner.tagging.subwords import IGNORED
from tune_ner.training.batching import Collator, collator_for
from tune_ner.training.checkpoint import ResumableTrainer, Saved, TrialCheckpoint
from tune_ner.training.config import TrialConfig
from tune_ner.training.cost import linear_parameters, matmul_rate, peak_memory
from tune_ner.training.encoders import Encoder, load_model
from tune_ner.training.export import TrainedModel
from tune_ner.training.inputs import TokenizedSplit, TrialInputs, trial_inputs
from tune_ner.training.prediction import PartOutput, predict
from tune_ner.training.result import EpochFigures, TrialCost, TrialResult
from tune_ner.training.scoring import Scorer
from tune_ner.training.vocabulary import Vocabulary, can_trim
from tune_ner.training.windows import Windows

LOGGING_STEPS = 50
_EPOCH_METRICS = ("precision", "recall", "f1", "accuracy")


OnEpoch = Callable[[EpochFigures], None]
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
) -> tuple[EpochFigures, ...]:
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
    inputs: TrialInputs
    windows: dict[Part, Windows]
    parameters: int
    collate: Collator
    note: str
    trainer: _Trainer
    best: _BestEpoch
    predicted: Callable[[Part], PartOutput]
    scorer: dict[Part, Scorer]
    train_loss: float
    accumulated: int
    clock: _Clock
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
    clock = _Clock(checkpoint.seconds if checkpoint else {})
    with clock("encode"):
        inputs = trial_inputs(config, encoder, corpus, split, tokenized)
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
    inputs: TrialInputs,
    clock: _Clock,
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
        collate, note = collator_for(model, pad_id, packed=config.batching == "packed", sample=sample, seed=config.seed)
    scorer: dict[Part, Scorer] = {
        part: Scorer(config, inputs.sentences[part], inputs.encoded[part], inputs.labels, inputs.types, inputs.forms)
        for part in ("validation", "test")
    }
    # evaluation has a collator of its own, for the one of training counts what training computes
    evaluation = Collator(model, pad_id, packed=collate.packed)
    tokens = int(windows["train"].lengths.sum())
    best = _BestEpoch(scorer["validation"], on_epoch, clock, tokens, config.stop_at_f1)

    def predicted(part: Part) -> PartOutput:
        with clock("evaluate"):
            return predict(
                trainer.model,
                windows[part],
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
        trainer = _Trainer(
            model=model,
            args=_arguments(config, folder, accumulated),
            train_dataset=windows["train"],
            eval_dataset=windows["validation"],
            collate=collate,
            saved=saved,
            compute_loss_func=partial(_loss_of_accumulated, config.label_smoothing) if accumulated > 1 else None,
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
        model=TrainedModel(config, encoder, inputs.tokenizer, inputs.labels, inputs.types, model, vocabulary),
    )


def _measured(trained: _Trained) -> TrialResult:
    """The one evaluation on the test part, and all that is to be kept of the trial."""
    config, inputs, best, scorer = trained.config, trained.inputs, trained.best, trained.scorer
    test = trained.predicted("test")
    tags = scorer["test"].tags(test.output)
    return TrialResult(
        epochs=tuple(best.epochs),
        best_epoch=best.epoch,
        validation=scorer["validation"].figures(best.tags),
        test=scorer["test"].figures(tags),
        test_loss=test.loss(config.batch_size),
        scores={"validation": scorer["validation"].scores(best.tags), "test": scorer["test"].scores(tags)},
        spans={"validation": scorer["validation"].spans(best.tags), "test": scorer["test"].spans(tags)},
        encoding={part: item.account.as_dict() for part, item in inputs.encoded.items()},
        labels=inputs.labels,
        training_log=tuple((int(e["step"]), e["loss"]) for e in trained.trainer.state.log_history if "loss" in e),
        train_loss=trained.train_loss,
        precision_used=used_precision(config.precision),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        threads=torch.get_num_threads(),
        parameters=trained.parameters,
        seconds=trained.clock.seconds,
        cost=_cost(config, trained.trainer.model, trained.windows["train"], trained.collate, len(best.epochs)),
        batching_used="packed" if trained.collate.packed else "padded",
        accumulated_steps=trained.accumulated,
        note=trained.note,
    )


def used_precision(wanted: str) -> str:
    """The precision that training really has: fp16 needs CUDA, and `auto` takes it there and fp32 elsewhere.

    transformers accepts fp16 on a CPU and silently trains in fp32.
    """
    if wanted in ("auto", "fp16"):
        return "fp16" if torch.cuda.is_available() else "fp32"
    return wanted


def _cost(config: TrialConfig, model: Any, train: Windows, collate: Collator, epochs: int) -> TrialCost:
    precision = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(used_precision(config.precision), torch.float32)
    return TrialCost(
        tokens=epochs * int(train.lengths.sum()),
        computed_tokens=collate.computed_tokens,
        peak_memory=peak_memory(),
        linear_parameters=linear_parameters(model),
        matmul_rate=matmul_rate(model.config.hidden_size, precision, torch.get_num_threads()),
    )


def _arguments(config: TrialConfig, folder: str, accumulated: int) -> Any:
    precision = used_precision(config.precision)
    return transformers.TrainingArguments(
        output_dir=folder,
        learning_rate=config.learning_rate,
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size // accumulated,
        gradient_accumulation_steps=accumulated,
        weight_decay=config.weight_decay,
        lr_scheduler_type="constant_with_warmup" if config.lr_schedule == "constant" else config.lr_schedule,
        warmup_steps=config.warmup,  # below one it is a share
        label_smoothing_factor=config.label_smoothing,
        eval_strategy="epoch",
        save_strategy="no",  # the best epoch is kept in memory
        logging_steps=LOGGING_STEPS,
        fp16=precision == "fp16",
        bf16=precision == "bf16",
        seed=config.seed,
        logging_nan_inf_filter=False,  # it would hide a loss that is no number
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        # the token count of an accumulated batch and columns are ours to know
        remove_unused_columns=False,
    )


def _loss_of_accumulated(
    smoothing: float, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor
) -> torch.Tensor:
    """The share of one step in the mean over all labels of the divided batch.

    Models with a plain mean of their own, BERT's token classification among them, leave the count of labels that
    the Trainer hands them unread, and the Trainer trusts that they do not.
    """
    logits = outputs["logits"].float().flatten(0, 1)
    total = cross_entropy(logits, labels.flatten(), ignore_index=IGNORED, reduction="sum", label_smoothing=smoothing)
    return total / num_items_in_batch


class _Trainer(ResumableTrainer):
    """The HF Trainer with an evaluation of our own: sorted by length, in large batches, packed like training."""

    def __init__(self, *, validate: Callable[[], dict[str, float]], save: Callable[[], None], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._validate = validate
        self._save_trial = save

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Validation figures, told to the callbacks as the Trainer does."""
        # The Trainer's own evaluation draws the seed of a loader here. Drawn too, it leaves dropout and the order
        # of sentences as they are in the plain protocol.
        torch.empty((), dtype=torch.int64).random_()
        metrics = self._validate()
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self._save_trial()
        return metrics


class _BestEpoch(transformers.TrainerCallback):
    """Scores every epoch on validation and keeps the best one's weights and tags in memory."""

    def __init__(
        self, scorer: Scorer, on_epoch: OnEpoch, clock: _Clock, tokens: int, stop_at_f1: float | None = None
    ) -> None:
        self._scorer = scorer
        self._on_epoch = on_epoch
        self._clock = clock
        self._tokens = tokens
        self._stop_at_f1 = stop_at_f1
        self._weights: dict[str, torch.Tensor] = {}
        self._latest: list[list[str]] = []
        self.epochs: list[EpochFigures] = []
        self.epoch = 0
        self.tags: list[list[str]] = []

    def measure(self, part: PartOutput, batch_size: int) -> dict[str, float]:
        """The figures of an epoch, by the names that the Trainer gives them."""
        with self._clock("evaluate"):
            self._latest = self._scorer.tags(part.output)
            figures = self._scorer.figures(self._latest)
        named = {f"eval_{name}": getattr(figures, name) for name in _EPOCH_METRICS}
        return {"eval_loss": part.loss(batch_size), **named}

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the Trainer after each evaluation on validation."""
        metrics: dict[str, float] = kwargs["metrics"]
        if not math.isfinite(metrics["eval_loss"]):
            raise DivergedError(f"the validation loss is {metrics['eval_loss']} after epoch {len(self.epochs) + 1}")
        logged = [entry["loss"] for entry in state.log_history if "loss" in entry]
        figures = EpochFigures(
            epoch=len(self.epochs) + 1,
            loss=metrics["eval_loss"],
            training_loss=logged[-1] if logged else None,
            tokens=self._tokens,
            **{name: metrics[f"eval_{name}"] for name in _EPOCH_METRICS},
        )
        if not self.epochs or figures.f1 > self.epochs[self.epoch - 1].f1:
            self.epoch = figures.epoch
            self.tags = self._latest
            with self._clock("save"):
                weights = kwargs["model"].state_dict()
                self._weights = {name: value.detach().cpu().clone() for name, value in weights.items()}
        self.epochs.append(figures)
        if self._reached:
            control.should_training_stop = True
        self._on_epoch(figures)

    @property
    def _reached(self) -> bool:
        return self._stop_at_f1 is not None and self.epochs[-1].f1 >= self._stop_at_f1

    def is_last(self, epochs: int) -> bool:
        """Whether a trial of so many epochs trains none after the latest."""
        return self._reached or len(self.epochs) >= epochs

    def snapshot(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """All that is known after the latest epoch: tensors, and plain data."""
        weights = {f"best.{name}": value for name, value in self._weights.items()}
        return weights, {"epochs": [asdict(figures) for figures in self.epochs], "best": self.epoch, "tags": self.tags}

    def go_on(self, saved: Saved) -> None:
        """Be what another was when it was saved, and tell its epochs."""
        self._weights = saved.group("best")
        self.epoch, self.tags = saved.content["best"], saved.content["tags"]
        for epoch in saved.content["epochs"]:
            self.epochs.append(EpochFigures(**epoch))
            self._on_epoch(self.epochs[-1])

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the Trainer every `LOGGING_STEPS` steps, and with the figures of an evaluation."""
        loss = (kwargs.get("logs") or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise DivergedError(f"the training loss is {loss} at step {state.global_step}")

    def restore(self, model: Any) -> None:
        """Give the model the weights of the best epoch."""
        model.load_state_dict(self._weights)


class _Clock:
    """Seconds by stage; a stage entered twice adds up, and a stage within another is not counted for the outer."""

    def __init__(self, before: Mapping[str, float]) -> None:
        self.seconds = dict(before)
        self._open: list[tuple[str, float]] = []
        self._within: list[float] = []

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        self._open.append((stage, start))
        self._within.append(0.0)
        try:
            yield
        finally:
            self._open.pop()
            seconds = time.perf_counter() - start
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds - self._within.pop()
            if self._within:
                self._within[-1] += seconds

    def so_far(self) -> dict[str, float]:
        """Seconds by stage, with those that are not over."""
        found, now, inner = dict(self.seconds), time.perf_counter(), 0.0
        for (stage, start), within in zip(reversed(self._open), reversed(self._within), strict=True):
            found[stage] = found.get(stage, 0.0) + now - start - within - inner
            inner = now - start
        return found
