"""The audit command: what it prints and writes, and how it ends."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from tests.audit.corpora import BRACKETS, plain_corpus, with_marks
from tune_ner.cli.audit import audit
from tune_ner.data.corpus import Corpus
from tune_ner.utils.text import visible

app = typer.Typer()
app.command()(audit)


def run(*arguments: str | Path) -> Result:
    outcome = CliRunner().invoke(app, list(map(str, arguments)))
    assert "Traceback" not in outcome.output
    return outcome


def written(path: Path, corpus: Corpus) -> Path:
    rows = (
        {"text": s.text, "spans": [{"start": x.start, "end": x.end, "label": x.label} for x in s.spans]}
        for s in corpus.sentences
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def bracketed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("data") / "brackets.jsonl", with_marks(plain_corpus(), BRACKETS))


def test_the_verdict_comes_first_then_the_findings_then_the_baselines(bracketed: Path) -> None:
    outcome = run("--data", bracketed)
    assert outcome.exit_code == 0
    lines = outcome.output.splitlines()
    assert lines[0].startswith("audit: error: a rule without a model reaches F1 1.00 on the test part")
    assert "brackets.jsonl:" in outcome.output
    assert f"--data {bracketed} --markup strip" in " ".join(outcome.output.split())
    assert outcome.output.index("remedy:") < outcome.output.index("Without a model")
    assert "markup rule  test" in outcome.output


def test_square_brackets_and_control_characters_are_shown_as_they_are(tmp_path: Path) -> None:
    corpus = with_marks(plain_corpus(), {"DRUG": ("[red]", "[/red]"), "BODY": ("\x1b[31m", "\x07")})
    output = run("--data", written(tmp_path / "codes.jsonl", corpus)).output
    assert "[red]»" in output
    assert "«[/red]" in output
    assert "\x1b" not in output
    assert "\\x1b[31m»" in output
    assert "\\x07" in output


def test_only_what_cannot_be_seen_is_escaped() -> None:
    assert visible("åäö [x] ½ 薬") == "åäö [x] ½ 薬"
    assert visible("a\tb\u202e\ud800\n") == r"a\tb\u202e\ud800\n"


@pytest.mark.parametrize(("level", "code"), [("error", 0), ("warning", 4)])
def test_fail_on_ends_with_4_from_that_severity_on(level: str, code: int) -> None:
    assert run("--data", "synthetic:300", "--no-near-duplicates", "--fail-on", level).exit_code == code


def test_fail_on_error_meets_an_error(bracketed: Path, tmp_path: Path) -> None:
    output = tmp_path / "audit.json"
    outcome = run("--data", bracketed, "--fail-on", "error", "--output", output, "--no-near-duplicates")
    assert outcome.exit_code == 4
    report = json.loads(output.read_text(encoding="utf-8"))
    assert report["worst"] == "error"
    assert set(report["contaminated"]) == {"exact", "normalised"}
    assert list(tmp_path.iterdir()) == [output]


def test_a_lone_surrogate_is_refused_with_its_line(tmp_path: Path) -> None:
    corpus = with_marks(plain_corpus(), {"DRUG": ("\ud800[", "]")})
    outcome = run("--data", written(tmp_path / "odd.jsonl", corpus))
    assert outcome.exit_code == 2
    assert "half a surrogate pair" in outcome.output


def test_tokenizers_are_audited_by_name(tmp_path: Path) -> None:
    output = tmp_path / "audit.json"
    options = ("--data", "synthetic:200", "--model", "tiny:1x32", "--max-length", "6", "--words", "punctuation")
    outcome = run(*options, "--split", "grouped", "--output", output)
    assert outcome.exit_code == 0
    report = json.loads(output.read_text(encoding="utf-8"))
    (finding,) = [finding for finding in report["findings"] if finding["kind"] == "encoding"]
    assert finding["severity"] == "warning"
    assert finding["title"].startswith("tiny:1x32 cuts")
    assert report["word_tokenizer"] == "punctuation"
    assert not any(finding["kind"].startswith("duplicates_train") for finding in report["findings"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--data", "nowhere.txt"], "no such file or folder"),
        (["--data", "synthetic:0"], "expected a number of sentences"),
        (["--data", "synthetic:2"], "without any entity"),
        (["--data", "synthetic:100", "--model", "tiny:9"], "tiny:9"),
        (["--data", "synthetic:100", "--output", "no/such/folder/a.json"], "does not exist"),
        (["--data", "synthetic:100", "--output", "."], "is a folder"),
        (["--data", "synthetic:100", "--words", "letters"], "letters"),
        (["--data", "synthetic:100", "--markup", "cut"], "cut"),
        (["--data", "synthetic:100", "--fail-on", "info"], "info"),
        (["--data", "synthetic:100", "--max-length", "2"], "--max-length"),
        ([], "--data"),
    ],
)
def test_mistakes_are_told_and_end_with_2(arguments: list[str], expected: str) -> None:
    outcome = run(*arguments)
    assert outcome.exit_code == 2, outcome.output
    assert expected in " ".join(outcome.output.split())
