"""The errors of every trial by sentence, as compact data for the error browser of the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tune_ner.data.corpus import Span, SplitName
from tune_ner.evaluation.error_analysis import ERROR_KINDS, SpanError, find_errors
from tune_ner.results.predictions import Predictions
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results

BUDGET = 3_000_000
"""Approximate bytes for the errors of one split; trials that do not fit are omitted, starting with the worst."""

EXPLORED_SPLITS: tuple[SplitName, ...] = ("validation", "test")

_SentenceKey = tuple[int | None, int]
"""Fold, and index in the corpus."""


@dataclass(frozen=True)
class TrialErrors:
    """The errors of a trial.

    Attributes:
        title: rank of its configuration and hyperparameters.
        fold: its fold; None for a single split.
        f1: span F1 on the split.
        sentences: errors by row of the sentence. An error is a list of its kind (index in `ERROR_KINDS`) and its gold
            span (index among those of the sentence, -1 for none), followed by start, end and type of the predicted
            span if there is one.
    """

    title: str
    fold: int | None
    f1: float
    sentences: dict[int, list[list[int]]]


class SplitErrors:
    """The errors of all trials on one split.

    Attributes:
        types: entity types; elsewhere a type is an index in this list.
        sentences: each sentence with an error of any trial: fold, index in the corpus, text and sorted gold spans
            (start, end, type).
        trials: errors by trial, best configurations first.
        split_size: number of sentences of the split, summed over folds.
        omitted_trials: number of trials that did not fit into the budget.
        is_truncated: whether only a part of the first trial's errors fitted; no other trial is included then.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self.types: list[str] = []
        self.sentences: list[list[Any]] = []
        self.trials: list[TrialErrors] = []
        self.split_size = 0
        self.omitted_trials = 0
        self.is_truncated = False
        self._budget = budget
        self._rows: dict[_SentenceKey, int] = {}

    def add(self, title: str, record: TrialRecord, split_name: SplitName, predictions: Predictions) -> None:
        """Add a trial; if it does not fit, it is counted as omitted."""
        assert record.result
        metrics = record.result.metrics[split_name].spans
        if self._budget <= 0:
            self.omitted_trials += 1
            return
        for name in metrics.per_type:  # sorted, so that a type has the same colour in both splits
            self._type(name)
        errors: dict[int, list[list[int]]] = {}
        before = len(self.sentences)
        columns = (predictions.indices, predictions.texts, predictions.gold, predictions.predicted)
        for index, text, gold, predicted in zip(*columns, strict=True):
            if not (found := find_errors(gold, predicted)):
                continue
            if self._budget <= 0 and self.trials:
                # next to another trial, a sentence without errors would seem correct
                del self.sentences[before:]
                self.omitted_trials += 1
                return
            if self._budget <= 0:
                self.is_truncated = True
                break
            unique = sorted(set(gold))
            row = self._row((record.config.fold, index), text, unique)
            errors[row] = [self._encode(error, unique) for error in found]
            self._budget -= len(json.dumps(errors[row])) + 8
        self.trials.append(TrialErrors(title, record.config.fold, metrics.f1, errors))

    def page_data(self) -> dict[str, Any]:
        """Return the errors as `templates/errors.js` reads them."""
        return {
            "kinds": list(ERROR_KINDS),
            "types": self.types,
            "sentences": self.sentences,
            "trials": [
                {"title": t.title, "fold": t.fold, "f1": round(t.f1, 4), "errors": list(t.sentences.items())}
                for t in self.trials
            ],
            "split_size": self.split_size,
            "omitted_trials": self.omitted_trials,
            "is_truncated": self.is_truncated,
        }

    def _row(self, key: _SentenceKey, text: str, gold: Sequence[Span]) -> int:
        if key not in self._rows:
            self._rows[key] = len(self._rows)
            sentence = [*key, text, [[span.start, span.end, self._type(span.label)] for span in gold]]
            self.sentences.append(sentence)
            self._budget -= len(json.dumps(sentence, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        return self._rows[key]

    def _encode(self, error: SpanError, gold: Sequence[Span]) -> list[int]:
        encoded = [ERROR_KINDS.index(error.kind), gold.index(error.gold) if error.gold else -1]
        if error.predicted:
            encoded += [error.predicted.start, error.predicted.end, self._type(error.predicted.label)]
        return encoded

    def _type(self, name: str) -> int:
        if name not in self.types:
            self.types.append(name)
        return self.types.index(name)


def errors_of(results: Results, split_name: SplitName, budget: int = BUDGET) -> SplitErrors:
    """Return the errors of the completed trials on a split, best configurations first, until the budget is used."""
    errors = SplitErrors(budget)
    sizes: dict[int | None, int] = {}
    for place, entry in enumerate(results.entries, start=1):
        for record in entry.records:
            predictions = results.cache.predictions(record.trial_id, split_name)
            sizes[record.config.fold] = len(predictions.texts)
            errors.add(f"#{place} {record.config.titled(results.varied)}", record, split_name, predictions)
    errors.split_size = sum(sizes.values())
    return errors
