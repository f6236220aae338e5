import io
import re

import pytest
from rich.console import Console
from rich.text import Text

from tests.factories import a_config, a_failure, a_record, a_result, a_stopped_trial
from tune_ner.config.trial_config import TrialConfig
from tune_ner.results.records import TrialRecord
from tune_ner.tracking.progress import LiveProgress
from tune_ner.tuning.events import RunStart
from tune_ner.tuning.resources import TrialResources

RESOURCES = TrialResources(1, 0.0, 2)


def unit_cost(_: TrialConfig) -> float:
    """Return the same cost for every trial."""
    return 1.0


def epoch_cost(trial: TrialConfig) -> float:
    """Return the epochs of a trial."""
    return float(trial.epochs)


@pytest.fixture(params=[False, True], ids=["piped", "terminal"])
def console(request: pytest.FixtureRequest) -> Console:
    return Console(file=io.StringIO(), force_terminal=request.param, width=100)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_end_of_a_trial_is_printed(console: Console) -> None:
    records = [a_record((0.25, 0.5), epochs=2), a_failure(seed=2, epochs=2)]
    with LiveProgress(console, epoch_cost) as progress:
        progress.on_run_start(RunStart(TrialResources(1, 0.0, 2), "http://127.0.0.1:8265", trials=len(records)))
        for record in records:
            progress.on_trial_start(record.config)
            for epoch in record.result.epochs if record.result else ():
                progress.on_epoch_end(record.config, epoch)
            progress.on_trial_end(record)
    text = printed(console)
    assert "2 trials, 2 at once, each with 1 CPU thread." in text
    assert console.is_terminal or "http://127.0.0.1:8265" in text  # the view has it in a terminal
    assert "[1/2] tiny:1x32 · BIO · 0.001 · seed 42: validation_span_f1 0.5000 (epoch 2)" in text
    assert "[2/2] tiny:1x32 · BIO · 0.001 · seed 2:" in text


def test_a_terminal_shows_epoch_and_best_while_trials_run() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    done, running = a_record((0.5,), epochs=1), a_config(seed=2)
    with LiveProgress(console, epoch_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=2))
        progress.on_trial_start(running)
        progress.on_trial_end(done)
        assert done.result
        progress.on_epoch_end(running, done.result.epochs[0])
        view = Console(file=io.StringIO(), width=100)
        view.print(progress._view())
    assert re.search(r"seed 2 +epoch 1/5 +validation_span_f1 0\.5000", printed(view))
    assert "best so far: validation F1 0.5000, tiny:1x32 · BIO · 0.001 · seed 42" in printed(view)


def test_early_ends_are_told_and_leave_less_to_do() -> None:
    console = Console(file=io.StringIO(), width=100)
    early, stopped = a_record((0.5, 1.0), epochs=5, seed=1), a_stopped_trial((0.2,), epochs=5, seed=2)
    waiting = a_config(epochs=5, seed=3)
    costs = {early.trial_id: 3.0, stopped.trial_id: 1.0, waiting.trial_id: 2.0}
    with LiveProgress(console, lambda trial: costs[trial.trial_id]) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=3, cost=6.0))
        progress.on_trial_start(early.config)
        progress.on_trial_end(early)
        progress.on_trial_end(stopped)
        assert 6.0 - progress._pace._saved - sum(progress._pace._done.values()) == pytest.approx(2.0)
    assert "seed 1: validation_span_f1 1.0000 (epoch 2), stopped early, 2.0 s" in printed(console)
    assert "seed 2: pruned after epoch 1 of 5, 1.0 s" in printed(console)


def test_a_searched_trial_shows_its_best_validation_figure() -> None:
    console = Console(file=io.StringIO(), width=100)
    record = TrialRecord.searched(a_config(), a_record((0.5, 0.25)).curve, 3.0)
    with LiveProgress(console, epoch_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=2))
        progress.on_trial_start(record.config)
        progress.on_trial_end(record)
        assert progress._best
    assert "seed 42: validation_span_f1 0.5000, 3.0 s" in printed(console)


