"""Transfer of a run folder from a head node over HTTP: complete or not at all."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.job_submission import JobStatus

from tests.damages import MANY, Damage, a_folder, damages, refusal
from tune_ner.cluster import job_submission, packing
from tune_ner.cluster.job_submission import Job, JobServer, unpack
from tune_ner.config.loading import load_space
from tune_ner.errors import ResourceError, RunFolderError

FILES = {
    "trials.jsonl": b"{}\n" * 50,
    "empty": b"",
    "predictions/a.jsonl": "Värk\n".encode() * 100,
    "predictions/b.jsonl": b"",
    "best/model.safetensors": bytes(range(256)) * 9,
}


def a_run(folder: Path) -> Path:
    """Create a run folder with these files."""
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def a_run_before(folder: Path) -> Path:
    """Return an earlier state of the run, with a file that was removed later."""
    folder.mkdir(parents=True)
    (folder / "trials.jsonl").write_bytes(b"{}\n" * 20)
    (folder / "old").touch()
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files in a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@MANY
@given(size=st.integers(1, 5000))
def test_the_parts_of_any_size_are_the_run(size: int) -> None:
    with a_folder() as folder:
        parts = packing.pack(a_run(folder / "there"), folder / "run.zip", (), size)
        assert all(path.stat().st_size <= size for path, _ in parts)
        (folder / "received.zip").write_bytes(b"".join(path.read_bytes() for path, _ in parts))
        unpack(folder / "received.zip", folder / "here")
        assert tree(folder / "here") == FILES
        assert not (folder / "run.zip").exists()


@MANY
@given(damage=damages())
def test_a_corrupt_archive_is_refused_or_stays_in_its_folder(damage: Damage) -> None:
    with a_folder() as folder:
        ((part, _),) = packing.pack(a_run(folder / "there"), folder / "run.zip", ())
        (folder / "received.zip").write_bytes(damage(part.read_bytes()))
        refusal(RunFolderError, lambda: unpack(folder / "received.zip", folder / "here"))
        assert {path.name for path in folder.iterdir()} == {"there", "here", "run.zip.0", "received.zip"}


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out"])
def test_no_file_is_written_outside_of_the_run(tmp_path: Path, name: str) -> None:
    with ZipFile(tmp_path / "run.zip", "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(RunFolderError, match="in the run"):
        unpack(tmp_path / "run.zip", tmp_path / "run")
    assert {path.name for path in tmp_path.iterdir()} == {"run.zip", "run"}


def test_excluded_files_and_links_are_not_packed(tmp_path: Path) -> None:
    run = a_run(tmp_path / "there")
    (run / "link").symlink_to("/etc/hostname")
    ((part, _),) = packing.pack(run, tmp_path / "run.zip", ("best", "empty"))
    unpack(part, tmp_path / "here")
    assert set(tree(tmp_path / "here")) == {"trials.jsonl", "predictions/a.jsonl", "predictions/b.jsonl"}


class HeadNode:
    """Job server that runs each job as a process with its log in `logs`, and serves that folder over HTTP.

    Args:
        logs: the log folder of the session.
        breaks: for each of the next answers, how many bytes of a file arrive before the connection breaks.
        token: token without which files are refused.
    """

    def __init__(self, logs: Path, breaks: list[int] | None = None, token: str = "") -> None:
        self.logs, self.breaks, self.token = logs, breaks or [], token
        self.jobs: list[subprocess.Popen[bytes]] = []
        self.served: list[str] = []
        logs.mkdir()

    def submit_job(self, entrypoint: str, **_: Any) -> str:
        job_id = f"job-{len(self.jobs)}"
        python = f"{sys.executable} {entrypoint.removeprefix('python ')}"
        with self._log(job_id).open("wb") as log:
            log.write(f"Running entrypoint for job {job_id}: {entrypoint}\n".encode())
            log.flush()
            self.jobs.append(subprocess.Popen(f"exec {python}", shell=True, stdout=log, stderr=log))
        return job_id

    def _log(self, job_id: str) -> Path:
        return self.logs / f"job-driver-{job_id}.log"

    def get_job_logs(self, job_id: str) -> str:
        time.sleep(0.05)
        return self._log(job_id).read_text()

    def get_job_info(self, job_id: str) -> Any:
        code = self.jobs[int(job_id.removeprefix("job-"))].poll()
        return SimpleNamespace(status=JobStatus.RUNNING if code is None else JobStatus.FAILED, driver_node_id="n1")

    def stop_job(self, job_id: str) -> None:
        process = self.jobs[int(job_id.removeprefix("job-"))]
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


class Files(SimpleHTTPRequestHandler):
    """Serves `/api/v0/logs/file`, like the dashboard."""

    def __init__(self, *arguments: Any, head: HeadNode) -> None:
        self._head = head
        super().__init__(*arguments)

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        if address.path != "/api/v0/logs/file" or query["node_id"] != ["n1"] or query["lines"] != ["-1"]:
            self.send_error(404)
        elif self._head.token and self.headers["Authorization"] != f"Bearer {self._head.token}":
            self.send_error(401)
        else:
            (name,) = query["filename"]
            self._head.served.append(name)
            content = (self._head.logs / name).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: self._head.breaks.pop(0) if self._head.breaks else None])

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def a_server(head: HeadNode, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobServer]:
    monkeypatch.setattr(job_submission, "JobSubmissionClient", lambda _: head)
    monkeypatch.setattr(job_submission, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(job_submission, "_FIRST_WAIT_SECONDS", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, head=head)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield JobServer(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the program that is sent make parts of 700 bytes."""
    program = Path(packing.__file__).read_text(encoding="utf-8").replace("16 * 1024 * 1024", "700")
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    monkeypatch.setattr(packing, "__file__", str(tmp_path / "program.py"))


