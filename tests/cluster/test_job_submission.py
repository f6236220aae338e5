"""Run folders fetched from an object store instead of the head node; other paths need a cluster, see test_submit."""

from pathlib import Path
from typing import Any

import fsspec
import pytest

from tests.factories import a_record, a_run
from tune_ner.cluster.job_submission import Job, JobServer
from tune_ner.config.loading import parse_space
from tune_ner.errors import RunFolderError
from tune_ner.results.run_dir import RunDir
from tune_ner.utils.remote import RemoteRun

STORE = "memory://jobs/runs"


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Job:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fsspec.filesystem("memory").store.clear()
    return Job(
        "grid",
        parse_space({"data": "synthetic", "model": "tiny:1x32", "learning_rate": 1e-3}, "test"),
        "night",
        results=STORE,
    )


def stored(tmp_path: Path, records: list[Any]) -> None:
    run = RemoteRun(f"{STORE}/night")
    source = a_run(tmp_path / "made", records)
    (source.path / "best").mkdir()
    (source.path / "best" / "model.safetensors").write_bytes(b"weights")
    run.path.parent.mkdir(parents=True, exist_ok=True)
    source.path.rename(run.path)
    run.upload()


def fetch(job: Job, target: Path, weights: bool = True) -> bool:
    return JobServer.fetch(JobServer.__new__(JobServer), job, target, weights)


@pytest.mark.parametrize("weights", [True, False])
def test_a_run_in_a_store_is_fetched_from_it(job: Job, tmp_path: Path, weights: bool) -> None:
    assert not fetch(job, tmp_path / "results" / "night", weights)
    stored(tmp_path, [a_record()])
    assert fetch(job, tmp_path / "results" / "night", weights)
    found = RunDir.open(tmp_path / "results" / "night")
    assert len(found.records()) == 1
    assert (found.path / "best").exists() == weights
    assert not (found.path / ".remote.json").exists()


def test_another_run_of_the_name_is_not_replaced(job: Job, tmp_path: Path) -> None:
    stored(tmp_path, [a_record()])
    other = a_run(tmp_path / "results", [a_record(seed=7)])
    with pytest.raises(RunFolderError, match="a different run"):
        fetch(job, other.path)
    assert len(other.records()) == 1
