"""Predicted spans of a trial: one file per trial, one line per sentence of validation and test."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from tune_ner.data.corpus import Corpus, Span, SplitName
from tune_ner.data.splits import Split
from tune_ner.errors import RunFolderError
from tune_ner.training.result import TrialResult
from tune_ner.utils.io import atomic_write, first_problem


@dataclass(frozen=True)
class Predictions:
    """A split as a trial predicted it; all lists have one item per sentence.

    Attributes:
        indices: position of the sentence in the corpus.
        texts: the sentence.
        groups: its document or other group, empty if unknown.
        gold, predicted: its spans.
        epochs: on validation, true positives, false positives and false negatives after each epoch; empty in runs
            that did not record them.
    """

    indices: list[int]
    texts: list[str]
    groups: list[str]
    gold: list[list[Span]]
    predicted: list[list[Span]]
    epochs: list[list[tuple[int, int, int]]]


class _Row(BaseModel):
    """A line of the file; spans are triples of start, end and label."""

    model_config = ConfigDict(strict=True)

    split: SplitName
    index: int
    text: str
    group: str = ""
    gold: list[tuple[int, int, str]]
    predicted: list[tuple[int, int, str]]
    epochs: list[tuple[int, int, int]] = []

    @model_validator(mode="after")
    def _check_spans(self) -> Self:
        for start, end, _ in (*self.gold, *self.predicted):
            if not 0 <= start < end <= len(self.text):
                raise ValueError(f"a span from {start} to {end} in a text of {len(self.text)} characters")
        return self


def read_predictions(file: Path, split_name: SplitName) -> Predictions:
    """Return the predictions of a trial on a split.

    Raises:
        RunFolderError: the file is missing or corrupt.
    """
    try:
        rows = [_Row.model_validate_json(line) for line in file.read_bytes().split(b"\n") if line]
    except OSError as error:
        raise RunFolderError(
            f"{file}: cannot be read: {error.strerror}; all metrics are computed from the predicted spans in this "
            "file. Copy the complete run folder, or repeat the run."
        ) from error
    except ValidationError as error:
        raise RunFolderError(f"{file}: not the predicted spans of a trial: {first_problem(error)}") from error
    rows = [row for row in rows if row.split == split_name]
    return Predictions(
        indices=[row.index for row in rows],
        texts=[row.text for row in rows],
        groups=[row.group for row in rows],
        gold=[[Span(*span) for span in row.gold] for row in rows],
        predicted=[[Span(*span) for span in row.predicted] for row in rows],
        epochs=[row.epochs for row in rows],
    )


def write_predictions(file: Path, result: TrialResult, corpus: Corpus, split: Split) -> None:
    """Write the predicted spans of a trial.

    Raises:
        RunFolderError: the file cannot be written.
    """
    lines = []
    for split_name, predicted in result.predicted_spans.items():
        of_epochs = list(zip(*result.epoch_counts, strict=True)) if split_name == "validation" else []
        for number, (index, spans) in enumerate(zip(split[split_name], predicted, strict=True)):
            sentence = corpus.sentences[index]
            row = {
                "split": split_name,
                "index": index,
                "id": sentence.id,
                "text": sentence.text,
                **({"group": sentence.group} if sentence.group else {}),
                "gold": _triples(sentence.spans),
                "predicted": _triples(spans),
                **({"epochs": of_epochs[number]} if of_epochs else {}),
            }
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    atomic_write(file, "".join(lines))


def _triples(spans: tuple[Span, ...]) -> list[tuple[int, int, str]]:
    return [(span.start, span.end, span.label) for span in spans]
