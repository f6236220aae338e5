"""A run as a job of a Ray cluster: the project is shipped, its log followed, and its run folder fetched."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import secrets
import shlex
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from ray.job_submission import JobStatus, JobSubmissionClient

import tune_ner
from tune_ner.errors import ResourceError, RunFolderError
from tune_ner.tuning.space import SearchSpace, bundled_spaces

REMOTE_RESULTS = "~/tune_ner_results"

_RUN = "tune_ner_run"
_ENDED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED)
_POLL_SECONDS = 0.5
_AGENT_SECONDS = 60.0
# Python 3.11.4 and later
_SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
_MARK = "tune_ner:"
_LARGE = 2**25
"""Bytes; a larger file, such as a model's weights, does not go with the others but in pieces of this size."""

_LEFT = "left.json"
# What prints files of the head; a job's log is the one thing that its server hands out. The log has these programs
# themselves too, so that they must not hold the marks as they are printed.
_PRINT = f"""
import base64, io, json, pathlib, sys, tarfile
def show(content):
    print("{_MARK}" + "begin")
    print(base64.encodebytes(content).decode())
    print("{_MARK}" + "end")
path = pathlib.Path(sys.argv[1]).expanduser()
"""
_PACK = f"""{_PRINT}
content, left = io.BytesIO(), dict()
def small(item):
    name = item.name.partition("/")[2]
    if name.startswith(".best"):
        return None
    if item.isfile() and item.size > int(sys.argv[2]):
        left[name] = item.size
        return None
    return item
if path.is_dir():
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.add(path, arcname=path.name, filter=small)
        listed = json.dumps(left).encode()
        member = tarfile.TarInfo("{_LEFT}")
        member.size = len(listed)
        archive.addfile(member, io.BytesIO(listed))
show(content.getvalue())
"""
_READ = f"""{_PRINT}
with path.open("rb") as stream:
    stream.seek(int(sys.argv[2]))
    show(stream.read(int(sys.argv[3])))
"""


@dataclass(frozen=True)
class Job:
    """What is to be run on a cluster.

    `results` is a folder on the head's disk, `arguments` are more of the command's.
    """

    command: Literal["grid", "search"]
    space: SearchSpace
    name: str
    arguments: Sequence[str] = ()
    results: str = REMOTE_RESULTS

    @property
    def entrypoint(self) -> str:
        """The command line of the driver, in the folder that `ship` fills."""
        options = ["--name", self.name, "--results-dir", self.results, "--address", "auto"]
        return shlex.join(["python", "-m", f"tune_ner.{self.command}", "space.yaml", *options, *self.arguments])

    def ship(self, folder: Path) -> None:
        """Put all that the job needs into a folder: the package, the space, and what the space names on this disk."""
        package = Path(tune_ner.__file__).parent
        shutil.copytree(package, folder / "tune_ner", ignore=shutil.ignore_patterns("__pycache__", "search_spaces"))
        (folder / "tune_ner" / "search_spaces").mkdir()
        for file in bundled_spaces().values():
            shutil.copy(file, folder / "tune_ner" / "search_spaces")
        shipped = {name: _shipped(name, folder) for name in (self.space.data, *self.space.model)}
        space = self.space.model_copy(
            update={"data": shipped[self.space.data], "model": [shipped[name] for name in self.space.model]}
        )
        (folder / "space.yaml").write_text(space.to_yaml(), encoding="utf-8")


def _shipped(name: str, folder: Path) -> str:
    """What a data set or model is called in the folder; one that is no path here is called what it was."""
    try:
        path = Path(name).expanduser()
        if not path.exists():
            return name
        target = folder / "inputs" / path.resolve().name
        if target.exists():
            raise ResourceError(f"{name}: another input is called {target.name} too; rename one of them")
        if path.is_dir():
            shutil.copytree(path, target)
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(path, target)
    except OSError as error:
        raise ResourceError(f"{name}: cannot be shipped: {error.strerror or error}") from error
    return target.relative_to(folder).as_posix()


