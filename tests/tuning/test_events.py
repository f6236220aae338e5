import logging
from inspect import isfunction

import pytest

from tests.factories import a_config, a_failed_trial, a_record, a_result
from tune_ner.tuning.events import Listeners, LoggedEvents, RunEvents, RunStart
from tune_ner.tuning.resources import TrialResources

EVENTS = {name: method for name, method in vars(RunEvents).items() if isfunction(method)}
ARGUMENTS = {
    "on_run_start": (RunStart(TrialResources(1, 0.0, 2), "http://127.0.0.1:8265"),),
    "on_note": ("something",),
    "on_confirmation_start": (4,),
    "on_trial_start": (a_config(),),
    "on_epoch_end": (a_config(), a_result().epochs[0]),
    "on_trial_end": (a_record(),),
}


class Recorder(RunEvents):
    """Remembers every event."""

    def __init__(self) -> None:
        self.events: list[tuple[str, tuple[object, ...]]] = []

    def __getattribute__(self, name: str) -> object:
        if name in EVENTS:
            return lambda *arguments: self.events.append((name, arguments))
        return super().__getattribute__(name)


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_reaches_every_listener(name: str) -> None:
    listeners = Recorder(), Recorder()
    getattr(Listeners(*listeners), name)(*ARGUMENTS[name])
    assert [each.events for each in listeners] == [[(name, ARGUMENTS[name])]] * 2


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_is_logged(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tune_ner"):
        getattr(LoggedEvents(), name)(*ARGUMENTS[name])
    assert [record.name for record in caplog.records].count("tune_ner") == 1


def test_the_traceback_of_a_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    failure = a_failed_trial("KeyError: 1").model_copy(update={"traceback": "Traceback (most recent call last): …"})
    with caplog.at_level(logging.INFO, "tune_ner"):
        LoggedEvents().on_trial_end(failure)
    assert "failed after 0.5 s\nKeyError: 1\nTraceback" in caplog.text
