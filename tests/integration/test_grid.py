"""The grid command, from its arguments to its files; the slow tests start Ray."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import ray
from typer.testing import CliRunner

from tests.hub_cache import NOTEBOOK_MODELS, REVISION, notebook_cache
from tune_ner.cli.app import app
from tune_ner.evaluation.seqeval_metrics import TypeMetrics
from tune_ner.results.prediction_cache import Novelty
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results

SMALL = ["demo", "--data", "synthetic:150", "--epochs", "2", "--no-dashboard"]
TWELVE = [*SMALL, "--model", "tiny:1x32", "--model", "tiny:2x32"]
THREE = [*SMALL, "--model", "tiny:1x32", "--scheme", "BIO"]
ONE = [*SMALL, "--model", "tiny:1x32", "--scheme", "BIO", "--lr", "3e-3"]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tune_ner.grid", *arguments]


def run(results: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments, "--results-dir", str(results)),
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        timeout=600,
    )


def start(results: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments, "--results-dir", str(results)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def records_of(folder: Path, truncated: bool = False) -> list[dict[str, Any]]:
    lines = (folder / "trials.jsonl").read_text().splitlines()
    return [json.loads(line) for line in (lines[:-1] if truncated else lines)]


def wait_for_records(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and process.poll() is None:
        file = folder / "trials.jsonl"
        if file.exists() and len(file.read_text().splitlines()) >= count:
            return
        time.sleep(0.1)
    process.kill()
    pytest.fail(f"no {count} records: {process.communicate(timeout=600)[0]}")


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    workers = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.name().startswith(("ray::tune_ner", "ray::Implicit")):
                workers.append(child)
    assert workers
    return workers


def title_of(worker: psutil.Process) -> str:
    """The title of a worker; empty if it has ended."""
    with suppress(psutil.NoSuchProcess):
        return "".join(worker.cmdline()[:1])
    return ""


def suspend_training_worker(process: subprocess.Popen[str]) -> None:
    """Suspend the only worker while it trains; Ray itself replaces one that hangs between two trials."""
    for _ in range(2000):
        for worker in workers_of(process):
            worker.suspend()
            if "ray::tune_ner" in title_of(worker):
                return
            worker.resume()
        time.sleep(0.01)
    raise AssertionError("no worker trains")


def wait_for_title(process: subprocess.Popen[str], start: str) -> None:
    """Wait for a worker whose title, which Ray's dashboard shows, starts so; between two trials Ray sets its own."""
    deadline = time.monotonic() + 600
    while not any(title_of(worker).startswith(start) for worker in workers_of(process)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def kill_workers(process: subprocess.Popen[str]) -> None:
    for worker in workers_of(process):
        with suppress(psutil.NoSuchProcess):
            worker.kill()


def refused(tmp_path: Path, *arguments: str) -> str:
    """Return the error that the command prints; it must create no files and not start Ray."""
    results = tmp_path / "results"
    outcome = CliRunner().invoke(app, ["grid", *arguments, "--results-dir", str(results)])
    assert outcome.exit_code == 2, outcome.output
    assert "Traceback" not in outcome.output
    assert not results.exists()
    assert not ray.is_initialized()
    return outcome.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["demmo"], "'demo'"),
        (["demo", "--scheme", "BIOSE", "--epochs", "0"], "'BIOES'"),
        (["demo", "--scheme", "BIOSE", "--epochs", "0"], "epochs[0]: found 0"),
        (["demo", "--lr", "7"], "learning_rate[0]: found 7.0"),
        (["demo", "--lr", "1e-3", "--lr", "1e-3"], "0.001"),
        (["demo", "--model", "./nowhere"], "'./nowhere'"),
        (["demo", "--model", "tiny:big"], "tiny:LAYERSxHIDDEN"),
        (["demo", "--model", "package:no_such_package"], "no_such_package"),
        (["demo", "--model", "some/where"], "--data FILE"),
        (["notebook"], "community-datasets/swedish_medical_ner"),
        (["notebook"], "`demo`"),
        (["demo", "--data", "nowhere.txt"], "nowhere.txt"),
        (["demo", "--data", "synthetic:none"], "synthetic:none"),
        (["demo", "--data", "synthetic:9"], "larger corpus"),
        (["demo", "--markup", "remove"], "markup: found 'remove'"),
        (["demo", "--name", "../out"], "'../out'"),
        (["demo", "--gpus-per-trial", "2"], "--gpus-per-trial 2:"),
        (["demo", "--cpus-per-trial", "4096"], "--cpus-per-trial 4096:"),
        (["demo", "--max-concurrent", "0"], "--max-concurrent 0:"),
        (["demo", "--max-concurrent", "100000"], "--max-concurrent 100000:"),
        (["demo", "--scheduler", "hyperband"], "--scheduler hyperband:"),
        (["demo", "--target-f1", "0"], "target_f1: found 0.0"),
        (["demo", "--target-f1", "1.5"], "target_f1: found 1.5"),
        (["demo", "--target-f1", "nan"], "target_f1: found nan"),
        (["demo", "--address", "127.0.0.1:1"], "127.0.0.1:1"),
        (["demo", "--address", "ray://127.0.0.1:1"], "--address auto"),
    ],
)
def test_errors_are_reported_before_ray_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: str
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty-cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    assert expected in refused(tmp_path, *arguments)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "corpus.txt"),
        (b"En mening utan markering.\n", "corpus.txt"),
        ("Ont i (h\xe4len).\n".encode("latin-1"), "corpus.txt:1:"),
    ],
    ids=["empty", "without entities", "not UTF-8"],
)
def test_an_invalid_corpus_is_reported_with_its_file(tmp_path: Path, content: bytes, expected: str) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes(content)
    assert expected in refused(tmp_path, "demo", "--data", str(corpus))


