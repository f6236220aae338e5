"""Speed of trials on one GPU, without Ray: steps per second of 1 to 8 processes, and a profile of one process.

The ways: `padded` is the plain HF Trainer in mixed precision, `eager` trains bucketed batches with fp32 weights in the
optimizer only, `graph` captures such steps as CUDA graphs.

    python -m benchmarks.gpu --out FILE.jsonl
    python -m benchmarks.gpu --cpu --out FILE.jsonl     # tiny sizes, to check the script

Each process trains two trials one after the other; the second one, after the start of CUDA, is measured. All processes
start it at the same time. The encoder has the size of BERT-base and random weights, the text is generated. One JSON
object per line.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import multiprocessing
import pstats
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers

from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.splits import SplitSpec, split_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.training import trainer
from tune_ner.training.cuda_graph import GraphedStep
from tune_ner.training.encoders import Encoder, load_tokenizer, resolve_encoder
from tune_ner.training.trial import TrialOptions, run_trial

SENTENCES = {False: 950, True: 60}  # with and without --cpu
EPOCHS = 2
WAYS = ("padded", "eager", "graph")


def save_encoder(folder: Path, *, tiny: bool) -> None:
    """Save an encoder of the size of BERT-base, or a tiny one, with random weights."""
    texts = [sentence.text for sentence in synthetic_corpus(500).sentences]
    tokenizer = load_tokenizer(Encoder("tiny:1x32", "tiny", "1x32", "", ""), texts)
    tokenizer.save_pretrained(folder)
    size: dict[str, Any] = {}
    if tiny:
        size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    transformers.set_seed(0)
    transformers.BertModel(transformers.BertConfig(vocab_size=50_325, **size)).save_pretrained(folder)


def trial(folder: str, sentences: int, way: str, precision: str, dropout: float | None = None) -> dict[str, Any]:
    """Train one trial and return its seconds per stage and its steps per second."""
    setattr(trainer, "GraphedStep", GraphedStep if way == "graph" else lambda step: step)  # noqa: B010 - mypy
    corpus = synthetic_corpus(sentences)
    split = split_corpus(corpus, SplitSpec())
    config = TrialConfig(
        data_fingerprint="generated",
        model=folder,
        tagging_scheme="BIO",
        learning_rate=5e-5,
        seed=42,
        epochs=EPOCHS,
        batching="padded" if way == "padded" else "padding_free",
        precision=precision,
        dropout=dropout,
    )
    result = run_trial(config, resolve_encoder(folder), corpus, split, TrialOptions(threads=1))
    steps = EPOCHS * -(-len(split.train) // config.batch_size)
    seconds = asdict(result)["seconds"]
    return {
        "way": way,
        "steps": steps,
        "steps_per_second": steps / seconds["train"],
        "seconds": seconds,
        "precision": result.precision_used,
        "batching": result.batching_used,
        "peak_memory_bytes": result.profile.peak_memory_bytes if result.profile else None,
        "tokens": result.profile.tokens if result.profile else None,
        "computed_tokens": result.profile.computed_tokens if result.profile else None,
        "train_loss": result.train_loss,
        "training_log": result.training_log,
        "note": result.note,
    }


_barrier: Any = None


def _set_barrier(barrier: Any) -> None:
    global _barrier  # a process gets it once, when it starts
    _barrier = barrier


def _process(arguments: tuple[Any, ...]) -> dict[str, Any]:
    transformers.logging.set_verbosity_error()
    try:
        trial(*arguments)
        _barrier.wait(120)
        started = time.perf_counter()
        return {**trial(*arguments), "trial_seconds": time.perf_counter() - started}
    except BaseException:
        _barrier.abort()  # the others must not wait
        raise


def processes(count: int, *arguments: Any) -> dict[str, Any]:
    """Train trials in some processes at once and return their joint speed."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    with ProcessPoolExecutor(count, context, initializer=_set_barrier, initargs=(barrier,)) as pool:
        results = list(pool.map(_process, [arguments] * count))
    return {
        "part": "processes",
        "way": results[0]["way"],
        "processes": count,
        "steps_per_second": sum(result["steps_per_second"] for result in results),
        "trial_seconds": max(result["trial_seconds"] for result in results),
        "first": results[0],
    }


def profile(*arguments: Any) -> dict[str, Any]:
    """Profile a second trial: Python functions by their own time, and torch's operations by CPU and GPU time."""
    trial(*arguments)
    python = cProfile.Profile()
    python.enable()
    traced = trial(*arguments)
    python.disable()
    stats: Any = pstats.Stats(python)

    def rows(column: int) -> list[tuple[str, int, float]]:
        """Return function, calls and seconds of the forty functions with the most seconds in a column."""
        found = sorted(stats.stats.items(), key=lambda item: -item[1][column])[:40]
        return [(f"{Path(at[0]).name}:{at[1]} {at[2]}", row[1], row[column]) for at, row in found]

    folder, sentences, *others = arguments
    with torch.profiler.profile() as operations:
        trial(folder, max(sentences // 8, 60), *others)  # the events of a complete trial take minutes to sum up
    events = operations.key_averages()
    return {
        "part": "profile",
        "way": arguments[2],
        "precision": arguments[3],
        "trial": traced,
        "own_seconds": rows(2),
        "seconds": rows(3),
        "cpu_us": [
            [event.key, event.count, event.self_cpu_time_total]
            for event in sorted(events, key=lambda event: -event.self_cpu_time_total)[:40]
        ],
        "device_us": [
            [event.key, event.count, event.self_device_time_total]
            for event in sorted(events, key=lambda event: -event.self_device_time_total)[:40]
        ],
    }


def main() -> None:
    """Run all parts and append one line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cpu", action="store_true", help="tiny sizes, on a CPU")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4, 8], help="numbers of trials at once")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    precision = "bf16" if options.cpu else "fp16"
    with tempfile.TemporaryDirectory() as folder, options.out.open("a", encoding="utf-8") as lines:
        save_encoder(Path(folder), tiny=options.cpu)

        def write(row: dict[str, Any]) -> None:
            print(json.dumps({key: row[key] for key in row if not isinstance(row[key], list | dict)}), flush=True)
            lines.write(json.dumps(row) + "\n")
            lines.flush()

        device = "cpu" if options.cpu else torch.cuda.get_device_name()
        write(
            {"part": "machine", "device": device, "torch": torch.__version__, "transformers": transformers.__version__}
        )
        size = SENTENCES[options.cpu]
        for way in WAYS:
            write({"part": "no_dropout", **trial(folder, size, way, precision, 0.0)})
        for way in WAYS:
            for count in options.processes if way == "graph" else options.processes[:1]:
                write(processes(count, folder, size, way, precision))
        write(profile(folder, size, "graph", precision))


if __name__ == "__main__":
    main()
