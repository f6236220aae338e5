"""Submission to a cluster; the slow test starts two nodes with token authentication."""

import http.client
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ray.job_submission import JobDetails, JobErrorType, JobStatus, JobType
from typer.testing import CliRunner, Result

from benchmarks.two_nodes import two_nodes
from tune_ner.cli.app import app
from tune_ner.cluster.job_submission import Job, JobServer
from tune_ner.config.loading import load_space
from tune_ner.config.search_space import DataSettings
from tune_ner.errors import ResourceError


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["demo", "--address", "head:8265"], "http://head:8265"),
        (["demo", "--address", "http://127.0.0.1:1"], "job server at http://127.0.0.1:1"),
        (["demmo", "--address", "http://127.0.0.1:1"], "'demo'"),
        (["demo", "--search", "--address", "http://127.0.0.1:1"], "no hyperparameter has a distribution"),
        (["search", "--address", "http://127.0.0.1:1"], "found the distribution"),
        (["--search", "--address", "http://127.0.0.1:1"], "job server at http://127.0.0.1:1"),
        (["demo", "--address", "http://127.0.0.1:1", "--name", "../out"], "'../out'"),
    ],
)
def test_errors_are_reported_and_no_files_created(tmp_path: Path, arguments: list[str], expected: str) -> None:
    outcome = CliRunner().invoke(app, ["submit", *arguments, "--results-dir", str(tmp_path / "results")])
    assert outcome.exit_code == 2, outcome.output
    assert expected in " ".join(outcome.output.split())
    assert list(tmp_path.iterdir()) == []


def test_local_data_and_models_are_copied_into_the_job(tmp_path: Path) -> None:
    corpus, encoder, folder = tmp_path / "corpus.jsonl", tmp_path / "encoder", tmp_path / "job"
    corpus.write_text('{"text": "x", "spans": []}\n')
    encoder.mkdir()
    (encoder / "config.json").write_text("{}")
    folder.mkdir()
    space = load_space("demo", {"data": str(corpus), "model": [str(encoder), "tiny:1x32"]})
    Job("grid", space, "night").prepare(folder)
    copied = load_space(str(folder / "space.yaml"))
    assert copied.data == DataSettings(path="inputs/corpus.jsonl")
    assert copied.model == ["inputs/encoder", "tiny:1x32"]
    assert (folder / "inputs" / "corpus.jsonl").read_text() == corpus.read_text()
    assert (folder / "inputs" / "encoder" / "config.json").exists()
    outcome = subprocess.run(
        [sys.executable, "-c", "import tune_ner.config.loading as s; print(s.__file__, *s.bundled_spaces())"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(folder) in outcome.stdout
    assert "demo" in outcome.stdout


def test_two_inputs_with_the_same_name_are_refused(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place / "same").mkdir(parents=True)
    (tmp_path / "job").mkdir()
    space = load_space("demo", {"model": [str(tmp_path / "a" / "same"), str(tmp_path / "b" / "same")]})
    with pytest.raises(ResourceError, match="same"):
        Job("grid", space, "night").prepare(tmp_path / "job")


def test_arguments_are_quoted() -> None:
    job = Job("search", load_space("search"), "night", ("--time", "8h", "--study", "a b; rm -rf ~"), "/data/runs")
    assert job.entrypoint == (
        "python -m tune_ner.search space.yaml --name night --results-dir /data/runs --address auto "
        "--time 8h --study 'a b; rm -rf ~'"
    )


class FakeClient:
    """Job server with one job.

    Args:
        log: output of the job.
        answers: states of the job, or errors, one per request; the last one repeats.
        breaks: characters of the log that exist at each reading; -1 for a reading that fails.
    """

    def __init__(self, log: str, *answers: JobDetails | Exception, breaks: list[int] | None = None) -> None:
        self.log, self.answers, self.breaks = log, list(answers), breaks or []

    def list_jobs(self) -> list[JobDetails]:
        return []

    def submit_job(self, **_: Any) -> str:
        return "night-1"

    def get_job_info(self, job_id: str) -> JobDetails:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def get_job_logs(self, job_id: str) -> str:
        cut = self.breaks.pop(0) if self.breaks else None
        if cut == -1:
            raise RuntimeError("Request failed with status code 500")
        return self.log[:cut]


def a_job(status: JobStatus, **more: Any) -> JobDetails:
    return JobDetails(type=JobType.SUBMISSION, status=status, entrypoint="", submission_id="night-1", **more)


RUNNING = a_job(JobStatus.RUNNING)
SUCCEEDED = a_job(JobStatus.SUCCEEDED, driver_exit_code=0)
LOG = '{"event": "began"}\n{"event": "ended"}\n'


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[FakeClient], tuple[Result, list[Path]]]:
    """Return a function that runs `submit` with a client, and returns its result and the run folders it fetched."""
    fetched: list[Path] = []

    def fetch(*arguments: Any) -> bool:
        fetched.append(arguments[2])
        return True

    def submit(client: FakeClient) -> tuple[Result, list[Path]]:
        monkeypatch.setattr("tune_ner.cluster.job_submission.JobSubmissionClient", lambda _: client)
        command = ["submit", "demo", "--address", "http://head:8265", "--name", "night", "--results-dir", str(tmp_path)]
        return CliRunner().invoke(app, command), fetched

    monkeypatch.setattr(JobServer, "fetch", fetch)
    monkeypatch.setattr("tune_ner.cluster.job_submission.time.sleep", lambda _: None)
    return submit


Submitted = Callable[[FakeClient], tuple[Result, list[Path]]]


@pytest.mark.parametrize("breaks", [[], [10], [0, 3, -1, 20, 20]])
def test_standard_output_is_the_log_of_the_job_even_if_it_breaks_off(submitted: Submitted, breaks: list[int]) -> None:
    running = [RUNNING] * len(breaks)
    client = FakeClient(LOG, *running, ConnectionRefusedError("no route"), SUCCEEDED, breaks=breaks)
    outcome, fetched = submitted(client)
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout == LOG
    assert "Job night-1 on http://head:8265, run night" in outcome.stderr
    assert f"Fetched to {fetched[0]}" in outcome.stderr


def test_a_lost_connection_is_reported_and_nothing_fetched(submitted: Submitted) -> None:
    outcome, fetched = submitted(FakeClient(LOG, RUNNING, ConnectionRefusedError("no route"), breaks=[10, 10]))
    assert outcome.exit_code == 2
    assert isinstance(outcome.exception, SystemExit)
    assert "no route" in outcome.stderr
    assert "Job night-1 continues" in outcome.stderr
    assert not fetched


def test_an_error_of_the_server_is_reported(submitted: Submitted, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: FakeClient) -> list[JobDetails]:
        raise RuntimeError("Request failed with status code 500")

    monkeypatch.setattr(FakeClient, "list_jobs", refuse)
    outcome, _ = submitted(FakeClient(LOG, SUCCEEDED))
    assert outcome.exit_code == 2
    assert "Request failed with status code 500" in outcome.stderr


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (a_job(JobStatus.STOPPED, message="Job was intentionally stopped."), "was stopped;"),
        (
            a_job(JobStatus.FAILED, message="The actor\ndied.", error_type=JobErrorType.JOB_SUPERVISOR_ACTOR_DIED),
            "died: The actor died.;",
        ),
        (a_job(JobStatus.FAILED, message="no such environment"), "did not start: no such environment;"),
    ],
)
def test_the_run_of_a_job_without_an_exit_code_is_fetched(
    submitted: Submitted, ending: JobDetails, expected: str
) -> None:
    outcome, fetched = submitted(FakeClient(LOG, RUNNING, ending))
    assert outcome.exit_code == 2
    assert len(fetched) == 1
    assert f"job night-1 at http://head:8265 {expected}" in outcome.stderr


