import io
import re

import pytest
from rich.console import Console
from rich.text import Text

from tests.factories import a_config, a_failure, a_record, a_result, a_stopped_trial
from tune_ner.results.records import TrialRecord
from tune_ner.tracking.progress import LiveProgress, Workload
from tune_ner.tuning.resources import TrialResources


@pytest.fixture(params=[False, True], ids=["piped", "terminal"])
def console(request: pytest.FixtureRequest) -> Console:
    return Console(file=io.StringIO(), force_terminal=request.param, width=100)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_end_of_a_trial_is_printed(console: Console) -> None:
    records = [a_record((0.25, 0.5), epochs=2), a_failure(seed=2, epochs=2)]
    with LiveProgress(console, Workload(len(records), lambda trial: float(trial.epochs))) as progress:
        progress.run_started(TrialResources(1, 0.0, 2), "http://127.0.0.1:8265")
        for record in records:
            progress.trial_started(record.config)
            for epoch in record.result.epochs if record.result else ():
                progress.epoch_ended(record.config, epoch)
            progress.trial_ended(record)
    text = printed(console)
    assert "2 trials, 2 at once, each with 1 CPU thread." in text
    assert console.is_terminal or "http://127.0.0.1:8265" in text  # the view has it in a terminal
    assert "[1/2] tiny:1x32 · BIO · 0.001 · seed 42: validation_span_f1 0.5000 (epoch 2)" in text
    assert "[2/2] tiny:1x32 · BIO · 0.001 · seed 2:" in text


def test_a_terminal_shows_epoch_and_best_while_trials_run() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    done, running = a_record((0.5,), epochs=1), a_config(seed=2)
    with LiveProgress(console, Workload(2, lambda trial: float(trial.epochs))) as progress:
        progress.trial_started(running)
        progress.trial_ended(done)
        assert done.result
        progress.epoch_ended(running, done.result.epochs[0])
        view = Console(file=io.StringIO(), width=100)
        view.print(progress._view())
    assert re.search(r"seed 2 +epoch 1/5 +validation_span_f1 0\.5000", printed(view))
    assert "best so far: validation F1 0.5000, tiny:1x32 · BIO · 0.001 · seed 42" in printed(view)


def test_early_ends_are_told_and_leave_less_to_do() -> None:
    console = Console(file=io.StringIO(), width=100)
    early, stopped = a_record((0.5, 1.0), epochs=5, seed=1), a_stopped_trial((0.2,), epochs=5, seed=2)
    waiting = a_config(epochs=5, seed=3)
    costs = {early.trial_id: 3.0, stopped.trial_id: 1.0, waiting.trial_id: 2.0}
    with LiveProgress(console, Workload(3, lambda trial: costs[trial.trial_id], 6.0)) as progress:
        progress.trial_started(early.config)
        progress.trial_ended(early)
        progress.trial_ended(stopped)
        assert 6.0 - progress._pace._saved - sum(progress._pace._done.values()) == pytest.approx(2.0)
    assert "seed 1: validation_span_f1 1.0000 (epoch 2), stopped early, 2.0 s" in printed(console)
    assert "seed 2: pruned after epoch 1 of 5, 1.0 s" in printed(console)


def test_a_searched_trial_shows_its_best_validation_figure() -> None:
    console = Console(file=io.StringIO(), width=100)
    record = TrialRecord.searched(a_config(), a_record((0.5, 0.25)).curve, 3.0)
    with LiveProgress(console, Workload(2, lambda trial: float(trial.epochs))) as progress:
        progress.trial_started(record.config)
        progress.trial_ended(record)
        assert progress._best
    assert "seed 42: validation_span_f1 0.5000, 3.0 s" in printed(console)


