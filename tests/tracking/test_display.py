import io
from pathlib import Path

import pytest

from tests.factories import a_config, a_failed_trial, a_pruned_trial, a_record, a_run
from tests.report.runs import a_grid, anonymous
from tests.snapshot import assert_snapshot
from tune_ner.config.loading import load_space
from tune_ner.errors import RunFolderError
from tune_ner.results.run_results import Results
from tune_ner.results.test_set_log import EarlierUse
from tune_ner.tracking.console import Plan, describe_trials
from tune_ner.tracking.display import ConsoleDisplay, Display, QuietDisplay
from tune_ner.tuning.events import RunStart
from tune_ner.tuning.experiment import Experiment, audit_experiment, prepare
from tune_ner.tuning.options import SchedulerConfig, SearchSettings
from tune_ner.tuning.resources import TrialResources
from tune_ner.utils.console import new_console

RESOURCES = TrialResources(1, 0.0, 2)


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return prepare(load_space("demo", {"data": "synthetic:100", "model": ["tiny:1x32", "tiny:2x64"], "epochs": 5}))


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


def a_session(display: Display, experiment: Experiment, results: Results) -> None:
    """Call a display as a run does."""
    display.show_data(experiment)
    display.show_audit(audit_experiment(experiment), [EarlierUse("earlier", 12)])
    display.on_note("the corpus was read as [columns]")
    with display.listen(experiment) as events:
        events.on_run_start(RunStart(RESOURCES, "http://127.0.0.1:8265", trials=9, recorded=1))
        for record in results.records:
            events.on_trial_start(record.config)
            for epoch in record.curve:
                events.on_epoch_end(record.config, epoch)
            events.on_trial_end(record)
        events.on_note("a worker crashed")
    display.show_results(results, 9, results.run_dir.path / "report.html", 3)


def test_console_output_of_a_run(
    tmp_path: Path, output: io.StringIO, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tune_ner.tracking.progress.time.monotonic", lambda: 1.0)
    a_session(ConsoleDisplay(new_console(output, width=120)), experiment, Results(a_grid(tmp_path)))
    assert_snapshot("console.txt", anonymous(output.getvalue(), tmp_path))


def test_quiet_output_of_a_run(tmp_path: Path, output: io.StringIO, experiment: Experiment) -> None:
    a_session(QuietDisplay(new_console(output, width=120)), experiment, Results(a_grid(tmp_path)))
    assert_snapshot("console_quiet.txt", anonymous(output.getvalue(), tmp_path))


def test_output_of_dry_runs(output: io.StringIO, experiment: Experiment) -> None:
    sampled = prepare(load_space("search", {"data": "synthetic:100"}))
    plans = [
        Plan(experiment, RESOURCES, SchedulerConfig("asha")),
        Plan(sampled, RESOURCES, SchedulerConfig("median"), SearchSettings(20, 1800.0, 0.9)),
    ]
    for display in (ConsoleDisplay(new_console(output, width=120)), QuietDisplay(new_console(output, width=120))):
        for plan in plans:
            display.show_plan(plan)
    assert_snapshot("console_plans.txt", anonymous(output.getvalue()))


def test_quiet_prints_nothing_before_the_end(output: io.StringIO, experiment: Experiment) -> None:
    display = QuietDisplay(new_console(output))
    display.show_data(experiment)
    with display.listen(experiment) as events:
        events.on_run_start(RunStart(RESOURCES, trials=1))
        events.on_note("a note")
        events.on_trial_start(a_config())
        events.on_trial_end(a_record())
    assert output.getvalue() == ""


@pytest.mark.parametrize("kind", [ConsoleDisplay, QuietDisplay])
def test_missing_report_is_explained(
    tmp_path: Path, output: io.StringIO, kind: type[ConsoleDisplay] | type[QuietDisplay]
) -> None:
    results = Results(a_run(tmp_path, [a_record(), a_failed_trial(seed=2), a_pruned_trial(seed=3)]))
    kind(new_console(output)).show_results(results, 3, RunFolderError("report.html: a folder"), 0)
    assert "report.html: a folder" in output.getvalue()
    assert str(results.run_dir.path) in output.getvalue()


def test_notes_are_printed_without_secrets_and_control_characters(output: io.StringIO) -> None:
    ConsoleDisplay(new_console(output)).on_note("[the server] https://me:pass-word@host is \x1b[31mlost")
    assert output.getvalue() == "note: [the server] https://me:***@host is \\x1b[31mlost\n"


def test_resources_are_described_with_plurals() -> None:
    assert describe_trials(1, TrialResources(1, 0.0, 1)) == "1 trial with 1 CPU thread."
    assert "each with 2 CPU threads and 0.5 GPU" in describe_trials(4, TrialResources(2, 0.5, 4))
