"""Measurement of the GPU memory of a trial, by training it for two steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from tune_ner.config.trial_config import TrialConfig
from tune_ner.training.encoders import Encoder, load_model
from tune_ner.training.features import TrialFeatures
from tune_ner.training.half_precision import HalfPrecisionAdamW
from tune_ner.training.padding_free.collator import BucketCollator, Collator, labelled_logits, model_inputs
from tune_ner.training.parameter_groups import ParameterGroup
from tune_ner.training.precision import DTYPES, model_precision
from tune_ner.training.profiling import free_gpu_memory

_STEPS = 2  # the optimizer's moments exist from the second step


def training_memory(config: TrialConfig, encoder: Encoder, features: TrialFeatures) -> int:
    """Return the bytes of GPU memory that torch reserves for a trial, CUDA's own excluded; 0 without a GPU.

    Measured on the most expensive batch: the longest windows of the train split.

    Raises:
        EncoderError: the weights cannot be loaded.
        torch.OutOfMemoryError: a complete batch does not fit.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_model(encoder, features.labels, features.tokenizer, config.seed, config.dropout)
    windows = features.trim_vocabulary(config, model)[0]["train"]
    precision = model_precision(config.precision, model)
    pad_id, in_half = features.tokenizer.pad_token_id, config.batching == "padding_free" and precision != "fp32"
    collate = (
        BucketCollator(model, pad_id, config.batch_size)
        if in_half
        else Collator(model, pad_id, padding_free=config.batching == "padding_free")
    )
    batch = collate(windows.take(np.argsort(-windows.lengths)[: config.batch_size]))
    free_gpu_memory()  # what earlier work in this process reserved is not the trial's
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    model.to(device).train()
    step = _half_step(model, DTYPES[precision]) if in_half else _autocast_step(model, DTYPES[precision])
    for _ in range(_STEPS):
        step({name: value.to(device) for name, value in batch.items()})
    best_epoch = sum(weights.numel() for weights in model.parameters()) * torch.float32.itemsize
    return torch.cuda.max_memory_reserved() + best_epoch if device == "cuda" else 0


def _loss(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    labels = inputs.pop("labels")
    gold, logits = labelled_logits(labels, model(**model_inputs(inputs)).logits)
    return cross_entropy(logits.float(), gold)


def _half_step(model: Any, dtype: torch.dtype) -> Callable[[dict[str, Any]], None]:
    optimizer = HalfPrecisionAdamW(model, dtype, [ParameterGroup(dict(model.named_parameters()), 0.0, 0.0)], 1.0)

    def step(inputs: dict[str, Any]) -> None:
        optimizer.backward(_loss(model, inputs))
        optimizer.step()

    return step


def _autocast_step(model: Any, dtype: torch.dtype) -> Callable[[dict[str, Any]], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, fused=True)

    def step(inputs: dict[str, Any]) -> None:
        with torch.autocast(model.device.type, dtype, enabled=dtype != torch.float32):
            loss = _loss(model, inputs)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return step
