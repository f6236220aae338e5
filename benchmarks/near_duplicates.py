# Run, from the repository root (a minute or two on one core; sizes can be given instead of the default three):
#   python benchmarks/near_duplicates.py
#   python benchmarks/near_duplicates.py 10000 100000
"""Seconds, memory, recall and precision of the search for near duplicates by corpus size.

Each size runs in a separate process with its own peak memory. Recall and precision are those of pairs, compared with
the Jaccard similarity of all pairs, on sentences with planted misspelled copies.
"""

import random
import subprocess
import sys
import time

import numpy as np
import psutil

from tune_ner.data.near_duplicates import find_duplicates, normalise
from tune_ner.data.synthetic.generator import synthetic_corpus

SIZES = [10_000, 100_000, 800_000]
SAMPLE = 2_000
THRESHOLD = 0.8
GIB = 2**30


def measure(size: int) -> None:
    """Print one line of the table; run in a separate process."""
    texts = [sentence.text for sentence in synthetic_corpus(size).sentences]
    process = psutil.Process()
    before = process.memory_info().rss
    wall, cpu = time.perf_counter(), time.process_time()
    found = find_duplicates(texts, threshold=THRESHOLD)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert found.near is not None
    groups = [len(np.unique(level)) for level in (found.exact, found.normalised, found.near)]
    largest = np.bincount(found.near).max()
    peak = peak_memory()
    print(
        f"{size:>9,} {wall:>8.1f} {cpu:>8.1f} {before / GIB:>8.2f} {peak / GIB:>8.2f} "
        f"{groups[0]:>9,} {groups[1]:>11,} {groups[2]:>9,} {largest:>9,}"
    )


def peak_memory() -> int:
    """Return the peak memory of this process in bytes."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def misspell(text: str, generator: random.Random) -> str:
    """Return the text with one to four letters replaced: a similarity of 0.6 to 0.95."""
    letters = list(text)
    for place in generator.sample(range(len(letters)), generator.randint(1, 4)):
        letters[place] = generator.choice("abcdefghijklmnopqrstuvwxyzåäö")
    return "".join(letters)


def all_pairs(texts: list[str]) -> np.ndarray:
    """Return whether pairs of texts are similar enough by their shingle sets, shape (texts, texts)."""
    sets = []
    for text in texts:
        padded = f" {normalise(text)} "
        sets.append({padded[start : start + 3] for start in range(len(padded) - 2)})
    columns = {shingle: column for column, shingle in enumerate(sorted(set().union(*sets)))}
    present = np.zeros((len(texts), len(columns)), np.float32)
    for row, shingles in enumerate(sets):
        present[row, [columns[shingle] for shingle in shingles]] = 1
    shared, sizes = present @ present.T, present.sum(axis=1)
    similar: np.ndarray = shared / (sizes[:, None] + sizes - shared) >= THRESHOLD
    return similar


def closure(similar: np.ndarray) -> np.ndarray:
    """Return the smallest index to which every text is connected by a chain of similar pairs."""
    groups = np.arange(len(similar))
    while True:
        joined = np.where(similar, groups, len(similar)).min(axis=1)
        if (joined == groups).all():
            return groups
        groups = joined


def compare() -> None:
    """Print recall and precision against all pairs."""
    generator = random.Random(1)
    texts = [sentence.text for sentence in synthetic_corpus(SAMPLE // 2).sentences]
    texts += [misspell(text, generator) for text in texts]
    similar = all_pairs(texts)
    near = find_duplicates(texts, threshold=THRESHOLD).near
    assert near is not None
    truth = closure(similar)
    joined = np.triu(near[:, None] == near, k=1)
    wanted = np.triu(similar, k=1)
    chained = np.triu(truth[:, None] == truth, k=1)
    print(
        f"\n{len(texts):,} sentences, half of them misspelled copies; pairs with a similarity of at least {THRESHOLD}:"
    )
    print(f"  similar pairs {wanted.sum():,}, found {(wanted & joined).sum():,}: recall {joined[wanted].mean():.4f}")
    print(f"  joined pairs {joined.sum():,}, by a true chain {(joined & chained).sum():,}: ", end="")
    print(f"precision {chained[joined].mean():.4f}")


def main() -> None:
    """Measure every size in a separate process, then compare with all pairs."""
    if sys.argv[1:2] == ["--measure"]:
        measure(int(sys.argv[2]))
        return
    print("sentences  seconds      CPU   before peak GiB     exact  normalised      near   largest", flush=True)
    for size in [int(argument) for argument in sys.argv[1:]] or SIZES:
        subprocess.run([sys.executable, __file__, "--measure", str(size)], check=True)
    compare()


if __name__ == "__main__":
    main()
