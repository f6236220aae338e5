"""Names of models: any name is resolved or refused with a clear error."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.damages import MANY, ODD_TEXTS, refusal
from tune_ner.errors import EncoderError
from tune_ner.training.encoders import Encoder, resolve_encoder

NAMES = st.text(max_size=40) | st.text("./~:x1", max_size=8) | st.sampled_from(ODD_TEXTS)


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve hub ids without the hub."""
    monkeypatch.setattr("tune_ner.training.encoders._from_hub", lambda name: Encoder(name, "hub", name, "", ""))


@pytest.mark.usefixtures("no_hub")
@settings(MANY, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES | NAMES.map(lambda text: f"package:{text}") | NAMES.map(lambda text: f"tiny:{text}"))
@example("package:os")
@example("package:../../etc")
@example("package:.")
@example("~nobody/x")
@example("/dev/null")
@example("tiny:²x32")
@example("x" * 5_000)
@example("a\x00b")
def test_any_name_is_resolved_or_refused(name: str) -> None:
    message = refusal(EncoderError, lambda: resolve_encoder(name))
    assert message.startswith("model " if message else "")
    assert len(message) < 6_000