def test_a_span_outside_of_its_text_is_reported_with_file_line_and_span(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"text": "Feber", "spans": []}\n{"text": "Feber", "spans": [[2, 9, "DISORDER"]]}\n')
    output = refused(tmp_path, "demo", "--data", str(corpus))
    assert f"{corpus}:2: span [2, 9, 'DISORDER']" in output


def test_all_errors_of_a_search_space_are_reported_together(tmp_path: Path) -> None:
    space = tmp_path / "own.yaml"
    space.write_text("model: []\nlerning_rate: 1e-5\nlearning_rate: [fast]\nseed: 1.5\n")
    output = refused(tmp_path, str(space))
    for problem in ("own.yaml: 4", "model: ", "'learning_rate'", "learning_rate[0]", "seed[0]"):
        assert problem in output


def test_a_dry_run_lists_the_trials_and_creates_no_files(tmp_path: Path) -> None:
    results = tmp_path / "results"
    outcome = CliRunner().invoke(app, ["grid", *TWELVE, "--dry-run", "--results-dir", str(results)])
    assert outcome.exit_code == 0
    assert outcome.output.count("tiny:2x32") == 6
    assert "12 trials" in outcome.output
    assert not results.exists()


def test_the_plan_lists_trials_in_the_order_of_their_start_and_the_rungs_of_asha(tmp_path: Path) -> None:
    arguments = ["grid", *TWELVE, "--epochs", "5", "--scheduler", "asha", "--dry-run", "--results-dir", str(tmp_path)]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 0, outcome.output
    assert outcome.output.rindex("tiny:2x32") < outcome.output.index("tiny:1x32")
    assert "ASHA scheduler: after epochs 1 and 3" in outcome.output


@pytest.mark.parametrize("start", [["-m", "tune_ner.grid"], ["-m", "tune_ner", "grid"]])
def test_every_entry_point_runs_the_same_command(start: list[str]) -> None:
    outcome = subprocess.run([sys.executable, *start, "--help"], capture_output=True, text=True, check=True)
    assert "--max-concurrent" in outcome.stdout
    assert "tune-ner grid demo" in outcome.stdout


def test_the_console_script_is_installed() -> None:
    script = Path(sys.executable).with_name("tune-ner")
    outcome = subprocess.run([script, "grid", "--help"], capture_output=True, text=True, check=True)
    assert "--max-concurrent" in outcome.stdout


def table_without_times(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "ner_results_with_lr.csv").drop(columns="seconds")


