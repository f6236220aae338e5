"""Dividing a corpus into train, validation and test: by sentences or by groups of near duplicates, once or in folds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Literal, get_args

import datasets
import numpy as np

from tune_ner.data.corpus import SPLIT_NAMES, Corpus, SplitName
from tune_ner.data.near_duplicates import find_duplicates
from tune_ner.errors import SplitError
from tune_ner.utils.text import near_misses

SplitMethod = Literal["random", "grouped"]
Group = Sequence[int]
"""Indices of sentences that must stay together."""


@dataclass(frozen=True)
class SplitSpec:
    """How to divide: `test_size` of all sentences, then `validation_size` of the rest, both with `seed`.

    `method`: `random` draws sentences; `grouped` draws groups of near duplicates as `find_duplicates`
    finds them, so that no sentence is tested on whose like was trained on. `folds`: 0 for one test part of
    `test_size`; K from 2 on for K test parts that together are the corpus, `test_size` then having no say.
    The defaults are the notebook's.
    """

    test_size: float = 0.2
    validation_size: float = 0.1
    seed: int = 67
    method: SplitMethod = "random"
    folds: int = 0


@dataclass(frozen=True)
class Split:
    """The sentence indices of each part, in the order in which they are fed."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    def __getitem__(self, split_name: SplitName) -> tuple[int, ...]:
        indices: tuple[int, ...] = getattr(self, split_name)
        return indices


def split_corpus(corpus: Corpus, spec: SplitSpec = SplitSpec(), fold: int | None = None) -> Split:
    """Train, validation and test as `spec` asks for them; with folds, the split whose test part is `fold`.

    Published parts are used where the method is `random` without folds, and what is missing is drawn from
    the published train part. Whoever asks for `grouped` or for folds asks for other parts than the
    published: these are then disregarded and all sentences of the corpus are divided anew.

    Random parts are drawn by `datasets.Dataset.train_test_split`, as in the notebook, so that equal seeds
    give its parts.

    Raises:
        SplitError: `fold` and `spec.folds` do not fit together, there are fewer sentences or groups than
            parts, a size is no share, or a part would have no sentence or no entity.
    """
    _check_spec(spec, fold)
    if spec.method == "grouped":
        split = _grouped(corpus, spec, fold)
    elif fold is not None:
        split = _random_fold(corpus, spec, fold)
    else:
        split = _published_or_random(corpus, spec)
    _check_parts(corpus, split)
    return split


# ---- sentences drawn at random


def _published_or_random(corpus: Corpus, spec: SplitSpec) -> Split:
    rest: Sequence[int] = corpus.splits.get("train", () if corpus.splits else range(len(corpus)))
    test: Sequence[int] | None = corpus.splits.get("test")
    validation: Sequence[int] | None = corpus.splits.get("validation")
    if test is None:
        rest, test = _draw(rest, spec.test_size, spec.seed, "test")
    if validation is None:
        rest, validation = _draw(rest, spec.validation_size, spec.seed, "validation")
    return Split(tuple(rest), tuple(validation), tuple(test))


def _random_fold(corpus: Corpus, spec: SplitSpec, fold: int) -> Split:
    if spec.folds > len(corpus):
        raise SplitError(
            f"{corpus.name}: {len(corpus)} sentences cannot be divided into {spec.folds} folds. Use a larger "
            "corpus or lower split.folds."
        )
    drawn = np.random.default_rng(spec.seed).permutation(len(corpus))
    folds = [split_name.tolist() for split_name in np.array_split(drawn, spec.folds)]
    rest = list(chain.from_iterable(folds[:fold] + folds[fold + 1 :]))
    train, validation = _draw(rest, spec.validation_size, spec.seed, "validation")
    return Split(tuple(train), tuple(validation), tuple(folds[fold]))


def _draw(indices: Sequence[int], size: float, seed: int, split_name: SplitName) -> tuple[list[int], list[int]]:
    try:
        parts = datasets.Dataset.from_dict({"index": list(indices)}).train_test_split(test_size=size, seed=seed)
    except ValueError as error:
        raise _indivisible(f"{len(indices)} sentences", size, split_name) from error
    # whole columns: a data set yields its rows one by one, ten thousand a second
    train, drawn = (parts[name].with_format("numpy")["index"][:].tolist() for name in ("train", "test"))
    return train, drawn


# ---- groups of near duplicates, kept together


def _grouped(corpus: Corpus, spec: SplitSpec, fold: int | None) -> Split:
    groups = _near_groups(tuple(sentence.text for sentence in corpus.sentences))
    if fold is None:
        rest, test = _deal(corpus, groups, _quotas(groups, spec.test_size, "test"), spec.seed)
    elif spec.folds > len(groups):
        raise SplitError(
            f"{corpus.name}: {len(corpus)} sentences in {len(groups)} groups of near duplicates cannot be "
            f"divided into {spec.folds} folds. Use a larger corpus, or lower split.folds."
        )
    else:
        share, larger = divmod(len(corpus), spec.folds)
        folds = _deal(corpus, groups, [share + (number < larger) for number in range(spec.folds)], spec.seed)
        rest, test = list(chain(*folds[:fold], *folds[fold + 1 :])), folds[fold]
    train, validation = _deal(corpus, rest, _quotas(rest, spec.validation_size, "validation"), spec.seed)
    return Split(*(_fed(split_name, spec.seed) for split_name in (train, validation, test)))


