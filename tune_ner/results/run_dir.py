"""The run folder: its files, its creation, and the records of its trials."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tune_ner.data.corpus import Corpus, SplitName
from tune_ner.data.splits import Split
from tune_ner.errors import RunFolderError
from tune_ner.results.audits import Audits, read_audits
from tune_ner.results.best_model import BestModelDir
from tune_ner.results.predictions import Predictions, read_predictions, write_predictions
from tune_ner.results.records import TrialRecord
from tune_ner.results.resume import RunConfig, check_run_config, lock_run
from tune_ner.results.test_set_log import fingerprint_of_split, log_test_use, used_test_splits
from tune_ner.tagging.probabilities import WordProbabilities, unpack
from tune_ner.utils.io import append_line, atomic_write, first_problem
from tune_ner.utils.remote import TRIALS, RemoteRun, is_url

_OLD_RUN_CONFIG = "protocol.json"
_MOST_NAMED = 6
_NAME = re.compile(r"[\w][\w.-]{0,99}", re.ASCII)


class RunDir:
    """The files of a run in a folder such as `results/demo`.

    Args:
        path: the folder.
        remote: the object store that the folder is a copy of, if any.
    """

    def __init__(self, path: str | Path, remote: RemoteRun | None = None) -> None:
        self.path = Path(path)
        self._remote = remote
        self.space_file = self.path / "space.yaml"
        self.trials_file = self.path / TRIALS
        self.predictions = self.path / "predictions"
        self.audit_file = self.path / "audit.json"
        self.run_config_file = self.path / "run_config.json"
        self.checkpoints = self.path / "checkpoints"
        self.log_file = self.path / "run.log"
        self.models = BestModelDir(self.path)
        self._read: tuple[tuple[int, int], list[TrialRecord]] | None = None

    @classmethod
    def new(cls, results_dir: str | Path, name: str, resume: bool = False) -> RunDir:
        """Return the folder of a new run, or with `resume` that of an existing one; nothing is created.

        Args:
            results_dir: folder of the run folders, or the URL of one in an object store.
            name: name of the run.
            resume: whether the run may exist.

        Raises:
            RunFolderError: the name is invalid, the results folder cannot be read or written, the run exists (without
                `resume`) or is in use by another process (with it).
        """
        if not _NAME.fullmatch(name):
            raise RunFolderError(
                f"run name {name!r}: expected letters, digits, '-', '_' and '.', not starting with '.' or '-', "
                "at most 100 of them"
            )
        if is_url(results_dir):
            remote = RemoteRun(f"{str(results_dir).rstrip('/')}/{name}")
            remote.fetch()
            return cls(cls.new(remote.path.parent, name, resume).path, remote)
        with _readable(results_dir):
            results_dir = Path(results_dir).expanduser()
            path = results_dir / name
            exists = path.exists()
            parent = next(folder for folder in (results_dir, *results_dir.absolute().parents) if folder.exists())
        if exists and resume:
            run_dir = cls.open(path)
            with lock_run(path):  # so that a second process fails before it reads the data
                return run_dir
        if exists:
            raise RunFolderError(f"{path}: a run of this name exists; choose another --name or remove the folder")
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            raise RunFolderError(f"{parent}: cannot be written to; choose another --results-dir")
        return cls(path)

    @classmethod
    def open(cls, path: str | Path) -> RunDir:
        """Return the folder of an existing run; its files are not read yet. Those at a URL are fetched.

        Raises:
            RunFolderError: the path is not a run folder, an older version wrote it, or the URL cannot be read.
        """
        if is_url(path):
            remote = RemoteRun(str(path))
            if not remote.fetch():
                raise RunFolderError(f"{remote.shown}: no run there; expected a folder with {TRIALS}")
            return cls(cls.open(remote.path).path, remote)
        with _readable(path):
            run_dir = cls(Path(path).expanduser())
            if not run_dir.trials_file.is_file():
                raise RunFolderError(f"{path}: {_found_instead(run_dir.path)}")
            if (run_dir.path / _OLD_RUN_CONFIG).exists() and not run_dir.run_config_file.exists():
                raise RunFolderError(
                    f"{path}: written by an older version of tune_ner; use that version to read this run"
                )
        return run_dir

    @classmethod
    def all_in(cls, folder: str | Path) -> list[RunDir]:
        """Return the runs in a folder of runs, by name.

        Raises:
            RunFolderError: the folder cannot be read, or one of the runs was written by an older version.
        """
        with _readable(folder):
            paths = sorted(file.parent for file in Path(folder).expanduser().glob(f"*/{TRIALS}"))
        return [cls.open(path) for path in paths]

    @property
    def location(self) -> str:
        """The folder, or its URL in an object store, without a password."""
        return self._remote.shown if self._remote else str(self.path)

    def synchronized(self, on_note: Callable[[str], None]) -> AbstractContextManager[None]:
        """Return a context in which the folder is uploaded to its object store, if it has one, as it changes.

        Args:
            on_note: called when the connection is lost and when it is back.

        Raises:
            RunFolderError: another process works on the run, or the store cannot be written.
        """
        return self._remote.synchronized(on_note) if self._remote else nullcontext()

    def upload(self) -> None:
        """Upload changed files to the object store, if the folder has one.

        Raises:
            RunFolderError: the store cannot be written.
        """
        if self._remote:
            self._remote.upload()

    @property
    def name(self) -> str:
        """Name of the run: the last part of its path."""
        return self.path.resolve().name

    def create(self, space_yaml: str, run_config: RunConfig | None = None, audits: Audits | None = None) -> None:
        """Create the folder with its first files, completely or not at all.

        Args:
            space_yaml: the resolved search space.
            run_config: the configuration that must be the same when the run is resumed.
            audits: the audit of each fold (or None).

        Raises:
            RunFolderError: the folder exists or cannot be written.
        """
        made: Path | None = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=".", dir=self.path.parent))
            made.chmod(0o755)
            new = RunDir(made)
            atomic_write(new.space_file, space_yaml)
            if run_config is not None:
                atomic_write(new.run_config_file, _json(run_config))
            if audits:
                content = [{"fold": fold, **audit.as_dict()} for fold, audit in audits.items()]
                atomic_write(new.audit_file, _json(content))
            new.predictions.mkdir()
            atomic_write(new.trials_file, "")
            made.rename(self.path)
        except (OSError, RunFolderError) as error:
            if made:
                shutil.rmtree(made, ignore_errors=True)
            raise RunFolderError(f"{self.path}: cannot be created: {error}") from error

    @contextmanager
    def lock(self, run_config: RunConfig) -> Iterator[None]:
        """Lock the folder for this process, to resume the run.

        Raises:
            RunFolderError: another process holds the lock, or the run was started with another configuration.
        """
        with lock_run(self.path):
            check_run_config(self.run_config_file, run_config)
            yield

    def repair_last_line(self) -> bool:
        """Remove a truncated last record, so that others can follow.

        Returns:
            Whether the last record was truncated.

        Raises:
            RunFolderError: the file cannot be read or written.
        """
        with self._accessing("cannot be written"), self.trials_file.open("r+b") as file:
            content = file.read()
            truncated = _is_truncated(content)
            if truncated:
                file.truncate(content.rfind(b"\n") + 1)
            elif content and not content.endswith(b"\n"):
                file.write(b"\n")
            os.fsync(file.fileno())
        return truncated

    @property
    def is_truncated(self) -> bool:
        """Whether the last record is truncated: it is being written, or the run was killed while writing it."""
        with self._accessing("not a run folder"):
            return _is_truncated(self.trials_file.read_bytes())

    def remove_checkpoints(self) -> None:
        """Remove the checkpoints of all trials; a completed run does not need them."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def append(self, record: TrialRecord, corpus: Corpus, split: Split) -> None:
        """Write the predicted spans of a trial, then its record as one line; both are on the disk on return.

        Raises:
            RunFolderError: the disk is full, or the folder is missing or read-only.
        """
        with self._accessing("cannot be written"):
            if record.result:
                write_predictions(self._predictions_file(record.trial_id), record.result, corpus, split)
                if record.result.probabilities:
                    atomic_write(self._probabilities_file(record.trial_id), record.result.probabilities)
                log_test_use(self.path, fingerprint_of_split(corpus, split.test), record.trial_id)
            in_files = {"predicted_spans", "epoch_counts", "probabilities"}
            append_line(self.trials_file, record.model_dump_json(exclude={"result": in_files}))
            for checkpoint in self.checkpoints.glob(f"{record.trial_id}.*"):
                checkpoint.unlink(missing_ok=True)

    def log_ensemble(self, configurations: int) -> None:
        """Note in the test-set log that an ensemble of this many configurations was evaluated on test.

        Raises:
            RunFolderError: the log cannot be written.
        """
        with self._accessing("cannot be written"):
            for fingerprint in used_test_splits(self.path):
                log_test_use(self.path, fingerprint, f"ensemble-{configurations}")

    @contextmanager
    def _accessing(self, problem: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunFolderError(f"{self.path}: {problem}: {error.strerror or error}") from error

    def records(self) -> list[TrialRecord]:
        """Return the last record of every trial, in the order in which the trials ended.

        A trial that was retried has several records. A truncated last record is ignored. The file is read again only
        after it has changed.

        Raises:
            RunFolderError: the file is missing or has an invalid record.
        """
        with self._accessing("not a run folder"):
            stat = self.trials_file.stat()
            state = stat.st_size, stat.st_mtime_ns
            if self._read is None or self._read[0] != state:
                self._read = state, self._read_records(self.trials_file.read_bytes())
        return list(self._read[1])

    def _read_records(self, content: bytes) -> list[TrialRecord]:
        # records end with a line feed; other line separators may occur in their strings
        lines = content[: content.rfind(b"\n") + 1 if _is_truncated(content) else None].split(b"\n")
        found: dict[str, TrialRecord] = {}
        for number, line in enumerate(lines, start=1):
            if line:
                record = self._parse(number, line)
                found.pop(record.trial_id, None)
                found[record.trial_id] = record
        return list(found.values())

    def _parse(self, number: int, line: bytes) -> TrialRecord:
        try:
            return TrialRecord.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            problem = first["msg"] if first["type"] == "other_format" else f"invalid record: {first_problem(error)}"
            raise RunFolderError(f"{self.trials_file}:{number}: {problem}") from error

    def audits(self) -> Audits:
        """Return the stored audit of each fold; empty if the run was not audited.

        Raises:
            RunFolderError: the file is corrupt.
        """
        return read_audits(self.audit_file)

    def predictions_of(self, trial_id: str, split_name: SplitName) -> Predictions:
        """Return the predictions of a trial on a split.

        Raises:
            RunFolderError: the file is missing or corrupt.
        """
        return read_predictions(self._predictions_file(trial_id), split_name)

    def probabilities_of(self, record: TrialRecord, split_name: SplitName) -> WordProbabilities:
        """Return the label probabilities of the words of a split, as a completed trial predicted them.

        Raises:
            RunFolderError: the file is missing or corrupt.
        """
        assert record.result
        file = self._probabilities_file(record.trial_id)
        try:
            return unpack(file.read_bytes(), split_name, record.config.tagging_scheme, record.result.labels)
        except FileNotFoundError as error:
            raise RunFolderError(
                f"{file}: missing; expected the label probabilities of the trial, which runs of older versions and "
                "runs with very large test sets lack. Run the trial again in a new run."
            ) from error
        except OSError as error:
            raise RunFolderError(f"{file}: cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise RunFolderError(f"{file}: not the label probabilities of a trial: {error}") from error

    def _predictions_file(self, trial_id: str) -> Path:
        return self.predictions / f"{trial_id}.jsonl"

    def _probabilities_file(self, trial_id: str) -> Path:
        return self.predictions / f"{trial_id}.npz"

    def replace_with(self, later: RunDir) -> None:
        """Move a later state of the same run, such as one fetched from a cluster, into the place of this one.

        The folder is replaced completely or not at all. A model in `best/` is kept if the later state has none.

        Args:
            later: a folder on the same disk, which the caller removes; this state is moved next to it.

        Raises:
            RunFolderError: this is not an earlier state of that run, or another process uses it.
            OSError: the folder cannot be written.
        """
        if not self.path.exists():
            later.path.rename(self.path)
            return
        RunDir.open(self.path)
        with lock_run(self.path):
            self._check_earlier(later)
            if self.models.best.exists() and not later.models.best.exists():
                shutil.copytree(self.models.best, later.models.best)
            self._swap(later.path)

    def _check_earlier(self, later: RunDir) -> None:
        """Check that no record is lost: records are only appended, so the later file starts with this one."""
        records = self.trials_file.read_bytes()
        complete = records[: records.rfind(b"\n") + 1]
        same_run = _bytes(self.run_config_file) == _bytes(later.run_config_file)
        if not same_run or not _bytes(later.trials_file).startswith(complete):
            raise RunFolderError(
                f"{self.path}: a different run, or one with trials that the other has not; they would be lost. Choose "
                "another --results-dir or move the folder"
            )

    def _swap(self, later: Path) -> None:
        earlier = later.with_name(f"{later.name}.earlier")
        try:
            self.path.rename(earlier)
            later.rename(self.path)
        except BaseException:  # including SIGTERM between the two
            if not self.path.exists():
                earlier.rename(self.path)
            raise


@contextmanager
def _readable(path: Path | str) -> Iterator[None]:
    """Report paths that the system rejects: too long, no permission, the home folder of an unknown user."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise RunFolderError(f"{str(path)[:200]}: cannot be read: {error}"[:500]) from error


def _is_truncated(content: bytes) -> bool:
    """Return whether the text after the last line feed is not a complete record (an editor may drop the line feed)."""
    last = content[content.rfind(b"\n") + 1 :]
    if not last:
        return False
    try:
        json.loads(last)
    except (ValueError, RecursionError):
        return True
    return False


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _bytes(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _found_instead(path: Path) -> str:
    """Return why a path is not a run folder."""
    expected = "expected a run folder, such as results/NAME, with a trials.jsonl"
    if not path.exists():
        return f"no such folder; {expected}"
    if not path.is_dir():
        return f"a file; {expected}"
    runs = sorted(file.parent.name for file in path.glob(f"*/{TRIALS}"))
    if runs:
        more = ", …" if len(runs) > _MOST_NAMED else ""
        return f"a folder of runs: {', '.join(runs[:_MOST_NAMED])}{more}; expected one of them"
    return f"{'no trials.jsonl in this folder' if any(path.iterdir()) else 'this folder is empty'}; {expected}"