def test_the_time_left_of_a_search_ends_with_its_budget_and_what_confirms(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("tune_ner.tracking.progress.time.monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=100)
    ends = [TrialRecord.searched(a_config(seed=seed), a_record((0.5,)).curve, 3.0) for seed in (1, 2)]
    again = a_record((0.5,), seed=3)
    with LiveProgress(console, unit_cost) as progress:
        progress.on_run_start(RunStart(TrialResources(1, 0.0, 2), "", trials=1000, seconds=60.0, confirmations=4))
        progress.on_trial_start(ends[0].config)
        now[0] += 5 / ends[0].config.epochs
        progress.on_trial_end(ends[0])
        assert "At most 1000 trials" in printed(console)
        assert "[   1/1000]" in printed(console)
        # one trial in five seconds: 59 of the budget, then four trials
        assert progress._time_left() == "about 1:19 left"
        progress.on_confirmation_start(4)
        assert progress._time_left() == "about 0:20 left"
        progress.on_trial_start(again.config)
        progress.on_trial_end(again)
    assert "4 trials with fresh seeds confirm the best." in printed(console)
    assert "[1/4]" in printed(console)


def test_trials_of_an_earlier_start_are_not_left_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("tune_ner.tracking.progress.time.monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=100)
    record = a_record((0.5,), epochs=1)
    with LiveProgress(console, unit_cost) as progress:
        progress.on_run_start(RunStart(TrialResources(1, 0.0, 2), "", trials=10, recorded=6))
        progress.on_trial_start(record.config)
        now[0] += 10
        progress.on_trial_end(record)
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
    with LiveProgress(console, unit_cost) as progress:
        progress.on_run_start(RunStart(TrialResources(1, 0.0, 34), "http://127.0.0.1:8265", trials=200))
        for trial in trials:
            progress.on_trial_start(trial)
        progress.on_epoch_end(trials[0], a_result((0.5,)).epochs[0])
        progress.on_trial_end(a_record((0.5,), model=trials[0].model, seed=99))
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
    with LiveProgress(console, unit_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=3))
        for record in (first, second):
            progress.on_trial_start(record.config)
        progress.on_trial_end(first)
        between = view_of(progress, 100, 40)
        progress.on_trial_start(third.config)
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
    with LiveProgress(console, unit_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=3))
        progress.on_trial_start(record.config)
        now[0] += 3700
        progress.on_trial_end(record)
        assert "about 2 h 03 min left" in printed(console)


def test_no_control_characters_reach_a_pipe() -> None:
    console = Console(file=io.StringIO(), width=100)
    record = a_record((0.5,), epochs=1, model="models/\x1b]0;title\x07")
    with LiveProgress(console, unit_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=1))
        progress.on_note("some\x1b[2Jthing")
        progress.on_trial_start(record.config)
        progress.on_trial_end(record)
    assert printed(console).replace("\n", "").isprintable()


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    record = a_failure(epochs=1)
    with LiveProgress(console, unit_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=1))
        progress.on_trial_start(record.config)
        progress.on_trial_end(record)
    colours = re.findall(r"\x1b\[(?:\d+;)*(?:3[0-7]|4[0-7]|9[0-7]|38|48)(?:;\d+)*m", printed(console))
    assert colours == []


def test_a_line_too_long_for_the_terminal_loses_some_of_its_title() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=70)
    record = a_record((0.5,), epochs=1, model="some-where/a-model-with-a-rather-long-name")
    with LiveProgress(console, unit_cost) as progress:
        progress.on_run_start(RunStart(RESOURCES, trials=1))
        progress.on_trial_start(record.config)
        progress.on_trial_end(record)
    lines = [Text.from_ansi(line).plain for line in printed(console).splitlines()]
    assert "[1/1] …O · 0.001 · seed 42: validation_span_f1 0.5000 (epoch 1), 2.0 s" in lines
    assert max(map(len, lines)) == 70
