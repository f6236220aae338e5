"""Errors when Ray starts on this machine; no test here starts it."""

import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from tune_ner.errors import ResourceError
from tune_ner.tuning.ray_session import init_ray


@contextmanager
def limited_files(largest: int) -> Iterator[None]:
    """Limit the size of the files that this process writes: writing more fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise AssertionError("Ray was started")

    monkeypatch.setattr(ray, "init", fail)


@pytest.mark.parametrize("variable", ["RAY_TMPDIR", "TMPDIR"])
def test_a_folder_that_cannot_be_written_is_named(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    with (
        limited_files(1000),
        pytest.raises(ResourceError, match=rf"^{tmp_path}: Ray's .* File too large; .*RAY_TMPDIR"),
    ):
        init_ray(None, None, dashboard=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv(variable, str(tmp_path / "file"))
    with pytest.raises(ResourceError, match=rf"^{tmp_path}/file: Ray's .* File exists; .*RAY_TMPDIR"):
        init_ray(None, None, dashboard=False)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError("AF_UNIX path length cannot exceed 107 bytes: /a/b"), "path of its sockets is too long"),
        (TimeoutError("Timed out waiting for\nfile gcs_server_port"), "Timed out waiting for file gcs.*ulimit -a"),
        (RuntimeError("Failed to start"), "Failed to start; its logs are in /.*/ray/session_latest/logs"),
    ],
)
def test_errors_of_the_start_name_a_remedy(
    error: Exception, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(ResourceError, match=f"^Ray cannot be started on this machine: .*{expected}"):
        init_ray(None, None, dashboard=False)
    with pytest.raises(ResourceError, match=r"^the cluster at auto cannot be reached: .*RAY_AUTH_MODE"):
        init_ray("auto", None, dashboard=False)


def test_too_few_open_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 128))
    with pytest.raises(ResourceError, match=r"128 open files.*ulimit -n"):
        init_ray(None, None, dashboard=False)


def test_a_ray_that_runs_in_this_process_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    with pytest.raises(ResourceError, match=r"already running in this process; call `ray\.shutdown\(\)`"):
        init_ray(None, None, dashboard=False)


SLOW = "The current node timed out during startup. This could happen because some of the raylet failed to startup."


@pytest.mark.parametrize(("slow_starts", "is_started"), [(1, True), (2, False)])
def test_a_start_that_is_too_slow_is_repeated_once(
    slow_starts: int, is_started: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[object] = []
    daemons: list[subprocess.Popen[bytes]] = []

    def init(**options: object) -> SimpleNamespace:
        starts.append(options)
        daemons.append(subprocess.Popen(["ray-daemon", "60"], executable="/bin/sleep"))
        if len(starts) <= slow_starts:
            raise Exception(SLOW)
        return SimpleNamespace(dashboard_url="")

    monkeypatch.setattr(ray, "init", init)
    other = subprocess.Popen(["sleep", "60"])
    with nullcontext() if is_started else pytest.raises(ResourceError, match="not ready within 30 s") as caught:
        assert init_ray(None, None, dashboard=False) == ""
    try:
        assert [daemon.wait(timeout=60) for daemon in daemons[:slow_starts]] == [-signal.SIGKILL] * slow_starts
        assert [process.poll() for process in (other, *daemons[slow_starts:])] == [None] * (1 + 2 - slow_starts)
    finally:
        for process in (other, *daemons):
            process.kill()
            process.wait()
    assert len(starts) == 2
    assert starts[0] == starts[1]
    assert caught is None or "Ray cannot be started on this machine" in str(caught.value)


def test_other_errors_of_the_start_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: object) -> None:
        raise KeyError("unknown")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(KeyError):
        init_ray(None, None, dashboard=False)
