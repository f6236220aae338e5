import pytest

from tests.factories import a_config
from tune_ner.results.records import TrialRecord


def test_a_record_keeps_no_secret_of_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "s3cr3t-value")
    said = "401 for token s3cr3t-value at https://me:pass-word@host"
    failed = TrialRecord.of(a_config(), "failed", 1.0, error=said, traceback=f"Traceback: {said}")
    diverged = TrialRecord.of(a_config(), "diverged", 1.0, epochs=(), error=said)
    for record in (failed, diverged):
        assert record.error == "401 for token *** at https://me:***@host"
        assert "s3cr3t" not in record.model_dump_json()
        assert "pass-word" not in record.model_dump_json()
