# Run, from the repository root (some minutes; sizes can be given instead of the default three):
#   python -m benchmarks.corpus_scale
#   python -m benchmarks.corpus_scale 10000 100000
"""Seconds and peak memory of each step before training, by corpus size.

Each size runs in a process of its own, so that its peak memory is its own; the peak is that of all steps so
far. The audit is the whole one, once without near duplicates and once with them.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.near_duplicates import GIB, peak_memory
from tune_ner.audit import audit_corpus
from tune_ner.data import SplitSpec, load_corpus, split_corpus

SIZES = [10_000, 100_000, 800_000]


def measure(size: int) -> None:
    """Print a line for each step; run in a process of its own."""

    def timed(step: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - started
        rate = size / seconds
        print(f"{size:>9,}  {step:<36} {seconds:>8.1f} {rate:>12,.0f} {peak_memory() / GIB:>8.2f}", flush=True)
        return result

    corpus = timed("load", lambda: load_corpus(f"synthetic:{size}"))
    split = timed("split at random", lambda: split_corpus(corpus, SplitSpec()))
    timed("audit without near duplicates", lambda: audit_corpus(corpus, split, near_duplicates=False))
    timed("audit with near duplicates", lambda: audit_corpus(corpus, split))
    timed("split without near duplicates across", lambda: split_corpus(corpus, SplitSpec(method="grouped")))


def main() -> None:
    """Print the table."""
    sizes = [int(argument.replace("_", "")) for argument in sys.argv[1:]]
    if sizes and sizes[0] < 0:
        measure(-sizes[0])
        return
    print(f"{'sentences':>9}  {'step':<36} {'seconds':>8} {'sentences/s':>12} {'peak GiB':>8}", flush=True)
    for size in sizes or SIZES:
        subprocess.run([sys.executable, "-m", "benchmarks.corpus_scale", str(-size)], check=True)


if __name__ == "__main__":
    main()
