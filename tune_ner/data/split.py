"""Dividing a corpus into train, validation and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import datasets

from tune_ner.data.corpus import PARTS, Corpus, Part
from tune_ner.errors import SplitError


@dataclass(frozen=True)
class SplitSpec:
    """How to divide: `test_size` of all sentences, then `validation_size` of the rest, both with `seed`.

    The defaults are the notebook's.
    """

    test_size: float = 0.2
    validation_size: float = 0.1
    seed: int = 67


@dataclass(frozen=True)
class Split:
    """The sentence indices of each part, in the order in which they are fed."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]

    def __getitem__(self, part: Part) -> tuple[int, ...]:
        indices: tuple[int, ...] = getattr(self, part)
        return indices


def split_corpus(corpus: Corpus, spec: SplitSpec = SplitSpec()) -> Split:
    """The corpus's published parts where it has them; what is missing is drawn from its train part.

    Drawing is `datasets.Dataset.train_test_split`, as in the notebook, so that equal seeds give its parts.

    Raises:
        SplitError: a part would have no sentence or no entity.
    """
    rest: Sequence[int] = corpus.parts.get("train", () if corpus.parts else range(len(corpus)))
    test: Sequence[int] | None = corpus.parts.get("test")
    validation: Sequence[int] | None = corpus.parts.get("validation")
    if test is None:
        rest, test = _draw(rest, spec.test_size, spec.seed, "test")
    if validation is None:
        rest, validation = _draw(rest, spec.validation_size, spec.seed, "validation")
    split = Split(tuple(rest), tuple(validation), tuple(test))
    _check(corpus, split)
    return split


def _draw(indices: Sequence[int], size: float, seed: int, part: Part) -> tuple[list[int], list[int]]:
    try:
        parts = datasets.Dataset.from_dict({"index": list(indices)}).train_test_split(test_size=size, seed=seed)
    except ValueError as error:
        raise SplitError(
            f"{len(indices)} sentences cannot be divided with a {part} size of {size}: a part would stay "
            f"empty. Use a larger corpus or change split.{part}_size."
        ) from error
    return list(parts["train"]["index"]), list(parts["test"]["index"])


def _check(corpus: Corpus, split: Split) -> None:
    for part in PARTS:
        sentences = len(split[part])
        entities = sum(corpus.entity_counts(split[part]).values())
        if not entities:
            raise SplitError(
                f"{corpus.name}: the {part} part has {sentences} of {len(corpus)} sentences and no entity, "
                "so that nothing can be learnt from it or measured on it. Use a larger corpus, or another "
                "size or seed under `split`."
            )
