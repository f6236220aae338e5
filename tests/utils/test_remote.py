"""Run folders in an object store; the store is fsspec's own in memory."""

import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tune_ner.errors import RunFolderError
from tune_ner.utils import remote as module
from tune_ner.utils.remote import RemoteRun, is_url

URL = "memory://bucket/runs/demo"
STORE = fsspec.filesystem("memory")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, seconds in {"_POLL": 0.02, "_BEAT": 0.05, "_SILENCE": 0.3, "_PATIENCE": 0.3}.items():
        monkeypatch.setattr(module, name, seconds)
    STORE.store.clear()
    STORE.pseudo_dirs[:] = [""]


def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> RemoteRun:
    """Return the run as another machine sees it, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
    return RemoteRun(URL)


def written(run: RemoteRun, files: dict[str, str]) -> RemoteRun:
    for name, content in files.items():
        (run.path / name).parent.mkdir(parents=True, exist_ok=True)
        (run.path / name).write_text(content)
    return run


def stored() -> dict[str, str]:
    return {
        name.removeprefix("/bucket/runs/demo/"): STORE.cat_file(name).decode()
        for name in STORE.find("/bucket/runs/demo")
    }


FILES = {"trials.jsonl": "1\n", "predictions/a.jsonl": "a", "best/config.json": "{}"}


@pytest.mark.parametrize(("path", "expected"), [("s3://b/x", True), ("results", False), (Path("s3://b"), False)])
def test_urls_are_told_from_paths(path: str | Path, expected: bool) -> None:
    assert is_url(path) == expected


def test_a_run_is_uploaded_and_fetched_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written(
        RemoteRun(URL), {**FILES, "checkpoints/t": "x", "driver.lock": "", "best/x.part": "", "a.unfinished": ""}
    ).upload()
    assert stored() == FILES
    other = elsewhere(monkeypatch, tmp_path, "other")
    assert other.fetch()
    assert {name: (other.path / name).read_text() for name in FILES} == FILES


def test_only_changed_files_are_uploaded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run = written(RemoteRun(URL), FILES)
    run.upload()
    put: list[str] = []
    original, original_pipe = type(STORE).put_file, type(STORE).pipe_file

    def put_file(self: Any, here: str, there: str, **named: Any) -> Any:
        put.append(there)
        return original(self, here, there, **named)

    def pipe_file(self: Any, there: str, *arguments: Any, **named: Any) -> Any:
        put.append(there)
        return original_pipe(self, there, *arguments, **named)

    monkeypatch.setattr(type(STORE), "put_file", put_file)
    monkeypatch.setattr(type(STORE), "pipe_file", pipe_file)
    written(run, {"trials.jsonl": "1\n2\n", "predictions/b.jsonl": "b"})
    run.upload()
    assert [name.rpartition("demo/")[2] for name in put] == ["predictions/b.jsonl", "trials.jsonl"]  # records come last


def test_a_record_added_during_an_upload_waits_for_its_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    run, put = written(RemoteRun(URL), FILES), type(STORE).put_file

    def put_file(file_system: Any, *arguments: Any, **options: Any) -> None:
        written(run, {"predictions/b.jsonl": "b", "trials.jsonl": "1\n2\n"})
        put(file_system, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(type(STORE), "put_file", put_file)
        run.upload()
    assert stored() == FILES
    run.upload()
    assert stored() == {**FILES, "predictions/b.jsonl": "b", "trials.jsonl": "1\n2\n"}


def test_a_former_best_model_is_removed_and_nothing_else_is() -> None:
    run = written(RemoteRun(URL), {**FILES, ".best/t1/model": "1"})
    run.upload()
    shutil.rmtree(run.path / ".best")
    written(run, {".best/t2/model": "2"})
    run.upload()
    assert stored() == {**FILES, ".best/t2/model": "2"}
    shutil.rmtree(run.path / "best")
    (run.path / "trials.jsonl").unlink()
    run.upload()
    assert set(FILES) <= set(stored())


@pytest.mark.parametrize("url", ["s3://bucket/runs/..", "s3://bucket/.", "s3://"])
def test_a_url_needs_the_name_of_a_run(url: str) -> None:
    with pytest.raises(RunFolderError, match="expected the URL of a run folder"):
        RemoteRun(url)


def test_a_former_best_model_is_removed_here_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written(RemoteRun(URL), {**FILES, ".best/t1/model": "1"}).upload()
    other = elsewhere(monkeypatch, tmp_path, "other")
    other.fetch()
    for name in (".best/t1/model", "predictions/a.jsonl"):
        STORE.rm_file(f"/bucket/runs/demo/{name}")
    other.fetch()
    assert not (other.path / ".best/t1/model").exists()
    other.upload()
    assert stored() == FILES  # a lost file is uploaded again


def test_a_store_that_was_emptied_is_filled_again() -> None:
    written(RemoteRun(URL), FILES).upload()
    STORE.store.clear()
    run = RemoteRun(URL)
    assert not run.fetch()
    with run.synchronized(pytest.fail):
        pass
    assert stored() == FILES


def test_the_longer_records_are_the_later_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = written(RemoteRun(URL), FILES)
    run.upload()
    written(run, {"trials.jsonl": "1\n2\n3"})  # killed while it wrote, before it uploaded
    assert run.fetch()
    assert (run.path / "trials.jsonl").read_text() == "1\n2\n3"
    run.upload()
    other = elsewhere(monkeypatch, tmp_path, "other")
    other.fetch()
    written(other, {"trials.jsonl": "1\n2\n4\n"}).upload()
    assert run.fetch()  # an incomplete record is none
    assert (run.path / "trials.jsonl").read_text() == "1\n2\n4\n"
    written(run, {"trials.jsonl": "1\n2\n3\n"})
    with pytest.raises(RunFolderError, match=r"its records and those of the local copy .* differ"):
        run.fetch()


def test_a_run_that_is_not_there() -> None:
    assert not RemoteRun(URL).fetch()
    assert not RemoteRun(URL).path.exists()


def test_the_best_model_is_fetched_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written(RemoteRun(URL), FILES).upload()
    other = elsewhere(monkeypatch, tmp_path, "other")
    assert other.fetch(only="best/")
    assert [path.name for path in other.path.rglob("*") if path.is_file() and path.name != ".remote.json"] == [
        "config.json"
    ]
    assert other.fetch()
    assert (other.path / "predictions/a.jsonl").read_text() == "a"


def test_a_name_that_leads_out_of_the_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written(RemoteRun(URL), FILES).upload()
    other = elsewhere(monkeypatch, tmp_path, "other")
    names = {"/bucket/runs/demo/trials.jsonl": {"size": 2}, "/bucket/runs/demo/a/../../../x": {"size": 1}}
    monkeypatch.setattr(type(STORE), "find", lambda *_, **__: names)
    with pytest.raises(RunFolderError, match=r"cannot be read: a file is named 'a/\.\./\.\./\.\./x'"):
        other.fetch()
    assert not (tmp_path / "x").exists()


def test_files_are_uploaded_while_the_run_lasts() -> None:
    run = RemoteRun(URL)
    with run.synchronized(pytest.fail):
        written(run, FILES)
        until(lambda: "trials.jsonl" in stored())
        assert json.loads(stored()["lock.json"])["beat"] >= 0
        written(run, {"trials.jsonl": "1\n2\n"})
    assert stored() == {**FILES, "trials.jsonl": "1\n2\n"}


def until(condition: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


def test_a_run_in_use_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with RemoteRun(URL).synchronized(pytest.fail):
        other = elsewhere(monkeypatch, tmp_path, "other")
        with (
            pytest.raises(RunFolderError, match=r"in use by another process \(process .* on "),
            other.synchronized(print),
        ):
            pass
    with other.synchronized(pytest.fail):
        pass


def test_the_lock_of_a_killed_process_is_taken_over() -> None:
    STORE.pipe_file("/bucket/runs/demo/lock.json", json.dumps({"id": "x", "process": 1, "host": "h"}).encode())
    with RemoteRun(URL).synchronized(pytest.fail):
        pass
    assert "lock.json" not in stored()


def test_a_run_goes_on_without_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    run, notes, is_down = RemoteRun(URL), list[str](), threading.Event()
    original = type(STORE).put_file

    def put_file(self: Any, here: str, there: str, **named: Any) -> Any:
        if is_down.is_set():
            raise ConnectionError("no route to host")
        return original(self, here, there, **named)

    monkeypatch.setattr(type(STORE), "put_file", put_file)
    with run.synchronized(notes.append):
        is_down.set()
        written(run, FILES)
        until(lambda: len(notes) == 1)
        assert "no route to host; the run continues in" in notes[0]
        is_down.clear()
        until(lambda: len(notes) == 2)
        assert "reached again" in notes[1]
        assert stored()["trials.jsonl"] == "1\n"


def test_a_store_that_stays_away_is_an_error_that_names_the_local_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    run = RemoteRun(URL)

    def put_file(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route to host")

    context = run.synchronized(lambda _: None)
    context.__enter__()
    monkeypatch.setattr(type(STORE), "put_file", put_file)
    written(run, FILES)
    with pytest.raises(RunFolderError, match=r"written: no route to host; the complete run is in .*/demo; repeat"):
        context.__exit__(None, None, None)
    assert "trials.jsonl" not in stored()


def test_a_process_that_lost_its_run_uploads_nothing_more() -> None:
    run = RemoteRun(URL)
    context = run.synchronized(lambda _: None)
    context.__enter__()
    STORE.pipe_file("/bucket/runs/demo/lock.json", b'{"id": "other"}')
    with pytest.raises(RunFolderError, match="another process works on this run"):
        context.__exit__(None, None, None)
    assert "other" in stored()["lock.json"]


@pytest.mark.parametrize(("url", "message"), [("foo://x/y", "Protocol not known"), ("sftp://h/x", "cannot be")])
def test_unknown_stores_are_refused(url: str, message: str) -> None:
    with pytest.raises(RunFolderError, match=message):
        RemoteRun(url).fetch()


def test_a_password_is_not_shown() -> None:
    run = RemoteRun("sftp://me:secret123@host/runs/demo")
    assert "secret123" not in f"{run.shown} {run.path}"
