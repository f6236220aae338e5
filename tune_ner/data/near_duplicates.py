"""Duplicate sentences: identical, identical after normalization, and near duplicates.

Near duplicates are sentences whose sets of character shingles have a Jaccard similarity `|A∩B| / |A∪B|` of at least a
threshold. Comparing every pair of a million sentences would take days, so only candidates are compared:

- the minimum of a random permutation over two sets is equal with a probability that equals their Jaccard similarity
  (MinHash: Broder, "On the resemblance and containment of documents", 1997);
- two sentences are candidates if all minima of one of several bands are equal; for similarity s, b bands and r minima
  per band, the probability is `1 - (1 - s^r)^b` (locality-sensitive hashing: Leskovec, Rajaraman and Ullman, "Mining of
  Massive Datasets", section 3.4).

All computations are array operations over all sentences, one band after another. The peak memory is proportional to the
shingle sets: about a kilobyte per sentence. (datasketch's MinHash and MinHashLSH store an object per sentence and an
entry per band: seven kilobytes; and they compare buckets of any size in full.)
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

Indices = npt.NDArray[np.int64]

SHINGLE_SIZE = 3
"""Characters of a shingle. With 2, short sentences of the 1177 corpus without a common word reach 0.4; with 4 or 5,
one changed word moves true duplicates below 0.8. Three code points fit into a 63-bit number."""

BANDS = 20
RECALL = 0.995
"""Probability that a pair exactly at the threshold becomes a candidate in one of the bands."""

WINDOW = 64
"""Number of following sentences in a bucket that a sentence is compared with; it keeps the time linear."""

_SEED = 1997
_SENTENCES_AT_ONCE = 1 << 14
_PAIRS_AT_ONCE = 1 << 18
_BITMAP_WORDS = 2
_ROUNDING = 1e-6
"""Tolerance of the bound on a difference, so that a pair exactly at the threshold is compared exactly."""
_CODE_POINT_BITS = 21


@dataclass(frozen=True)
class Duplicates:
    """The group of every sentence at three levels, each of which includes the previous one.

    All arrays have shape (sentences,). A group's id is its smallest sentence index; every blank sentence is a group of
    its own. `exact`: identical texts. `normalised`: identical after `normalise`. `near`: connected by a chain of
    similar sentences; None if not requested.
    """

    exact: Indices
    normalised: Indices
    near: Indices | None


def find_duplicates(texts: Sequence[str], *, near: bool = True, threshold: float = 0.8) -> Duplicates:
    """Group sentences that are identical, identical after `normalise`, and (with `near`) similar.

    Two sentences are similar if the exact Jaccard similarity of their character shingles is at least `threshold`. Pairs
    below it are never joined directly; pairs above it are found with a probability of at least `RECALL`, in buckets up
    to `WINDOW`. Groups are transitive: A and C share a group if both are similar to B. Equal texts give equal groups in
    every process.

    Raises:
        ValueError: the threshold is not above 0 and at most 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"found threshold={threshold}; expected a Jaccard similarity above 0 and at most 1")
    plain = [normalise(text) for text in texts]
    exact, normalised = _equal(texts), _equal(plain)
    return Duplicates(exact, normalised, _near(plain, normalised, threshold) if near else None)


