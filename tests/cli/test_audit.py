"""`tune-ner audit`: output, JSON file and exit codes."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from tests.audit.corpora import BRACKETS, plain_corpus, with_markers
from tune_ner.cli.audit import audit
from tune_ner.data.corpus import Corpus

app = typer.Typer()
app.command()(audit)


def run(*arguments: str | Path) -> Result:
    outcome = CliRunner().invoke(app, list(map(str, arguments)))
    assert "Traceback" not in outcome.output
    return outcome


def write(path: Path, corpus: Corpus) -> Path:
    rows = (
        {"text": s.text, "spans": [{"start": x.start, "end": x.end, "label": x.label} for x in s.spans]}
        for s in corpus.sentences
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def bracketed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "brackets.jsonl", with_markers(plain_corpus(), BRACKETS))


def test_output_has_summary_findings_and_baselines(bracketed: Path) -> None:
    outcome = run("--data", bracketed)
    assert outcome.exit_code == 0
    assert outcome.output.startswith("audit: error: F1 1.00")
    assert "brackets.jsonl:" in outcome.output
    assert f"--data {bracketed} --markup strip" in " ".join(outcome.output.split())
    assert outcome.output.index("suggestion:") < outcome.output.index("boundary_markers test")


def test_square_brackets_and_control_characters_are_escaped(tmp_path: Path) -> None:
    corpus = with_markers(plain_corpus(), {"DRUG": ("[red]", "[/red]"), "BODY": ("\x1b[31m", "\x07")})
    output = run("--data", write(tmp_path / "codes.jsonl", corpus)).output
    assert "[red]»" in output
    assert "«[/red]" in output
    assert "\x1b" not in output
    assert "\\x1b[31m»" in output
    assert "\\x07" in output


@pytest.mark.parametrize(("severity", "code"), [("error", 0), ("warning", 4)])
def test_fail_on_exits_with_4_from_this_severity_on(severity: str, code: int) -> None:
    assert run("--data", "synthetic:300", "--no-near-duplicates", "--fail-on", severity).exit_code == code


def test_report_is_written_as_json(bracketed: Path, tmp_path: Path) -> None:
    output = tmp_path / "audit.json"
    outcome = run("--data", bracketed, "--fail-on", "error", "--output", output, "--no-near-duplicates")
    assert outcome.exit_code == 4
    report = json.loads(output.read_text(encoding="utf-8"))
    assert report["severity"] == "error"
    assert set(report["test_sentences_in_train"]) == {"exact", "normalized"}
    assert list(tmp_path.iterdir()) == [output]


def test_lone_surrogate_is_an_error(tmp_path: Path) -> None:
    corpus = with_markers(plain_corpus(), {"DRUG": ("\ud800[", "]")})
    outcome = run("--data", write(tmp_path / "odd.jsonl", corpus))
    assert outcome.exit_code == 2
    assert "surrogate" in outcome.output


def test_tokenizers_are_checked_by_name(tmp_path: Path) -> None:
    output = tmp_path / "audit.json"
    options = ("--data", "synthetic:200", "--model", "tiny:1x32", "--max-length", "6", "--words", "punctuation")
    outcome = run(*options, "--split", "grouped", "--output", output)
    assert outcome.exit_code == 0
    report = json.loads(output.read_text(encoding="utf-8"))
    (finding,) = [finding for finding in report["findings"] if finding["kind"] == "truncation"]
    assert finding["title"].startswith("tiny:1x32")
    assert "longer than max_length 6 read in overlapping windows" in finding["title"]
    assert report["word_tokenizer"] == "punctuation"
    assert not any(finding["kind"].startswith("duplicates_train") for finding in report["findings"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--data", "nowhere.txt"], "nowhere.txt"),
        (["--data", "synthetic:0"], "synthetic:0"),
        (["--data", "synthetic:2"], "entity"),
        (["--data", "synthetic:100", "--model", "tiny:9"], "tiny:9"),
        (["--data", "synthetic:100", "--output", "no/such/folder/a.json"], "existing folder"),
        (["--data", "synthetic:100", "--output", "."], "existing folder"),
        (["--data", "synthetic:100", "--words", "letters"], "letters"),
        (["--data", "synthetic:100", "--markup", "cut"], "cut"),
        (["--data", "synthetic:100", "--fail-on", "info"], "info"),
        (["--data", "synthetic:100", "--max-length", "2"], "--max-length"),
        ([], "--data"),
    ],
)
def test_user_errors_exit_with_2(arguments: list[str], expected: str) -> None:
    outcome = run(*arguments)
    assert outcome.exit_code == 2, outcome.output
    assert expected in " ".join(outcome.output.split())


def test_suggested_commands_repeat_how_the_data_is_read(bracketed: Path) -> None:
    outcome = run("--data", bracketed, "--format", "jsonl")
    assert f"--data {bracketed} --format jsonl --markup strip" in " ".join(outcome.output.split())


def test_a_search_space_gives_data_split_words_and_encoders(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(
        "data: synthetic:200\nmodel: [tiny:1x32]\nlearning_rate: [0.001]\nword_tokenizer: [punctuation]\n"
        "max_length: [6]\nstride: [0]\nsplit: {method: grouped, folds: 2}\n",
        encoding="utf-8",
    )
    output = tmp_path / "audit.json"
    outcome = run(space, "--output", output)
    assert outcome.exit_code == 0, outcome.output
    assert "fold 0" in outcome.output
    assert "fold 1" in outcome.output
    assert "`--split grouped`" not in outcome.output
    reports = json.loads(output.read_text(encoding="utf-8"))
    assert [report["fold"] for report in reports] == [0, 1]
    for report in reports:
        assert report["word_tokenizer"] == "punctuation"
        (finding,) = [each for each in report["findings"] if each["kind"] == "truncation"]
        assert (finding["severity"], finding["title"][:9]) == ("warning", "tiny:1x32")


def test_options_replace_those_of_the_search_space(tmp_path: Path) -> None:
    output = tmp_path / "audit.json"
    options = ("--data", "synthetic:200", "--words", "whitespace", "--split", "random", "--output", output)
    assert run("demo", *options).exit_code == 0
    assert json.loads(output.read_text(encoding="utf-8"))["word_tokenizer"] == "whitespace"


def test_an_encoder_of_the_search_space_that_is_missing_is_a_note(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(f"model: [{tmp_path}/none]\nlearning_rate: [0.001]\ndata: synthetic:100\n", encoding="utf-8")
    outcome = run(space)
    assert outcome.exit_code == 0, outcome.output
    assert "not available here, so its tokenizer is not checked" in " ".join(outcome.output.split())
    assert run(space, "--model", f"{tmp_path}/none").exit_code == 2


def test_html_page_marks_the_examples_and_escapes_the_text(tmp_path: Path) -> None:
    corpus = with_markers(plain_corpus(), dict.fromkeys(BRACKETS, ("<b>", "</b>")))
    page = tmp_path / "audit.html"
    assert run("--data", write(tmp_path / "tags.jsonl", corpus), "--html", page).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;<mark>»" in text
    assert "<b>»" not in text
    assert "<script" not in text


def test_details_show_effects_and_all_examples(bracketed: Path) -> None:
    short, long = run("--data", bracketed).output, run("--data", bracketed, "--details").output
    assert "effect:" not in short
    assert long.count("effect:") > 3
    assert long.count("brackets.jsonl:") > short.count("brackets.jsonl:")