def check_forms(folder: Path) -> None:
    """Check that the counts behind the intervals on seen and unseen entities give the recorded metrics."""
    found = Results(RunDir.open(folder))
    for record in found.records:
        assert record.result
        scores = record.result.metrics["test"]
        by_form: dict[Novelty, TypeMetrics] = {"seen": scores.seen, "unseen": scores.unseen}
        for form, metrics in by_form.items():
            right, wrong, missed = found.cache.counts(record, "test", novelty=form).sum(axis=0)
            assert right + missed == metrics.support
            assert 2 * right / max(1, 2 * right + wrong + missed) == pytest.approx(metrics.f1)


@pytest.mark.long
@pytest.mark.slow
def test_metrics_do_not_depend_on_the_number_of_concurrent_trials(tmp_path: Path) -> None:
    outcomes = [
        run(tmp_path, *TWELVE, "--name", f"at-once-{count}", "--max-concurrent", str(count)) for count in (1, 2)
    ]
    assert [outcome.returncode for outcome in outcomes] == [0, 0], outcomes[0].stderr + outcomes[1].stderr
    one, two = tmp_path / "at-once-1", tmp_path / "at-once-2"
    tables = [table_without_times(folder) for folder in (one, two)]
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    curves = [(folder / "curves.csv").read_text(encoding="utf-8") for folder in (one, two)]
    assert curves[0] == curves[1]
    predictions = [{file.name: file.read_text() for file in (f / "predictions").iterdir()} for f in (one, two)]
    assert predictions[0] == predictions[1]
    assert len(predictions[0]) == len(tables[0]) == 12
    assert tables[0]["F1"].nunique() > 3
    assert "[12/12]" in outcomes[1].stdout
    assert len(records_of(one)) == 12
    check_forms(two)
    # both export the same model, bit by bit, with its card
    weights = [(folder / "best" / "model.safetensors").read_bytes() for folder in (one, two)]
    assert weights[0] == weights[1]
    assert (one / "best" / "README.md").read_text().startswith("---\nlibrary_name: transformers\n")
    assert not (one / ".best").exists()


@pytest.mark.long
@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_fails_only_its_own_trial(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "bert"}')
    outcome = run(tmp_path, *ONE, "--model", str(broken), "--name", "run")
    assert outcome.returncode == 3, outcome.stderr
    records = {record["config"]["model"]: record for record in records_of(tmp_path / "run")}
    assert records["tiny:1x32"]["status"] == "completed"
    assert records[str(broken)]["status"] == "failed"
    assert f"model '{broken}'" in records[str(broken)]["error"]
    assert "broken · BIO · lr 0.003 · seed 42" in outcome.stdout


@pytest.mark.long
@pytest.mark.slow
def test_asha_prunes_weak_configurations_also_in_a_resumed_run(tmp_path: Path) -> None:
    rates = [argument for rate in ("5e-3", "1e-6", "2e-6", "4e-6") for argument in ("--lr", rate)]
    space = ["demo", "--data", "synthetic:1200", "--model", "tiny:1x64", "--scheme", "BIO", "--epochs", "4", *rates]
    seeds = ["--seed", "1", "--seed", "2", "--no-dashboard", "--max-concurrent", "1"]
    arguments = [*space, *seeds, "--scheduler", "asha", "--grace-period", "2", "--name", "run"]
    outcome = run(tmp_path, *arguments)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    records = records_of(tmp_path / "run")
    assert len(records) == 8
    by_status = {status: [r for r in records if r["status"] == status] for status in ("completed", "pruned")}
    assert [r["config"]["learning_rate"] for r in by_status["completed"]] == [5e-3, 5e-3]
    assert [len(r["result"]["epochs"]) for r in by_status["completed"]] == [4, 4]
    # the first seed is compared after the second epoch, the other is pruned at its next report
    assert [len(r["epochs"]) for r in by_status["pruned"]] == [2, 1, 2, 1, 2, 1]
    assert all(r["result"] is None and r["error"] is None and r["seconds"] > 0 for r in by_status["pruned"])
    table = table_without_times(tmp_path / "run")
    assert table["status"].value_counts().to_dict() == {"pruned": 6, "completed": 2}
    assert table[table["status"] == "pruned"]["F1"].isna().all()
    assert len(pd.read_csv(tmp_path / "run" / "curves.csv")) == 2 * 4 + 3 * (2 + 1)
    assert len(list((tmp_path / "run" / "predictions").iterdir())) == 2
    trials = tmp_path / "run" / "trials.jsonl"
    trials.write_text("".join(trials.read_text().splitlines(keepends=True)[:3]))
    again = run(tmp_path, *arguments)
    assert again.returncode == 0, again.stdout + again.stderr
    assert [len(r["epochs"] or r["result"]["epochs"]) for r in records_of(tmp_path / "run")] == [4, 4, 2, 1, 2, 1, 2, 1]