class JobServer:
    """The job server of a cluster, which its dashboard is too.

    Args:
        address: `http://HEAD:8265`.

    Raises:
        ResourceError: nothing answers there, or it does not let this process in.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        if not address.startswith(("http://", "https://")):
            raise ResourceError(f"--address {address}: expected that of the dashboard, for instance http://head:8265")
        try:
            self._client = JobSubmissionClient(address)
        except Exception as error:  # whatever the HTTP client, Ray's token check or its version check raise
            raise self._refused(error) from error
        # each of these modules sets its own level, and tells what it uploads
        for name in [name for name in logging.root.manager.loggerDict if name.startswith("ray.")]:
            logging.getLogger(name).setLevel(logging.ERROR)

    def submit(self, job: Job) -> str:
        """Start the job, or find the one that runs under this name; gives its id."""
        running = [
            found.submission_id
            for found in self._client.list_jobs()
            if (found.metadata or {}).get(_RUN) == job.name and found.status not in _ENDED
        ]
        if running:
            return str(running[0])
        with tempfile.TemporaryDirectory(prefix="tune-ner-job-") as folder:
            job.ship(Path(folder))
            name = f"{job.name}-{secrets.token_hex(4)}"
            return self._start(job.entrypoint, {_RUN: job.name}, {"working_dir": folder}, name)

    def follow(self, job_id: str, on_text: Callable[[str], None]) -> int:
        """Pass on what the job prints until it ends; gives its exit code."""
        asyncio.run(self._tail(job_id, on_text))
        self._wait(job_id)
        info = self._client.get_job_info(job_id)
        if info.driver_exit_code is not None:
            return int(info.driver_exit_code)
        if info.status == JobStatus.SUCCEEDED:
            return 0
        raise ResourceError(f"job {job_id} at {self._address} did not run: {str(info.message).strip()[:500]}")

    def fetch(self, job: Job, target: Path) -> bool:
        """Bring the run folder from the head's disk; one that is at `target` gives way to it.

        Returns:
            Whether there is one: a command that refused its arguments makes none.

        Raises:
            RunFolderError: it came damaged, or cannot be written here.
        """
        run = f"{job.results}/{job.name}"
        content = self._printed(_PACK, run, f"{_LARGE}")

        def fetch_large(name: str, size: int, file: Path) -> None:
            with file.open("wb") as stream:
                for offset in range(0, size, _LARGE):
                    stream.write(self._printed(_READ, f"{run}/{name}", f"{offset}", f"{_LARGE}"))

        if content:
            _unpack(content, target, fetch_large)
        return bool(content)

    def _printed(self, program: str, path: str, *arguments: str) -> bytes:
        """What a program shows of a path on the head."""
        job_id = self._start(shlex.join(["python", "-c", program, path, *arguments]), {}, {})
        self._wait(job_id)
        log = self._client.get_job_logs(job_id)
        begin, end = f"{_MARK}begin", f"{_MARK}end"
        if begin not in log or end not in log:
            raise RunFolderError(f"{path} on {self._address}: cannot be fetched: {log.strip()[-500:]}")
        return base64.b64decode(log.partition(begin)[2].partition(end)[0])

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
                # a head that has just started takes jobs some seconds later
                if "No available agent" not in str(error) or time.monotonic() > deadline:
                    raise self._refused(error) from error
                time.sleep(_POLL_SECONDS)

    async def _tail(self, job_id: str, on_text: Callable[[str], None]) -> None:
        async for text in self._client.tail_job_logs(job_id):
            on_text(text)

    def _wait(self, job_id: str) -> None:
        while self._client.get_job_status(job_id) not in _ENDED:
            time.sleep(_POLL_SECONDS)

    def _refused(self, error: Exception) -> ResourceError:
        reason = " ".join(str(error).split())[:400]
        return ResourceError(
            f"the job server at {self._address} cannot be used: {reason}; check the address with `ray list nodes`, and "
            "that RAY_AUTH_MODE=token and the cluster's token are set here if it asks for one"
        )


def _check_place(name: str) -> None:
    """That a path stays within the folder that it is unpacked to."""
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts:
        raise tarfile.TarError(f"found {name[:100]!r} in it, expected files and folders of the run alone")


def _check_members(archive: tarfile.TarFile) -> None:
    """That nothing in it can leave that folder, on Pythons too that do not see to it."""
    for member in archive.getmembers():
        if not (member.isfile() or member.isdir()):
            raise tarfile.TarError(f"found {member.name[:100]!r} in it, expected files and folders of the run alone")
        _check_place(member.name)


def _left_out(listed: bytes) -> dict[str, int]:
    """The files that `_PACK` left out, with their bytes."""
    left = json.loads(listed)
    if not isinstance(left, dict) or not all(isinstance(size, int) for size in left.values()):
        raise tarfile.TarError(f"found {listed[:100]!r} as {_LEFT}, expected the sizes of files")
    for name in left:
        _check_place(name)
    return left


def _unpack(content: bytes, target: Path, fetch_large: Callable[[str, int, Path], None]) -> None:
    """Put a packed run folder in its place, whole or not at all.

    Args:
        content: what `_PACK` shows.
        target: the place.
        fetch_large: fetches a file that was left out, by its name in the run folder and its size, to a path.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as folder:
            work = Path(folder)
            with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
                _check_members(archive)
                archive.extractall(work, **_SAFELY)
            for name, size in _left_out((work / _LEFT).read_bytes()).items():
                fetch_large(name, size, work / target.name / name)
            if target.exists():
                target.rename(work / "earlier")
            (work / target.name).rename(target)
    except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError) as error:
        raise RunFolderError(f"{target}: cannot be fetched: {error}") from error
