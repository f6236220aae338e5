"""Splitting a corpus into train, validation and test, once or in folds, by sentences or by groups.

Groups are near duplicates, the groups of the corpus (documents, patients), or both: sentences that are connected
through either stay in one split.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from tune_ner.data.corpus import SPLIT_NAMES, Corpus, SplitName
from tune_ner.data.near_duplicates import find_duplicates
from tune_ner.errors import SplitError
from tune_ner.utils.text import near_misses, plural

SplitMethod = Literal["random", "grouped"]
DrawnName = Literal["validation", "test"]
Indices = npt.NDArray[np.signedinteger[Any]]

_DRAWS = 50
"""Random assignments of groups to splits, of which the most balanced is used."""


@dataclass(frozen=True)
class SplitSpec:
    """How to split: `test_size` of all sentences, then `validation_size` of the rest, both with `seed`.

    `method`: `random` draws sentences; `grouped` draws groups of near duplicates as found by `find_duplicates`,
    so that no test sentence has a near duplicate in train. `folds`: 0 for one test split of `test_size`; K ≥ 2 for
    K test splits that together are the corpus, independent of `test_size`. The defaults are the notebook's.
    """

    test_size: float = 0.2
    validation_size: float = 0.1
    seed: int = 67
    method: SplitMethod = "random"
    folds: int = 0


@dataclass(frozen=True)
class Split:
    """The sentence indices of train, validation and test, in training order."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    def __getitem__(self, split_name: SplitName) -> tuple[int, ...]:
        indices: tuple[int, ...] = getattr(self, split_name)
        return indices


def split_corpus(corpus: Corpus, spec: SplitSpec = SplitSpec(), fold: int | None = None) -> Split:
    """Split a corpus as `spec` describes; with folds, `fold` is the number of the test split.

    The method `random` without folds keeps published splits and draws missing ones from the published train split.
    With `grouped` or with folds, published splits are ignored and all sentences are split again. If the corpus says
    what must not be divided (`Corpus.group_by`), every drawn split consists of whole groups.

    Random splits are drawn by `datasets.Dataset.train_test_split`, as in the notebook, so that equal seeds give
    equal splits. Grouped splits are drawn several times by scikit-learn's `GroupShuffleSplit`, and folds by its
    `GroupKFold`; the draw with the most equal shares of sentences and of entities by type is used.

    Raises:
        SplitError: `spec` or `fold` is invalid, there are fewer sentences or groups than splits, or a split would
            have no sentence or no entity.
    """
    _check_spec(spec, fold)
    groups = _groups(corpus, spec)
    if spec.method == "random" and fold is None:
        split = _published_or_drawn(corpus, groups, spec)
    elif groups is not None:
        split = _grouped(corpus, groups, spec, fold)
    else:
        assert fold is not None
        split = _random_fold(corpus, spec, fold)
    _check_split(corpus, split)
    return split


