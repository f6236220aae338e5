"""Precision, recall and F1 of tag sequences, by seqeval, overall and per entity type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seqeval.metrics import accuracy_score
from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support

# seqeval's default mode knows the letters of BIOES but not those of BILOU, which mean the same.
_AS_BIOES = str.maketrans({"L": "E", "U": "S"})


@dataclass(frozen=True)
class TypeFigures:
    """Figures of one entity type; `support` is its number of gold entities."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Figures:
    """Figures of a part: micro average over entities, accuracy over words, and each entity type's own."""

    precision: float
    recall: float
    f1: float
    accuracy: float
    support: int
    per_type: dict[str, TypeFigures]


def seqeval_figures(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], types: Sequence[str]) -> Figures:
    """Figures of predicted tags against gold tags in seqeval's default (lenient, `conlleval`) mode.

    Args:
        gold: one tag sequence a sentence, over the words that carry a label.
        predicted: sequences of the same lengths.
        types: entity types to report, in this order, whether they occur or not.

    A figure whose denominator is zero is 0.0, as in seqeval.
    """
    true, guessed = [_as_bioes(tags) for tags in gold], [_as_bioes(tags) for tags in predicted]
    precision, recall, f1, support = _scores(true, guessed, "micro")
    names = sorted({label for tags in (true, guessed) for label, _, _ in get_entities(tags)})
    columns = _scores(true, guessed, None)
    found = {
        name: TypeFigures(float(p), float(r), float(f), int(n))
        for name, p, r, f, n in zip(names, *columns, strict=True)
    }
    per_type = {label: found.get(label, TypeFigures(0.0, 0.0, 0.0, 0)) for label in types}
    accuracy = float(accuracy_score(true, guessed)) if any(true) else 0.0
    return Figures(float(precision), float(recall), float(f1), accuracy, int(support), per_type)


def _scores(gold: list[list[str]], predicted: list[list[str]], average: str | None) -> Any:
    return precision_recall_fscore_support(gold, predicted, average=average, zero_division=0)


def _as_bioes(tags: Sequence[str]) -> list[str]:
    return [tag[0].translate(_AS_BIOES) + tag[1:] for tag in tags]
