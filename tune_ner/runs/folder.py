"""The run folder: `space.yaml`, `trials.jsonl` and `predictions/`, the truth that all else is derived from."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from tune_ner.data import Corpus, Split
from tune_ner.errors import RunFolderError
from tune_ner.runs.record import TrialRecord

_NAME = re.compile(r"[\w][\w.-]{0,99}", re.ASCII)


class RunFolder:
    """A run's files under `results/<run>/`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.space_file = path / "space.yaml"
        self.trials_file = path / "trials.jsonl"
        self.predictions = path / "predictions"

    @classmethod
    def available(cls, results_dir: Path | str, name: str) -> RunFolder:
        """The folder of a run that is yet to be; nothing is created.

        Raises:
            RunFolderError: the name could leave the results folder, or a run of this name is there.
        """
        if not _NAME.fullmatch(name):
            raise RunFolderError(
                f"run name {name!r}: expected letters, digits, '-', '_' and '.', not starting with '.' or '-', "
                "at most 100 of them"
            )
        results_dir = Path(results_dir).expanduser()
        path = results_dir / name
        if path.exists():
            raise RunFolderError(f"{path}: a run of this name exists; choose another --name or remove the folder")
        parent = next(folder for folder in (results_dir, *results_dir.absolute().parents) if folder.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise RunFolderError(f"{parent}: cannot be written to; choose another --results-dir")
        return cls(path)

    def create(self, space_yaml: str) -> None:
        """Make the folder and write the resolved search space into it."""
        try:
            self.path.mkdir(parents=True)
            self.space_file.write_text(space_yaml, encoding="utf-8")
            self.trials_file.touch()
            self.predictions.mkdir()
        except OSError as error:
            raise RunFolderError(f"{self.path}: cannot be created: {error.strerror}") from error

    def append(self, record: TrialRecord, corpus: Corpus, split: Split) -> None:
        """Write a trial's predicted spans, then its record as one line that is on the disk on return."""
        if record.result:
            self._write_predictions(record, corpus, split)
        line = record.model_dump_json(exclude={"result": {"spans"}}) + "\n"
        with self.trials_file.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def _write_predictions(self, record: TrialRecord, corpus: Corpus, split: Split) -> None:
        assert record.result
        rows = (
            {
                "part": part,
                "id": corpus.sentences[index].id,
                "text": corpus.sentences[index].text,
                "gold": _triples(corpus.sentences[index].spans),
                "predicted": _triples(spans),
            }
            for part, predicted in record.result.spans.items()
            for index, spans in zip(split[part], predicted, strict=True)
        )
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        # surrogates, which JSON can smuggle in, have no UTF-8 form
        target = self.predictions / f"{record.trial_id}.jsonl"
        target.write_text(text, encoding="utf-8", errors="backslashreplace")

    def records(self) -> list[TrialRecord]:
        """Every record, in the order in which the trials ended.

        Raises:
            RunFolderError: the folder is no run, or a line is no record.
        """
        try:
            lines = self.trials_file.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise RunFolderError(f"{self.path}: no run: {self.trials_file.name}: {error.strerror}") from error
        return [self._record(number, line) for number, line in enumerate(lines, start=1)]

    def _record(self, number: int, line: str) -> TrialRecord:
        try:
            return TrialRecord.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "line"
            raise RunFolderError(
                f"{self.trials_file}:{number}: no trial record: {where}: {first['msg']}; expected the records of "
                "this version of tune_ner"
            ) from error


def _triples(spans: Sequence[object]) -> list[list[object]]:
    return [[getattr(span, name) for name in ("start", "end", "label")] for span in spans]