def train_subset(corpus: Corpus, split: Split, size: int, seed: int) -> Split:
    """Return a split with at most `size` of its training sentences, in their order.

    The sentences are drawn at random, or whole groups if the corpus says what must not be divided
    (`Corpus.group_by`): groups are added in a random order until the next one would exceed `size`, at least one. With
    equal seeds, the sentences of a smaller size are among those of a larger one.

    Raises:
        SplitError: no chosen sentence has an entity.
    """
    if size >= len(split.train):
        return split
    owners = [corpus.sentences[index].group if corpus.group_by else str(index) for index in split.train]
    names, members = np.unique(owners, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    sizes = np.bincount(members)[order].cumsum()
    chosen = np.isin(members, order[: max(1, int(np.searchsorted(sizes, size, side="right")))])
    subset = replace(split, train=tuple(np.array(split.train)[chosen].tolist()))
    if not any(corpus.entity_counts(subset.train).values()):
        raise SplitError(
            f"{corpus.name}: none of the {plural(len(subset.train), 'sentence')} drawn with seed {seed} of "
            f"{len(split.train)} in train has an entity; expected a larger train_fraction or max_train_sentences"
        )
    return subset


# ---- random sentences


def _published_or_drawn(corpus: Corpus, groups: Indices | None, spec: SplitSpec) -> Split:
    def draw(indices: Sequence[int], split_name: DrawnName) -> tuple[Sequence[int], Sequence[int]]:
        if groups is None:
            return _draw(indices, spec, split_name)
        rest, chosen = _draw_groups(np.array(indices), groups, _quantities(corpus), spec, split_name)
        return _shuffled(rest, spec), _shuffled(chosen, spec)

    rest: Sequence[int] = corpus.splits.get("train", () if corpus.splits else range(len(corpus)))
    test: Sequence[int] | None = corpus.splits.get("test")
    validation: Sequence[int] | None = corpus.splits.get("validation")
    if test is None:
        rest, test = draw(rest, "test")
    if validation is None:
        rest, validation = draw(rest, "validation")
    return Split(tuple(rest), tuple(validation), tuple(test))


def _random_fold(corpus: Corpus, spec: SplitSpec, fold: int) -> Split:
    if spec.folds > len(corpus):
        raise _too_many_folds(corpus, f"{len(corpus)} sentences", spec.folds)
    folds = np.array_split(np.random.default_rng(spec.seed).permutation(len(corpus)), spec.folds)
    test = folds.pop(fold).tolist()
    train, validation = _draw(np.concatenate(folds).tolist(), spec, "validation")
    return Split(tuple(train), tuple(validation), tuple(test))


def _draw(indices: Sequence[int], spec: SplitSpec, split_name: DrawnName) -> tuple[list[int], list[int]]:
    import datasets

    size = _size(spec, split_name)
    try:
        drawn = datasets.Dataset.from_dict({"index": list(indices)}).train_test_split(test_size=size, seed=spec.seed)
    except ValueError as error:
        raise _indivisible(plural(len(indices), "sentence"), size, split_name) from error
    # whole columns: iterating over a data set yields only ten thousand rows a second
    rest, chosen = (drawn[name].with_format("numpy")["index"][:].tolist() for name in ("train", "test"))
    return rest, chosen


def _size(spec: SplitSpec, split_name: DrawnName) -> float:
    return spec.test_size if split_name == "test" else spec.validation_size


# ---- groups


def _groups(corpus: Corpus, spec: SplitSpec) -> Indices | None:
    """Return the group of each sentence, shape (sentences,); None if sentences are split on their own."""
    near = None
    if spec.method == "grouped":
        near = _near_duplicate_groups(tuple(sentence.text for sentence in corpus.sentences))
    if not corpus.group_by:
        return near
    numbers: dict[str, int] = {}
    given = np.array([numbers.setdefault(sentence.group, len(numbers)) for sentence in corpus.sentences])
    return given if near is None else _connected(near, given)


def _connected(one: Indices, other: Indices) -> Indices:
    """Return groups in which sentences are connected that share a group of either kind, shape (sentences,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first = int(one.max()) + 1
    size = first + int(other.max()) + 1
    edges = coo_array((np.ones(len(one)), (one, first + other)), shape=(size, size))
    components: Indices = connected_components(edges, directed=False)[1]
    return components[one]


def _grouped(corpus: Corpus, groups: Indices, spec: SplitSpec, fold: int | None) -> Split:
    quantities = _quantities(corpus)
    if fold is None:
        rest, test = _draw_groups(np.arange(len(corpus)), groups, quantities, spec, "test")
    else:
        rest, test = _group_fold(corpus, groups, quantities, spec, fold)
    train, validation = _draw_groups(rest, groups, quantities, spec, "validation")
    return Split(*(tuple(_shuffled(indices, spec)) for indices in (train, validation, test)))


def _shuffled(indices: Indices, spec: SplitSpec) -> list[int]:
    """Return the indices in another order, so that a batch does not consist of one group."""
    shuffled: list[int] = np.random.default_rng(spec.seed).permutation(indices).tolist()
    return shuffled


@lru_cache(maxsize=1)
def _near_duplicate_groups(texts: tuple[str, ...]) -> Indices:
    """Return the group of each text, shape (texts,); cached, because all folds share it."""
    near = find_duplicates(texts).near
    assert near is not None
    return near


def _quantities(corpus: Corpus) -> Indices:
    """Return what splits should have their share of, shape (sentences, 1 + types): sentences, entities by type."""
    columns = {label: number for number, label in enumerate(corpus.entity_types, start=1)}
    quantities = np.zeros((len(corpus), 1 + len(columns)), np.int64)
    quantities[:, 0] = 1
    for row, sentence in zip(quantities, corpus.sentences, strict=True):
        for span in sentence.spans:
            row[columns[span.label]] += 1
    return quantities


def _imbalance(quantities: Indices, chosen: Indices, share: float) -> float:
    """Return how far the rows `chosen` are from `share` of each quantity, summed over the quantities."""
    shares = quantities[chosen].sum(axis=0) / np.maximum(1, quantities.sum(axis=0))
    return float(np.abs(shares - share).sum())


def _draw_groups(
    indices: Indices, groups: Indices, quantities: Indices, spec: SplitSpec, split_name: DrawnName
) -> tuple[Indices, Indices]:
    """Return the indices of other sentences and those of a split: whole groups, about its size of each quantity."""
    from sklearn.model_selection import GroupShuffleSplit

    size = _size(spec, split_name)
    wanted = math.ceil(len(indices) * size) if 0 < size < 1 else 0
    _, owners, sizes = np.unique(groups[indices], return_inverse=True, return_counts=True)
    if not 0 < wanted < len(indices) or len(sizes) < 2:
        raise _indivisible(f"{plural(len(indices), 'sentence')} in {plural(len(sizes), 'group')}", size, split_name)
    # a group larger than the split is not drawn, unless there is no choice
    fits = sizes <= wanted
    if fits.sum() < 2:
        fits[:] = True
    pool = np.flatnonzero(fits[owners])
    number = min(max(1, round(wanted * fits.sum() / len(pool))), fits.sum() - 1)
    draws = GroupShuffleSplit(_DRAWS, test_size=number, random_state=spec.seed).split(pool, groups=owners[pool])
    drawn = min(
        (pool[chosen] for _, chosen in draws),
        key=lambda chosen: _imbalance(quantities[indices], chosen, wanted / len(indices)),
    )
    return np.delete(indices, drawn), indices[drawn]


def _group_fold(
    corpus: Corpus, groups: Indices, quantities: Indices, spec: SplitSpec, fold: int
) -> tuple[Indices, Indices]:
    """Return the sentences outside of a fold and those in it; folds consist of whole groups."""
    from sklearn.model_selection import GroupKFold

    number = len(np.unique(groups))
    if spec.folds > number:
        found = f"{len(corpus)} sentences in {number} groups"
        raise _too_many_folds(corpus, found, spec.folds)
    seeds = np.random.SeedSequence(spec.seed).generate_state(_DRAWS).tolist()
    draws = (GroupKFold(spec.folds, shuffle=True, random_state=seed).split(groups, groups=groups) for seed in seeds)
    folds = min(
        map(list, draws), key=lambda folds: sum(_imbalance(quantities, test, 1 / spec.folds) for _, test in folds)
    )
    rest, test = folds[fold]
    return rest, test


# ---- checks


def _check_spec(spec: SplitSpec, fold: int | None) -> None:
    methods = get_args(SplitMethod)
    if spec.method not in methods:
        hint = near_misses(spec.method, methods)
        raise SplitError(f"split.method: found {spec.method!r}, expected one of {', '.join(methods)}{hint}")
    if spec.folds < 0 or spec.folds == 1:
        raise SplitError(f"split.folds: found {spec.folds}, expected 0 for a single test split or at least 2 folds")
    if fold is None and spec.folds:
        raise SplitError(f"{spec.folds} folds but no fold given; expected a fold from 0 to {spec.folds - 1}")
    if fold is not None and not spec.folds:
        raise SplitError(f"fold {fold} of a split without folds; set split.folds to at least 2, or give no fold")
    if fold is not None and not 0 <= fold < spec.folds:
        raise SplitError(f"fold {fold} is out of range; expected a fold from 0 to {spec.folds - 1}")


def _indivisible(found: str, size: float, split_name: SplitName) -> SplitError:
    return SplitError(
        f"{found} cannot be split with a {split_name} size of {size}: a split would be empty. Use a larger corpus or "
        f"change split.{split_name}_size."
    )


def _too_many_folds(corpus: Corpus, found: str, folds: int) -> SplitError:
    return SplitError(
        f"{corpus.name}: {found} cannot be split into {folds} folds. Use a larger corpus or lower split.folds."
    )


def _check_split(corpus: Corpus, split: Split) -> None:
    for split_name in SPLIT_NAMES:
        sentences = len(split[split_name])
        if not any(corpus.entity_counts(split[split_name]).values()):
            raise SplitError(
                f"{corpus.name}: the {split_name} split has {sentences} of {len(corpus)} sentences and no entity, so "
                "nothing can be trained or evaluated on it. Use a larger corpus, or another size or seed under `split`."
            )
