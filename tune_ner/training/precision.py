"""The floating-point precision of training and prediction, chosen by what the hardware computes fast."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import torch

SMALLEST_HIDDEN = 256
"""Encoders with narrower layers train in fp32 on a CPU: their matrix products are too small to gain."""

_WORTHWHILE = 1.5
_TOKENS = 128
_REPEATS = 5

_FP32_FAMILIES = frozenset({"deberta"})
"""Encoders that fail with autocast: they mask attention with a number outside the range of half precision."""

_BF16_FAMILIES = frozenset({"deberta-v2", "t5", "mt5", "umt5"})
"""Encoders whose activations or masks exceed the range of fp16."""

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def used_precision(requested: str, hidden: int, device: str | None = None) -> str:
    """Return the precision that is used: `fp16`, `bf16` or `fp32`.

    `auto` is fp16 on CUDA, bf16 on a CPU that multiplies bf16 matrices clearly faster, and fp32 elsewhere. A request
    for fp16, which only exists on CUDA, is handled like `auto`.

    Args:
        requested: the precision of the configuration.
        hidden: width of the encoder's layers.
        device: type of the torch device; by default a GPU if there is one.
    """
    if requested not in ("auto", "fp16"):
        return requested
    if device == "cuda" or (device is None and torch.cuda.is_available()):
        return "fp16"
    return "bf16" if hidden >= SMALLEST_HIDDEN and bf16_speedup() >= _WORTHWHILE else "fp32"


def model_precision(requested: str, model: Any, device: str | None = None) -> str:
    """Return the precision that is used for a model of transformers, see `used_precision`.

    Encoder families that fail in it use bf16 where the device has it, else fp32.
    """
    precision = used_precision(requested, getattr(model.config, "hidden_size", 0), device)
    family = getattr(model.config, "model_type", "")
    if precision == "fp32" or family in _FP32_FAMILIES:
        return "fp32"
    if precision == "fp16" and family in _BF16_FAMILIES:
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return precision


def precision_note(requested: str, model: Any) -> str:
    """Return a note if the encoder family, not the device, decided the precision; empty otherwise."""
    usual = used_precision(requested, getattr(model.config, "hidden_size", 0))
    used = model_precision(requested, model)
    family = model.config.model_type
    return "" if usual == used else f"{family} encoders cannot be trained in {usual}; trained in {used}"


@cache
def bf16_speedup() -> float:
    """Return how many times faster this CPU multiplies bf16 matrices than fp32 ones; measured once per process.

    Units for bf16 products (AVX512-BF16, AMX) make it 2 to 8, their emulation less than 1.
    """
    seconds: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    with torch.no_grad():
        factors = {
            dtype: (torch.ones(_TOKENS, 512, dtype=dtype), torch.ones(512, 1024, dtype=dtype)) for dtype in seconds
        }
        for _ in range(_REPEATS):
            for dtype, (left, right) in factors.items():
                started = time.perf_counter()
                left @ right
                seconds[dtype].append(time.perf_counter() - started)
    return min(seconds[torch.float32]) / min(seconds[torch.bfloat16])
