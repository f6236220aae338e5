"""One trial: a configuration and a divided corpus in, figures and predicted spans out."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import transformers

from tune_ner.audit import seen_forms
from tune_ner.data import Corpus, Part, Sentence, Split
from tune_ner.errors import EncoderError
from tune_ner.tagging import SCHEMES, EncodedPart, encode_part
from tune_ner.training.config import TrialConfig
from tune_ner.training.encoders import Encoder, load_model, load_tokenizer
from tune_ner.training.result import EpochFigures, TrialResult
from tune_ner.training.scoring import Scorer

LOGGING_STEPS = 50
_EPOCH_METRICS = ("precision", "recall", "f1", "accuracy")


OnEpoch = Callable[[EpochFigures], None]


def run_trial(
    config: TrialConfig,
    encoder: Encoder,
    corpus: Corpus,
    split: Split,
    on_epoch: OnEpoch = lambda _: None,
    threads: int | None = None,
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

    Raises:
        EncoderError: the encoder's tokenizer or weights cannot be loaded, or a sentence is longer than it reads.
    """
    if threads:
        torch.set_num_threads(threads)
    clock = _Clock()
    parts: dict[Part, list[Sentence]] = {
        part: [corpus.sentences[i] for i in split[part]] for part in ("train", "validation", "test")
    }
    labels = SCHEMES[config.tagging_scheme].labels(corpus.types)
    with clock("load"):
        tokenizer = load_tokenizer(encoder, [sentence.text for sentence in parts["train"]])
    with clock("encode"):
        encoded = {part: _encode(config, rows, tokenizer, labels) for part, rows in parts.items()}
    with clock("load"):
        model = load_model(encoder, labels, tokenizer, config.seed)
    _check_lengths(config, model, encoded)
    forms = seen_forms(corpus, split)
    scorer: dict[Part, Scorer] = {
        part: Scorer(config, parts[part], encoded[part], labels, corpus.types, forms) for part in ("validation", "test")
    }
    best = _BestEpoch(scorer["validation"], on_epoch, config.stop_at_f1)
    with tempfile.TemporaryDirectory(prefix="tune-ner-") as folder:
        trainer = _trainer(config, folder, model, tokenizer, encoded, best)
        with clock("train_and_evaluate"):
            outcome = trainer.train()
        best.restore(trainer.model)
        trainer.compute_metrics = None  # the test part is scored below, by a scorer of its own
        with clock("test"):
            prediction = trainer.predict(_Rows(encoded["test"]))
    predicted = scorer["test"].tags(prediction.predictions)
    return TrialResult(
        epochs=tuple(best.epochs),
        best_epoch=best.epoch,
        validation=scorer["validation"].figures(best.tags),
        test=scorer["test"].figures(predicted),
        test_loss=float(prediction.metrics["test_loss"]),
        scores={"validation": scorer["validation"].scores(best.tags), "test": scorer["test"].scores(predicted)},
        spans={"validation": scorer["validation"].spans(best.tags), "test": scorer["test"].spans(predicted)},
        encoding={part: item.account.as_dict() for part, item in encoded.items()},
        labels=labels,
        training_log=tuple((e["step"], e["loss"]) for e in trainer.state.log_history if "loss" in e),
        train_loss=outcome.training_loss,
        precision_used=used_precision(config.precision),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        threads=torch.get_num_threads(),
        parameters=sum(weights.numel() for weights in model.parameters()),
        seconds=clock.seconds,
    )


def used_precision(wanted: str) -> str:
    """The precision that training really has: fp16 needs CUDA, and `auto` takes it there and fp32 elsewhere.

    transformers accepts fp16 on a CPU and silently trains in fp32.
    """
    if wanted in ("auto", "fp16"):
        return "fp16" if torch.cuda.is_available() else "fp32"
    return wanted


def _encode(config: TrialConfig, sentences: Sequence[Sentence], tokenizer: Any, labels: Sequence[str]) -> EncodedPart:
    return encode_part(
        sentences,
        tokenizer,
        labels,
        SCHEMES[config.tagging_scheme],
        word_rule=config.words,
        alignment=config.alignment,
        max_length=config.max_length,
        stride=config.stride,
    )


