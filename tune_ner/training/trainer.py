"""The HF `Trainer` of a trial: its arguments, its training losses, and how it resumes from a checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file

from tune_ner.config.trial_config import TrialConfig
from tune_ner.errors import DivergedError
from tune_ner.tagging.alignment import IGNORED
from tune_ner.training.checkpoints import SavedTrial, Tensors, random_states, set_random_states
from tune_ner.training.crf_head import CrfLoss
from tune_ner.training.cuda_graph import GraphedStep
from tune_ner.training.half_precision import HalfPrecisionAdamW
from tune_ner.training.loss import TokenLoss
from tune_ner.training.padding_free.collator import Collator, model_inputs
from tune_ner.training.parameter_groups import parameter_groups

LOGGING_STEPS = 50


def training_arguments(config: TrialConfig, folder: str, divided: int, autocast: str) -> Any:
    """Return the `TrainingArguments` of a trial; values that are not set here are HF's defaults.

    Args:
        config: the configuration.
        folder: an empty folder.
        divided: number of steps that a batch is divided into because of its memory.
        autocast: the half precision that the HF Trainer casts to; `fp32` for none.
    """
    return transformers.TrainingArguments(
        output_dir=folder,
        learning_rate=config.learning_rate,
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size // divided,
        gradient_accumulation_steps=config.gradient_accumulation * divided,
        max_grad_norm=config.max_grad_norm,
        optim=config.optimizer,
        weight_decay=config.weight_decay,
        lr_scheduler_type="constant_with_warmup" if config.lr_schedule == "constant" else config.lr_schedule,
        warmup_steps=config.warmup,  # below one it is a share
        label_smoothing_factor=config.label_smoothing,
        eval_strategy="epoch",
        save_strategy="no",  # the best epoch is kept in memory
        logging_strategy="no",  # `TrainingLoss` logs
        logging_nan_inf_filter=False,  # it would hide a loss that is NaN
        use_cpu=not torch.cuda.is_available(),  # training on Apple's GPU is untested
        fp16=autocast == "fp16",
        bf16=autocast == "bf16",
        seed=config.seed,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,  # the dataset has no columns
    )


class TrainingLoss(transformers.TrainerCallback):
    """Log of the training loss, computed as the HF Trainer does; the Trainer loses its own sums when it resumes.

    Attributes:
        log: pairs of a step and the mean loss of the `LOGGING_STEPS` steps up to it.
    """

    def __init__(self) -> None:
        self.log: list[tuple[int, float]] = []
        self._unlogged = torch.zeros(())
        self._logged_sum = 0.0
        self._steps = 0

    def add(self, loss: torch.Tensor) -> None:
        """Add the loss of a step."""
        self._unlogged = self._unlogged.to(loss.device) + loss

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Log the mean loss every `LOGGING_STEPS` steps.

        Raises:
            DivergedError: the loss is NaN or infinite.
        """
        self._steps = state.global_step
        if self._steps % LOGGING_STEPS:
            return
        total = self._unlogged.item()
        if not math.isfinite(total):
            raise DivergedError(f"the training loss is {total} at step {self._steps}")
        self.log.append((self._steps, total / LOGGING_STEPS))
        self._logged_sum += total
        self._unlogged = torch.zeros_like(self._unlogged)

    @property
    def mean(self) -> float:
        """Return the mean loss of all steps.

        Raises:
            DivergedError: it is NaN or infinite.
        """
        mean = (self._logged_sum + self._unlogged.item()) / max(self._steps, 1)
        if not math.isfinite(mean):
            raise DivergedError(f"the training loss is {mean} after {self._steps} steps")
        return mean

    @property
    def state(self) -> dict[str, Any]:
        """Return the sums and the log as plain values."""
        return {"log": self.log, "unlogged": self._unlogged.item(), "logged_sum": self._logged_sum}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self.log = [(step, loss) for step, loss in state["log"]]
        self._unlogged, self._logged_sum = torch.tensor(state["unlogged"]), state["logged_sum"]


