"""The errors of every trial by sentence, as compact data for the error browser of the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tune_ner.data.corpus import Span, SplitName
from tune_ner.evaluation.error_analysis import ERROR_KINDS, SpanError, find_errors
from tune_ner.evaluation.seen_entities import SeenEntities
from tune_ner.results.predictions import Predictions
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results

BUDGET = 3_000_000
"""Approximate bytes for the errors of one split; trials that do not fit are omitted, starting with the worst."""

EXPLORED_SPLITS: tuple[SplitName, ...] = ("validation", "test")


@dataclass
class SplitErrors:
    """The errors of all trials on one split, as `templates/errors.js` reads them.

    Attributes:
        kinds, types: kinds of errors and entity types; elsewhere, both are indices in these lists.
        has_seen: whether it is known, from the audits of all folds, which entities occur in train.
        sentences: each sentence with an error of any trial: fold, index in the corpus, text and sorted gold spans
            (start, end, type, 1 if the entity occurs in train and else 0).
        trials: `title`, `fold`, span F1 (`f1`) and `errors` of each trial, best configurations first. `errors` has
            pairs of a row of `sentences` and its errors; an error is a list of its kind and its gold span (index among
            those of the sentence, -1 for none), followed by start, end and type of the predicted span if there is one.
        split_size: number of sentences of the split, summed over folds.
        omitted_trials: number of trials that did not fit into the budget.
        is_truncated: whether only a part of the first trial's errors fitted; no other trial is included then.
    """

    kinds: list[str] = field(default_factory=lambda: list(ERROR_KINDS))
    types: list[str] = field(default_factory=list)
    has_seen: bool = False
    sentences: list[list[Any]] = field(default_factory=list)
    trials: list[dict[str, Any]] = field(default_factory=list)
    split_size: int = 0
    omitted_trials: int = 0
    is_truncated: bool = False


def errors_of(results: Results, split_name: SplitName, budget: int = BUDGET) -> SplitErrors:
    """Return the errors of the completed trials on a split, best configurations first, until the budget is used."""
    seen = {fold: SeenEntities(audit.seen_entities) for fold, audit in results.audits.items()}
    encoder = _Encoder(budget, seen)
    encoder.errors.has_seen = seen.keys() >= {each.config.fold for entry in results.entries for each in entry.records}
    sizes: dict[int | None, int] = {}
    for place, entry in enumerate(results.entries, start=1):
        for record in entry.records:
            predictions = results.cache.predictions(record.trial_id, split_name)
            sizes[record.config.fold] = len(predictions.texts)
            encoder.add(f"#{place} {record.config.titled(results.varied)}", record, split_name, predictions)
    encoder.errors.split_size = sum(sizes.values())
    return encoder.errors


class _Encoder:
    """Adds trials to the errors of a split until the budget is used."""

    def __init__(self, budget: int, seen: Mapping[int | None, SeenEntities]) -> None:
        self.errors = SplitErrors()
        self._budget = budget
        self._seen = seen
        self._rows: dict[tuple[int | None, int], int] = {}  # by fold and index in the corpus

    def add(self, title: str, record: TrialRecord, split_name: SplitName, predictions: Predictions) -> None:
        """Add the errors of a trial; if they do not fit, it is counted as omitted."""
        assert record.result
        if self._budget <= 0:
            self.errors.omitted_trials += 1
            return
        fold, metrics = record.config.fold, record.result.metrics[split_name].spans
        for name in metrics.per_type:  # sorted, so that a type has the same colour in both splits
            self._type(name)
        encoded: dict[int, list[list[int]]] = {}
        before = len(self.errors.sentences)
        columns = (predictions.indices, predictions.texts, predictions.gold, predictions.predicted)
        for index, text, gold, predicted in zip(*columns, strict=True):
            if not (found := find_errors(gold, predicted)):
                continue
            if self._budget <= 0 and self.errors.trials:
                # next to another trial, a sentence without errors would seem correct
                del self.errors.sentences[before:]
                self.errors.omitted_trials += 1
                return
            if self._budget <= 0:
                self.errors.is_truncated = True
                break
            unique = sorted(set(gold))
            row = self._row((fold, index), text, unique)
            encoded[row] = [self._encode(error, unique) for error in found]
            self._budget -= len(json.dumps(encoded[row])) + 8
        trial = {"title": title, "fold": fold, "f1": round(metrics.f1, 4), "errors": list(encoded.items())}
        self.errors.trials.append(trial)

    def _row(self, key: tuple[int | None, int], text: str, gold: Sequence[Span]) -> int:
        if key not in self._rows:
            self._rows[key] = len(self._rows)
            seen = self._seen.get(key[0], SeenEntities(frozenset()))
            spans = [[span.start, span.end, self._type(span.label), int(seen.is_seen(span, text))] for span in gold]
            sentence = [*key, text, spans]
            self.errors.sentences.append(sentence)
            self._budget -= len(json.dumps(sentence, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        return self._rows[key]

    def _encode(self, error: SpanError, gold: Sequence[Span]) -> list[int]:
        encoded = [ERROR_KINDS.index(error.kind), gold.index(error.gold) if error.gold else -1]
        if error.predicted:
            encoded += [error.predicted.start, error.predicted.end, self._type(error.predicted.label)]
        return encoded

    def _type(self, name: str) -> int:
        if name not in self.errors.types:
            self.errors.types.append(name)
        return self.errors.types.index(name)
