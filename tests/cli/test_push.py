"""`tune-ner push`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.inference.test_hub_upload import CARD, Hub, served
from tests.model_folders import a_model_folder
from tune_ner.cli.app import app


def test_the_command_asks_for_license_and_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = a_model_folder(tmp_path / "best")
    (model / "README.md").write_text(CARD)
    hub = Hub()
    with served(hub, monkeypatch):
        outcome = CliRunner().invoke(app, ["push", str(model), "mylab/demo", "--public"], input="mit\nde\n")
    assert outcome.exit_code == 0, outcome.output
    assert "mylab/demo" in outcome.output
    assert hub.visibility == "public"
    assert b"license: mit" in hub.files["README.md"]