def _check_lengths(config: TrialConfig, model: Any, encoded: dict[Part, EncodedPart]) -> None:
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    if table is None:
        return  # positions are relative, and there is no last one
    # RoBERTa and its kin count positions from behind the padding's
    positions = table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
    longest = max(len(ids) for part in encoded.values() for ids in part.input_ids)
    if longest > positions:
        raise EncoderError(
            f"model {config.model!r}: a sentence has {longest} subwords at max_length {config.max_length}; expected a "
            f"max_length up to {positions}, the positions that the model has"
        )


def _trainer(
    config: TrialConfig,
    folder: str,
    model: Any,
    tokenizer: Any,
    encoded: dict[Part, EncodedPart],
    best: _BestEpoch,
) -> Any:
    precision = used_precision(config.precision)
    arguments = transformers.TrainingArguments(
        output_dir=folder,
        learning_rate=config.learning_rate,
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        weight_decay=config.weight_decay,
        eval_strategy="epoch",
        save_strategy="no",  # the best epoch is kept in memory
        logging_steps=LOGGING_STEPS,
        fp16=precision == "fp16",
        bf16=precision == "bf16",
        seed=config.seed,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    trainer = transformers.Trainer(
        model=model,
        args=arguments,
        train_dataset=_Rows(encoded["train"]),
        eval_dataset=_Rows(encoded["validation"]),
        processing_class=tokenizer,
        data_collator=transformers.DataCollatorForTokenClassification(tokenizer),
        compute_metrics=best.compute_metrics,
        preprocess_logits_for_metrics=_best_labels if config.decoding == "argmax" else _scores,
        callbacks=[best],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


def _best_labels(logits: Any, labels: torch.Tensor) -> torch.Tensor:
    return _scores(logits, labels).argmax(dim=-1)


def _scores(logits: Any, labels: torch.Tensor) -> torch.Tensor:  # noqa: ARG001 - the Trainer passes both
    scores: torch.Tensor = logits[0] if isinstance(logits, tuple) else logits
    return scores


class _Rows(torch.utils.data.Dataset[dict[str, list[int]]]):
    """A part as the Trainer takes it: input ids and label ids of one window; the collator adds the rest."""

    def __init__(self, part: EncodedPart) -> None:
        self._part = part

    def __len__(self) -> int:
        return len(self._part.input_ids)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return {"input_ids": self._part.input_ids[index], "labels": self._part.label_ids[index]}


class _BestEpoch(transformers.TrainerCallback):
    """Scores every epoch on validation and keeps the best one's weights and tags in memory."""

    def __init__(self, scorer: Scorer, on_epoch: OnEpoch, stop_at_f1: float | None = None) -> None:
        self._scorer = scorer
        self._on_epoch = on_epoch
        self._stop_at_f1 = stop_at_f1
        self._weights: dict[str, torch.Tensor] = {}
        self._latest: list[list[str]] = []
        self.epochs: list[EpochFigures] = []
        self.epoch = 0
        self.tags: list[list[str]] = []

    def compute_metrics(self, prediction: Any) -> dict[str, float]:
        """The Trainer's metric function."""
        self._latest = self._scorer.tags(prediction.predictions)
        figures = self._scorer.figures(self._latest)
        return {name: getattr(figures, name) for name in _EPOCH_METRICS}

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the Trainer after each evaluation on validation."""
        metrics: dict[str, float] = kwargs["metrics"]
        logged = [entry["loss"] for entry in state.log_history if "loss" in entry]
        figures = EpochFigures(
            epoch=len(self.epochs) + 1,
            loss=metrics["eval_loss"],
            training_loss=logged[-1] if logged else None,
            **{name: metrics[f"eval_{name}"] for name in _EPOCH_METRICS},
        )
        if not self.epochs or figures.f1 > self.epochs[self.epoch - 1].f1:
            self.epoch = figures.epoch
            self.tags = self._latest
            self._weights = {name: value.detach().cpu().clone() for name, value in kwargs["model"].state_dict().items()}
        self.epochs.append(figures)
        if self._stop_at_f1 is not None and figures.f1 >= self._stop_at_f1:
            control.should_training_stop = True
        self._on_epoch(figures)

    def restore(self, model: Any) -> None:
        """Give the model the weights of the best epoch."""
        model.load_state_dict(self._weights)


class _Clock:
    """Seconds by stage; a stage entered twice adds up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
