"""The show command."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tune_ner.cli.app import app

ROWS = (
    '{"text": "New York City sover", "spans": [[0, 13, "LOC"], [0, 8, "LOC"]]}\n'
    '{"text": "<b>Anna</b> ler", "spans": [[3, 7, "PER"]]}\n'
)


def shown(folder: Path, *options: str, code: int = 0) -> str:
    (folder / "a.jsonl").write_text(ROWS)
    outcome = CliRunner().invoke(app, ["show", str(folder / "a.jsonl"), *options], env={"COLUMNS": "120"})
    assert outcome.exit_code == code, outcome.output
    return outcome.output


def test_a_corpus_is_shown_with_its_entities_marked(tmp_path: Path) -> None:
    output = shown(tmp_path)
    assert "note: read as rows of `text` and `spans`" in output
    assert "scripts: Latin 100%" in output
    assert "[New York City]LOC sover" in output
    assert "2 of 2 matching sentences" in output
    assert "a.jsonl:2" in output


def test_sentences_can_be_selected(tmp_path: Path) -> None:
    output = shown(tmp_path, "--type", "PER", "--limit", "5")
    assert "1 of 1 matching sentences" in output
    assert "[Anna]PER" in output
    assert "[New York City]" not in output


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--type", "PERS"), "--type PERS: expected one of LOC, PER"), (("--split", "train"), "no published splits")],
)
def test_what_does_not_exist_is_refused(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    assert message in shown(tmp_path, *options, code=2)


def test_a_page_has_no_markup_of_the_data(tmp_path: Path) -> None:
    shown(tmp_path, "--html", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;" in page
    assert "<b>Anna" not in page
    assert "Anna" in page
