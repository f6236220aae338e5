import io
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from tests.factories import a_failure, a_record, a_run, a_stopped_trial
from tune_ner.results.leaderboard import RunResults
from tune_ner.results.records import TrialRecord
from tune_ner.results.summary import print_outcome
from tune_ner.utils.renderers import TerminalLayout


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