@lru_cache(maxsize=1)
def _near_groups(texts: tuple[str, ...]) -> tuple[Group, ...]:
    """The groups of near duplicates of a corpus; the last corpus's are kept, since every fold asks for them."""
    near = find_duplicates(texts).near
    assert near is not None
    groups: dict[int, list[int]] = {}
    for index, group in enumerate(near.tolist()):
        groups.setdefault(group, []).append(index)
    return tuple(groups.values())


def _quotas(groups: Sequence[Group], size: float, split_name: SplitName) -> tuple[int, int]:
    """Sentences for the rest and for the part drawn from it, rounded as `train_test_split` rounds."""
    sentences = sum(map(len, groups))
    drawn = math.ceil(sentences * size) if 0 < size < 1 else 0
    if not 0 < drawn < sentences or len(groups) < 2:
        raise _indivisible(f"{sentences} sentences in {len(groups)} groups of near duplicates", size, split_name)
    return sentences - drawn, drawn


class _Hand:
    """What one part has been dealt, against its quota of sentences."""

    def __init__(self, quota: int) -> None:
        self.quota = self.room = quota
        self.groups: list[Group] = []
        self.entities = Counter[str]()

    def take(self, group: Group, entities: Mapping[str, int]) -> None:
        self.groups.append(group)
        self.room -= len(group)
        self.entities.update(entities)

    def fullness(self, entities: Mapping[str, int], totals: Mapping[str, int]) -> float:
        """Share of the entities of these types that the part holds, over the share of sentences it is due."""
        return sum(n / totals[label] * self.entities[label] for label, n in entities.items()) / self.quota


def _deal(corpus: Corpus, groups: Sequence[Group], quotas: Sequence[int], seed: int) -> list[list[Group]]:
    """The groups dealt out whole to parts of these numbers of sentences, or as near to them as groups allow.

    Greedily, as in scheduling by longest processing time (Graham, 1969): large groups first, so that small
    ones can even out what they leave, and among equals those with most entities. Of the parts with room for
    a group the one takes it that is shortest of its entities by type, then of sentences; where no part has
    room, the one with most. The last groups go to parts that would stay empty.
    """
    entities = [Counter(span.label for index in group for span in corpus.sentences[index].spans) for group in groups]
    totals = corpus.entity_counts(chain(*groups))
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    order.sort(key=lambda number: (-len(groups[number]), -entities[number].total()))
    hands = [_Hand(quota) for quota in quotas]
    for left, number in zip(range(len(order), 0, -1), order, strict=True):
        group, brought = groups[number], entities[number]
        empty = [hand for hand in hands if not hand.groups]
        able = empty if left <= len(empty) else [hand for hand in hands if hand.room >= len(group)]
        if able:
            chosen = min(able, key=lambda hand: (hand.fullness(brought, totals), -hand.room / hand.quota))
        else:
            chosen = max(hands, key=lambda hand: hand.room)
        chosen.take(group, brought)
    return [hand.groups for hand in hands]


def _fed(groups: Sequence[Group], seed: int) -> tuple[int, ...]:
    """The sentences of the groups in a drawn order, so that no batch is made of one group."""
    indices = np.fromiter(chain(*groups), dtype=np.int64)
    return tuple(np.random.default_rng(seed).permutation(indices).tolist())


# ---- checks


def _check_spec(spec: SplitSpec, fold: int | None) -> None:
    if spec.method not in get_args(SplitMethod):
        known = get_args(SplitMethod)
        hint = near_misses(spec.method, known)
        raise SplitError(f"split.method: found {spec.method!r}, expected one of {', '.join(known)}{hint}")
    if spec.folds < 0 or spec.folds == 1:
        raise SplitError(
            f"split.folds: found {spec.folds}, expected 0 for a single test part or 2 or more folds; one fold "
            "would leave nothing to train on"
        )
    if fold is None and spec.folds:
        raise SplitError(f"{spec.folds} folds and none chosen; expected a fold from 0 to {spec.folds - 1}")
    if fold is not None and not spec.folds:
        raise SplitError(f"fold {fold} of a split without folds; set split.folds to 2 or more, or choose no fold")
    if fold is not None and not 0 <= fold < spec.folds:
        raise SplitError(f"fold {fold} is out of range; expected a fold from 0 to {spec.folds - 1}")


def _indivisible(what: str, size: float, split_name: SplitName) -> SplitError:
    return SplitError(
        f"{what} cannot be divided with a {split_name} size of {size}: a part would stay "
        f"empty. Use a larger corpus or change split.{split_name}_size."
    )


def _check_parts(corpus: Corpus, split: Split) -> None:
    for split_name in SPLIT_NAMES:
        sentences = len(split[split_name])
        entities = sum(corpus.entity_counts(split[split_name]).values())
        if not entities:
            raise SplitError(
                f"{corpus.name}: the {split_name} part has {sentences} of {len(corpus)} sentences and no entity, "
                "so that nothing can be learnt from it or measured on it. Use a larger corpus, or another "
                "size or seed under `split`."
            )
