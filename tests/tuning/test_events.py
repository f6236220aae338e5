import logging
from inspect import isfunction

import pytest

from tests.factories import a_config, a_failure, a_record, a_result
from tune_ner.tuning.events import Listeners, LoggedEvents, RunEvents
from tune_ner.tuning.resources import TrialResources

EVENTS = {name: method for name, method in vars(RunEvents).items() if isfunction(method)}
ARGUMENTS = {
    "run_started": (TrialResources(1, 0.0, 2), "http://127.0.0.1:8265"),
    "noted": ("something",),
    "confirming": (4,),
    "trial_started": (a_config(),),
    "epoch_ended": (a_config(), a_result().epochs[0]),
    "trial_ended": (a_record(),),
}


class Heard(RunEvents):
    """Remembers what it was told, whatever it is."""

    def __init__(self) -> None:
        self.events: list[tuple[str, tuple[object, ...]]] = []

    def __getattribute__(self, name: str) -> object:
        if name in EVENTS:
            return lambda *arguments: self.events.append((name, arguments))
        return super().__getattribute__(name)


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_reaches_every_listener(name: str) -> None:
    listeners = Heard(), Heard()
    getattr(Listeners(*listeners), name)(*ARGUMENTS[name])
    assert [each.events for each in listeners] == [[(name, ARGUMENTS[name])]] * 2


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_leaves_a_line_in_the_log(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tune_ner"):
        getattr(LoggedEvents(), name)(*ARGUMENTS[name])
    assert len(caplog.records) == 1


def test_the_log_has_the_traceback_of_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    failure = a_failure("KeyError: 1").model_copy(update={"traceback": "Traceback (most recent call last): …"})
    with caplog.at_level(logging.INFO, "tune_ner"):
        LoggedEvents().trial_ended(failure)
    assert "failed after 0.5 s\nKeyError: 1\nTraceback" in caplog.text
