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


def test_reading_options_name_columns_labels_and_several_labels(tmp_path: Path) -> None:
    source, target = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    source.write_text('{"form": ["Ta", "Alvedon", "nu"], "iob": ["O", "B-Drug,B-X", "O"]}\n')
    options = ["--column", "tokens=form", "--column", "tags=iob", "--label", "Drug=DRUG", "--multiple-labels", "first"]
    outcome = CliRunner().invoke(app, ["convert", str(source), str(target), "--to", "jsonl", *options])
    assert outcome.exit_code == 0, outcome.output
    assert load_corpus(target).entity_counts() == {"DRUG": 1}
    for wrong, message in (("Drug", "expected OLD=NEW"), ("Drugs=DRUG", "no such entity type in the corpus")):
        outcome = CliRunner().invoke(
            app,
            [
                "convert",
                str(source),
                str(tmp_path / "c.jsonl"),
                "--to",
                "jsonl",
                *options[:4],
                "--label",
                wrong,
                *options[6:],
            ],
        )
        assert outcome.exit_code == 2
        assert message in " ".join(outcome.output.split())


def test_a_mistake_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_text("Ta [Alvedon] nu.\n")
    outcome = CliRunner().invoke(app, ["convert", str(source), str(tmp_path / "b.txt"), "--to", "conll"])
    assert outcome.exit_code == 2
    assert "ends in .conll" in outcome.output
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