def test_the_time_left_of_a_search_ends_with_its_budget_and_what_confirms(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("tune_ner.tracking.progress.time.monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=100)
    ends = [TrialRecord.searched(a_config(seed=seed), a_record((0.5,)).curve, 3.0) for seed in (1, 2)]
    again = a_record((0.5,), seed=3)
    with LiveProgress(console, Workload(1000, lambda _: 1.0, seconds=60.0, confirmations=4)) as progress:
        progress.run_started(TrialResources(1, 0.0, 2), "")
        progress.trial_started(ends[0].config)
        now[0] += 5 / ends[0].config.epochs
        progress.trial_ended(ends[0])
        assert "At most 1000 trials" in printed(console)
        assert "[   1/1000]" in printed(console)
        # one trial in five seconds: 59 of the budget, then four trials
        assert progress._time_left() == "about 1:19 left"
        progress.confirming(4)
        assert progress._time_left() == "about 0:20 left"
        progress.trial_started(again.config)
        progress.trial_ended(again)
    assert "4 trials with fresh seeds confirm the best." in printed(console)
    assert "[1/4]" in printed(console)


def test_trials_of_an_earlier_start_are_not_left_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("tune_ner.tracking.progress.time.monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=100)
    record = a_record((0.5,), epochs=1)
    with LiveProgress(console, Workload(10, lambda _: 1.0, earlier=6)) as progress:
        progress.run_started(TrialResources(1, 0.0, 2), "")
        progress.trial_started(record.config)
        now[0] += 10
        progress.trial_ended(record)
    assert "4 trials, 2 at once" in printed(console)
    assert "[ 7/10]" in printed(console)
    assert "about 0:30 left" in printed(console)


def view_of(progress: LiveProgress, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height)
    progress._console = console
    console.print(progress._view())
    return printed(console).splitlines()


@pytest.mark.parametrize(("width", "height"), [(60, 12), (80, 24), (120, 40)])
def test_the_view_is_never_wider_or_higher_than_the_terminal(width: int, height: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=height)
    trials = [a_config(model="some-where/a-model-with-a-rather-long-name", seed=seed) for seed in range(34)]
    with LiveProgress(console, Workload(200, lambda _: 1.0)) as progress:
        progress.run_started(TrialResources(1, 0.0, 34), "http://127.0.0.1:8265")
        for trial in trials:
            progress.trial_started(trial)
        progress.epoch_ended(trials[0], a_result((0.5,)).epochs[0])
        progress.trial_ended(a_record((0.5,), model=trials[0].model, seed=99))
        lines = view_of(progress, width, height)
        assert len(lines) < height
        assert max(map(len, lines)) <= width
        assert re.search(r"epoch 1/5 +validation_span_f1 0\.5000", lines[0])
        shown = sum("starting" in line or "epoch" in line for line in lines)
        assert f"… and {34 - shown} more" in "\n".join(lines) or shown == 34
        assert "http://127.0.0.1:8265" in "\n".join(lines)


def test_a_trial_keeps_its_row_and_the_next_one_takes_that_of_one_that_ended() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    first, second, third = (a_record((0.5,), epochs=1, seed=seed) for seed in (1, 2, 3))
    with LiveProgress(console, Workload(3, lambda _: 1.0)) as progress:
        for record in (first, second):
            progress.trial_started(record.config)
        progress.trial_ended(first)
        between = view_of(progress, 100, 40)
        progress.trial_started(third.config)
        after = view_of(progress, 100, 40)
    assert "seed 2" in between[1]
    assert "seed 2" in after[1]
    assert "seed 3" in after[0]
    assert len(between) == len(after)


def test_long_times_are_told_in_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("tune_ner.tracking.progress.time.monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=100)
    record = a_record((0.5,), epochs=1)
    with LiveProgress(console, Workload(3, lambda _: 1.0)) as progress:
        progress.trial_started(record.config)
        now[0] += 3700
        progress.trial_ended(record)
        assert "about 2 h 03 min left" in printed(console)


def test_no_control_characters_reach_a_pipe() -> None:
    console = Console(file=io.StringIO(), width=100)
    record = a_record((0.5,), epochs=1, model="models/\x1b]0;title\x07")
    with LiveProgress(console, Workload(1, lambda _: 1.0)) as progress:
        progress.noted("some\x1b[2Jthing")
        progress.trial_started(record.config)
        progress.trial_ended(record)
    assert printed(console).replace("\n", "").isprintable()


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    record = a_failure(epochs=1)
    with LiveProgress(console, Workload(1, lambda _: 1.0)) as progress:
        progress.trial_started(record.config)
        progress.trial_ended(record)
    colours = re.findall(r"\x1b\[(?:\d+;)*(?:3[0-7]|4[0-7]|9[0-7]|38|48)(?:;\d+)*m", printed(console))
    assert colours == []


def test_a_line_too_long_for_the_terminal_loses_some_of_its_title() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=70)
    record = a_record((0.5,), epochs=1, model="some-where/a-model-with-a-rather-long-name")
    with LiveProgress(console, Workload(1, lambda _: 1.0)) as progress:
        progress.trial_started(record.config)
        progress.trial_ended(record)
    lines = [Text.from_ansi(line).plain for line in printed(console).splitlines()]
    assert "[1/1] …O · 0.001 · seed 42: validation_span_f1 0.5000 (epoch 1), 2.0 s" in lines
    assert max(map(len, lines)) == 70
