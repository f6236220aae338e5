"""The run folder: `space.yaml`, `trials.jsonl` and `predictions/`, the truth that all else is derived from."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from tune_ner.data.corpus import Corpus, Span, SplitName
from tune_ner.data.splits import Split
from tune_ner.errors import RunFolderError
from tune_ner.results.audit_file import parse_audits
from tune_ner.results.best_model import BestModelDir
from tune_ner.results.records import TrialRecord
from tune_ner.results.resume import Protocol, check_same, locked
from tune_ner.results.test_set_log import fingerprint_of_split, record_use

_MOST_NAMED = 6
_NAME = re.compile(r"[\w][\w.-]{0,99}", re.ASCII)


@dataclass(frozen=True)
class Predictions:
    """A part as a trial saw it; lists over its sentences, `indices` being their places in the corpus."""

    indices: list[int]
    texts: list[str]
    gold: list[list[Span]]
    predicted: list[list[Span]]


class _Row(BaseModel):
    """A line of a file of predictions; spans as start, end and label."""

    model_config = ConfigDict(strict=True)

    split: SplitName
    index: int
    text: str
    gold: list[tuple[int, int, str]]
    predicted: list[tuple[int, int, str]]

    @model_validator(mode="after")
    def _within_the_text(self) -> Self:
        for start, end, _ in (*self.gold, *self.predicted):
            if not 0 <= start < end <= len(self.text):
                raise ValueError(f"a span from {start} to {end} in a text of {len(self.text)} characters")
        return self


class RunDir:
    """A run's files under `results/<run>/`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.space_file = path / "space.yaml"
        self.trials_file = path / "trials.jsonl"
        self.predictions = path / "predictions"
        self.audit_file = path / "audit.json"
        self.run_config_file = path / "run_config.json"
        self.checkpoints = path / "checkpoints"
        self.log_file = path / "run.log"
        self.models = BestModelDir(path)

    @classmethod
    def available(cls, results_dir: Path | str, name: str, may_go_on: bool = False) -> RunDir:
        """The folder of a run that is yet to be, or with `may_go_on` that of one that is there; nothing is created.

        Raises:
            RunFolderError: the name could leave the results folder, which cannot be read or written, a run of this name
                is there, or another process works on it.
        """
        if not _NAME.fullmatch(name):
            raise RunFolderError(
                f"run name {name!r}: expected letters, digits, '-', '_' and '.', not starting with '.' or '-', "
                "at most 100 of them"
            )
        with _readable(results_dir):
            results_dir = Path(results_dir).expanduser()
            path = results_dir / name
            there = path.exists()
            parent = next(folder for folder in (results_dir, *results_dir.absolute().parents) if folder.exists())
        if there and may_go_on:
            folder = cls.existing(path)
            with locked(path):  # told before the data is read
                return folder
        if there:
            raise RunFolderError(f"{path}: a run of this name exists; choose another --name or remove the folder")
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise RunFolderError(f"{parent}: cannot be written to; choose another --results-dir")
        return cls(path)

    @classmethod
    def existing(cls, path: Path | str) -> RunDir:
        """The folder of a run that was made before; its files are not read yet.

        Raises:
            RunFolderError: nothing is there, or nothing that a run left.
        """
        with _readable(path):
            folder = cls(Path(path).expanduser())
            if not folder.trials_file.is_file():
                raise RunFolderError(f"{path}: {_found_instead(folder.path)}")
        return folder

    @property
    def name(self) -> str:
        """What the run is called: the last part of its path."""
        return self.path.resolve().name

    def create(
        self, space_yaml: str, run_config: Protocol | None = None, audits: Mapping[int | None, Mapping[str, Any]] = {}
    ) -> None:
        """Make the folder, whole or not at all.

        Args:
            space_yaml: the resolved search space.
            protocol: what a later start must have in common with this one.
            audits: for each fold (or None) what the audit found, as plain data.

        Raises:
            RunFolderError: it is there already, or cannot be written.
        """
        content = [{"fold": fold, **audit} for fold, audit in audits.items()]
        made: Path | None = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=".", dir=self.path.parent))
            made.chmod(0o755)
            new = RunDir(made)
            _write(new.space_file, space_yaml)
            if run_config is not None:
                _write(new.run_config_file, json.dumps(run_config, ensure_ascii=False, indent=1) + "\n")
            if content:
                _write(new.audit_file, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
            new.predictions.mkdir()
            _write(new.trials_file, "")
            made.rename(self.path)
        except OSError as error:
            if made:
                shutil.rmtree(made, ignore_errors=True)
            raise RunFolderError(f"{self.path}: cannot be created: {error.strerror}") from error

    @contextmanager
    def driven(self, run_config: Protocol) -> Iterator[None]:
        """The folder for this process alone, which goes on with the run.

        Raises:
            RunFolderError: another process has it, or the run began with something else than `protocol`.
        """
        with locked(self.path):
            check_same(self.run_config_file, run_config)
            yield

    def mend_last_line(self) -> bool:
        """Cut off a last line that a process did not finish when it died, so that others can follow.

        Returns:
            Whether a record was torn.

        Raises:
            RunFolderError: the file cannot be read or written.
        """
        with self._writing(), self.trials_file.open("r+b") as file:
            content = file.read()
            torn = _torn(content)
            if torn:
                file.truncate(content.rfind(b"\n") + 1)
            elif content and not content.endswith(b"\n"):
                file.write(b"\n")
            os.fsync(file.fileno())
        return torn

    @property
    def torn(self) -> bool:
        """Whether the last line is torn: a run is writing it, or was cut off while it did."""
        return _torn(self._content())

    def remove_checkpoints(self) -> None:
        """Remove what trials were saved in: a whole run has no use for it."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def append(self, record: TrialRecord, corpus: Corpus, split: Split) -> None:
        """Write a trial's predicted spans, then its record as one line that is on the disk on return.

        Raises:
            RunFolderError: the disk is full, or the folder is gone or read-only.
        """
        with self._writing():
            self._append(record, corpus, split)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunFolderError(f"{self.path}: cannot be written: {error.strerror or error}") from error

    def _append(self, record: TrialRecord, corpus: Corpus, split: Split) -> None:
        if record.result:
            self._write_predictions(record, corpus, split)
            record_use(self.path, fingerprint_of_split(corpus, split.test), record.trial_id)
        line = (record.model_dump_json(exclude={"result": {"predicted_spans"}}) + "\n").encode()
        with self.trials_file.open("ab", buffering=0) as file:
            before = file.seek(0, os.SEEK_END)
            try:
                if file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                # half a line must not become the beginning of the next
                file.truncate(before)
                raise
        for saved in self.checkpoints.glob(f"{record.trial_id}.*"):
            saved.unlink(missing_ok=True)

    def _write_predictions(self, record: TrialRecord, corpus: Corpus, split: Split) -> None:
        assert record.result
        rows = (
            {
                "split": split_name,
                "index": index,
                "id": corpus.sentences[index].id,
                "text": corpus.sentences[index].text,
                "gold": _triples(corpus.sentences[index].spans),
                "predicted": _triples(spans),
            }
            for split_name, predicted in record.result.predicted_spans.items()
            for index, spans in zip(split[split_name], predicted, strict=True)
        )
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        # surrogates, which JSON can smuggle in, have no UTF-8 form
        _write(self.predictions / f"{record.trial_id}.jsonl", text, errors="backslashreplace")

    def records(self) -> list[TrialRecord]:
        """The last record of every trial, in the order in which the trials ended.

        A trial that failed and was tried again has several. A torn last line (`torn`) is no record.

        Raises:
            RunFolderError: the folder is no run, or another line is no record.
        """
        content = self._content()
        # Only line feeds end a record: other line ends may stand in its strings.
        lines = content[: content.rfind(b"\n") + 1 if _torn(content) else None].split(b"\n")
        found: dict[str, TrialRecord] = {}
        for number, line in enumerate(lines, start=1):
            if line:
                record = self._record(number, line)
                found.pop(record.trial_id, None)
                found[record.trial_id] = record
        return list(found.values())

    def _content(self) -> bytes:
        try:
            return self.trials_file.read_bytes()
        except OSError as error:
            raise RunFolderError(f"{self.path}: no run: {self.trials_file.name}: {error.strerror}") from error

    def audits(self) -> dict[int | None, dict[str, Any]]:
        """What the audit found, by fold; empty for a run that was not audited.

        Raises:
            RunFolderError: the file is faulty.
        """
        if not self.audit_file.exists():
            return {}
        try:
            return parse_audits(self.audit_file.read_bytes())
        except ValidationError as error:
            raise RunFolderError(
                f"{self.audit_file}: no audit: {_first_problem(error)}; expected this version's format"
            ) from error
        except (OSError, ValueError) as error:
            raise RunFolderError(f"{self.audit_file}: no audit: {error}; expected this version's format") from error

    def predictions_of(self, trial_id: str, split_name: SplitName) -> Predictions:
        """Texts, gold spans and predicted spans of a finished trial's part, sentence by sentence.

        Raises:
            RunFolderError: the file is missing or faulty.
        """
        path = self.predictions / f"{trial_id}.jsonl"
        try:
            rows = [_Row.model_validate_json(line) for line in path.read_bytes().split(b"\n") if line]
            chosen = [row for row in rows if row.split == split_name]
            return Predictions(
                indices=[row.index for row in chosen],
                texts=[row.text for row in chosen],
                gold=[[Span(*span) for span in row.gold] for row in chosen],
                predicted=[[Span(*span) for span in row.predicted] for row in chosen],
            )
        except OSError as error:
            raise RunFolderError(
                f"{path}: cannot be read: {error.strerror}; expected the trial's predicted spans, from which all "
                "figures are made. Copy the run folder whole, or run its space again."
            ) from error
        except ValidationError as error:
            raise RunFolderError(
                f"{path}: no predicted spans: {_first_problem(error)}; expected this version's format"
            ) from error

    def _record(self, number: int, line: bytes) -> TrialRecord:
        where = f"{self.trials_file}:{number}"
        try:
            record = TrialRecord.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] == "other_format":
                raise RunFolderError(f"{where}: {first['msg']}") from error
            raise RunFolderError(
                f"{where}: no trial record: {_first_problem(error)}; expected the records of this version of tune_ner"
            ) from error
        return record


@contextmanager
def _readable(path: Path | str) -> Iterator[None]:
    """What the system does not take as a path is a mistake: a name too long, a closed folder, the home of nobody."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise RunFolderError(f"{str(path)[:200]}: cannot be read: {error}"[:500]) from error


def _first_problem(error: ValidationError) -> str:
    """The key of the first thing that is wrong, and what is."""
    first = error.errors(include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'line'}: {first['msg']}"


def _torn(content: bytes) -> bool:
    """Whether what follows the last line end is no whole record; of a whole one, an editor may have taken the end."""
    last = content[content.rfind(b"\n") + 1 :]
    if not last:
        return False
    try:
        json.loads(last)
    except (ValueError, RecursionError):
        return True
    return False


def _write(file: Path, text: str, errors: str = "strict") -> None:
    """Write a file that is on the disk on return."""
    with file.open("w", encoding="utf-8", errors=errors) as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _found_instead(path: Path) -> str:
    """Why a path is no run folder, and what to name instead."""
    expected = "expected a run folder, such as results/NAME, with its trials.jsonl"
    if not path.exists():
        return f"no such folder; {expected}"
    if not path.is_dir():
        return f"no run folder but a file; {expected}"
    runs = sorted(file.parent.name for file in path.glob("*/trials.jsonl"))
    if runs:
        more = ", …" if len(runs) > _MOST_NAMED else ""
        return f"no run folder, but it holds runs: {', '.join(runs[:_MOST_NAMED])}{more}; name one of them"
    return f"no run folder: {'no trials.jsonl in it' if any(path.iterdir()) else 'it is empty'}; {expected}"


def _triples(spans: Sequence[object]) -> list[list[object]]:
    return [[getattr(span, name) for name in ("start", "end", "label")] for span in spans]