def test_the_exit_code_is_that_of_the_job(submitted: Submitted) -> None:
    outcome, _ = submitted(FakeClient(LOG, a_job(JobStatus.FAILED, driver_exit_code=3)))
    assert outcome.exit_code == 3


def read(address: str, token: str) -> str:
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=300) as answer:
        content: bytes = answer.read()
    return content.decode()


def metrics_of(page: str) -> dict[str, float]:
    """Return this package's Prometheus metrics on a page: values by name and labels."""
    try:
        lines = read(page, "").splitlines()
    except (OSError, http.client.HTTPException):  # a node that has just started
        return {}
    found = (line.rpartition(" ") for line in lines if line.startswith("ray_tune_ner_"))
    return {name: float(value) for name, _, value in found}


@pytest.mark.ray
@pytest.mark.slow
def test_a_grid_runs_on_two_nodes_and_is_followed_fetched_and_resumed(tmp_path: Path) -> None:
    arguments = ["demo", "--data", "synthetic:150", "--epochs", "1", "--model", "tiny:1x32", "--name", "night"]
    folders = ["--results-dir", str(tmp_path / "here"), "--remote-results-dir", str(tmp_path / "there")]
    measured: dict[str, float] = {}
    with two_nodes() as cluster:
        command = [sys.executable, "-m", "tune_ner", "submit", *arguments, "--address", cluster.dashboard, *folders]
        environment = {**os.environ, **cluster.environment}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            while process.poll() is None:
                for page in cluster.metrics:
                    measured |= metrics_of(page)
                time.sleep(0.3)
            assert process.stdout
            output = process.stdout.read()
        jobs = json.loads(read(f"{cluster.dashboard}/api/jobs/", cluster.environment["RAY_AUTH_TOKEN"]))
        with pytest.raises(urllib.error.HTTPError, match=r"Unauthorized|401"):
            read(f"{cluster.dashboard}/api/jobs/", "")
        second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
        stranger = {name: value for name, value in environment.items() if name != "RAY_AUTH_TOKEN"}
        refused = subprocess.run(
            command, env={**stranger, "HOME": str(tmp_path)}, capture_output=True, text=True, timeout=500
        )
    assert process.returncode == 0, output
    assert any(job["submission_id"].startswith("night-") for job in jobs)
    statuses = {name.partition('status="')[2].partition('"')[0] for name in measured if "ray_tune_ner_trials" in name}
    assert statuses >= {"waiting", "running", "completed", "failed"}
    for metric in ("best_validation_span_f1", "tokens_per_second", "memory_bytes"):
        assert [value for name, value in measured.items() if name.startswith(f"ray_tune_ner_{metric}{{")], metric
    assert all('run="night"' in name for name in measured)
    run = tmp_path / "here" / "night"
    records = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    assert [record["status"] for record in records] == ["completed"] * 6
    assert len(pd.read_csv(run / "leaderboard.csv")) == 6
    assert len(list((run / "predictions").glob("*.jsonl"))) == len(list((run / "predictions").glob("*.npz"))) == 6
    assert (run / "best" / "model.safetensors").stat().st_size > 10_000
    assert second.returncode == 0
    assert len((run / "trials.jsonl").read_text().splitlines()) == 6
    assert refused.returncode == 2
    assert cluster.environment["RAY_AUTH_TOKEN"] not in refused.stdout + refused.stderr + output