@pytest.mark.long
@pytest.mark.slow
def test_a_trial_that_reaches_its_target_stops_early_and_is_measured_on_test(tmp_path: Path) -> None:
    arguments = [*ONE, "--epochs", "20", "--target-f1", "0.05", "--scheduler", "asha", "--name", "run"]
    outcome = run(tmp_path, *arguments)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    (record,) = records_of(tmp_path / "run")
    assert record["status"] == "early_stopped"
    epochs = record["result"]["epochs"]
    assert len(epochs) < 20
    assert [epoch["validation_span_f1"] >= 0.05 for epoch in epochs] == [False] * (len(epochs) - 1) + [True]
    assert record["result"]["best_epoch"] == len(epochs)
    assert record["result"]["metrics"]["test"]["spans"]["support"] > 0
    assert "target_f1: 0.05" in (tmp_path / "run" / "space.yaml").read_text()


@pytest.mark.ray
@pytest.mark.slow
def test_the_option_json_prints_only_json_though_a_worker_is_killed_and_its_trial_retried(tmp_path: Path) -> None:
    arguments = [*THREE, "--epochs", "20", "--name", "run", "--max-concurrent", "1"]
    process = start(tmp_path, *arguments, "--json")
    psutil.Process(process.pid).nice(3)
    wait_for_records(tmp_path / "run", 1, process)
    wait_for_title(process, "ray::tune_ner tiny:1x32 · ")
    # with Ray's niceness of 15, workers make no progress while other programs use all CPUs
    assert {worker.nice() for worker in workers_of(process)} == {3}  # that of the command
    kill_workers(process)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    records = records_of(tmp_path / "run")
    assert {record["status"] for record in records} == {"completed"}
    assert len({record["trial_id"] for record in records}) == len(records) == 3
    lines = [json.loads(line) for line in output.splitlines()]
    events = [line["event"] for line in lines]
    assert events[:3] == ["data_loaded", "audit_completed", "run_started"]
    assert events[-3:] == ["epoch_completed", "trial_completed", "run_completed"]
    assert lines[-1]["exit_code"] == 0
    trial_ids = [line["trial_id"] for line in lines if line["event"] == "trial_completed"]
    assert trial_ids == [record["trial_id"] for record in records]
    assert lines[-1]["best"]["trial_ids"][0] in trial_ids
    check_the_log(tmp_path / "run", trial_ids)
    log = (tmp_path / "run" / "run.log").read_text(encoding="utf-8")
    again = CliRunner().invoke(app, ["grid", *arguments, "--quiet", "--results-dir", str(tmp_path)])
    assert (again.exit_code, again.stderr) == (0, "")
    # a small model may be worse than a list of the train entities
    assert [label for line in again.stdout.splitlines() if (label := line.partition(":")[0]) != "warning"] == [
        "Best configuration on the validation set",
        *("Results", "Model", "Report"),
    ]
    assert (tmp_path / "run" / "run.log").read_text(encoding="utf-8").startswith(log)


def check_the_log(run: Path, trial_ids: list[str]) -> None:
    """What is not for machines: Ray's messages and the end of each trial, without codes of a terminal; TensorBoard."""
    log = (run / "run.log").read_text(encoding="utf-8")
    assert "ray._private.worker: Started a local Ray instance" in log
    assert all(f"INFO tune_ner: trial {trial_id} completed" in log for trial_id in trial_ids)
    assert "\x1b" not in log
    boards = [board.name.rpartition("-")[2] for board in (run / "tensorboard").iterdir()]
    assert sorted(boards) == sorted(trial_ids)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(("retries", "code"), [(2, 0), pytest.param(0, 3, marks=pytest.mark.long)])
