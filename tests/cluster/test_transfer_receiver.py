"""Transfer of a run folder through the log of a job: complete or not at all."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.job_submission import JobStatus

from tests.damages import MANY, Damage, a_folder, damages, refusal
from tune_ner.cluster import transfer_sender
from tune_ner.cluster.job_submission import Job, JobServer
from tune_ner.cluster.transfer_receiver import Receiver
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


def printed(run: Path, offset: int = 0, *left_out: str) -> str:
    """Return the log of the job, with a line of Ray before it."""
    return "Running entrypoint\n" + "".join(f"{line}\n" for line in transfer_sender.lines(run, offset, left_out))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_sender, "_PIECE_BYTES", 100)


@MANY
@given(cuts=st.lists(st.floats(0, 1), max_size=4), step=st.integers(1, 400))
def test_a_run_is_complete_after_any_number_of_broken_connections(cuts: list[float], step: int) -> None:
    with a_folder() as folder:
        run, receiver = a_run(folder / "there"), Receiver(folder / "here")
        for cut in [*cuts, 1.0]:
            receiver.begin()
            text = printed(run, receiver.position)
            text = text[: int(cut * len(text))]
            for start in range(0, len(text), step):
                receiver.feed(text[start : start + step])
        assert receiver.is_complete
        assert tree(folder / "here") == FILES


@MANY
@given(damage=damages())
def test_a_corrupt_transfer_is_refused_or_has_no_effect(damage: Damage) -> None:
    with a_folder() as folder:
        text = damage(printed(a_run(folder / "there")).encode()).decode(errors="replace")
        receiver = Receiver(folder / "here")
        refusal(RunFolderError, lambda: receiver.feed(text))
        assert not receiver.is_complete or tree(folder / "here") == FILES
        assert {path.name for path in folder.iterdir()} <= {"there", "here"}


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out", "", "a\0b"])
def test_no_file_is_written_outside_of_the_run(tmp_path: Path, name: str) -> None:
    line = f"{transfer_sender.PREFIX}file {json.dumps([name, 1, 'x'])}\n"
    with pytest.raises(RunFolderError, match="in the run"):
        Receiver(tmp_path / "run").feed(line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "announced",
    [[["a", -1, "x"]], [["a", float("inf"), "x"]], [["a", 1, "x"], ["a", 1, "x"]], [["a", 1, "x"], ["./a", 2, "x"]]],
)
def test_a_file_with_an_invalid_size_or_announced_twice_is_refused(
    tmp_path: Path, announced: list[list[object]]
) -> None:
    lines = "".join(f"{transfer_sender.PREFIX}file {json.dumps(file)}\n" for file in announced)
    with pytest.raises(RunFolderError, match="corrupt"):
        Receiver(tmp_path / "run").feed(lines)
    assert list(tmp_path.iterdir()) == []


def test_excluded_files_are_not_sent(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path / "here")
    receiver.feed(printed(a_run(tmp_path / "there"), 0, "best", "empty"))
    assert receiver.is_complete
    assert set(tree(tmp_path / "here")) == {"trials.jsonl", "predictions/a.jsonl", "predictions/b.jsonl"}


@pytest.mark.parametrize(("name", "corrupted"), [("trials.jsonl", "trial.jsonl"), ("best/model", "best/lodel")])
def test_a_corrupt_name_is_refused(tmp_path: Path, name: str, corrupted: str) -> None:
    with pytest.raises(RunFolderError, match="list of files"):
        Receiver(tmp_path / "here").feed(printed(a_run(tmp_path / "there")).replace(name, corrupted))


def test_a_run_that_changes_during_the_transfer_is_refused(tmp_path: Path) -> None:
    run, receiver = a_run(tmp_path / "there"), Receiver(tmp_path / "here")
    text = printed(run)
    receiver.feed(text[: len(text) // 2])
    (run / "trials.jsonl").write_bytes(b"more")
    receiver.begin()
    with pytest.raises(RunFolderError, match="changed"):
        receiver.feed(printed(run, receiver.position))


def test_the_sender_empties_its_log(tmp_path: Path) -> None:
    run, log = a_run(tmp_path / "there"), tmp_path / "log"
    program = Path(transfer_sender.__file__).read_text(encoding="utf-8")
    with log.open("a") as out, subprocess.Popen([sys.executable, "-c", program, str(run), "0"], stdout=out) as process:
        while f"{transfer_sender.PREFIX}end " not in log.read_text():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert log.stat().st_size == 0


class FakeClient:
    """Job server whose connections break after some characters, and whose jobs may fail."""

    def __init__(self, run: Path, breaks: list[int], status: JobStatus = JobStatus.RUNNING) -> None:
        self.run, self.breaks, self.status = run, breaks, status
        self.offsets: list[int] = []
        self.stopped = 0

    def submit_job(self, entrypoint: str, **_: Any) -> str:
        offset = entrypoint.split()[entrypoint.split().index("checkpoints") - 1]
        self.offsets.append(int(offset))
        return "job"

    async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        text = printed(self.run, self.offsets[-1])
        if self.breaks:
            yield text[: self.breaks.pop(0)]
            raise RuntimeError("WebSocket connection closed unexpectedly with close code 1006")
        yield text

    def stop_job(self, job_id: str) -> None:
        self.stopped += 1

    def get_job_status(self, job_id: str) -> JobStatus:
        return self.status


def a_server(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> JobServer:
    """Return a job server that uses the client."""
    monkeypatch.setattr("tune_ner.cluster.job_submission.JobSubmissionClient", lambda _: client)
    monkeypatch.setattr("tune_ner.cluster.job_submission.time.sleep", lambda _: None)
    return JobServer("http://head:8265")


JOB = Job("grid", load_space("demo"), "night")


def test_a_fetch_is_resumed_where_the_connection_broke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient(a_run(tmp_path / "there"), [900, 5, 2000])
    earlier = a_run_before(tmp_path / "results" / "night")
    assert a_server(client, monkeypatch).fetch(JOB, earlier)
    assert tree(earlier) == FILES
    assert client.offsets[0] == 0 < client.offsets[-1]
    assert client.stopped == len(client.offsets) == 4
    assert [path.name for path in earlier.parent.iterdir()] == ["night"]


def test_a_connection_that_keeps_breaking_leaves_the_earlier_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = FakeClient(a_run(tmp_path / "there"), [900] + [5] * 50)
    earlier = a_run_before(tmp_path / "results" / "night")
    with pytest.raises(ResourceError, match="WebSocket connection closed"):
        a_server(client, monkeypatch).fetch(JOB, earlier)
    assert set(tree(tmp_path / "results")) == {"night/old", "night/trials.jsonl"}


def test_another_run_of_the_same_name_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = a_run_before(tmp_path / "results" / "night")
    (here / "trials.jsonl").write_bytes(b"{}\n[]\n")
    with pytest.raises(RunFolderError, match="night: cannot be fetched"):
        a_server(FakeClient(a_run(tmp_path / "there"), []), monkeypatch).fetch(JOB, here)
    assert (here / "trials.jsonl").read_bytes() == b"{}\n[]\n"


def test_a_run_can_be_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "results" / "earlier"
    for _ in range(2):
        assert a_server(FakeClient(a_run(tmp_path / "there"), []), monkeypatch).fetch(JOB, target)
    assert tree(target) == FILES


def test_the_output_of_a_failed_job_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient(tmp_path, [], JobStatus.FAILED)
    monkeypatch.setattr(transfer_sender, "lines", lambda *_: ["python: command not found"])
    with pytest.raises(RunFolderError, match=r"(?s)night: .*python: command not found"):
        a_server(client, monkeypatch).fetch(JOB, tmp_path / "results" / "night")
    assert list((tmp_path / "results").iterdir()) == []


def test_a_missing_run_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient(tmp_path / "nowhere", [])
    assert not a_server(client, monkeypatch).fetch(JOB, tmp_path / "results" / "night")
