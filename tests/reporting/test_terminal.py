import io
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from tests.factories import a_config, a_failure, a_record, a_run, a_stopped_trial
from tune_ner.reporting import LiveProgress, RunResults, TerminalLayout, print_outcome
from tune_ner.runs import TrialRecord
from tune_ner.tuning import TrialResources


@pytest.fixture(params=[False, True], ids=["piped", "terminal"])
def console(request: pytest.FixtureRequest) -> Console:
    return Console(file=io.StringIO(), force_terminal=request.param, width=100)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


Outcome = Callable[..., str]


@pytest.fixture
def outcome(tmp_path: Path) -> Outcome:
    """What is printed at the end of a run with these records."""

    def told(records: Sequence[TrialRecord], trials: int = 2) -> str:
        console = Console(file=io.StringIO(), width=120)
        print_outcome(TerminalLayout(console), RunResults(a_run(tmp_path, records)), trials)
        return printed(console)

    return told


def test_every_end_of_a_trial_is_printed(console: Console) -> None:
    records = [a_record((0.25, 0.5), epochs=2), a_failure(seed=2, epochs=2)]
    with LiveProgress(console, len(records), lambda trial: float(trial.epochs)) as progress:
        progress.run_started(TrialResources(1, 0.0, 2), "http://127.0.0.1:8265")
        for record in records:
            progress.trial_started(record.config)
            for epoch in record.result.epochs if record.result else ():
                progress.epoch_ended(record.config, epoch)
            progress.trial_ended(record)
    text = printed(console)
    assert "2 trials, 2 at once, each with 1 CPU thread." in text
    assert "http://127.0.0.1:8265" in text
    assert "[1/2] tiny:1x32 · BIO · 0.001 · seed 42: validation F1 0.5000 (epoch 2)" in text
    assert "[2/2] tiny:1x32 · BIO · 0.001 · seed 2:" in text


def test_a_terminal_shows_epoch_and_best_while_trials_run() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    done, running = a_record((0.5,), epochs=1), a_config(seed=2)
    with LiveProgress(console, 2, lambda trial: float(trial.epochs)) as progress:
        progress.trial_started(running)
        progress.trial_ended(done)
        assert done.result
        progress.epoch_ended(running, done.result.epochs[0])
        view = Console(file=io.StringIO(), width=100)
        view.print(progress._view())
    assert "seed 2: epoch 1/5, validation F1 0.5000" in printed(view)
    assert "best so far: tiny:1x32 · BIO · 0.001 · seed 42: validation F1 0.5000" in printed(view)


def test_the_outcome_ranks_and_says_why_trials_failed(outcome: Outcome) -> None:
    text = outcome([a_record((0.5,)), a_failure("model 'x': no weights [here]", seed=2)])
    assert "Ranked by validation F1" in text
    assert "model 'x': no weights [here]" in text
    assert "stopped early" not in text


def test_stopped_trials_are_counted_and_said_to_be_left_out(outcome: Outcome) -> None:
    text = outcome([a_record(seed=1), a_stopped_trial((0.1,), seed=2), a_stopped_trial((0.1, 0.2), seed=3)], 3)
    assert "1 of 3" in text
    assert "2 of 3 trials were stopped after 1 to 2 epochs for being behind; they have no test figure" in text
    assert "One seed only" in text
    assert "failed:" not in text


def test_early_ends_are_told_and_leave_less_to_do() -> None:
    console = Console(file=io.StringIO(), width=100)
    early, stopped = a_record((0.5, 1.0), epochs=5, seed=1), a_stopped_trial((0.2,), epochs=5, seed=2)
    waiting = a_config(epochs=5, seed=3)
    costs = {early.trial_id: 3.0, stopped.trial_id: 1.0, waiting.trial_id: 2.0}
    with LiveProgress(console, 3, lambda trial: costs[trial.trial_id], 6.0) as progress:
        progress.trial_started(early.config)
        progress.trial_ended(early)
        progress.trial_ended(stopped)
        assert 6.0 - progress._saved - sum(progress._done.values()) == pytest.approx(2.0)
    assert "seed 1: validation F1 1.0000 (epoch 2), stopped early, 2.0 s" in printed(console)
    assert "seed 2: stopped after epoch 1 of 5, 1.0 s" in printed(console)


def test_a_searched_trial_shows_its_best_validation_figure() -> None:
    console = Console(file=io.StringIO(), width=100)
    record = TrialRecord.searched(a_config(), a_record((0.5, 0.25)).curve, 3.0)
    with LiveProgress(console, 2, lambda trial: float(trial.epochs)) as progress:
        progress.trial_started(record.config)
        progress.trial_ended(record)
        assert progress._best
    assert "seed 42: validation F1 0.5000, 3.0 s" in printed(console)


def test_the_time_left_of_a_search_ends_with_its_budget_and_what_confirms(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("tune_ner.reporting.terminal.time.monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=100)
    ends = [TrialRecord.searched(a_config(seed=seed), a_record((0.5,)).curve, 3.0) for seed in (1, 2)]
    again = a_record((0.5,), seed=3)
    with LiveProgress(console, 1000, lambda _: 1.0, seconds=60.0, confirmations=4) as progress:
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
    monkeypatch.setattr("tune_ner.reporting.terminal.time.monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=100)
    record = a_record((0.5,), epochs=1)
    with LiveProgress(console, 10, lambda _: 1.0, earlier=6) as progress:
        progress.run_started(TrialResources(1, 0.0, 2), "")
        progress.trial_started(record.config)
        now[0] += 10
        progress.trial_ended(record)
    assert "4 trials, 2 at once" in printed(console)
    assert "[ 7/10]" in printed(console)
    assert "about 0:30 left" in printed(console)


def test_trials_that_differ_in_more_are_called_by_it(outcome: Outcome) -> None:
    text = outcome([a_record((0.5,), batch_size=16), a_failure("no memory", batch_size=32)])
    assert "Best by validation: tiny:1x32 · BIO · 0.001 · batch_size 16, validation F1" in text
    assert "tiny:1x32 · BIO · 0.001 · batch_size 32 · seed 42: no memory" in text


def test_replicates_are_shown_with_their_spread(outcome: Outcome) -> None:
    text = outcome([a_record((0.4,), seed=1), a_record((0.6,), seed=2)])
    assert "0.5000 ± 0.1414" in text


def test_an_interrupted_run_says_how_many_trials_ended(outcome: Outcome) -> None:
    assert "1 of 12 trials ended" in outcome([a_record()], trials=12)


def test_nothing_finished_gives_no_table(outcome: Outcome) -> None:
    assert "Ranked" not in outcome([a_failure()])
