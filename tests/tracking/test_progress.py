import io
import os
import re
from collections.abc import Callable

import pytest
from rich.console import Console
from rich.text import Text

from tests.factories import a_config, a_failed_trial, a_pruned_trial, a_record, a_result
from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.tracking.progress import Progress
from tune_ner.tuning.events import RunStart
from tune_ner.tuning.resources import TrialResources
from tune_ner.utils.console import new_console

RESOURCES = TrialResources(1, 0.0, 2)
LONG_NAME = "some-where/a-model-with-a-rather-long-name"


def equal_cost(_: TrialConfig) -> float:
    return 1.0


def a_console(*, is_terminal: bool = False, width: int = 100, height: int = 40) -> Console:
    return new_console(io.StringIO(), force_terminal=is_terminal, width=width, height=height)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def view_of(progress: Progress, width: int = 100, height: int = 40) -> list[str]:
    console = progress._console = a_console(width=width, height=height)
    console.print(progress._view())
    return printed(console).splitlines()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Advances the time by some seconds."""
    now = [100.0]
    monkeypatch.setattr("tune_ner.tracking.progress.time.monotonic", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def test_files_get_one_line_per_trial() -> None:
    console = a_console()
    records = [a_record((0.25, 0.5), epochs=2), a_failed_trial(seed=2, epochs=2), a_pruned_trial((0.2,), seed=3)]
    records.append(TrialRecord.searched(a_config(seed=4), a_record((0.5, 0.25)).curve, 3.0))
    with Progress(console, equal_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, "http://127.0.0.1:8265", trials=len(records)))
        for record in records:
            progress.on_trial_start(record.config)
            for epoch in record.curve:
                progress.on_epoch_end(record.config, epoch)
            progress.on_trial_end(record)
    resources, dashboard, *trials = printed(console).splitlines()
    assert "2 at once" in resources
    assert "http://127.0.0.1:8265" in dashboard
    assert len(trials) == len(records)
    for line, status in zip(trials, ("0.500 (epoch 2)", "failed", "pruned", "0.500, "), strict=True):
        assert status in line


@pytest.mark.parametrize("mode", ["token", "disabled", None])
def test_dashboard_with_a_token_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, mode: str | None) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    console = a_console()
    with Progress(console, equal_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, "http://127.0.0.1:8265", trials=1))
    assert ("ray get-auth-token" in printed(console)) == (mode == "token")


def test_command_for_the_token_exists_if_the_environment_is_not_active(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("PATH", os.devnull)
    console = a_console()
    with Progress(console, equal_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, "http://127.0.0.1:8265", trials=1))
    match = re.search(r"token: (\S+) get-auth-token", printed(console).replace("\n", ""))
    assert match
    assert os.access(match[1], os.X_OK)


def test_live_view_shows_running_trials_and_the_best() -> None:
    done, running = a_record((0.5,), epochs=1), a_config(seed=2)
    with Progress(a_console(is_terminal=True), equal_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=2))
        progress.on_trial_start(running)
        progress.on_trial_end(done)
        progress.on_epoch_end(running, done.curve[0])
        _, best, row = view_of(progress)
    assert re.search(r"seed 2 +epoch 1/5 +validation span F1 0\.500", row)
    assert done.config.titled() in best


def test_epochs_that_are_not_trained_reduce_the_remaining_time(clock: Callable[[float], None]) -> None:
    early, pruned = a_record((0.5, 1.0), epochs=5, seed=1), a_pruned_trial((0.2,), epochs=5, seed=2)
    waiting = a_config(epochs=5, seed=3)
    costs = {early.trial_id: 3.0, pruned.trial_id: 1.0, waiting.trial_id: 2.0}
    with Progress(a_console(), lambda trial: costs[trial.trial_id]) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=3, cost=6.0))
        progress.on_trial_start(early.config)
        clock(14)
        progress.on_trial_end(early)
        progress.on_trial_end(pruned)
        # 3 · 2/5 + 1 · 1/5 of the cost took 14 s, and 2 is left
        assert progress._estimate.seconds_left == pytest.approx(20)


def test_remaining_time_of_a_search_includes_its_confirmation(clock: Callable[[float], None]) -> None:
    ended = TrialRecord.searched(a_config(), a_record((0.5,)).curve, 3.0)
    with Progress(a_console(), equal_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=1000, seconds=60.0, confirmations=4))
        progress.on_trial_start(ended.config)
        clock(5 / ended.config.epochs)
        progress.on_trial_end(ended)
        # one trial in five seconds: 59 s are left of the time limit, then four trials
        assert progress._estimate.seconds_left == pytest.approx(79)
        progress.on_confirmation_start(4)
        assert progress._estimate.seconds_left == pytest.approx(20)


def test_recorded_trials_are_not_part_of_the_remaining_time(clock: Callable[[float], None]) -> None:
    console, record = a_console(), a_record((0.5,), epochs=1)
    with Progress(console, equal_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=10, recorded=6))
        progress.on_trial_start(record.config)
        clock(10)
        progress.on_trial_end(record)
        assert progress._estimate.seconds_left == pytest.approx(30)
    assert "[ 7/10]" in printed(console)


@pytest.mark.parametrize(("seconds", "shown"), [(10, "0:20"), (3700, "2 h 03 min")])
def test_remaining_time_is_printed(clock: Callable[[float], None], seconds: float, shown: str) -> None:
    console, record = a_console(), a_record((0.5,), epochs=1)
    with Progress(console, equal_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=3))
        progress.on_trial_start(record.config)
        clock(seconds)
        progress.on_trial_end(record)
    assert shown in printed(console)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_live_view_fits_into_the_terminal(width: int) -> None:
    console = a_console(is_terminal=True, width=width, height=12)
    trials = [a_config(model=LONG_NAME, seed=seed) for seed in range(34)]
    with Progress(console, equal_cost) as progress:
        progress.on_run_start(RunStart(TrialResources(1, 0.0, 34), "http://127.0.0.1:8265", trials=200))
        for trial in trials:
            progress.on_trial_start(trial)
        progress.on_epoch_end(trials[0], a_result((0.5,)).epochs[0])
        progress.on_trial_end(a_record((0.5,), model=LONG_NAME, seed=99))
        lines = view_of(progress, width)
        assert progress._live
        progress._live.refresh()
    assert max(map(len, lines)) <= width
    assert re.search(r"seed 0 +epoch 1/5 +validation span F1 0\.500", lines[3])
    assert "http://127.0.0.1:8265" in lines[2]
    last = Text.from_ansi(printed(console)[printed(console).rindex("trials ") :]).plain.splitlines()
    assert len(last) <= 12


def test_trials_keep_their_row() -> None:
    first, second, third = (a_record((0.5,), epochs=1, seed=seed) for seed in (1, 2, 3))
    with Progress(a_console(is_terminal=True), equal_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=3))
        for record in (first, second):
            progress.on_trial_start(record.config)
        progress.on_trial_end(first)
        before = view_of(progress)
        progress.on_trial_start(third.config)
        after = view_of(progress)
    assert "seed 2" in before[-1]
    assert "seed 2" in after[-1]
    assert "seed 3" in after[-2]
    assert len(before) == len(after)


def test_control_characters_are_escaped() -> None:
    console, record = a_console(), a_record((0.5,), epochs=1, model="models/\x1b]0;title\x07")
    with Progress(console, equal_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=1))
        progress.on_note("some\x1b[2Jthing")
        progress.on_trial_start(record.config)
        progress.on_trial_end(record)
    assert printed(console).replace("\n", "").isprintable()


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console, record = a_console(is_terminal=True), a_failed_trial(epochs=1)
    with Progress(console, equal_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=1))
        progress.on_trial_start(record.config)
        progress.on_trial_end(record)
    assert re.findall(r"\x1b\[(?:\d+;)*(?:3[0-7]|4[0-7]|9[0-7]|38|48)(?:;\d+)*m", printed(console)) == []


def test_long_titles_are_shortened_in_their_middle() -> None:
    console, record = a_console(is_terminal=True, width=80), a_record((0.5,), epochs=1, model=LONG_NAME)
    with Progress(console, equal_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=1))
        progress.on_trial_start(record.config)
        progress.on_trial_end(record)
    (line,) = (line for line in Text.from_ansi(printed(console)).plain.splitlines() if "[1/1]" in line)
    assert re.match(r"\[1/1\] a-model.*….*seed 42: validation span F1 0\.500 \(epoch 1\), 2\.0 s", line)
    assert len(line.rstrip()) == 80
