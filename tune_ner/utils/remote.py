"""Run folders in an object store, such as `s3://bucket/runs/demo`, and their local copies.

Everything works on the local copy. While a run lasts, a thread uploads each file that has changed, predictions before
the record that needs them. `trials.jsonl` only grows, so the longer one is the later state.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from tune_ner.errors import RunFolderError
from tune_ner.utils.io import atomic_write, read_json
from tune_ner.utils.text import one_line, redact

TRIALS = "trials.jsonl"
_LOCK = "lock.json"
STATE = ".remote.json"
_LEFT_OUT = ("driver.lock", "driver.json", _LOCK, STATE)
_CHECKPOINTS = "checkpoints"
_BEST_SO_FAR = ".best/"
_FOLDER_STORES = {"file", "sftp", "hdfs", "webhdfs", "smb"}
"""Stores in which folders are made; in the others, a folder is a part of a file's name."""
_CHANGE_KEYS = ("ETag", "etag", "md5Hash", "LastModified", "mtime", "created")
"""What the stores call the hash or the time of a file."""
_POLL = 1.0
"""Seconds between two looks at the local files."""
_BEAT = 10.0
"""Seconds between two signs of life in the lock."""
_SILENCE = 3.5 * _BEAT
"""Seconds without a sign of life after which a lock is that of a process that was killed."""
_PATIENCE = 120.0
"""Seconds for which the end of a run waits for a store that cannot be reached."""


def is_url(path: str | Path) -> bool:
    """Return whether a path is a URL of fsspec, such as `s3://bucket/runs`."""
    return isinstance(path, str) and "://" in path