def test_a_worker_that_hangs_is_killed_and_its_trial_retried(tmp_path: Path, retries: int, code: int) -> None:
    options = ["--max-concurrent", "1", "--trial-timeout", "15s", "--max-failures", str(retries)]
    process = start(tmp_path, *TWELVE, "--epochs", "6", "--name", "run", *options)
    wait_for_records(tmp_path / "run", 1, process)
    suspend_training_worker(process)
    output, _ = process.communicate(timeout=600)
    records = records_of(tmp_path / "run")
    assert process.returncode == code, output
    assert "for 15 s: its worker is killed" in " ".join(output.split())
    assert len({record["trial_id"] for record in records}) == len(records) == 12
    failed = [record["error"] for record in records if record["status"] == "failed"]
    expected = "the worker died: killed, because it reported nothing for 15 s (--trial-timeout)"
    assert failed == ([] if code == 0 else [expected])


@pytest.mark.long
@pytest.mark.slow
def test_without_retries_a_killed_worker_fails_one_trial_which_retry_failed_runs_again(tmp_path: Path) -> None:
    arguments = [*TWELVE, "--epochs", "6", "--name", "run", "--max-concurrent", "1", "--max-failures", "0"]
    process = start(tmp_path, *arguments)
    wait_for_records(tmp_path / "run", 1, process)
    kill_workers(process)
    output, _ = process.communicate(timeout=600)
    records = records_of(tmp_path / "run")
    assert process.returncode == 3, output
    assert len(records) == 12
    failures = [record["error"] for record in records if record["status"] == "failed"]
    assert len(failures) == 1
    assert failures[0].startswith("the worker died: ")
    assert run(tmp_path, *arguments).returncode == 3
    assert records_of(tmp_path / "run") == records
    again = run(tmp_path, *arguments, "--retry-failed")
    assert again.returncode == 0, again.stdout + again.stderr
    assert records_of(tmp_path / "run")[:12] == records
    assert [record["status"] for record in records_of(tmp_path / "run")[12:]] == ["completed"]
    assert "failed" not in set(table_without_times(tmp_path / "run")["status"])


