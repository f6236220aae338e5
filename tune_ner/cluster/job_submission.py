"""A run as a job of a Ray cluster: the project is shipped, its log followed, and its run folder fetched."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shlex
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import aiohttp
from ray.job_submission import JobDetails, JobErrorType, JobStatus, JobSubmissionClient

import tune_ner
from tune_ner.cluster import transfer_sender
from tune_ner.cluster.transfer_receiver import Receiver
from tune_ner.config.loading import bundled_spaces
from tune_ner.config.search_space import SearchSpace
from tune_ner.errors import ResourceError, RunFolderError
from tune_ner.results.renewal import renew

REMOTE_RESULTS = "~/tune_ner_results"

_RUN = "tune_ner_run"
_ENDED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED)
_POLL_SECONDS = 0.5
_AGENT_SECONDS = 60.0
# What stays on the head: it is of use only where the run goes on.
_LEFT_THERE = ("checkpoints", ".best", "driver.lock", "driver.json")
_WEIGHTS = "best"
_ATTEMPTS = 6

_T = TypeVar("_T")


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
        data = self.space.data and _shipped(self.space.data, folder)
        models = [_shipped(name, folder) for name in self.space.model]
        space = self.space.model_copy(update={"data": data, "model": models})
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
            for found in self._asked(self._client.list_jobs)
            if (found.metadata or {}).get(_RUN) == job.name and found.status not in _ENDED
        ]
        if running:
            return str(running[0])
        with tempfile.TemporaryDirectory(prefix="tune-ner-job-") as folder:
            job.ship(Path(folder))
            name = f"{job.name}-{secrets.token_hex(4)}"
            return self._start(job.entrypoint, {_RUN: job.name}, {"working_dir": folder}, name)

    def follow(self, job_id: str, on_text: Callable[[str], None]) -> None:
        """Pass on what the job prints until it ends; where the log breaks off, it goes on from there.

        Raises:
            ResourceError: the server could not be asked again and again; the job itself goes on.
        """
        log = _Log(on_text)
        ended = False
        while not ended:
            # asked before the log is read, so that of a job that ended all of it is
            ended = self._ended(job_id)
            with suppress(ResourceError):
                asyncio.run(log.read(self._texts(job_id)))
            time.sleep(_POLL_SECONDS)

    def exit_code(self, job_id: str) -> int:
        """That of a job that is over.

        Raises:
            ResourceError: it has none: it was stopped, died, or did not run.
        """
        info = self._details(job_id)
        if info.driver_exit_code is not None:
            return int(info.driver_exit_code)
        if info.status == JobStatus.SUCCEEDED:
            return 0
        raise ResourceError(
            f"job {job_id} at {self._address} {_end_of(info)}; the same command with the run's --name goes on with "
            "what is recorded"
        )

    def fetch(self, job: Job, target: Path, weights: bool = True) -> bool:
        """Bring the run folder from the head's disk; an earlier state of it at `target` gives way to it.

        It is written while it comes, and every file is checked; where the connection breaks, it goes on from there.

        Args:
            job: whose run folder.
            target: where to.
            weights: whether the winner's weights come too.

        Returns:
            Whether there is one: a command that refused its arguments makes none.

        Raises:
            RunFolderError: it came damaged, cannot be written here, or what is at `target` is no earlier state of it or
                is worked on; that is as it was.
            ResourceError: the connection broke again and again.
        """
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as work:
                fetched = Path(work) / "fetched"
                receiver = Receiver(fetched)
                self._receive(job, receiver, () if weights else (_WEIGHTS,))
                if receiver.complete:
                    renew(target, fetched)
                return receiver.complete
        except OSError as error:
            raise RunFolderError(f"{target}: cannot be fetched: {error.strerror or error}") from error
        except RunFolderError as error:
            raise RunFolderError(f"{target}: cannot be fetched: {error}") from error

    def _receive(self, job: Job, receiver: Receiver, left_out: Sequence[str]) -> None:
        _persevere(lambda: self._receive_once(job, receiver, left_out), lambda: receiver.position)

    def _receive_once(self, job: Job, receiver: Receiver, left_out: Sequence[str]) -> None:
        """Start a job that hands the run out from where the receiver is, and take in what it prints."""
        program = Path(transfer_sender.__file__).read_text(encoding="utf-8")
        folder, offset = f"{job.results}/{job.name}", str(receiver.position)
        command = shlex.join(["python", "-c", program, folder, offset, *_LEFT_THERE, *left_out])
        job_id = self._start(command, {}, {})
        receiver.begin()
        try:
            asyncio.run(self._feed(job_id, receiver))
        finally:
            with suppress(RuntimeError, OSError):
                self._client.stop_job(job_id)
        if receiver.complete or receiver.nothing:
            return
        if self._asked(self._client.get_job_status, job_id) == JobStatus.FAILED:
            raise RunFolderError(f"{folder} on {self._address}: {receiver.note.strip()}")
        raise self._refused(ConnectionError(f"the log of job {job_id} ended too early"))

    async def _feed(self, job_id: str, receiver: Receiver) -> None:
        async for text in self._texts(job_id):
            receiver.feed(text)
            if receiver.complete or receiver.nothing:
                return

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

    async def _texts(self, job_id: str) -> AsyncIterator[str]:
        """What a job has printed, from its beginning, and what it prints until it ends."""
        try:
            async for text in self._client.tail_job_logs(job_id):
                yield text
        except (RuntimeError, ConnectionError, aiohttp.ClientError) as error:
            # Ray's own name for a connection that broke is RuntimeError
            raise self._refused(error) from error

    def _ended(self, job_id: str) -> bool:
        try:
            return self._details(job_id).status in _ENDED
        except ResourceError as error:
            raise ResourceError(
                f"{error}. Job {job_id} goes on unless the cluster ended; the same command with the run's --name "
                "follows it again"
            ) from error

    def _details(self, job_id: str) -> JobDetails:
        return _persevere(lambda: self._asked(self._client.get_job_info, job_id))

    def _asked(self, question: Callable[..., _T], *arguments: str) -> _T:
        try:
            return question(*arguments)
        except Exception as error:  # as in __init__
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> ResourceError:
        reason = " ".join(str(error).split())[:400]
        return ResourceError(
            f"the job server at {self._address} cannot be used: {reason}; check the address with `ray list nodes`, and "
            "that RAY_AUTH_MODE=token and the cluster's token are set here if it asks for one"
        )


class _Log:
    """What a job prints, passed on once however often its log is read from the beginning."""

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self._on_text = on_text
        self._passed_on = 0

    async def read(self, texts: AsyncIterator[str]) -> None:
        position = 0
        async for text in texts:
            new = text[max(0, self._passed_on - position) :]
            position += len(text)
            if new:
                self._on_text(new)
                self._passed_on = position


def _persevere(attempt: Callable[[], _T], position: Callable[[], int] = lambda: 0) -> _T:
    """What the attempt gives; one that fails is made again, unless several in a row got no further."""
    failures = 0
    while True:
        before = position()
        try:
            return attempt()
        except ResourceError:
            failures = failures + 1 if position() == before else 0
            if failures == _ATTEMPTS:
                raise
            time.sleep(2**failures)


def _end_of(job: JobDetails) -> str:
    """How a job that has no exit code ended."""
    if job.status == JobStatus.STOPPED:
        return "was stopped"
    # of the process that watches the job, which goes with its node
    died = job.error_type == JobErrorType.JOB_SUPERVISOR_ACTOR_DIED
    return f"{'died' if died else 'did not run'}: {' '.join(str(job.message).split())[:500]}"
