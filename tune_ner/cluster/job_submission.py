"""Runs as jobs of a Ray cluster: the project is uploaded, the job's log followed, and the run folder fetched."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shlex
import shutil
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar
from zipfile import BadZipFile, ZipFile

import requests
from ray.job_submission import JobDetails, JobErrorType, JobStatus, JobSubmissionClient

import tune_ner
from tune_ner.cluster import packing
from tune_ner.config.loading import bundled_spaces
from tune_ner.config.search_space import SearchSpace
from tune_ner.errors import ResourceError, RunFolderError
from tune_ner.results.run_dir import RunDir
from tune_ner.utils.remote import STATE, RemoteRun, is_url
from tune_ner.utils.text import one_line

REMOTE_RESULTS = "~/tune_ner_results"

_RUN = "tune_ner_run"
_ENDED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED)
_POLL_SECONDS = 0.5
_AGENT_SECONDS = 180.0
# useful only where the run is resumed
_NOT_FETCHED = ("checkpoints", ".best", "driver.lock", "driver.json")
_WEIGHTS = "best"
_ATTEMPTS = 6
_FIRST_WAIT_SECONDS = 2.0
_PART_SECONDS = 600

_T = TypeVar("_T")


@dataclass(frozen=True)
class Job:
    """A grid or search to run on a cluster.

    Attributes:
        command: the command of the driver.
        space: its search space.
        name: name of the run.
        arguments: further arguments of the command.
        results: folder for run folders: on the head node, or a URL of an object store that both sides reach.
    """

    command: Literal["grid", "search"]
    space: SearchSpace
    name: str
    arguments: Sequence[str] = ()
    results: str = REMOTE_RESULTS

    @property
    def entrypoint(self) -> str:
        """Command line of the driver, run in the folder that `prepare` fills."""
        options = ["--name", self.name, "--results-dir", self.results, "--address", "auto"]
        return shlex.join(["python", "-m", f"tune_ner.{self.command}", "space.yaml", *options, *self.arguments])

    def prepare(self, folder: Path) -> None:
        """Copy everything that the job needs: this package, and the search space with its local data and models.

        Raises:
            ResourceError: a file cannot be copied, or two have the same name.
        """
        package = Path(tune_ner.__file__).parent
        shutil.copytree(package, folder / "tune_ner", ignore=shutil.ignore_patterns("__pycache__", "search_spaces"))
        (folder / "tune_ner" / "search_spaces").mkdir()
        for file in bundled_spaces().values():
            shutil.copy(file, folder / "tune_ner" / "search_spaces")
        data = self.space.data
        data = data and data.model_copy(update={"path": _copy_input(data.path, folder)})
        models = [_copy_input(name, folder) for name in self.space.model]
        space = self.space.model_copy(update={"data": data, "model": models})
        (folder / "space.yaml").write_text(space.to_yaml(), encoding="utf-8")


def _copy_input(name: str, folder: Path) -> str:
    """Copy data or a model that is a local path; return its path in the folder, or the name of anything else."""
    try:
        path = Path(name).expanduser()
        if not path.exists():
            return name
        target = folder / "inputs" / path.resolve().name
        if target.exists():
            raise ResourceError(f"{name}: another input is also called {target.name}; rename one of them")
        if path.is_dir():
            shutil.copytree(path, target)
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(path, target)
    except OSError as error:
        raise ResourceError(f"{name}: cannot be copied: {error.strerror or error}") from error
    return target.relative_to(folder).as_posix()


def _copy_from_store(url: str, target: Path, excluded: Sequence[str]) -> bool:
    """Fetch a run from an object store and copy it to a folder; return whether the store has it."""
    run = RemoteRun(url)
    if not run.fetch():
        return False
    shutil.copytree(run.path, target, ignore=shutil.ignore_patterns(*excluded, STATE))
    return True


class JobServer:
    """Job server of a cluster, which is part of its dashboard.

    Args:
        address: `http://HEAD:8265`.

    Raises:
        ResourceError: the server cannot be reached, or refuses access.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        if not address.startswith(("http://", "https://")):
            raise ResourceError(f"--address {address}: expected the dashboard's, for instance http://head:8265")
        try:
            self._client = JobSubmissionClient(address)
        except Exception as error:  # the HTTP client, and Ray's checks of token and version, raise errors of their own
            raise self._unusable(error) from error
        # each of these modules sets its own level, and logs what it uploads
        for name in [name for name in logging.root.manager.loggerDict if name.startswith("ray.")]:
            logging.getLogger(name).setLevel(logging.ERROR)

    def submit(self, job: Job) -> str:
        """Start the job, or find a running one with this run; return the job's id."""
        running = [
            found.submission_id
            for found in self._call(self._client.list_jobs)
            if (found.metadata or {}).get(_RUN) == job.name and found.status not in _ENDED
        ]
        if running:
            return str(running[0])
        with tempfile.TemporaryDirectory(prefix="tune-ner-job-") as folder:
            job.prepare(Path(folder))
            name = f"{job.name}-{secrets.token_hex(4)}"
            return self._start(job.entrypoint, {_RUN: job.name}, {"working_dir": folder}, name)

    def follow(self, job_id: str, on_text: Callable[[str], None]) -> None:
        """Pass on the job's output until it ends, each character once, even if the connection breaks.

        Raises:
            ResourceError: the server did not answer several times in a row; the job itself continues.
        """
        passed_on = 0
        while True:
            # requested before the log is read, so that the log of a job that has ended is complete
            has_ended = self._has_ended(job_id)
            with suppress(ResourceError):
                log = self._call(self._client.get_job_logs, job_id)
                if log[passed_on:]:
                    on_text(log[passed_on:])
                    passed_on = len(log)
            if has_ended:
                return
            time.sleep(_POLL_SECONDS)

    def exit_code(self, job_id: str) -> int:
        """Return the exit code of a job that has ended.

        Raises:
            ResourceError: it has none, because it was stopped, died, or did not start.
        """
        info = self._details(job_id)
        if info.driver_exit_code is not None:
            return int(info.driver_exit_code)
        if info.status == JobStatus.SUCCEEDED:
            return 0
        raise ResourceError(
            f"job {job_id} at {self._address} {_reason(info)}; to resume the run, repeat the command with its --name"
        )

    def fetch(self, job: Job, target: Path, weights: bool = True) -> bool:
        """Fetch the run folder from the head node; it replaces an earlier state of the run at `target`.

        Every part is verified, and repeated if the connection breaks off.

        Args:
            job: the job of the run.
            target: path of the run folder on this machine.
            weights: fetch the weights of the best model.

        Returns:
            Whether there is a run folder: a command that refused its arguments creates none.

        Raises:
            RunFolderError: the data is corrupt or cannot be written, or `target` is another run or in use; `target` is
                unchanged.
            ResourceError: the connection broke several times in a row.
        """
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as work:
                fetched = Path(work) / "fetched"
                excluded = _NOT_FETCHED if weights else (*_NOT_FETCHED, _WEIGHTS)
                if is_url(job.results):
                    is_found = _copy_from_store(f"{job.results}/{job.name}", fetched, excluded)
                else:
                    is_found = self._download(f"{job.results}/{job.name}", fetched, excluded)
                if is_found:
                    RunDir(target).replace_with(RunDir(fetched))
                return is_found
        except OSError as error:
            raise RunFolderError(f"{target}: cannot be fetched: {error.strerror or error}") from error
        except RunFolderError as error:
            raise RunFolderError(f"{target}: cannot be fetched: {error}") from error

    def _download(self, folder: str, target: Path, excluded: Sequence[str]) -> bool:
        """Start a job that packs the folder, and download and unpack it; return whether there is a folder."""
        program = Path(packing.__file__).read_text(encoding="utf-8")
        job_id = self._start(shlex.join(["python", "-c", program, folder, *excluded]), {}, {})
        try:
            parts = self._packed(job_id, folder)
            node = self._details(job_id).driver_node_id
            archive = target.with_suffix(".zip")
            for name, digest in parts or ():
                # not the address of `node`, which may be reachable only within the cluster
                content = _retry(partial(self._part, {"node_id": node, "filename": name}, digest))
                with archive.open("ab") as stream:
                    stream.write(content)
        finally:
            with suppress(RuntimeError, OSError):
                self._client.stop_job(job_id)
        if parts is not None:
            unpack(archive, target)
        return parts is not None

    def _packed(self, job_id: str, folder: str) -> list[tuple[str, str]] | None:
        """Wait until the job has packed the folder; return the name and SHA-256 of each part, None without a folder."""
        while True:
            has_ended = self._has_ended(job_id)
            output = _retry(lambda: self._call(self._client.get_job_logs, job_id))
            # complete lines only; the log begins with the program, which contains the prefix within a line
            for line in output.splitlines(keepends=True):
                if line.startswith(packing.PREFIX) and line.endswith("\n"):
                    return json.loads(line.removeprefix(packing.PREFIX))  # type: ignore[no-any-return]
            if has_ended:
                raise RunFolderError(f"{folder} on {self._address} cannot be packed: {output.strip()[-500:]}")
            time.sleep(_POLL_SECONDS)

    def _part(self, place: Mapping[str, str | None], digest: str) -> bytes:
        """Return a file of the cluster's log folder."""
        query = {**place, "lines": "-1", "timeout": str(_PART_SECONDS)}
        try:
            answer = requests.get(
                f"{self._address}/api/v0/logs/file", query, headers=_authorization(), timeout=_PART_SECONDS
            )
            answer.raise_for_status()
        except requests.RequestException as error:
            raise self._unusable(error) from error
        if hashlib.sha256(answer.content).hexdigest() != digest:
            raise self._unusable(ConnectionError(f"{place['filename']} arrived incomplete"))
        return answer.content

    def _start(
        self, entrypoint: str, metadata: dict[str, str], runtime_env: dict[str, Any], name: str | None = None
    ) -> str:
        deadline = time.monotonic() + _AGENT_SECONDS
        while True:
            try:
                started = self._client.submit_job(
                    entrypoint=entrypoint, metadata=metadata, runtime_env=runtime_env, submission_id=name
                )
                return str(started)
            except Exception as error:  # as in __init__
                # a head node that has just started accepts jobs some seconds later
                if "No available agent" not in str(error) or time.monotonic() > deadline:
                    raise self._unusable(error) from error
                time.sleep(_POLL_SECONDS)

    def _has_ended(self, job_id: str) -> bool:
        try:
            return self._details(job_id).status in _ENDED
        except ResourceError as error:
            raise ResourceError(
                f"{error}. Job {job_id} continues unless the cluster ended; to follow it again, repeat the command "
                "with --name RUN"
            ) from error

    def _details(self, job_id: str) -> JobDetails:
        return _retry(lambda: self._call(self._client.get_job_info, job_id))

    def _call(self, method: Callable[..., _T], *arguments: str) -> _T:
        try:
            return method(*arguments)
        except Exception as error:  # as in __init__
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> ResourceError:
        return ResourceError(
            f"the job server at {self._address} cannot be used: {one_line(error)[:400]}; check the address with "
            "`ray list nodes`, and set RAY_AUTH_MODE=token and the cluster's token if it requires one"
        )


