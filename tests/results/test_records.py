import json

import pytest
from pydantic import ValidationError

from tests.factories import a_config, a_pruned_trial, a_record, a_result
from tune_ner.results.records import TrialRecord


def test_errors_are_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "s3cr3t-value")
    message = "401 for token s3cr3t-value at https://me:pass-word@host"
    failed = TrialRecord.of(a_config(), "failed", 1.0, error=message, traceback=f"Traceback: {message}")
    diverged = TrialRecord.of(a_config(), "diverged", 1.0, epochs=(), error=message)
    for record in (failed, diverged):
        assert record.error == "401 for token *** at https://me:***@host"
        assert "s3cr3t" not in record.model_dump_json()
        assert "pass-word" not in record.model_dump_json()


def test_trial_that_reached_its_target_is_early_stopped() -> None:
    config = a_config(target_f1=0.5, epochs=3)
    assert TrialRecord.completed(config, a_result((0.6,)), 1.0).status == "early_stopped"
    assert TrialRecord.completed(config, a_result((0.1, 0.2, 0.3)), 1.0).status == "completed"
    assert TrialRecord.searched(config, a_result((0.6,)).epochs, 1.0).phase == "search"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1])
def test_scores_outside_of_their_range_are_refused(value: float) -> None:
    for record in (a_record((0.5,)), a_pruned_trial((0.5,))):
        content = json.loads(record.model_dump_json())
        epochs = (content["result"] or content)["epochs"]
        epochs[0]["validation_span_f1"] = value
        with pytest.raises(ValidationError, match=r"epoch 1: found validation_span_f1 .*, expected 0 to 1"):
            TrialRecord.model_validate(content)
        epochs[0]["validation_span_f1"], epochs[0]["validation_loss"] = 1.0, float("inf")
        TrialRecord.model_validate(content)
