"""`tune-ner init`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tune_ner.cli.app import app
from tune_ner.cli.init import name_of
from tune_ner.config.loading import load_space


def run(*arguments: str, code: int = 0) -> str:
    outcome = CliRunner().invoke(app, ["init", *arguments], env={"COLUMNS": "200"})
    assert outcome.exit_code == code, outcome.output
    return outcome.output


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [{"text": f"Ta ibuprofen mot feber, sa läkare {i}.", "spans": [[3, 12, "DRUG"]]} for i in range(40)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path


def test_a_space_is_written_and_the_next_commands_are_named(folder: Path) -> None:
    output = run("corpus.jsonl")
    assert "corpus.yaml, a grid of 36 trials" in output
    assert "tune-ner audit corpus.yaml, then tune-ner grid corpus.yaml" in output
    space = load_space(str(folder / "corpus.yaml"))
    assert space.data
    assert space.data.path == "corpus.jsonl"
    assert space.model[0] == "KB/bert-base-swedish-cased"


def test_a_file_is_not_replaced(folder: Path) -> None:
    (folder / "corpus.yaml").write_text("mine")
    assert "corpus.yaml: exists already" in run("corpus.jsonl", code=2)
    assert (folder / "corpus.yaml").read_text() == "mine"
    run("corpus.jsonl", "--output", "other.yaml", "--language", "no", "--markup", "strip")
    assert "NbAiLab" in (folder / "other.yaml").read_text()


@pytest.mark.parametrize(
    ("data", "name"),
    [("hub:owner/ner-set:large", "ner-set"), ("synthetic:60", "synthetic"), ("corpus.jsonl", "corpus"), (".", "here")],
)
def test_the_file_is_named_after_the_data(folder: Path, data: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "here").mkdir()
    if data == ".":
        monkeypatch.chdir(folder / "here")
    assert name_of(data) == name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("missing.jsonl",), "no such file"), (("corpus.jsonl", "--language", "xx"), "expected one of")],
)
def test_mistakes_leave_nothing_behind(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in run(*arguments, code=2)
    assert [path.name for path in folder.iterdir()] == ["corpus.jsonl"]
