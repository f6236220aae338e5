"""How much memory of a GPU a trial takes, found by training it for a moment."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from tune_ner.config.trial_config import TrialConfig
from tune_ner.training.encoders import Encoder, load_model
from tune_ner.training.features import TrialFeatures
from tune_ner.training.padding_free.collator import Collator, labelled_logits
from tune_ner.training.padding_free.vocabulary_trimming import can_trim
from tune_ner.training.trainer import used_precision

_STEPS = 2  # the second one has the optimiser's moments beside the gradients


def training_memory(config: TrialConfig, encoder: Encoder, inputs: TrialFeatures) -> int:
    """Bytes of GPU memory that torch reserves for a trial, CUDA's own not included; 0 without a GPU.

    Measured over steps on the batch that needs most, the longest windows of the train part.

    Raises:
        EncoderError: the weights cannot be loaded.
        torch.OutOfMemoryError: a whole batch does not fit; such a trial takes all there is.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_model(encoder, inputs.labels, inputs.tokenizer, config.seed, config.dropout)
    windows = inputs.windows["train"]
    if config.trim_vocabulary and can_trim(model):
        inputs.vocabulary.trim(model)
        windows = inputs.trimmed_windows["train"]
    collate = Collator(model, inputs.tokenizer.pad_token_id, packed=config.batching == "padding_free")
    batch = collate(windows.take(np.argsort(-windows.lengths)[: config.batch_size]))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    model.to(device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.0)
    for _ in range(_STEPS):
        _step(model, optimiser, {name: value.to(device) for name, value in batch.items()}, _autocast(config, device))
    return torch.cuda.max_memory_reserved() if device == "cuda" else 0


def _step(model: Any, optimiser: Any, inputs: dict[str, Any], autocast: AbstractContextManager[Any]) -> None:
    labels = inputs.pop("labels")
    with autocast:
        gold, logits = labelled_logits(labels, model(**inputs).logits)
        loss = cross_entropy(logits.float(), gold)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    optimiser.zero_grad()


def _autocast(config: TrialConfig, device: str) -> AbstractContextManager[Any]:
    kinds = {"fp16": torch.float16, "bf16": torch.bfloat16}
    precision = used_precision(config.precision)
    return torch.autocast(device, kinds[precision]) if precision in kinds else nullcontext()
