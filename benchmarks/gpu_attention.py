"""Training steps on a GPU with attention over padded rows and with attention of variable length, as CUDA graphs.

The ways: `rows` has one row per sentence, as long as the longest sentence of the batch rounded up (the default of
tune-ner on a GPU); `varlen` has all sentences in one row, rounded up to a multiple of 128 tokens, and computes
attention with `torch.nn.attention.varlen`. That function has no dropout, so both ways train without it.

    python -m benchmarks.gpu_attention --out FILE.jsonl

The encoder has the size of BERT-base and random weights; the sentences have the lengths of the 1177 text.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from tune_ner.training.cuda_graph import GraphedStep

VOCABULARY, LABELS, BATCH, BATCHES = 50_325, 7, 16, 64
Batch = dict[str, torch.Tensor]


def sentences(count: int) -> list[np.ndarray[Any, Any]]:
    """Return sentences of random tokens, about 35 tokens long."""
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(3.35, 0.62, count), 4, 250).astype(int)
    return [random.integers(5, VOCABULARY, length) for length in lengths]


def rows(batch: list[np.ndarray[Any, Any]]) -> Batch:
    """Return one row per sentence, padded to a multiple of 32 tokens; labels follow from the tokens."""
    width = -(-max(map(len, batch)) // 32) * 32
    ids = np.zeros((len(batch), width), dtype=np.int64)
    for row, sentence in zip(ids, batch, strict=True):
        row[: len(sentence)] = sentence
    inputs = torch.from_numpy(ids)
    positions = torch.arange(width).expand_as(inputs).contiguous()
    mask = (inputs != 0)[:, None, None, :].contiguous()
    return {"ids": inputs, "positions": positions, "mask": mask, "labels": labels(inputs)}


def varlen(batch: list[np.ndarray[Any, Any]]) -> Batch:
    """Return all sentences in one row; the last sequence is padding."""
    used = sum(map(len, batch))
    width = -(-(used + 1) // 128) * 128
    parts = [*batch, np.zeros(width - used, dtype=np.int64)]
    inputs = torch.from_numpy(np.concatenate(parts))[None]
    starts = torch.from_numpy(np.cumsum([0, *map(len, parts)]).astype(np.int32))
    positions = torch.from_numpy(np.concatenate([np.arange(len(part)) for part in parts]))[None]
    return {"ids": inputs, "positions": positions, "starts": starts, "labels": labels(inputs)}


def labels(inputs: torch.Tensor) -> torch.Tensor:
    """Return a label for each token, none for padding."""
    return torch.where(inputs == 0, -100, inputs % LABELS)


def attention(
    _module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, batch: Batch, **__: Any
) -> tuple[torch.Tensor, None]:
    """Compute attention within the sentences of a batch."""
    if "mask" in batch:
        return scaled_dot_product_attention(query, key, value, attn_mask=batch["mask"]).transpose(1, 2), None
    from torch.nn.attention.varlen import varlen_attn

    q, k, v = (states[0].transpose(0, 1).contiguous() for states in (query, key, value))
    longest = 256
    states: Any = varlen_attn(q, k, v, batch["starts"], batch["starts"], longest, longest)
    return states[None], None


transformers.AttentionInterface.register("benchmark", attention)


def model() -> Any:
    """Return an encoder with random weights, the same each time."""
    transformers.set_seed(0)
    options: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "num_labels": LABELS,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "attn_implementation": "benchmark",
    }
    network: Any = transformers.BertForTokenClassification(transformers.BertConfig(**options))
    return network.cuda().train()


def measure(way: str, dtype: torch.dtype) -> dict[str, Any]:
    """Train three epochs and return the milliseconds per step of the third, and the losses of the first."""
    network = model()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5, fused=True, capturable=True)

    def step(batch: Batch) -> torch.Tensor:
        with torch.autocast("cuda", dtype):
            logits = network(
                input_ids=batch["ids"], position_ids=batch["positions"], attention_mask=None, batch=batch
            ).logits
            loss = cross_entropy(logits.flatten(0, 1).float(), batch["labels"].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        return loss.detach()

    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    text = sentences(BATCH * BATCHES)
    collate = rows if way == "rows" else varlen
    batches = [collate(text[at : at + BATCH]) for at in range(0, len(text), BATCH)]
    graphed, losses, seconds = GraphedStep(step), [], []
    for _epoch in range(3):
        torch.cuda.synchronize()
        started = time.perf_counter()
        found = [graphed({name: value.cuda() for name, value in batch.items()}) for batch in batches]
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
        losses.append([loss.item() for loss in found])
    return {
        "way": way,
        "dtype": str(dtype),
        "ms_per_step": 1000 * seconds[-1] / len(batches),
        "tokens": sum(map(len, text)),
        "computed_tokens": sum(batch["ids"].numel() for batch in batches),
        "shapes": len({batch["ids"].shape for batch in batches}),
        "mean_losses": [statistics.mean(row) for row in losses],
        "first_losses": losses[0][:20],
        "peak_memory_bytes": torch.cuda.max_memory_allocated(),
    }


def main() -> None:
    """Measure both ways in both half precisions and append one line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with options.out.open("a", encoding="utf-8") as lines:
        for dtype in (torch.bfloat16, torch.float16):
            for way in ("rows", "varlen", "rows", "varlen"):
                torch.cuda.reset_peak_memory_stats()
                row = {"device": torch.cuda.get_device_name(), **measure(way, dtype)}
                print(json.dumps({key: row[key] for key in row if key != "first_losses"}), flush=True)
                lines.write(json.dumps(row) + "\n")
                lines.flush()


if __name__ == "__main__":
    main()
