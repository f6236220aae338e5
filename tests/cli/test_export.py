"""`tune-ner export`."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.model_folders import a_model_folder
from tune_ner.cli.app import app

pytestmark = pytest.mark.slow  # the export traces the model


@pytest.mark.parametrize(("options", "name"), [([], "onnx"), (["--quantize", "int8"], "onnx-int8")])
def test_a_model_is_written_next_to_its_folder_and_read_by_predict(
    options: list[str], name: str, tmp_path: Path
) -> None:
    model = a_model_folder(tmp_path / "run" / "best")
    outcome = CliRunner().invoke(app, ["export", str(model), "--onnx", *options])
    assert outcome.exit_code == 0, outcome.output
    written = tmp_path / "run" / name
    assert re.search(rf"Written: {written} \([\d.]+ [kM]B\)", outcome.output)
    outcome = CliRunner().invoke(app, ["predict", str(written), "Ta ibuprofen mot feber."])
    assert outcome.exit_code == 0, outcome.output
    assert '"text": "Ta ibuprofen mot feber."' in outcome.output


def test_mistakes_are_reported(tmp_path: Path) -> None:
    model = a_model_folder(tmp_path / "best")
    for arguments, expected in (
        ([str(model)], "expected either --onnx or --ensemble N"),
        ([str(model), "--onnx", "--ensemble", "2"], "expected either --onnx or --ensemble N"),
        ([str(model), "--ensemble", "2", "--quantize", "int8"], "found --quantize with --ensemble"),
        ([str(model), "--ensemble", "2"], "expected a run folder"),
        ([str(tmp_path / "none"), "--onnx"], "no such folder"),
        ([str(model), "--onnx", "--output", str(tmp_path)], "exists; choose another folder with --output"),
    ):
        outcome = CliRunner().invoke(app, ["export", *arguments])
        assert outcome.exit_code == 2
        assert expected in " ".join(outcome.output.split())
    assert [path.name for path in tmp_path.iterdir()] == ["best"]
