"""The convert command."""

from pathlib import Path

from typer.testing import CliRunner

from tune_ner.cli.app import app
from tune_ner.data.loaders import load_corpus


def test_a_corpus_is_written_with_a_report(tmp_path: Path) -> None:
    source, target = tmp_path / "a.txt", tmp_path / "b.conll"
    source.write_text("Ta [Alvedon], nu.\n")
    outcome = CliRunner().invoke(
        app, ["convert", str(source), str(target), "--to", "conll", "--markup", "strip"], env={"COLUMNS": "200"}
    )
    assert outcome.exit_code == 0, outcome.output
    assert "note: read as bracket text" in outcome.output
    assert "note: conll cannot express: sentences whose spacing is not kept: 1" in outcome.output
    assert "1 sentence, 1 entity" in outcome.output
    assert load_corpus(target).sentences[0].text == "Ta Alvedon , nu ."


def test_a_mistake_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_text("Ta [Alvedon] nu.\n")
    outcome = CliRunner().invoke(app, ["convert", str(source), str(tmp_path / "b.txt"), "--to", "conll"])
    assert outcome.exit_code == 2
    assert "ends in .conll" in outcome.output
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
