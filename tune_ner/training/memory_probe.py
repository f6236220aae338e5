"""Measurement of the GPU memory of a trial, by training it for two steps."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from tune_ner.config.trial_config import TrialConfig
from tune_ner.training.encoders import Encoder, load_model
from tune_ner.training.features import TrialFeatures
from tune_ner.training.padding_free.collator import Collator, labelled_logits
from tune_ner.training.trainer import used_precision

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
    collate = Collator(model, features.tokenizer.pad_token_id, padding_free=config.batching == "padding_free")
    batch = collate(windows.take(np.argsort(-windows.lengths)[: config.batch_size]))
    if device == "cuda":
        torch.cuda.empty_cache()  # what earlier work in this process reserved is not the trial's
        torch.cuda.reset_peak_memory_stats()
    model.to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    for _ in range(_STEPS):
        _step(config, model, optimizer, {name: value.to(device) for name, value in batch.items()})
    return torch.cuda.max_memory_reserved() if device == "cuda" else 0


def _step(config: TrialConfig, model: Any, optimizer: Any, inputs: dict[str, Any]) -> None:
    labels = inputs.pop("labels")
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(used_precision(config.precision))
    with torch.autocast(model.device.type, dtype) if dtype else nullcontext():
        gold, logits = labelled_logits(labels, model(**inputs).logits)
        loss = cross_entropy(logits.float(), gold)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    optimizer.zero_grad()