class _Resume(transformers.TrainerCallback):
    """Restores the optimizer, the learning rate schedule and the random generators when training starts.

    The HF Trainer itself reads the weights and its own state, from a folder; for the rest its format is pickles.
    """

    def __init__(self, saved: SavedTrial, collate: Collator) -> None:
        self._saved = saved
        self._collate = collate
        self._is_pending = True

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Restore the optimizer, its gradient scaler and the schedule."""
        content, optimizer = self._saved.content, kwargs["optimizer"]
        moments: dict[int, Tensors] = {}
        for name, value in self._saved.group("optimizer").items():
            index, _, key = name.partition(".")
            moments.setdefault(int(index), {})[key] = value
        groups = [
            {
                name: tuple(value) if isinstance(value, list) and name != "params" else value
                for name, value in group.items()
            }
            for group in content["groups"]
        ]
        optimizer.load_state_dict({"state": moments, "param_groups": groups})
        kwargs["lr_scheduler"].load_state_dict(content["scheduler"])
        if isinstance(optimizer.optimizer, HalfPrecisionAdamW):  # wrapped by accelerate
            optimizer.optimizer.load_scale_state(content["scaler"])
        elif optimizer.scaler and content["scaler"]:
            optimizer.scaler.load_state_dict(content["scaler"])

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Restore the random generators, before the first epoch shuffles the sentences."""
        if self._is_pending:
            self._is_pending = False
            self._collate.restore(self._saved.content["collator"])
            set_random_states(self._saved.group("random"), self._saved.content["generators"])


