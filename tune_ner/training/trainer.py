"""The HF `Trainer` of one trial: its settings, its evaluation, and the best epoch, kept in memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
import transformers
from torch.nn.functional import cross_entropy

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import DivergedError
from tune_ner.tagging.alignment import IGNORED
from tune_ner.training.checkpoints import ResumableTrainer, Saved
from tune_ner.training.evaluation_loop import SplitOutput
from tune_ner.training.profiling import StageClock
from tune_ner.training.result import EpochMetrics
from tune_ner.training.scoring import Scorer

LOGGING_STEPS = 50

OnEpoch = Callable[[EpochMetrics], None]


def used_precision(wanted: str) -> str:
    """The precision that training really has: fp16 needs CUDA, and `auto` takes it there and fp32 elsewhere.

    transformers accepts fp16 on a CPU and silently trains in fp32.
    """
    if wanted in ("auto", "fp16"):
        return "fp16" if torch.cuda.is_available() else "fp32"
    return wanted


def training_arguments(config: TrialConfig, folder: str, accumulated: int) -> Any:
    """The `TrainingArguments` of a trial whose batches are divided into `accumulated` steps; the defaults are HF's."""
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
        use_cpu=not torch.cuda.is_available(),  # not Apple's GPU either: nothing here was tried on it
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


def loss_of_accumulated(
    smoothing: float, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor
) -> torch.Tensor:
    """The share of one step in the mean over all labels of the divided batch.

    Models with a plain mean of their own, BERT's token classification among them, leave the count of labels that
    the Trainer hands them unread, and the Trainer trusts that they do not.
    """
    logits = outputs["logits"].float().flatten(0, 1)
    total = cross_entropy(logits, labels.flatten(), ignore_index=IGNORED, reduction="sum", label_smoothing=smoothing)
    return total / num_items_in_batch


class TrialTrainer(ResumableTrainer):
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


class BestEpoch(transformers.TrainerCallback):
    """Scores every epoch on validation and keeps the best one's weights and tags in memory."""

    def __init__(self, scorer: Scorer, on_epoch: OnEpoch, clock: StageClock, tokens: int, config: TrialConfig) -> None:
        self._scorer = scorer
        self._on_epoch = on_epoch
        self._clock = clock
        self._tokens = tokens
        self._metric = config.selection_metric
        self._target_f1 = config.target_f1
        self._weights: dict[str, torch.Tensor] = {}
        self._latest: list[list[str]] = []
        self.epochs: list[EpochMetrics] = []
        self.epoch = 0
        self.tags: list[list[str]] = []

    def measure(self, split_name: SplitOutput, batch_size: int) -> dict[str, float]:
        """The figures of an epoch, by the names that the Trainer gives them."""
        with self._clock("evaluate"):
            self._latest = self._scorer.tags(split_name.output)
            metrics = self._scorer.epoch_metrics(self._latest)
        return {"eval_loss": split_name.loss(batch_size), **{f"eval_{name}": value for name, value in metrics.items()}}

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the Trainer after each evaluation on validation."""
        metrics: dict[str, float] = kwargs["metrics"]
        if not math.isfinite(metrics["eval_loss"]):
            raise DivergedError(f"the validation loss is {metrics['eval_loss']} after epoch {len(self.epochs) + 1}")
        logged = [entry["loss"] for entry in state.log_history if "loss" in entry]
        figures = EpochMetrics(
            epoch=len(self.epochs) + 1,
            training_loss=logged[-1] if logged else None,
            tokens=self._tokens,
            **{f"validation_{name[5:]}": value for name, value in metrics.items() if name.startswith("eval_")},
        )
        if not self.epochs or figures.score(self._metric) > self.epochs[self.epoch - 1].score(self._metric):
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
        return self._target_f1 is not None and self.epochs[-1].score(self._metric) >= self._target_f1

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
            self.epochs.append(EpochMetrics(**epoch))
            self._on_epoch(self.epochs[-1])

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the Trainer every `LOGGING_STEPS` steps, and with the figures of an evaluation."""
        loss = (kwargs.get("logs") or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise DivergedError(f"the training loss is {loss} at step {state.global_step}")

    def restore(self, model: Any) -> None:
        """Give the model the weights of the best epoch."""
        model.load_state_dict(self._weights)
