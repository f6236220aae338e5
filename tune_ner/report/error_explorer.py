"""The errors themselves: for every trial the sentences on which it was wrong, in a form small enough for a page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tune_ner.data.corpus import Span, SplitName
from tune_ner.evaluation.error_analysis import ERROR_KINDS, SpanError, find_errors
from tune_ner.results.predictions import Predictions
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.results.selection import varied_hyperparameters

BUDGET = 3_000_000
"""Bytes that the errors of one part may take on a page, about; what is beyond is left out, the best trials last."""

SPLIT_NAMES: tuple[SplitName, ...] = ("validation", "test")

_SentenceKey = tuple[int | None, int]
"""Fold, and place in the corpus."""


@dataclass(frozen=True)
class TrialErrors:
    """The errors of a trial: `sentences` maps the row of a sentence to its errors.

    An error is a list: its kind (its place in `ERROR_KINDS`) and its gold span (its place among the sentence's, -1
    for none), then start, end and type of the predicted span where there is one.
    """

    title: str
    fold: int | None
    f1: float
    sentences: dict[int, list[list[int]]]


@dataclass
class PartErrors:
    """The errors of all trials on one part.

    `sentences` are those on which any of `trials` was wrong, each with its fold, its place in the corpus, its text and
    its gold spans (start, end, type), sorted and each once. Types are places in `types`. `sentences_of_part` counts
    the sentences of the part over all folds, `left_out` the trials that the budget had no room for, and `cut_short`
    tells that it had none for more than a part of the first trial's errors, so that no other is there.
    """

    types: list[str] = field(default_factory=list)
    sentences: list[list[Any]] = field(default_factory=list)
    trials: list[TrialErrors] = field(default_factory=list)
    sentences_of_part: int = 0
    left_out: int = 0
    cut_short: bool = False

    def as_plain(self) -> dict[str, Any]:
        """The errors as the page's script reads them."""
        return {
            "kinds": list(ERROR_KINDS),
            "types": self.types,
            "sentences": self.sentences,
            "trials": [
                {"title": t.title, "fold": t.fold, "f1": round(t.f1, 4), "errors": list(t.sentences.items())}
                for t in self.trials
            ],
            "sentencesOfPart": self.sentences_of_part,
            "leftOut": self.left_out,
            "cutShort": self.cut_short,
        }


def errors_of(results: Results, split_name: SplitName, budget: int = BUDGET) -> PartErrors:
    """The errors of every finished trial on a part, those of the best configurations first, until `budget` is spent."""
    collector = _Collector(budget)
    varied = varied_hyperparameters(results.records)
    folds: dict[int | None, int] = {}
    for place, record in _ranked_records(results):
        predictions = results.cache.predictions(record.trial_id, split_name)
        folds[record.config.fold] = len(predictions.texts)
        collector.add(f"#{place} {record.config.titled(varied)}", record, split_name, predictions)
    collector.found.sentences_of_part = sum(folds.values())
    return collector.found


def _ranked_records(results: Results) -> Iterator[tuple[int, TrialRecord]]:
    """The finished trials with the place of their configuration."""
    for place, entry in enumerate(results.entries, start=1):
        for record in entry.records:
            yield place, record


class _Collector:
    """Trials added one after another as long as there is room."""

    def __init__(self, budget: int) -> None:
        self.found = PartErrors()
        self._left = budget
        self._rows: dict[_SentenceKey, int] = {}
        self._types: dict[str, int] = {}

    def add(self, title: str, record: TrialRecord, split_name: SplitName, predictions: Predictions) -> None:
        """Take a trial up, or count it as left out."""
        assert record.result
        if self._left <= 0:
            self.found.left_out += 1
            return
        for label in record.result.metrics[
            split_name
        ].spans.per_type:  # in label order, for equal colours of both parts
            self._type(label)
        taken: dict[int, list[list[int]]] = {}
        known = len(self.found.sentences)
        for index, text, gold, predicted in zip(
            predictions.indices, predictions.texts, predictions.gold, predictions.predicted, strict=True
        ):
            if not (errors := find_errors(gold, predicted)):
                continue
            if self._left <= 0 and self.found.trials:
                # beside another trial, what is not here would pass for right
                del self.found.sentences[known:]
                self.found.left_out += 1
                return
            if self._left <= 0:
                self.found.cut_short = True
                break
            golds = sorted(set(gold))
            row = self._row((record.config.fold, index), text, golds)
            taken[row] = [self._plain(error, golds) for error in errors]
            self._left -= len(json.dumps(taken[row])) + 8
        f1 = record.result.metrics[split_name].spans.f1
        self.found.trials.append(TrialErrors(title, record.config.fold, f1, taken))

    def _row(self, key: _SentenceKey, text: str, gold: Sequence[Span]) -> int:
        if key not in self._rows:
            self._rows[key] = len(self._rows)
            sentence = [*key, text, [[span.start, span.end, self._type(span.label)] for span in gold]]
            self.found.sentences.append(sentence)
            self._left -= len(json.dumps(sentence, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        return self._rows[key]

    def _plain(self, error: SpanError, gold: Sequence[Span]) -> list[int]:
        plain = [ERROR_KINDS.index(error.kind), gold.index(error.gold) if error.gold else -1]
        if error.predicted:
            plain += [error.predicted.start, error.predicted.end, self._type(error.predicted.label)]
        return plain

    def _type(self, label: str) -> int:
        if label not in self._types:
            self._types[label] = len(self._types)
            self.found.types.append(label)
        return self._types[label]
