"""Metrics of tag sequences: seqeval's precision, recall and F1 in both modes, and the share of invalid transitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

from seqeval.metrics import accuracy_score
from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support
from seqeval.metrics.v1 import precision_recall_fscore_support as strict_precision_recall_fscore_support
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Entities

from tune_ner.tagging.schemes import SCHEMES

Tags = Sequence[Sequence[str]]

# seqeval's default mode does not support the letters of BILOU, which mean the same as those of BIOES.
_BILOU_TO_BIOES = str.maketrans({"L": "E", "U": "S"})

# The schemes of seqeval's strict mode; it has no IO.
_STRICT_SCHEMES: Mapping[str, Any] = {"BIO": IOB2, "BIOES": IOBES, "IOB1": IOB1, "BILOU": BILOU}


@dataclass(frozen=True)
class TypeMetrics:
    """Metrics of one entity type; `support` is its number of gold entities."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class SeqevalMetrics:
    """Micro average over entities, accuracy over words, and the metrics of each entity type."""

    precision: float
    recall: float
    f1: float
    accuracy: float
    support: int
    per_type: dict[str, TypeMetrics]


def seqeval_metrics(gold: Tags, predicted: Tags, entity_types: Sequence[str]) -> SeqevalMetrics:
    """Compute metrics of predicted tags in seqeval's default (lenient, `conlleval`) mode.

    Args:
        gold: one tag sequence per sentence, over the words that have a label.
        predicted: sequences of the same lengths.
        entity_types: types to report, in this order, whether they occur or not.

    A metric with a denominator of zero is 0.0, as in seqeval.
    """
    gold, predicted = ([_to_bioes(tags) for tags in rows] for rows in (gold, predicted))
    found = {label for rows in (gold, predicted) for label, _, _ in get_entities(rows)}
    return _metrics(gold, predicted, found, entity_types, precision_recall_fscore_support)


def strict_seqeval_metrics(
    gold: Tags, predicted: Tags, entity_types: Sequence[str], scheme_name: str
) -> SeqevalMetrics | None:
    """Compute metrics in seqeval's strict mode, which ignores entities whose tags violate the scheme.

    Args:
        gold: one tag sequence per sentence, in the scheme `scheme_name`.
        predicted: sequences of the same lengths.
        entity_types: types to report, in this order, whether they occur or not.
        scheme_name: `BIO` (IOB2 in seqeval), `BIOES` (IOBES), `IOB1` or `BILOU`.

    Returns:
        The metrics, 0.0 where the denominator is zero, or None for a scheme that seqeval does not have, such as `IO`.

    Raises:
        ValueError: a tag has a letter that is not in the scheme, or the lengths differ.
    """
    if scheme_name not in _STRICT_SCHEMES:
        return None
    scheme = _STRICT_SCHEMES[scheme_name]
    # seqeval takes hyphens off types, so that `A` and `A-` would be one; numbers have none
    types = {*entity_types, *(tag[2:] for rows in (gold, predicted) for tags in rows for tag in tags)} - {""}
    numbers = {name: str(number) for number, name in enumerate(sorted(types))}
    gold, predicted = (
        [[f"{tag[0]}-{numbers[tag[2:]]}" if tag[2:] else tag for tag in tags] for tags in rows]
        for rows in (gold, predicted)
    )
    found = Entities(gold, scheme).unique_tags | Entities(predicted, scheme).unique_tags
    score = partial(strict_precision_recall_fscore_support, scheme=scheme)
    metrics = _metrics(gold, predicted, found, [numbers[name] for name in entity_types], score)
    return replace(metrics, per_type={name: metrics.per_type[numbers[name]] for name in entity_types})


def invalid_transitions(tags: Tags, scheme_name: str) -> float:
    """Compute the share of adjacent tags that the scheme forbids, 0.0 to 1.0.

    The start and end of a sentence count as `O`, so `n` tags have `n + 1` transitions; empty sentences have none. A
    transition with a letter that is not in the scheme is invalid.

    Raises:
        ValueError: the scheme is unknown, or a tag is malformed.
    """
    if scheme_name not in SCHEMES:
        raise ValueError(f"unknown tagging scheme {scheme_name!r}; expected one of {', '.join(SCHEMES)}")
    transitions = Counter(pair for row in tags if row for pair in pairwise(["", *row, ""]))
    invalid = sum(count for pair, count in transitions.items() if not SCHEMES[scheme_name].allows(*pair))
    return invalid / transitions.total() if transitions else 0.0


def _metrics(
    gold: Tags, predicted: Tags, found: Iterable[str], entity_types: Sequence[str], score: Callable[..., Any]
) -> SeqevalMetrics:
    """Collect the metrics of a seqeval function; `found` are the types in the gold or predicted tags."""
    rows = (gold or [[]], predicted or [[]])  # seqeval does not accept an empty list
    precision, recall, f1, support = score(*rows, average="micro", zero_division=0)
    columns = score(*rows, average=None, zero_division=0)
    per_type = {
        name: TypeMetrics(float(p), float(r), float(f), int(n))
        for name, p, r, f, n in zip(sorted(found), *columns, strict=True)
    }
    accuracy = float(accuracy_score(*rows)) if any(gold) else 0.0
    return SeqevalMetrics(
        float(precision),
        float(recall),
        float(f1),
        accuracy,
        int(support),
        {name: per_type.get(name, TypeMetrics(0.0, 0.0, 0.0, 0)) for name in entity_types},
    )


def _to_bioes(tags: Sequence[str]) -> list[str]:
    return [tag[0].translate(_BILOU_TO_BIOES) + tag[1:] for tag in tags]