def a_job(results: Path) -> Job:
    return Job("grid", load_space("demo"), "night", results=str(results))


@pytest.mark.usefixtures("small_parts")
def test_a_part_that_breaks_off_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_run(tmp_path / "there" / "night")
    head = HeadNode(tmp_path / "logs", breaks=[700, 100, 0, 700])
    earlier = a_run_before(tmp_path / "results" / "night")
    with a_server(head, monkeypatch) as server:
        for _ in range(2):
            assert server.fetch(a_job(tmp_path / "there"), earlier)
            assert tree(earlier) == FILES
    assert [name.rpartition(".")[2] for name in head.served[:6]] == ["0", "1", "1", "1", "2", "3"]
    assert [process.poll() for process in head.jobs] == [0, 0]
    assert {path.suffix for path in head.logs.iterdir()} == {".log"}
    assert [path.name for path in earlier.parent.iterdir()] == ["night"]


@pytest.mark.usefixtures("small_parts")
def test_a_connection_that_keeps_breaking_leaves_the_earlier_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(tmp_path / "there" / "night")
    head = HeadNode(tmp_path / "logs", breaks=[700] + [5] * 50)
    earlier = a_run_before(tmp_path / "results" / "night")
    with a_server(head, monkeypatch) as server, pytest.raises(ResourceError, match="cannot be used"):
        server.fetch(a_job(tmp_path / "there"), earlier)
    assert set(tree(tmp_path / "results")) == {"night/old", "night/trials.jsonl"}
    assert {path.suffix for path in head.logs.iterdir()} == {".log"}


@pytest.mark.parametrize("place", ["variable", "file", "none"])
def test_the_token_of_the_cluster_is_sent(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_run(tmp_path / "there" / "night")
    (tmp_path / "token").write_text("secret\n")
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(job_submission, "_ATTEMPTS", 1)
    if place != "none":
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        monkeypatch.setenv(*(("RAY_AUTH_TOKEN", "secret") if place == "variable" else _token_file(tmp_path)))
    with a_server(HeadNode(tmp_path / "logs", token="secret"), monkeypatch) as server:
        if place == "none":
            with pytest.raises(ResourceError, match="401"):
                server.fetch(a_job(tmp_path / "there"), tmp_path / "here")
            assert not (tmp_path / "here").exists()
        else:
            assert server.fetch(a_job(tmp_path / "there"), tmp_path / "here")


def _token_file(folder: Path) -> tuple[str, str]:
    return "RAY_AUTH_TOKEN_PATH", os.fspath(folder / "token")


def test_another_run_of_the_same_name_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_run(tmp_path / "there" / "night")
    here = a_run_before(tmp_path / "results" / "night")
    (here / "trials.jsonl").write_bytes(b"{}\n[]\n")
    with (
        a_server(HeadNode(tmp_path / "logs"), monkeypatch) as server,
        pytest.raises(RunFolderError, match="night: cannot be fetched"),
    ):
        server.fetch(a_job(tmp_path / "there"), here)
    assert (here / "trials.jsonl").read_bytes() == b"{}\n[]\n"


def test_the_error_of_a_job_that_cannot_pack_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "program.py").write_text("raise SystemExit('no space left')")
    a_run(tmp_path / "there" / "night")
    monkeypatch.setattr(packing, "__file__", str(tmp_path / "program.py"))
    with (
        a_server(HeadNode(tmp_path / "logs"), monkeypatch) as server,
        pytest.raises(RunFolderError, match=r"night on http.* cannot be packed: (?s:.*)no space left"),
    ):
        server.fetch(a_job(tmp_path / "there"), tmp_path / "results" / "night")
    assert list((tmp_path / "results").iterdir()) == []


def test_a_missing_run_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_server(HeadNode(tmp_path / "logs"), monkeypatch) as server:
        assert not server.fetch(a_job(tmp_path / "nowhere"), tmp_path / "results" / "night")
