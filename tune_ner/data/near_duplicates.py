"""Which sentences are the same: word for word, but for spelling, or nearly.

Near duplicates are sentences whose sets of character shingles have a Jaccard similarity `|A∩B| / |A∪B|` of
at least a threshold. Comparing every pair would take days for a million sentences, so that candidates are
drawn first and only they are compared:

- the minimum of a random permutation over a set is equal for two sets with a probability that is their
  Jaccard similarity (MinHash: Broder, "On the resemblance and containment of documents", 1997);
- two sentences are candidates when all minima of one of several bands are equal, which for similarity s,
  b bands and r minima a band happens with probability `1 - (1 - s^r)^b` (locality-sensitive hashing:
  Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4).

Everything is done on arrays over all sentences, one band after another, so that memory stays in the order
of the shingle sets: about a kilobyte a sentence at its peak. (datasketch's MinHash and MinHashLSH keep an
object a sentence and an entry a band: seven kilobytes, and buckets of any size are compared in full.)
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
"""Characters in a shingle. With 2, short sentences of the 1177 corpus that share no word reach 0.4; with 4 and
5, one changed word takes true duplicates below 0.8; three letters still fit a 63-bit number exactly."""

BANDS = 20
RECALL = 0.995
"""The probability with which a pair that is just similar enough becomes a candidate in one of the bands."""

WINDOW = 64
"""Sentences behind it that a sentence is compared with in a bucket: the bound that keeps the work linear."""

_SEED = 1997
_SENTENCES_AT_ONCE = 1 << 14
_PAIRS_AT_ONCE = 1 << 18
_BITMAP_WORDS = 2
_ROUNDING = 1e-6
"""Slack for the bound on a difference, so that a pair exactly at the threshold reaches the exact comparison."""
_CODE_POINT_BITS = 21


@dataclass(frozen=True)
class Duplicates:
    """The group of every sentence at three levels, each joining at least what the one before it joins.

    All have the shape `(sentences,)`; a group's id is the smallest index of a sentence in it, and blank
    sentences are each their own group. `exact`: the same text. `normalised`: the same after `normalise`.
    `near`: joined by a chain of similar sentences; None when it was not asked for.
    """

    exact: Indices
    normalised: Indices
    near: Indices | None


def find_duplicates(texts: Sequence[str], *, near: bool = True, threshold: float = 0.8) -> Duplicates:
    """Groups of sentences that are equal, equal after `normalise`, and (when `near`) nearly equal.

    Two sentences are nearly equal when the Jaccard similarity of their character shingles, computed from
    the sets themselves, is `threshold` or more. No pair below it is ever joined directly; a pair above it
    is found with a probability of `RECALL` or more, in buckets that fit `WINDOW`. Nearness is transitive
    by definition: A and C share a group if both are near B. Equal texts give equal groups in any process.

    Raises:
        ValueError: the threshold is not above 0 and at most 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"found threshold={threshold}; expected a Jaccard similarity above 0 and at most 1")
    plain = [normalise(text) for text in texts]
    exact, normalised = _equal(texts), _equal(plain)
    return Duplicates(exact, normalised, _near(plain, normalised, threshold) if near else None)