class RemoteRun:
    """A run folder in an object store and its local copy.

    Args:
        url: the run folder, a URL of any file system of fsspec.

    Attributes:
        path: the local copy.

    Raises:
        RunFolderError: the URL has no name of a run.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.shown = redact(self.url)
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder, _, name = self.shown.rpartition("/")
        if name in ("", ".", "..") or "://" not in self.url:
            raise RunFolderError(f"{self.shown}: expected the URL of a run folder, such as s3://bucket/runs/demo")
        self.path = cache / "tune_ner" / "runs" / quote(folder, safe="") / name
        self._known: dict[str, list[Any]] = {}
        self._is_lost = False

    @cached_property
    def _store(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        with self._reporting("cannot be opened"):
            file_system, root = url_to_fs(self.url)
        return file_system, str(root).rstrip("/")

    # ---- from the store

    def fetch(self, only: str = "") -> bool:
        """Make the local copy equal to the store, unless it is later; return whether the store has this run.

        Args:
            only: a folder of the run, such as `best/`; the other files are not changed.

        Raises:
            RunFolderError: the store cannot be read, or both states have records that the other lacks.
        """
        with self._reporting("cannot be read"):
            there = self._listed()
            if TRIALS not in there:
                return False  # nothing of the local copy counts as uploaded
            self._load_state()
            if not only and self._is_later():
                return True
            for name in sorted(there, key=_order):
                known = self._known.get(name, [None])[0]
                if name.startswith(only) and not (known == there[name] and (self.path / name).is_file()):
                    self._get(name, there[name])
            for name in {*self._known} - {*there}:
                del self._known[name]  # so that it is uploaded again
                if name.startswith(_BEST_SO_FAR):
                    (self.path / name).unlink(missing_ok=True)
            self._save_state()
        return True

    def _listed(self) -> dict[str, str]:
        """Return the files of the run in the store, each with a token that changes with its content.

        Raises:
            ValueError: a name leads out of the run folder.
        """
        file_system, root = self._store
        file_system.invalidate_cache()
        found: dict[str, str] = {}
        for full, info in file_system.find(root, detail=True).items():
            name = str(full)[len(root) :].strip("/")
            if ".." in PurePosixPath(name).parts or "\\" in name:
                raise ValueError(f"a file is named {name!r}")
            if name and PurePosixPath(name).name not in _LEFT_OUT:
                found[name] = _token(info)
        return found

    def _is_later(self) -> bool:
        """Return whether the local records continue those of the store, and are more.

        Raises:
            RunFolderError: neither continues the other.
        """
        file_system, root = self._store
        here = (self.path / TRIALS).read_bytes() if (self.path / TRIALS).is_file() else b""
        complete, there = here[: here.rfind(b"\n") + 1], file_system.cat_file(f"{root}/{TRIALS}")
        if there.startswith(complete):
            return False
        if here.startswith(there):
            return True
        raise RunFolderError(
            f"{self.shown}: its records and those of the local copy {self.path} differ; choose another --name, or "
            "remove the local copy to continue from the records in the store"
        )

    def _get(self, name: str, token: str) -> None:
        file_system, root = self._store
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        try:
            file_system.get_file(f"{root}/{name}", str(part))
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        self._known[name] = [token, _stamp(target)]

    # ---- to the store

    def upload(self) -> None:
        """Upload the local files that have changed, and remove former best models from the store.

        Raises:
            RunFolderError: the store cannot be written.
        """
        with self._reporting("cannot be written"):
            self._upload()

    def _upload(self) -> None:
        file_system, root = self._store
        here = {name: stamp for name in self._local() if (stamp := _stamp(self.path / name))}
        changed = [name for name, stamp in here.items() if self._known.get(name, [None, None])[1] != stamp]
        for name in sorted(changed, key=_order):
            if _FOLDER_STORES & {file_system.protocol, *file_system.protocol}:
                file_system.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
            if name == TRIALS:
                # no record that was added since the files were listed: its predictions may not be among them
                content = (self.path / name).read_bytes()[: here[name][0]]
                file_system.pipe_file(f"{root}/{name}", content)
            else:
                file_system.put_file(str(self.path / name), f"{root}/{name}")
            self._known[name] = [_token(file_system.info(f"{root}/{name}")), here[name]]
        # nothing else is ever removed on purpose; a local copy that was deleted must not empty the store
        gone = [name for name in self._known if name.startswith(_BEST_SO_FAR) and name not in here]
        for name in gone:
            with suppress(FileNotFoundError):
                file_system.rm_file(f"{root}/{name}")
            del self._known[name]
        if changed or gone:
            self._save_state()

    def _local(self) -> Iterator[str]:
        for folder, folders, files in os.walk(self.path):
            inside = Path(folder).relative_to(self.path)
            folders[:] = [name for name in folders if name != _CHECKPOINTS and not name.endswith(".part")]
            yield from (
                (inside / name).as_posix() for name in files if name not in _LEFT_OUT and not _is_temporary(name)
            )

    @contextmanager
    def synchronized(self, on_note: Callable[[str], None]) -> Iterator[None]:
        """Lock the run in the store, and upload what changes until the end of the block.

        Without a connection the run continues, and everything is uploaded later.

        Args:
            on_note: called when the connection is lost and when it is back.

        Raises:
            RunFolderError: another process works on the run, or at the end the store cannot be written.
        """
        with self._reporting("cannot be written"):
            lock = _Lock(self._store, self.shown)
        stop = threading.Event()
        uploads = threading.Thread(target=self._keep_uploading, args=(lock, stop, on_note), daemon=True)
        uploads.start()
        try:
            yield
        finally:
            stop.set()
            uploads.join()
            self._finish(lock, on_note)

    def _keep_uploading(self, lock: _Lock, stop: threading.Event, on_note: Callable[[str], None]) -> None:
        while not stop.wait(_POLL):
            try:
                lock.beat()
                self._upload()
            except _TakenOverError as error:
                on_note(str(error))
                return
            except Exception as error:  # noqa: BLE001 - any fault of any store; the next round tries again
                if not self._is_lost:
                    on_note(f"{self.shown}: not reached: {_described(error)}; the run continues in {self.path}")
                self._is_lost = True
            else:
                self._note_if_back(on_note)

    def _note_if_back(self, on_note: Callable[[str], None]) -> None:
        if self._is_lost:
            on_note(f"{self.shown}: reached again; everything is uploaded")
        self._is_lost = False

    def _finish(self, lock: _Lock, on_note: Callable[[str], None]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                lock.beat(now=True)
                self._upload()
                lock.release()
                self._note_if_back(on_note)
                return
            except RunFolderError:
                raise
            except Exception as error:
                if time.monotonic() > deadline:
                    raise RunFolderError(
                        f"{self.shown}: cannot be written: {_described(error)}; the complete run is in {self.path}; "
                        "repeat the command with the same --name to upload it"
                    ) from error
            time.sleep(_POLL)

    # ---- the state of both sides at the last transfer

    def _load_state(self) -> None:
        try:
            known = read_json(self.path / STATE)
        except RunFolderError:
            known = {}
        self._known = known if isinstance(known, dict) else {}

    def _save_state(self) -> None:
        if self.path.is_dir():
            atomic_write(self.path / STATE, json.dumps(self._known))

    @contextmanager
    def _reporting(self, problem: str) -> Iterator[None]:
        try:
            yield
        except RunFolderError:
            raise
        except Exception as error:  # each kind of store has errors of its own
            raise RunFolderError(f"{self.shown}: {problem}: {_described(error)}") from error


class _TakenOverError(RunFolderError):
    """Another process has the lock."""


class _Lock:
    """The lock of a run in a store: a file that its process rewrites every few seconds.

    Raises:
        RunFolderError: another process holds it.
    """

    def __init__(self, store: tuple[Any, str], shown: str) -> None:
        self._file_system, root = store
        self._file, self._shown = f"{root}/{_LOCK}", shown
        self._content: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "beat": 0,
        }
        self._last = time.monotonic()
        found = self._read()
        if found is not None and self._is_alive(found):
            raise self._in_use(found)
        if found is not None:
            self._file_system.rm_file(self._file)
        try:
            self._file_system.pipe_file(self._file, self._bytes, mode="create")
        except FileExistsError:
            raise self._in_use(self._read() or {}) from None
        if (self._read() or {}).get("id") != self._content["id"]:  # a store without exclusive writes
            raise self._in_use(self._read() or {})

    @property
    def _bytes(self) -> bytes:
        return json.dumps(self._content).encode()

    def _read(self) -> dict[str, Any] | None:
        self._file_system.invalidate_cache()
        try:
            found = json.loads(self._file_system.cat_file(self._file))
        except FileNotFoundError:
            return None
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _is_alive(self, found: dict[str, Any]) -> bool:
        """Wait for a sign of life; clocks of other machines are not compared."""
        deadline = time.monotonic() + _SILENCE
        while time.monotonic() < deadline:
            time.sleep(min(1.0, _SILENCE / 4))
            current = self._read()
            if current is None:
                return False
            if current != found:
                return True
        return False

    def _in_use(self, found: dict[str, Any]) -> RunFolderError:
        where = f" (process {found.get('process')} on {str(found.get('host'))[:80]})" if found else ""
        return RunFolderError(
            f"{self._shown}: in use by another process{where}; wait until it ends, or choose another --name"
        )

    def beat(self, now: bool = False) -> None:
        """Give a sign of life, if the last one is some seconds old.

        Raises:
            RunFolderError: another process has taken the run over.
        """
        if not now and time.monotonic() < self._last + _BEAT:
            return
        found = self._read()
        if found is not None and found.get("id") != self._content["id"]:
            raise _TakenOverError(
                f"{self._shown}: another process works on this run since the connection was lost; nothing more is "
                "uploaded"
            )
        self._content["beat"] += 1
        self._file_system.pipe_file(self._file, self._bytes)
        self._last = time.monotonic()

    def release(self) -> None:
        """Remove the lock."""
        with suppress(FileNotFoundError):
            self._file_system.rm_file(self._file)


def _order(name: str) -> tuple[bool, bool, str]:
    """Sort predictions before other files, and the records last."""
    return name == TRIALS, not name.startswith("predictions/"), name


def _stamp(path: Path) -> list[int] | None:
    """Return size and time of a local file; None if it is gone."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _token(info: dict[str, Any]) -> str:
    """Return a text that differs for other content of a file in the store."""
    changed = next((info[key] for key in _CHANGE_KEYS if key in info), "")
    return f"{info.get('size')} {changed}"


def _is_temporary(name: str) -> bool:
    return name.endswith((".part", ".unfinished"))


def _described(error: Exception) -> str:
    return one_line(error)[:200]