@pytest.mark.long
@pytest.mark.slow
def test_a_trial_is_resumed_from_its_checkpoint(tmp_path: Path) -> None:
    space = ["demo", "--data", "synthetic:300", "--model", "tiny:1x32", "--scheme", "BIO", "--lr", "3e-3"]
    arguments = [*space, "--epochs", "40", "--checkpoint-every", "1", "--no-dashboard", "--name"]
    process = start(tmp_path, *arguments, "run")
    saved = tmp_path / "run" / "checkpoints"
    deadline = time.monotonic() + 600
    while not list(saved.glob("*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=600)
    assert records_of(tmp_path / "run") == []
    again = run(tmp_path, *arguments, "run")
    assert again.returncode == 0, again.stdout + again.stderr
    uninterrupted = run(tmp_path, *arguments, "uninterrupted", "--checkpoint-every", "50")
    assert uninterrupted.returncode == 0, uninterrupted.stdout + uninterrupted.stderr
    (resumed,), (expected,) = records_of(tmp_path / "run"), records_of(tmp_path / "uninterrupted")
    assert resumed["result"]["note"] != expected["result"]["note"] == ""
    for key in ("epochs", "best_epoch", "metrics", "test_loss", "training_log", "train_loss"):
        assert resumed["result"][key] == expected["result"][key], key
    assert not saved.exists()


@pytest.mark.long
@pytest.mark.slow
def test_a_grid_whose_driver_was_killed_is_resumed_and_meanwhile_locked(tmp_path: Path) -> None:
    arguments = [*THREE, "--epochs", "20", "--name", "run", "--max-concurrent", "1"]
    process = start(tmp_path, *arguments)
    wait_for_records(tmp_path / "run", 1, process)
    process.send_signal(signal.SIGSTOP)  # it must not end before the second command has read its lock
    second = run(tmp_path, *arguments)
    assert second.returncode == 2
    assert f"process {process.pid}" in " ".join(second.stderr.split())
    process.kill()
    process.communicate(timeout=600)
    with (tmp_path / "run" / "trials.jsonl").open("a") as file:
        file.write('{"format": 1, "trial_id": "to')
    before = records_of(tmp_path / "run", truncated=True)
    changed = run(tmp_path, *arguments, "--epochs", "9")
    assert changed.returncode == 2
    assert "space.epochs: [" in changed.stderr
    again = run(tmp_path, *arguments)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "truncated" in again.stdout
    records = records_of(tmp_path / "run")
    assert records[: len(before)] == before
    assert len({record["trial_id"] for record in records}) == len(records) == 3
    assert run(tmp_path, *arguments).returncode == 0
    assert records_of(tmp_path / "run") == records


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_its_records_and_writes_its_tables(tmp_path: Path, number: int, code: int) -> None:
    process = start(tmp_path, *TWELVE, "--name", "run", "--max-concurrent", "1")
    wait_for_records(tmp_path / "run", 2, process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == code, output
    assert "Traceback" not in output
    records = len(records_of(tmp_path / "run"))
    assert 2 <= records < 12
    assert len(table_without_times(tmp_path / "run")) == records
    assert f"{records} of 12" in output


@pytest.mark.long
@pytest.mark.slow
def test_the_notebook_s_space_runs_with_its_models_in_the_hub_s_cache(tmp_path: Path) -> None:
    home = notebook_cache(tmp_path / "hub")
    outcome = run(tmp_path, "notebook", "--epochs", "1", "--name", "run", "--no-dashboard", HF_HOME=str(home))
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    table = table_without_times(tmp_path / "run")
    assert len(table) == 12
    assert set(table["Model"]) == set(NOTEBOOK_MODELS)
    assert set(table["Learning Rate"]) == {1e-5, 2e-5, 5e-5}
    assert set(table["Tagging Scheme"]) == {"BIO", "BIOES"}
    assert table["test_accuracy"].notna().all()
    configs = [record["config"] for record in records_of(tmp_path / "run")]
    assert {config["model_fingerprint"] for config in configs} == {REVISION}
    assert {config["selection_metric"] for config in configs} == {"seqeval_f1"}


@pytest.mark.long
@pytest.mark.slow
def test_each_seed_runs_on_each_fold_and_the_next_run_reports_the_used_test_set(tmp_path: Path) -> None:
    arguments = [*ONE, "--split", "kfold:3", "--seed", "1", "--seed", "2"]
    first = run(tmp_path, *arguments, "--name", "first")
    assert first.returncode == 0, first.stdout + first.stderr
    configs = [record["config"] for record in records_of(tmp_path / "first")]
    assert sorted((config["seed"], config["fold"]) for config in configs) == [(s, f) for s in (1, 2) for f in (0, 1, 2)]
    predicted = [json.loads(line) for file in (tmp_path / "first" / "predictions").iterdir() for line in file.open()]
    tested = [line["index"] for line in predicted if line["split"] == "test"]
    assert sorted(tested) == sorted([*range(150), *range(150)])
    assert "audit:" in first.stdout
    assert len(json.loads((tmp_path / "first" / "audit.json").read_text(encoding="utf-8"))) == 3
    check_forms(tmp_path / "first")
    second = CliRunner().invoke(app, ["grid", *arguments, "--results-dir", str(tmp_path), "--dry-run"])
    assert "first (6 trials)" in second.output


def test_names_that_look_like_rich_markup_are_printed_unchanged(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus[v2].jsonl"
    rows = [{"text": f"Ta Alvedon{i} nu.", "spans": [[3, 10 + len(str(i)), "[/DIS]"]]} for i in range(30)]
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["grid", "demo", "--data", str(corpus), "--dry-run", "--results-dir", str(tmp_path)]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 0, outcome.output
    assert "corpus[v2].jsonl" in outcome.output
    assert "[/DIS]" in outcome.output