def normalise(text: str) -> str:
    """Return the text in compatibility form (NFKC), case folded, with single spaces and without final punctuation.

    Final punctuation is removed because it often is the only difference between a headline, a list item and a sentence.
    A text that consists of punctuation keeps it.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    collapsed = " ".join(folded.split())
    return collapsed.rstrip(" .,:;!?") or collapsed


def _equal(texts: Sequence[str]) -> Indices:
    first: dict[str, int] = {}
    groups = (first.setdefault(text, index) if text.strip() else index for index, text in enumerate(texts))
    return np.fromiter(groups, dtype=np.int64, count=len(texts))


def _near(plain: Sequence[str], normalised: Indices, threshold: float) -> Indices:
    """Return the groups of near duplicates, shape (sentences,), from normalised texts and their groups."""
    distinct = np.array([i for i in np.unique(normalised).tolist() if plain[i].strip()], dtype=np.int64)
    if not len(distinct):
        return normalised
    joined = _join(_shingle_sets([plain[i] for i in distinct.tolist()]), threshold)
    groups = np.arange(len(plain))
    groups[distinct] = distinct[joined]
    return groups[normalised]


# ---- shingle sets


def _shingle_sets(texts: Sequence[str]) -> csr_array:
    """Return the shingle sets: shape (texts, distinct shingles), 1 where the text has the shingle."""
    vocabulary: dict[int, int] = {}
    columns, sizes = [], []
    for start in range(0, len(texts), _SENTENCES_AT_ONCE):
        rows, keys = _shingles(texts[start : start + _SENTENCES_AT_ONCE])
        distinct, inverse = np.unique(keys, return_inverse=True)
        known = np.array([vocabulary.setdefault(key, len(vocabulary)) for key in distinct.tolist()])
        cells = np.sort(rows << 32 | known[inverse])
        cells = cells[np.diff(cells, prepend=-1) > 0]
        columns.append((cells & 0xFFFFFFFF).astype(np.int32))
        sizes.append(np.bincount(cells >> 32))
    indices = np.concatenate(columns)
    ends = np.cumsum(np.concatenate(sizes))
    values = np.ones(len(indices), np.int8)
    return csr_array((values, indices, np.append(0, ends)), shape=(len(texts), len(vocabulary)))


def _shingles(texts: Sequence[str]) -> tuple[Indices, Indices]:
    """Return the text and the code of every shingle; spaces around each text make its word ends shingles as well."""
    padded = [f" {text} " for text in texts]
    lengths = np.array([len(text) for text in padded])
    points = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
    rows = np.repeat(np.arange(len(texts)), lengths)
    keys = np.zeros(len(points) - SHINGLE_SIZE + 1, np.int64)
    for offset in range(SHINGLE_SIZE):
        keys = keys << _CODE_POINT_BITS | points[offset : offset + len(keys)]
    inside = rows[: len(keys)] == rows[SHINGLE_SIZE - 1 :]
    return rows[: len(keys)][inside], keys[inside]


# ---- candidates


def _rows(threshold: float) -> int:
    """Return the largest number of minima per band that finds a pair at the threshold with probability `RECALL`."""
    least = 1 - (1 - RECALL) ** (1 / BANDS)
    return 16 if threshold == 1 else min(16, max(1, int(math.log(least) / math.log(threshold))))


def _candidates(sets: csr_array, rows: int, random: np.random.Generator) -> Iterator[tuple[Indices, Indices]]:
    """Yield pairs that share a bucket of one band, nearest first, in batches.

    Buckets are sorted by further minima, which brings similar sentences together, so pairs beyond `WINDOW` in a large
    bucket are the least similar ones.
    """
    band = np.zeros(sets.shape[0], np.uint64)
    for _ in range(rows):
        band = (band ^ _minima(sets, random)) * np.uint64(0x9E3779B97F4A7C15)
        band ^= band >> np.uint64(29)
    order = np.lexsort((_minima(sets, random), _minima(sets, random), band))
    band = band[order]
    start = np.arange(len(order))
    found: list[tuple[Indices, Indices]] = []
    for distance in range(1, WINDOW + 1):
        start = start[: np.searchsorted(start, len(order) - distance)]
        start = start[band[start] == band[start + distance]]
        found.append((order[start], order[start + distance]))
        # few, growing batches, because a join is a pass over all sentences; but with a limit
        if distance.bit_count() == 1 or sum(len(left) for left, _ in found) > _PAIRS_AT_ONCE:
            yield np.concatenate([left for left, _ in found]), np.concatenate([right for _, right in found])
            found = []


def _minima(sets: csr_array, random: np.random.Generator) -> npt.NDArray[np.uint64]:
    """Return the minimum of a random permutation of the shingles over every set, shape (texts,)."""
    ranks = random.permutation(sets.shape[1]).astype(np.uint32)
    return np.minimum.reduceat(ranks[sets.indices], sets.indptr[:-1]).astype(np.uint64)


# ---- joining


def _join(sets: csr_array, threshold: float) -> Indices:
    """Return the group of every set, shape (texts,); its id is the smallest index in it."""
    random = np.random.default_rng(_SEED)
    sizes, bitmaps = np.diff(sets.indptr).astype(np.int64), _bitmaps(sets, random)
    groups = np.arange(len(sizes))
    for _ in range(BANDS):
        for left, right in _candidates(sets, _rows(threshold), random):
            total = sizes[left] + sizes[right]
            likely = groups[left] != groups[right]
            likely &= _least_difference(bitmaps, left, right) <= (1 - threshold) / (1 + threshold) * total + _ROUNDING
            left, right, total = left[likely], right[likely], total[likely]
            shared = _shared(sets, left, right)
            similar = shared / (total - shared) >= threshold
            groups = _union(groups, left[similar], right[similar])
    return groups


def _bitmaps(sets: csr_array, random: np.random.Generator) -> npt.NDArray[np.uint64]:
    """Return every set as bits, shape (texts, words): each shingle is mapped to a bit, which is their parity."""
    place = random.integers(64 * _BITMAP_WORDS, size=sets.shape[1])
    words = []
    for word in range(_BITMAP_WORDS):
        bit = np.where(place // 64 == word, np.uint64(1) << (place % 64).astype(np.uint64), np.uint64(0))
        words.append(np.bitwise_xor.reduceat(bit[sets.indices], sets.indptr[:-1]))
    return np.stack(words, axis=1)


def _least_difference(bitmaps: npt.NDArray[np.uint64], left: Indices, right: Indices) -> Indices:
    """Return a lower bound of the size of the symmetric difference of pairs of sets, shape (pairs,).

    A shingle that only one set has flips one bit, so at most as many bits as shingles differ (the bitmap filter of set
    similarity joins: Sandes, Teodoro and Melo, 2020). A similarity of at least t implies a symmetric difference of at
    most `(1-t)/(1+t)` times the sum of both sizes. This filter removes most candidates at a tenth of the cost of
    comparing their sets.
    """
    differing: Indices = np.bitwise_count(bitmaps[left] ^ bitmaps[right]).sum(axis=1, dtype=np.int64)
    return differing


def _shared(sets: csr_array, left: Indices, right: Indices) -> Indices:
    """Return the number of common shingles of pairs of sets, shape (pairs,)."""
    shared = np.zeros(len(left), np.int64)
    for start in range(0, len(left), _PAIRS_AT_ONCE):
        batch = slice(start, start + _PAIRS_AT_ONCE)
        shared[batch] = sets[left[batch]].multiply(sets[right[batch]]).sum(axis=1, dtype=np.int64)
    return shared


def _union(groups: Indices, left: Indices, right: Indices) -> Indices:
    """Return the groups after the groups of every pair are merged."""
    if not len(left):
        return groups
    ids, nodes = np.unique(np.concatenate([groups[left], groups[right]]), return_inverse=True)
    ends = nodes[: len(left)], nodes[len(left) :]
    links = np.ones(len(left), np.bool_)  # not a small integer: repeated links are summed
    graph = csr_array((links, ends), shape=(len(ids), len(ids)))
    count, labels = connected_components(graph, directed=False)
    smallest = np.full(count, len(groups))
    np.minimum.at(smallest, labels, ids)
    new_id = np.arange(len(groups))
    new_id[ids] = smallest[labels]
    return new_id[groups]