def unpack(archive: Path, target: Path) -> None:
    """Unpack a run into a new folder; each file is verified.

    Raises:
        RunFolderError: the archive is corrupt, names a file outside of the folder, or cannot be written.
    """
    target.mkdir()
    try:
        with ZipFile(archive) as files:
            for name in files.namelist():
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                    raise RunFolderError(f"found the file {name[:100]!r} in the run, expected a path within its folder")
                files.extract(name, target)
    except (BadZipFile, OSError, EOFError, ValueError, RuntimeError, struct.error, zlib.error) as error:
        raise RunFolderError(f"the run cannot be unpacked ({error}); repeat the command") from error


def _authorization() -> dict[str, str]:
    """Return the header with the cluster's token, which Ray reads from the same places."""
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token":
        return {}
    token = os.environ.get("RAY_AUTH_TOKEN", "")
    if not token:
        file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")).expanduser()
        token = file.read_text(encoding="utf-8") if file.exists() else ""
    return {"Authorization": f"Bearer {token.strip()}"}


def _retry(attempt: Callable[[], _T]) -> _T:
    """Return the result of the attempt, repeated until several in a row fail."""
    for failures in range(_ATTEMPTS - 1):
        with suppress(ResourceError):
            return attempt()
        time.sleep(_FIRST_WAIT_SECONDS * 2**failures)
    return attempt()


def _reason(job: JobDetails) -> str:
    """Return why a job has no exit code."""
    if job.status == JobStatus.STOPPED:
        return "was stopped"
    # the process that watches the job ends with its node
    died = job.error_type == JobErrorType.JOB_SUPERVISOR_ACTOR_DIED
    return f"{'died' if died else 'did not start'}: {' '.join(str(job.message).split())[:500]}"
