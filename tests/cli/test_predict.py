"""The predict command: inputs, output and errors."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.model_folders import TEXTS, a_model_folder
from tune_ner.cli.app import app
from tune_ner.data.loaders import load_corpus
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.inference.predictor import Predictor


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_model_folder(tmp_path_factory.mktemp("models") / "best")


@pytest.fixture(scope="module")
def predictor(model: Path) -> Predictor:
    return Predictor.load(model)


def predict(*arguments: str | Path, stdin: str | bytes = b"", code: int = 0) -> str:
    outcome = CliRunner().invoke(app, ["predict", *map(str, arguments)], input=stdin)
    assert outcome.exit_code == code, outcome.output
    assert "Traceback" not in outcome.output
    return outcome.output if code else outcome.stdout


def rows(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def expected(predictor: Predictor, text: str) -> list[tuple[int, int, str, str]]:
    return [(span.start, span.end, span.label, span.text) for span in predictor.predict([text])[0]]


def found(row: dict[str, Any]) -> list[tuple[int, int, str, str]]:
    return [(span["start"], span["end"], span["label"], span["text"]) for span in row["spans"]]


def test_texts_of_all_sources_get_a_result_in_order(model: Path, predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text(f"{TEXTS[2]}\n\n{TEXTS[3]}\n")
    (tmp_path / "rows.jsonl").write_text(
        json.dumps({"id": 7, "text": TEXTS[4], "spans": [[0, 2, "DRUG"]], "note": "å"}) + "\n"
    )
    files: list[str | Path] = ["--file", tmp_path / "lines.txt", "--file", tmp_path / "rows.jsonl"]
    answers = rows(predict(model, TEXTS[0], "-", *files, stdin=f"{TEXTS[1]}\n"))
    assert [answer["text"] for answer in answers] == [*TEXTS[:3], "", *TEXTS[3:5]]
    for answer in answers:
        assert found(answer) == expected(predictor, answer["text"])
    assert any(found(answer) for answer in answers)
    assert list(answers[-1]) == ["text", "file", "line", "id", "gold", "note", "spans"]
    assert (answers[-1]["gold"], answers[-1]["note"]) == ([[0, 2, "DRUG"]], "å")


def test_output_can_be_read_as_a_corpus(model: Path, tmp_path: Path) -> None:
    output = predict(model, *TEXTS[:40])
    (tmp_path / "found.jsonl").write_text(output)
    scores = json.loads(predict(model, "--expect", tmp_path / "found.jsonl"))
    assert scores["f1"] == 1
    assert scores["support"] == sum(len(row["spans"]) for row in rows(output))


def test_places_in_files_are_given(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_bytes(f"\ufeffEtt ö.\r\n\n{TEXTS[3]}\n".encode())
    answers = rows(predict(model, "--file", file))
    content = file.read_bytes().decode().removeprefix("\ufeff")
    assert [(row["file"], row["line"]) for row in answers] == [(str(file), number) for number in (1, 2, 3)]
    assert all(content[row["offset"] :].startswith(row["text"]) for row in answers)
    assert rows(predict(model, stdin=f"{TEXTS[0]}\n{TEXTS[1]}\n"))[1]["line"] == 2
    assert list(rows(predict(model, TEXTS[0]))[0]) == ["text", "spans"]


def test_whole_files_are_single_texts(model: Path, predictor: Predictor, tmp_path: Path) -> None:
    text = "\n".join(TEXTS[:30])
    (tmp_path / "a.txt").write_text(text)
    (answer,) = rows(predict(model, "--whole-files", "--file", tmp_path / "a.txt"))
    assert answer["text"] == text
    assert found(answer) == expected(predictor, text)
    assert answer["spans"]
    predict(model, "--whole-files", "--file", tmp_path / "a.txt", "--format", "brat", "--output", tmp_path / "out")
    assert (tmp_path / "out" / "a.txt").read_text() == f"{text}\n"
    annotated = [line.split("\t") for line in (tmp_path / "out" / "a.ann").read_text().splitlines()]
    places = [tuple(map(int, place.split()[1:])) for _, place, _ in annotated]
    assert places == [(start, end) for start, end, *_ in found(answer)]


@pytest.mark.parametrize(
    "to", ["jsonl", "conll", "csv", "brat", "pubtator", "doccano", "label-studio", "prodigy", "spacy"]
)
def test_predictions_are_written_in_the_formats_of_corpora(
    model: Path, predictor: Predictor, tmp_path: Path, to: str
) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("\n".join(TEXTS[:20]))
    ending = {
        "conll": ".conll",
        "csv": ".csv",
        "brat": "",
        "pubtator": ".pubtator",
        "label-studio": ".json",
        "spacy": ".json",
    }
    output = tmp_path / f"out{ending.get(to, '.jsonl')}"
    predict(model, "--file", file, "--format", to, "--output", output)
    labels = [label for text in TEXTS[:20] for _, _, label, _ in expected(predictor, text)]
    if to == "label-studio":  # predictions are not gold, so no reader takes them for it
        tasks = json.loads(output.read_text())
        assert [x["value"]["labels"][0] for task in tasks for x in task["predictions"][0]["result"]] == labels
    else:
        corpus = load_corpus(output)
        assert [span.label for sentence in corpus.sentences for span in sentence.spans] == labels
    if to in ("jsonl", "conll", "spacy"):
        assert predict(model, "--file", file, "--format", to) == output.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "--format", "brat"), "expected --output FOLDER"),
        (("a", "--format", "text", "--output", "x"), "expected another format with --output"),
        (("a", "--format", "conll", "--output", "x.txt"), "ends in .conll"),
        (("a", "--whole-files"), "expected --file with it"),
        (("--expect", "synthetic:5", "--format", "conll"), "--expect prints metrics"),
    ],
)
def test_options_that_exclude_each_other_are_refused(model: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in predict(model, *arguments, code=2)


def test_expected_data_is_read_with_options(model: Path, tmp_path: Path) -> None:
    lines = [f"{word}\tO\t{'B-drug' if word == 'Alvedon' else 'O'}\tB-X" for word in ("Ta", "Alvedon", "nu")]
    (tmp_path / "a.tsv").write_text("\n".join(lines))
    assert "--tag-column" in predict(model, "--expect", tmp_path / "a.tsv", code=2)
    options = ("--tag-column", "3", "--label", "drug=DRUG")
    assert json.loads(predict(model, "--expect", tmp_path / "a.tsv", *options))["support"] == 1


def test_an_existing_output_is_kept(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("mine")
    assert "exists already" in predict(model, "a", "--output", tmp_path / "a.jsonl", code=2)
    assert (tmp_path / "a.jsonl").read_text() == "mine"


def test_run_folder_stands_for_its_best_model(model: Path, tmp_path: Path) -> None:
    (tmp_path / "trials.jsonl").touch()
    assert "this run has no model in best/" in predict(tmp_path, "a", code=2)
    (tmp_path / "best").symlink_to(model)
    assert predict(tmp_path, TEXTS[0]) == predict(model, TEXTS[0])


def test_entities_are_marked_in_text(model: Path, predictor: Predictor) -> None:
    text = next(text for text in TEXTS if predictor.predict([text])[0])
    marked = text
    for start, end, label, words in reversed(expected(predictor, text)):
        marked = f"{marked[:start]}[{words}]{label}{marked[end:]}"
    assert predict(model, text, "--format", "text") == f"{marked}\n"
    assert predict(model, "\x1b[31m", "--format", "text").startswith("\\x1b")


def test_metrics_are_printed_by_type(model: Path) -> None:
    output = predict(model, "--expect", "synthetic:60", "--format", "text")
    lines = [line for line in output.splitlines() if line.strip(" ─")][:7]
    assert [line.split()[0] for line in lines] == ["Exact", "type", "DISORDER", "DRUG", "BODY", "all", "mean"]
    scores = json.loads(predict(model, "--expect", "synthetic:60"))
    assert lines[-2].split() == [
        "all",
        *(f"{scores[name]:.3f}" for name in ("precision", "recall", "f1")),
        str(scores["support"]),
    ]
    assert 0 < scores["f1"] < 1


def test_training_sentences_are_counted_and_scored_separately(model: Path, tmp_path: Path) -> None:
    corpus = synthetic_corpus(200).sentences
    data = tmp_path / "gold.jsonl"

    def annotated(start: int, end: int) -> str:
        rows = ({"text": s.text, "spans": [[g.start, g.end, g.label] for g in s.spans]} for s in corpus[start:end])
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return predict(model, "--expect", data)

    fresh = json.loads(annotated(20, 40))
    assert fresh["training_sentences"] == sum(s.text in TEXTS[:20] for s in corpus[20:40]) == 0
    assert fresh["without_training_sentences"] is None
    both = json.loads(annotated(0, 40))
    assert both["training_sentences"] == 20
    other = both["without_training_sentences"]
    assert other == {key: fresh[key] for key in other}
    warned = CliRunner().invoke(app, ["predict", str(model), "--expect", str(data), "--format", "text"])
    assert "20 of these 40 sentences" in warned.stderr
    assert "Without the 20 sentences" in warned.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "a"], "model 'nowhere': no such folder"),
        (["MODEL", ""], "TEXT 1: empty; expected a text"),
        (["MODEL", "a", "  "], "TEXT 2: empty"),
        (["MODEL", "--file", "no.txt"], "no.txt: cannot read file: No such file"),
        (["MODEL", "--file", "no.pdf"], "no.pdf: unknown ending '.pdf'"),
        (["MODEL", __file__], "is a file; to read it, use --file"),
        (["MODEL"], "standard input: empty"),
        (["MODEL", "--expect", "no.jsonl"], "no.jsonl: no such file or folder"),
        (["MODEL", "a", "--expect", "synthetic"], "--expect: its data contains the texts"),
        (["MODEL", "a", "--at-once", "0"], "at-once"),
    ],
)
def test_invalid_arguments_have_exit_code_2(model: Path, arguments: list[str], message: str) -> None:
    named = [str(model) if argument == "MODEL" else argument for argument in arguments]
    assert message in predict(*named, code=2)


@pytest.mark.parametrize("line", [b'{"txt": "feber"}\n', b'{"text": null}\n'])
def test_object_without_a_text_is_an_error(model: Path, line: bytes) -> None:
    found = "the keys txt" if b"txt" in line else "a `text` of null"
    assert f"standard input:1: found {found}; expected an object with a string `text`" in predict(
        model, stdin=line, code=2
    )


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("output", ["jsonl", "text"])
def test_closed_pipe_ends_the_command(model: Path, output: str) -> None:
    command = [sys.executable, "-m", "tune_ner", "predict", str(model), "--format", output]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    endless = subprocess.Popen(["yes", "Ta ibuprofen mot feber."], stdout=subprocess.PIPE)
    with (
        endless,
        subprocess.Popen(
            command, stdin=endless.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        ) as process,
    ):
        assert endless.stdout
        assert process.stdout
        assert process.stderr
        endless.stdout.close()
        assert process.stdout.readline()
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (0, b"")
        endless.kill()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full to write to")
def test_full_disk_is_an_error(model: Path) -> None:
    command = [sys.executable, "-m", "tune_ner", "predict", str(model), "feber"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "error: standard output or a file: No space left on device; check the disk\n",
    )


def test_texts_before_an_error_get_a_result(model: Path) -> None:
    output = predict(model, stdin=b"Ont i halsen\nh\xe4r\n", code=2)
    assert output.startswith('{"text": "Ont i halsen"')
    assert "standard input:2: not UTF-8: byte 0xE4 at offset 14" in output


@pytest.mark.slow
def test_pipe_gets_results_line_by_line_and_may_be_closed(model: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tune_ner", "predict", str(model)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{TEXTS[0]}\n".encode())
    process.stdin.flush()
    # the answer comes while the input is still open
    assert json.loads(process.stdout.readline())["text"] == TEXTS[0]
    process.stdout.close()
    _, told = process.communicate(f"{TEXTS[1]}\n".encode() * 3, timeout=600)
    assert told == b""
