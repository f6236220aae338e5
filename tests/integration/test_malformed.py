"""Malformed input at the commands: a clear message or a correct run, never a traceback or a half-written folder."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from tests.damages import FEW, Damage, a_folder, damages, json_damages
from tests.factories import a_failed_trial, a_finding, a_pruned_trial, a_record, a_run, an_audit
from tune_ner.cli.app import app
from tune_ner.data.loaders import MAX_CHARACTERS, MAX_SPANS
from tune_ner.data.synthetic.generator import synthetic_corpus
from tune_ner.results.audits import Audits
from tune_ner.results.run_dir import RunDir
from tune_ner.training.model_export import InferenceConfig

GRID = ["grid", "demo", "--model", "tiny:1x32", "--epochs", "1", "--lr", "1e-3", "--scheme", "BIO"]
SPACE = """\
data: synthetic:60
model: [tiny:1x32]
tagging_scheme: [BIO, BIOES]
learning_rate: [1.0e-3]
initial_points: {learning_rate: [1.0e-3]}
split: {validation_size: 0.2, test_size: 0.2, seed: 67}
epochs: 1
seed: [1, 2, 3, 4]
"""


def told(*arguments: str) -> Result:
    """A command's outcome, which must not be a traceback."""
    outcome = CliRunner().invoke(app, list(arguments))
    assert outcome.exception is None or isinstance(outcome.exception, SystemExit), outcome.exception
    assert "Traceback" not in outcome.output
    assert outcome.exit_code != 2 or "error" in outcome.output.lower()
    assert len(outcome.output) < 20_000
    return outcome


# ---- data


def _valid_files() -> dict[str, bytes]:
    sentences = synthetic_corpus(40).sentences
    rows = [
        {"text": s.text, "spans": [{"start": p.start, "end": p.end, "label": p.label} for p in s.spans]}
        for s in sentences
    ]
    columns = [
        "\n".join(f"{word}\t{'B-DRUG' if place == 1 else 'O'}" for place, word in enumerate(sentence.text.split()))
        for sentence in sentences
    ]
    parquet = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), parquet)
    return {
        "jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(),
        "conll": "\n\n".join(columns).encode(),
        "txt": "".join(f"( {s.text[:8]} ) {s.text} [ x ]\n" for s in sentences).encode(),
        "parquet": parquet.getvalue().to_pybytes(),
    }


VALID = _valid_files()


