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
    """Return the precision that is used for a model of transformers, see `used_precision`."""
    return used_precision(requested, getattr(model.config, "hidden_size", 0), device)


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
