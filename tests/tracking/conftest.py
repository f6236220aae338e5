"""Displays name the command for Ray's token only where a test asks for it."""

import pytest


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove what `import ray` sets where it finds a token, whichever test imports it."""
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