def normalise(text: str) -> str:
    """The text in compatibility form (NFKC), case folded, with single spaces and no punctuation at its end.

    Final punctuation goes because it is what a headline, a list item and a sentence differ in, and a tagger
    that has seen `Feber.` with its tags has seen `Feber`. A text of punctuation alone keeps it.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    collapsed = " ".join(folded.split())
    return collapsed.rstrip(" .,:;!?") or collapsed


def _equal(texts: Sequence[str]) -> Indices:
    first: dict[str, int] = {}
    groups = (first.setdefault(text, index) if text.strip() else index for index, text in enumerate(texts))
    return np.fromiter(groups, dtype=np.int64, count=len(texts))


def _near(plain: Sequence[str], normalised: Indices, threshold: float) -> Indices:
    """The groups of near duplicates, shape (sentences,), from normalised texts and their groups."""
    distinct = np.array([i for i in np.unique(normalised).tolist() if plain[i].strip()], dtype=np.int64)
    if not len(distinct):
        return normalised
    joined = _join(_shingle_sets([plain[i] for i in distinct.tolist()]), threshold)
    groups = np.arange(len(plain))
    groups[distinct] = distinct[joined]
    return groups[normalised]


# ---- shingle sets


def _shingle_sets(texts: Sequence[str]) -> csr_array:
    """The set of shingles of every text: shape (texts, distinct shingles), 1 where the text has the shingle."""
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
    """The text and the code of every shingle of some texts; a space on either side makes word ends shingles too."""
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
    """The most minima a band may have to find a pair at the threshold with probability `RECALL`."""
    least = 1 - (1 - RECALL) ** (1 / BANDS)
    return 16 if threshold == 1 else min(16, max(1, int(math.log(least) / math.log(threshold))))


def _candidates(sets: csr_array, rows: int, random: np.random.Generator) -> Iterator[tuple[Indices, Indices]]:
    """Pairs that share a bucket of one band, nearest first, in batches.

    A bucket is ordered by further minima, which brings similar sentences together, so that the pairs that a
    large bucket is too large for are those least alike.
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
        # Few and ever larger batches, since a join costs a pass over all sentences, but none beyond bounds.
        if distance.bit_count() == 1 or sum(len(left) for left, _ in found) > _PAIRS_AT_ONCE:
            yield np.concatenate([left for left, _ in found]), np.concatenate([right for _, right in found])
            found = []


def _minima(sets: csr_array, random: np.random.Generator) -> npt.NDArray[np.uint64]:
    """The minimum of a random permutation of the shingles over every set, shape (texts,)."""
    ranks = random.permutation(sets.shape[1]).astype(np.uint32)
    return np.minimum.reduceat(ranks[sets.indices], sets.indptr[:-1]).astype(np.uint64)


# ---- joining


def _join(sets: csr_array, threshold: float) -> Indices:
    """The group of every set, shape (texts,): its id is the smallest index in it."""
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
    """Every set as bits, shape (texts, words): a shingle has one of the places, and a bit is their parity."""
    place = random.integers(64 * _BITMAP_WORDS, size=sets.shape[1])
    words = []
    for word in range(_BITMAP_WORDS):
        bit = np.where(place // 64 == word, np.uint64(1) << (place % 64).astype(np.uint64), np.uint64(0))
        words.append(np.bitwise_xor.reduceat(bit[sets.indices], sets.indptr[:-1]))
    return np.stack(words, axis=1)


def _least_difference(bitmaps: npt.NDArray[np.uint64], left: Indices, right: Indices) -> Indices:
    """A lower bound of the size of the symmetric difference of pairs of sets, shape (pairs,).

    A shingle that only one set has flips one bit, so that no more bits differ than shingles do (the bitmap
    filter of set similarity joins: Sandes, Teodoro and Melo, 2020). A similarity of t or more means a
    symmetric difference of at most `(1-t)/(1+t)` of both sizes together: most candidates end here, at a
    tenth of what looking at their sets costs.
    """
    differing: Indices = np.bitwise_count(bitmaps[left] ^ bitmaps[right]).sum(axis=1, dtype=np.int64)
    return differing


def _shared(sets: csr_array, left: Indices, right: Indices) -> Indices:
    """The number of shingles that pairs of sets have in common, shape (pairs,)."""
    shared = np.zeros(len(left), np.int64)
    for start in range(0, len(left), _PAIRS_AT_ONCE):
        split_name = slice(start, start + _PAIRS_AT_ONCE)
        shared[split_name] = sets[left[split_name]].multiply(sets[right[split_name]]).sum(axis=1, dtype=np.int64)
    return shared


def _union(groups: Indices, left: Indices, right: Indices) -> Indices:
    """The groups once the sets of every pair share one."""
    if not len(left):
        return groups
    ids, nodes = np.unique(np.concatenate([groups[left], groups[right]]), return_inverse=True)
    ends = nodes[: len(left)], nodes[len(left) :]
    links = np.ones(len(left), np.bool_)  # not a small integer: repeated links are added up
    graph = csr_array((links, ends), shape=(len(ids), len(ids)))
    count, labels = connected_components(graph, directed=False)
    smallest = np.full(count, len(groups))
    np.minimum.at(smallest, labels, ids)
    new_id = np.arange(len(groups))
    new_id[ids] = smallest[labels]
    return new_id[groups]
