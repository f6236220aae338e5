import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.factories import a_config, a_failed_trial, a_pruned_trial, a_record, a_run
from tune_ner.config.loading import load_space
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.results.test_set_log import EarlierUse
from tune_ner.tracking import json_lines
from tune_ner.tracking.console import Plan
from tune_ner.tracking.json_lines import JsonDisplay
from tune_ner.tuning.events import RunStart
from tune_ner.tuning.experiment import Experiment, audit_experiment, prepare
from tune_ner.tuning.options import SchedulerConfig, SearchSettings
from tune_ner.tuning.resources import TrialResources

RESOURCES = TrialResources(1, 0.0, 2)
IN_EVERY_EVENT = {"event", "time"}


def events_in(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line, parse_constant=pytest.fail) for line in stream.getvalue().splitlines()]


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return prepare(load_space("demo", {"data": "synthetic:100"}))


@pytest.fixture
def events(tmp_path: Path, experiment: Experiment) -> list[dict[str, Any]]:
    """The events of a run of three trials and of two dry runs."""
    stream = io.StringIO()
    display = JsonDisplay(stream, "mine")
    records = [a_record((0.25, 0.5), epochs=2, seed=1), a_failed_trial("no\nmemory", seed=2), a_pruned_trial(seed=3)]
    display.show_data(experiment)
    display.show_audit(audit_experiment(experiment), [EarlierUse("earlier", 12)])
    display.show_plan(Plan(experiment, RESOURCES, SchedulerConfig()))
    display.show_plan(Plan(experiment, RESOURCES, SchedulerConfig(), SearchSettings(20)))
    with display.listen(experiment) as listener:
        listener.on_run_start(RunStart(RESOURCES, trials=3, recorded=1))
        listener.on_note("postgresql://me:secret@host is slow")
        listener.on_confirmation_start(2)
        for record in records:
            listener.on_trial_start(record.config)
            for epoch in record.curve:
                listener.on_epoch_end(record.config, epoch)
            listener.on_trial_end(record)
    display.show_results(Results(a_run(tmp_path, records)), 3, Path("report.html"), 3)
    return events_in(stream)


def test_every_event_has_the_documented_keys(events: list[dict[str, Any]]) -> None:
    documented = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", json_lines.__doc__ or "", re.MULTILINE))
    assert {event["event"] for event in events} == documented.keys()
    for event in events:
        keys = set(re.findall(r"`(\w+)`", documented[event["event"]]))
        undocumented = event.keys() - IN_EVERY_EVENT - keys
        assert undocumented == set() or event["event"] == "epoch_completed"
        assert event["time"].endswith("+00:00")


def test_trials_have_their_status_and_metrics(events: list[dict[str, Any]]) -> None:
    completed, failed, pruned = (event for event in events if event["event"] == "trial_completed")
    assert (completed["status"], completed["validation_span_f1"], completed["test_span_f1"]) == ("completed", 0.5, 0.4)
    assert completed["config"]["learning_rate"] == 1e-3
    assert (failed["status"], failed["error"], failed["test_span_f1"]) == ("failed", "no\nmemory", None)
    assert (pruned["status"], pruned["epochs_run"], pruned["best_score"]) == ("pruned", 2, 0.2)
    epochs = [event["epoch"] for event in events if event["event"] == "epoch_completed"]
    assert epochs == [1, 2, 1, 2]


def test_last_event_has_the_outcome(events: list[dict[str, Any]], tmp_path: Path) -> None:
    end = events[-1]
    assert (end["event"], end["exit_code"], end["run_dir"]) == ("run_completed", 3, str(tmp_path / "run"))
    assert end["statuses"] == {"completed": 1, "failed": 1, "pruned": 1}
    low, high = end["best"]["validation_span_f1_interval"]
    assert low <= end["best"]["validation_span_f1"] <= high
    assert len(end["best"]["trial_ids"]) == 1
    assert (end["best"]["other_configurations"], end["best"]["tied_configurations"]) == (0, 0)


def test_data_audit_plan_and_start_are_written(events: list[dict[str, Any]], experiment: Experiment) -> None:
    data, audit, grid, search, start, note, confirmation = events[:7]
    assert sum(split["sentences"] for split in data["splits"].values()) == 100
    assert audit["earlier_test_runs"] == [{"run": "earlier", "trials": 12}]
    assert [trial["trial_id"] for trial in grid["trials"]] == [trial.trial_id for trial in experiment.schedule]
    assert search["max_trials"] == 20
    assert start["resources"] == {"cpus": 1, "gpus": 0.0, "concurrent": 2}
    assert (start["trials"], start["recorded"], start["selection_metric"]) == (3, 1, "span_f1")
    assert note["message"] == "postgresql://me:***@host is slow"
    assert confirmation["trials"] == 2


def test_runs_without_a_completed_trial_have_no_best(tmp_path: Path) -> None:
    stream = io.StringIO()
    JsonDisplay(stream, "mine").show_results(Results(a_run(tmp_path, [a_failed_trial()])), 12, Path("report.html"), 130)
    (end,) = events_in(stream)
    assert (end["best"], end["exit_code"], end["trials"]) == (None, 130, 12)


def test_numbers_that_json_lacks_are_null() -> None:
    stream = io.StringIO()
    metrics = replace(a_record().curve[0], validation_loss=float("nan"), training_loss=float("inf"))
    JsonDisplay(stream, "mine").on_epoch_end(a_config(), metrics)
    (event,) = events_in(stream)
    assert (event["validation_loss"], event["training_loss"]) == (None, None)


def test_trials_of_a_search_have_their_best_score() -> None:
    stream = io.StringIO()
    JsonDisplay(stream, "mine").on_trial_end(TrialRecord.searched(a_config(), a_record((0.5, 0.25)).curve, 1.0))
    (event,) = events_in(stream)
    assert (event["phase"], event["best_score"], event["epochs_run"], event["test_span_f1"]) == ("search", 0.5, 2, None)


class _ClosedPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_closed_pipe_does_not_end_the_run() -> None:
    display = JsonDisplay(_ClosedPipe(), "mine")
    display.on_note("one")
    display.on_note("two")
    assert display._stream is None
