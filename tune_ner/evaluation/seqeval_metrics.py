"""Figures of tag sequences: seqeval's precision, recall and F1 in its two modes, and how valid the tags are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from seqeval.metrics import accuracy_score
from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support
from seqeval.metrics.v1 import precision_recall_fscore_support as strict_precision_recall_fscore_support
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Entities

from tune_ner.tagging.decoding import allows
from tune_ner.tagging.schemes import SCHEMES

# seqeval's default mode knows the letters of BIOES but not those of BILOU, which mean the same.
_AS_BIOES = str.maketrans({"L": "E", "U": "S"})

# What seqeval's strict mode calls the schemes; it knows no IO.
_STRICT_SCHEMES: Mapping[str, Any] = {"BIO": IOB2, "BIOES": IOBES, "IOB1": IOB1, "BILOU": BILOU}


@dataclass(frozen=True)
class TypeMetrics:
    """Figures of one entity type; `support` is its number of gold entities."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class SeqevalMetrics:
    """Figures of a part: micro average over entities, accuracy over words, and each entity type's own."""

    precision: float
    recall: float
    f1: float
    accuracy: float
    support: int
    per_type: dict[str, TypeMetrics]


def seqeval_figures(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], types: Sequence[str]
) -> SeqevalMetrics:
    """Figures of predicted tags against gold tags in seqeval's default (lenient, `conlleval`) mode.

    Args:
        gold: one tag sequence a sentence, over the words that carry a label.
        predicted: sequences of the same lengths.
        types: entity types to report, in this order, whether they occur or not.

    A figure whose denominator is zero is 0.0, as in seqeval.
    """
    # seqeval refuses to score no sentence at all
    true, guessed = ([_as_bioes(tags) for tags in rows] or [[]] for rows in (gold, predicted))
    precision, recall, f1, support = _scores(true, guessed, "micro")
    names = sorted({label for tags in (true, guessed) for label, _, _ in get_entities(tags)})
    per_type = _per_type(names, _scores(true, guessed, None), types)
    return SeqevalMetrics(float(precision), float(recall), float(f1), _accuracy(true, guessed), int(support), per_type)


def strict_figures(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], types: Sequence[str], scheme_name: str
) -> SeqevalMetrics | None:
    """Figures in seqeval's strict mode (`mode="strict"`), in which a sequence that breaks the scheme is no entity.

    Args:
        gold: one tag sequence a sentence, in the scheme `scheme_name`.
        predicted: sequences of the same lengths.
        types: entity types to report, in this order, whether they occur or not.
        scheme_name: `BIO` (seqeval's IOB2), `BIOES` (IOBES), `IOB1` or `BILOU`.

    Returns:
        The figures, or None for a scheme that seqeval does not have, such as `IO`. A figure whose
        denominator is zero is 0.0.

    Raises:
        ValueError: a tag has a letter that the scheme does not have, or the lengths differ.
    """
    scheme = _STRICT_SCHEMES.get(scheme_name)
    if scheme is None:
        return None
    true, guessed = ([list(tags) for tags in rows] or [[]] for rows in (gold, predicted))

    def scores(average: str | None) -> Any:
        return strict_precision_recall_fscore_support(true, guessed, average=average, scheme=scheme, zero_division=0)

    precision, recall, f1, support = scores("micro")
    names = sorted(Entities(true, scheme).unique_tags | Entities(guessed, scheme).unique_tags)
    per_type = _per_type(names, scores(None), types)
    return SeqevalMetrics(float(precision), float(recall), float(f1), _accuracy(true, guessed), int(support), per_type)


def invalid_transitions(tags: Sequence[Sequence[str]], scheme_name: str) -> float:
    """Share of neighbouring tags that the scheme forbids, 0.0 to 1.0.

    The beginning and the end of a sentence count as `O`, so that `n` tags make `n + 1` pairs; sentences
    without tags make none. A pair with a letter that the scheme does not have is forbidden.

    Raises:
        ValueError: the scheme is unknown, or a tag is no chunk tag.
    """
    if scheme_name not in SCHEMES:
        raise ValueError(f"{scheme_name!r} is no tagging scheme: expected one of {', '.join(SCHEMES)}")
    pairs = Counter(pair for row in tags if row for pair in pairwise(["", *row, ""]))
    forbidden = sum(count for pair, count in pairs.items() if not allows(SCHEMES[scheme_name], *pair))
    return forbidden / pairs.total() if pairs else 0.0


def _per_type(names: Sequence[str], columns: Any, types: Sequence[str]) -> dict[str, TypeMetrics]:
    found = {
        name: TypeMetrics(float(p), float(r), float(f), int(n))
        for name, p, r, f, n in zip(names, *columns, strict=True)
    }
    return {label: found.get(label, TypeMetrics(0.0, 0.0, 0.0, 0)) for label in types}


def _accuracy(gold: list[list[str]], predicted: list[list[str]]) -> float:
    return float(accuracy_score(gold, predicted)) if any(gold) else 0.0


def _scores(gold: list[list[str]], predicted: list[list[str]], average: str | None) -> Any:
    return precision_recall_fscore_support(gold, predicted, average=average, zero_division=0)


def _as_bioes(tags: Sequence[str]) -> list[str]:
    return [tag[0].translate(_AS_BIOES) + tag[1:] for tag in tags]