@pytest.mark.parametrize("ending", VALID)
@FEW
@given(damage=damages())
def test_a_damaged_corpus_is_planned_or_refused_and_leaves_nothing(ending: str, damage: Damage) -> None:
    with a_folder() as folder:
        file = folder / f"corpus.{ending}"
        file.write_bytes(damage(VALID[ending]))
        outcome = told(*GRID, "--data", str(file), "--results-dir", str(folder / "results"), "--dry-run")
        assert outcome.exit_code in (0, 2), outcome.output
        assert [path.name for path in folder.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("ending", "line"),
    [
        ("jsonl", lambda size: json.dumps({"text": "a " * (size // 2), "spans": [[0, 1, "DRUG"]]}).encode()),
        ("jsonl", lambda size: b'{"text": "' + b"x" * size),
        ("jsonl", lambda size: b"[" * size),
        ("conll", lambda size: b"x" * size + b" B-DRUG\n\ny O\n"),
        ("txt", lambda size: b"{" * size),
        ("txt", lambda size: b"[ a ] " * (size // 6)),
    ],
)
def test_a_line_of_ten_megabytes_is_refused(tmp_path: Path, ending: str, line: Callable[[int], bytes]) -> None:
    file = tmp_path / f"corpus.{ending}"
    file.write_bytes(line(10_000_000) + b"\n" + VALID[ending])
    outcome = told("audit", "--data", str(file))
    assert outcome.exit_code == 2, outcome.output
    assert f"corpus.{ending}:1: " in outcome.output


@pytest.mark.long
def test_a_very_long_sentence_is_audited(tmp_path: Path) -> None:
    file = tmp_path / "corpus.txt"
    spans = "[ a ] " * (MAX_SPANS // 4)
    file.write_bytes((spans + "b " * ((MAX_CHARACTERS // 4 - len(spans)) // 2) + "\n").encode() + VALID["txt"])
    assert told("audit", "--data", str(file)).exit_code in (0, 1)


# ---- run folders


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run with every file that one may have, its tables written."""
    schemes = ("BIO", "BIOES")
    records = [a_record((0.5, 0.6 + s / 100), seed=s, tagging_scheme=scheme) for s in (1, 2) for scheme in schemes]
    findings = a_finding("annotation marks in the text", "error"), a_finding("duplicates")
    audits: Audits = {None: an_audit(*findings)}
    run = a_run(
        tmp_path_factory.mktemp("results"),
        [*records, a_failed_trial(seed=3), a_pruned_trial(seed=4)],
        space=SPACE,
        audits=audits,
    )
    run.run_config_file.write_text(json.dumps({"space": {"data": "synthetic:60"}, "libraries": {"torch": "2"}}))
    run.models.best.mkdir()
    InferenceConfig.of(records[0].config, ("DRUG",)).write(run.models.best)
    (run.path / "driver.json").write_text('{"host": "here", "process": 1}')
    assert told("report", str(run.path), "--ensemble", "2").exit_code == 3
    return run


def a_damaged_copy(run: RunDir, folder: Path, name: str, damage: Damage) -> tuple[Path, Path]:
    """A copy of the run and, within it, the file that was damaged: the one of that name or the first in that folder."""
    copy = folder / "run"
    shutil.copytree(run.path, copy)
    file = sorted((copy / name).iterdir())[0] if (copy / name).is_dir() else copy / name
    file.write_bytes(damage(file.read_bytes()))
    return copy, file


DAMAGES = {
    "trials.jsonl": damages() | json_damages(),
    "audit.json": damages() | json_damages(),
    "predictions": damages() | json_damages(),
    "test_set_log.jsonl": damages() | json_damages(),
    "ensembles.csv": damages(),
    "space.yaml": damages(),
    "run_config.json": damages() | json_damages(),
    "driver.json": damages() | json_damages(),
    "best/tune_ner.json": damages() | json_damages(),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long] if name == "ensembles.csv" else [])
        for name in DAMAGES
        if name not in ("run_config.json", "driver.json")
    ],
)
@FEW
@given(data=st.data())
def test_a_damaged_run_folder_is_reported_or_refused(finished: RunDir, name: str, data: st.DataObject) -> None:
    with a_folder() as folder:
        run, file = a_damaged_copy(finished, folder, name, data.draw(DAMAGES[name]))
        before = file.read_bytes()
        outcome = told("report", str(run))
        assert outcome.exit_code in (0, 2, 3), outcome.output
        assert file.read_bytes() == before
        assert not [path for path in run.rglob("*") if path.name.startswith(".")]


def test_an_audit_of_another_fold_is_refused(finished: RunDir, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.path, run)
    file = run / "audit.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps([{**content[0], "fold": 3}]))
    outcome = told("report", str(run))
    assert outcome.exit_code == 2
    assert "audit.json" in outcome.output


@pytest.mark.parametrize("name", DAMAGES)
@FEW
@given(data=st.data())
def test_a_damaged_run_is_not_gone_on_with(finished: RunDir, name: str, data: st.DataObject) -> None:
    with a_folder() as folder:
        run, _ = a_damaged_copy(finished, folder, name, data.draw(DAMAGES[name]))
        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "driver.json"}
        outcome = told(
            *("grid", "demo", "--data", "synthetic:60", "--model", "tiny:1x32", "--epochs", "1"),
            *("--name", "run", "--results-dir", str(folder), "--no-dashboard", "--max-concurrent", "1"),
        )
        assert outcome.exit_code == 2, outcome.output  # whatever the file says, the run began with another space
        after = {path: path.read_bytes() for path in before if path.exists()}
        assert after == before


@FEW
@given(
    name=st.one_of(
        st.text(max_size=60),
        st.sampled_from(["synthetic:-1", "synthetic:1e9", "hub:", "hub::x", "/dev/null", "/", "..", "~nobody/x"]),
    )
)
def test_any_data_name_is_read_or_refused_in_words(name: str) -> None:
    with a_folder() as folder:
        outcome = told(*GRID, f"--data={name}", "--dry-run", f"--results-dir={folder / 'results'}")
        assert outcome.exit_code in (0, 2)
        assert list(folder.iterdir()) == []