class TrialTrainer(transformers.Trainer):
    """The HF Trainer with an evaluation, a loss log and checkpoints of our own.

    Args:
        collate: the collator of training.
        config: the configuration of the trial.
        loss: the loss of a batch; a plain `TokenLoss` is left to the HF Trainer.
        on_epoch_end: evaluates the model after each epoch, in place of the Trainer's evaluation; returns whether
            training ends.
        saved: the state to resume from, if any.
        dtype: the half precision of the model's weights, see `HalfPrecisionAdamW`; None for the Trainer's own way.
        graphed: whether a step is captured as a CUDA graph.
        arguments: passed to `transformers.Trainer`.
    """

    def __init__(
        self,
        *,
        collate: Collator,
        config: TrialConfig,
        loss: TokenLoss | CrfLoss,
        on_epoch_end: Callable[[], bool],
        saved: SavedTrial | None,
        dtype: torch.dtype | None = None,
        graphed: bool = False,
        **arguments: Any,
    ) -> None:
        arguments["data_collator"] = collate  # it takes the windows of a batch as one object
        if not loss.is_plain or arguments["args"].gradient_accumulation_steps > 1:
            # models that compute a plain mean, such as BERT's, ignore the number of labels of accumulated batches
            arguments["compute_loss_func"] = loss
        super().__init__(**arguments)
        self.model: Any
        self.optimizer: Any
        self.lr_scheduler: Any
        self.losses = TrainingLoss()
        self._collate = collate
        self._config = config
        self._loss = loss
        self._on_epoch_end = on_epoch_end
        self._saved = saved
        self._has_unlabelled = arguments["train_dataset"].has_unlabelled
        self._dtype = dtype
        self._half: HalfPrecisionAdamW | None = None
        self._half_step = GraphedStep(self._train_in_half) if graphed else self._train_in_half
        self.remove_callback(transformers.PrinterCallback)
        self.add_callback(self.losses)
        if saved:
            self.losses.restore(saved.content["losses"])
            self.add_callback(_Resume(saved, collate))

    def train_from_saved(self, folder: Path) -> None:
        """Train from the first epoch or from the saved state; `folder` is an empty folder."""
        if self._saved is None:
            self.train()
            return
        state = json.dumps(self._saved.content["trainer"])
        (folder / "trainer_state.json").write_text(state, encoding="utf-8")
        save_file(self._saved.group("model"), folder / "model.safetensors")
        self.train(resume_from_checkpoint=str(folder))

    def create_optimizer(self, model: Any = None) -> Any:
        """Return the optimizer; for training in half precision, the model's weights become half-precision."""
        groups = parameter_groups(self._config, self.model, self.get_decay_parameter_names(self.model))
        kind, settings = self.get_optimizer_cls_and_kwargs(self.args, self.model)
        if self._dtype is None:
            self.optimizer = kind([group.settings for group in groups], **settings)
        else:
            settings.pop("fused")  # it always is
            norm = self.args.max_grad_norm
            self.optimizer = self._half = HalfPrecisionAdamW(self.model, self._dtype, groups, norm, **settings)
        return self.optimizer

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Train on one batch and add up its loss."""
        if self._half is None:
            loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        else:
            if not model.training:
                model.train()
            inputs = self._prepare_inputs(inputs)
            if self.args.gradient_accumulation_steps > 1:
                inputs["count"] = num_items_in_batch
            self._half.read_schedule()
            loss = self._half_step(inputs)
        self.losses.add(loss)
        return loss

    def _train_in_half(self, inputs: dict[str, Any]) -> torch.Tensor:
        """Compute the gradient of a batch and, unless it is a part of one, update the weights."""
        assert self._half
        loss = self._batch_loss(inputs)
        self._half.backward(loss)
        if "count" not in inputs:
            self._half.step()
        return loss.detach()

    def _batch_loss(self, inputs: dict[str, Any]) -> torch.Tensor:
        """Return the loss of a batch; `count` among the inputs is the number of labels of all batches of the step."""
        inputs = dict(inputs)
        labels, count = inputs.pop("labels"), inputs.pop("count", None)
        outputs = self.model(**model_inputs(inputs))
        items = labels.ne(IGNORED).sum().clamp(min=1) if count is None else count
        return self._loss({"logits": outputs.logits}, labels, items, inputs.get("layout"))

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Return 0: nothing reads the count, and the Trainer walks over all modules for it in each step."""
        return 0

    def compute_loss(self, model: Any, inputs: dict[str, Any], *arguments: Any, **named: Any) -> Any:
        """Return the loss of a batch; 0 for a batch without any label, whose mean over labels would be NaN."""
        # the second condition waits for the device, which most corpora need not
        if not self._has_unlabelled or inputs["labels"].ne(IGNORED).any():
            if isinstance(self._loss, CrfLoss):  # needs the layout of the batch
                return self._batch_loss({**inputs, "count": named.get("num_items_in_batch")})
            return super().compute_loss(model, inputs, *arguments, **named)
        outputs = model(**{name: value for name, value in inputs.items() if name != "labels"})
        return outputs.logits.sum() * 0.0

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Call `on_epoch_end`."""
        # The Trainer's evaluation draws the seed of a data loader. Drawing it here too leaves dropout and the order
        # of sentences equal to those of the plain Trainer.
        torch.empty((), dtype=torch.int64).random_()
        if self._on_epoch_end():
            self.control.should_training_stop = True
        return {}

    @property
    def weights(self) -> Tensors:
        """Return the weights in fp32, not copied."""
        return {**self.model.state_dict(), **(self._half.weights if self._half else {})}

    def load_weights(self, weights: Tensors) -> None:
        """Replace the weights of the model and of the optimizer."""
        self.model.load_state_dict(weights)
        if self._half:
            self._half.load_weights(weights)

    def snapshot(self) -> tuple[Tensors, dict[str, Any]]:
        """Return the state after an epoch, as tensors and JSON-compatible values."""
        optimizer = self.optimizer.state_dict()
        moments = {
            f"optimizer.{index}.{name}": torch.as_tensor(value)
            for index, values in optimizer["state"].items()
            for name, value in values.items()
        }
        weights = {f"model.{name}": value for name, value in self.weights.items()}
        tensors, generators = random_states()
        scaler = self.accelerator.scaler
        autocast_scale = scaler.state_dict() if scaler else {}
        content = {
            "trainer": {**asdict(self.state), "stateful_callbacks": {}},
            "groups": optimizer["param_groups"],
            "scheduler": self.lr_scheduler.state_dict(),
            "scaler": self._half.scale_state if self._half else autocast_scale,
            "losses": self.losses.state,
            "collator": self._collate.state,
            "generators": generators,
        }
        return {**weights, **moments, **tensors}, content
