import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.factories import a_config, a_failure, a_record, a_result, a_run, a_stopped_trial
from tune_ner.config.loading import load_space
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.tracking.json_lines import JsonDisplay, _finite
from tune_ner.training.result import EpochMetrics
from tune_ner.tuning.events import RunStart
from tune_ner.tuning.experiment import audit_experiment, prepare
from tune_ner.tuning.options import SchedulerConfig
from tune_ner.tuning.resources import TrialResources


def told(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line, parse_constant=pytest.fail) for line in stream.getvalue().splitlines()]


def test_every_event_of_a_run_is_an_object_of_its_own(tmp_path: Path) -> None:
    stream = io.StringIO()
    display = JsonDisplay(stream, "mine")
    records = [
        a_record((0.25, 0.5), epochs=2, seed=1),
        a_failure("no\nmemory", seed=2, epochs=2),
        a_stopped_trial(seed=3),
    ]
    with display.following(prepare(load_space("demo", {"data": "synthetic:100"}))) as events:
        events.on_run_start(RunStart(TrialResources(1, 0.0, 2), trials=3))
        events.on_note("postgresql://me:secret@host is slow")
        events.on_confirmation_start(2)
        for record in records:
            events.on_trial_start(record.config)
            for epoch in record.curve:
                events.on_epoch_end(record.config, epoch)
            events.on_trial_end(record)
    display.ended(Results(a_run(tmp_path, records)), 3, Path("report.html"), 3)
    lines = told(stream)
    assert [line["event"] for line in lines[:6]] == [
        *("run_started", "note", "confirming", "trial_started", "epoch_ended", "epoch_ended"),
    ]
    assert all(line["time"].endswith("+00:00") for line in lines)
    assert lines[0]["resources"] == {"cpus": 1, "gpus": 0.0, "concurrent": 2}
    assert lines[0]["dashboard"] is None
    assert lines[1]["message"] == "postgresql://me:***@host is slow"
    whole, failed, stopped = (line for line in lines if line["event"] == "trial_ended")
    assert (whole["status"], whole["validation_span_f1"], whole["test_span_f1"]) == ("completed", 0.5, 0.4)
    assert whole["configuration"]["learning_rate"] == 1e-3
    assert (failed["status"], failed["error"]) == ("failed", "no\nmemory")
    assert "validation_span_f1" not in failed
    assert (stopped["status"], stopped["epochs_run"], stopped["best_validation_span_f1"]) == ("pruned", 2, 0.2)
    assert "test_span_f1" not in stopped
    end = lines[-1]
    assert (end["event"], end["exit_code"], end["folder"]) == ("run_ended", 3, str(tmp_path / "run"))
    assert end["statuses"] == {"completed": 1, "failed": 1, "pruned": 1}
    assert end["best"]["validation_span_f1"] == pytest.approx(
        Results(a_run(tmp_path, records, "other")).entries[0].validation.estimate
    )
    low, high = end["best"]["validation_interval"]
    assert low <= high
    assert end["best"]["trials"] == [records[0].trial_id]
    assert end["page"] == "report.html"


def test_a_run_without_a_finished_trial_has_no_best(tmp_path: Path) -> None:
    stream = io.StringIO()
    JsonDisplay(stream, "mine").ended(Results(a_run(tmp_path, [a_failure()])), 12, Path("report.html"), 130)
    (end,) = told(stream)
    assert (end["best"], end["exit_code"], end["trials"]) == (None, 130, 12)


def test_data_audit_and_plan_are_told() -> None:
    stream = io.StringIO()
    display = JsonDisplay(stream, "mine")
    experiment = prepare(load_space("demo", {"data": "synthetic:100"}))
    display.data(experiment)
    display.audit(audit_experiment(experiment), [])
    display.plan(experiment, TrialResources(1, 0.0, 2), SchedulerConfig())
    data, audit, plan = told(stream)
    assert sum(split_name["sentences"] for split_name in data["parts"].values()) == 100
    assert audit["summary"].startswith("audit: ")
    assert set(audit["findings"][0]) == {"severity", "title", "count", "total", "suggestion"}
    assert [trial["trial"] for trial in plan["trials"]] == [trial.trial_id for trial in experiment.schedule]


def test_numbers_that_json_does_not_have_are_null() -> None:
    stream = io.StringIO()
    figures = EpochMetrics(1, float("nan"), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, float("inf"))
    JsonDisplay(stream, "mine").on_epoch_end(a_config(), figures)
    (line,) = told(stream)
    assert (line["validation_loss"], line["training_loss"]) == (None, None)
    assert _finite({1: (float("-inf"), "x", [2.5])}) == {"1": [None, "x", [2.5]]}


def test_a_searched_trial_has_its_best_validation_figure() -> None:
    stream = io.StringIO()
    JsonDisplay(stream, "mine").on_trial_end(TrialRecord.searched(a_config(), a_result((0.5, 0.25)).epochs, 1.0))
    (line,) = told(stream)
    assert (line["best_validation_span_f1"], line["epochs_run"]) == (0.5, 2)
    assert "test_span_f1" not in line


class _Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_reader_that_goes_away_does_not_end_the_run() -> None:
    display = JsonDisplay(_Gone(), "mine")
    display.on_note("one")
    display.on_note("two")
    assert display._stream is None
