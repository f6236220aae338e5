"""The Python API: options, in-memory data, real runs, and the files that a run ends with."""

import io
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.audit.corpora import BRACKETS, plain_corpus, with_markers
from tests.factories import a_failed_trial, a_record, a_run
from tune_ner.api import Results, Tuner, finish_run, run_options
from tune_ner.cli.app import app
from tune_ner.config.loading import parse_space
from tune_ner.data.loaders import load_corpus
from tune_ner.errors import AuditError, DataError, SpaceError, Terminated
from tune_ner.results.run_dir import RunDir
from tune_ner.tracking.display import Display, QuietDisplay
from tune_ner.tracking.tracker import Tracker
from tune_ner.training.model_export import INFERENCE_CONFIG_FILE


class RecordingTracker:
    """A tracker that lists the files of the run folder when the run ends."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self.interrupted: bool | None = None

    def finish(self, results: Results, interrupted: bool) -> None:
        self.found = {file.name for file in results.run_dir.path.iterdir()}
        self.interrupted = interrupted


@pytest.mark.parametrize(
    ("interrupt", "failed", "code"),
    [
        (None, False, 0),
        (None, True, 3),
        (KeyboardInterrupt(), False, 130),
        (Terminated(), True, 143),
    ],
)
def test_trackers_receive_tables_and_page(
    tmp_path: Path, interrupt: KeyboardInterrupt | None, failed: bool, code: int
) -> None:
    results = Results(a_run(tmp_path, [a_record((0.5,), seed=1), *([a_failed_trial(seed=2)] if failed else [])]))
    display = QuietDisplay(Console(file=io.StringIO(), width=120))
    tracker = RecordingTracker()
    assert finish_run(results, display, [cast(Tracker, tracker)], 2, interrupt) == code
    assert {"leaderboard.csv", "report.html", "trials.jsonl"} <= tracker.found
    assert tracker.interrupted == (interrupt is not None)


def test_strict_run_is_not_started_if_the_audit_finds_an_error(tmp_path: Path) -> None:
    corpus = with_markers(plain_corpus(), BRACKETS)
    space = {"model": "tiny:1x32", "learning_rate": [1e-3]}
    tuner = Tuner(corpus, space, "strict", tmp_path, display=Display(), strict=True)
    with pytest.raises(AuditError, match=r"F1 1\.00 on the test split without a model") as caught:
        tuner.grid()
    assert caught.value.exit_code == 4
    assert list(tmp_path.iterdir()) == []


class Notes(Display):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def on_note(self, what: str) -> None:
        self.notes.append(what)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return a_run(tmp_path, [a_record((0.5,), learning_rate=rate) for rate in (1e-3, 2e-3)])


def test_finished_run_has_tables_page_and_charts(run: RunDir) -> None:
    display = Notes()
    assert finish_run(Results(run), display, [], 2, None) == 0
    assert display.notes == []
    assert {"leaderboard.csv", "report.html", "figures"} <= {path.name for path in run.path.iterdir()}
    figures = [path.name for path in (run.path / "figures").iterdir()]
    assert {"leaderboard.svg", "leaderboard.png"} <= set(figures)


def test_unwritable_charts_do_not_affect_the_page(run: RunDir) -> None:
    (run.path / "figures").write_text("in the way")
    display = Notes()
    assert finish_run(Results(run), display, [], 2, None) == 0
    (note,) = display.notes
    assert note.startswith(f"charts not written: {run.path / 'figures'}: cannot be created")
    assert (run.path / "report.html").exists()


def test_corrupt_model_only_skips_the_card(run: RunDir) -> None:
    run.models.best.mkdir()
    (run.models.best / INFERENCE_CONFIG_FILE).write_text(f'{{"trial_id": "{run.records()[0].trial_id}", "format": 99}}')
    display = Notes()
    assert finish_run(Results(run), display, [], 2, None) == 0
    (note,) = display.notes
    assert note.startswith(f"the model has no card: {run.models.best / INFERENCE_CONFIG_FILE}")
    assert {"leaderboard.csv", "report.html"} <= {path.name for path in run.path.iterdir()}


def test_version_is_that_of_the_package() -> None:
    outcome = CliRunner().invoke(app, ["--version"])
    assert (outcome.exit_code, outcome.output) == (0, f"tune-ner {version('tune-ner')}\n")


SPACE = {"model": "tiny:1x32", "learning_rate": [2e-3], "epochs": 1}


def test_options_have_the_names_of_the_command_line() -> None:
    options = run_options(cpus_per_trial=2, scheduler="asha", grace_period=2, max_failures=0, export=False)
    assert (options.resources.cpus_per_trial, options.failures.max_failures, options.export) == (2, 0, False)
    assert (options.scheduler.name, options.scheduler.grace_period) == ("asha", 2)
    with pytest.raises(TypeError, match="max_concurrent"):
        run_options(max_concurent=2)


@pytest.mark.parametrize(
    ("space", "key"),
    [
        ({"model": "tiny:1x32"}, "learning_rate"),
        ({**SPACE, "learning_rates": [1]}, "learning_rates"),
        ({**SPACE, "learning_rate": "banana"}, "learning_rate"),
    ],
)
def test_invalid_search_space_is_an_error_with_its_key(tmp_path: Path, space: dict[str, object], key: str) -> None:
    with pytest.raises(SpaceError, match=key):
        Tuner("synthetic:60", space, results_dir=tmp_path)


def test_reading_options_apply_to_paths_and_to_data_in_memory(tmp_path: Path) -> None:
    rows = [{"text": f"Ta Alvedon nu {i}.", "spans": [[3, 10, "drug"]], "patient": f"p{i % 9}"} for i in range(90)]
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    space = {"model": "tiny:1x32", "learning_rate": [1e-3]}
    reading = {"group_by": "patient", "labels": {"drug": "DRUG"}}
    cases: list[tuple[Any, Any]] = [(file, space), (rows, space), (str(file), parse_space(space, "s"))]
    for name, (corpus, settings) in enumerate(cases):
        tuner = Tuner(corpus, settings, f"r{name}", tmp_path, reading=reading, display=Display())
        found = tuner.experiment
        assert (found.corpus.group_by, found.corpus.entity_types) == ("patient", ("DRUG",))
        sides = [{found.corpus.sentences[i].group for i in found.splits[None][split]} for split in ("train", "test")]
        assert not sides[0] & sides[1]
    with pytest.raises(DataError, match="tag_colum"):
        Tuner(rows, space, "x", tmp_path, reading={"tag_colum": 2}, display=Display())
    with pytest.raises(SpaceError, match="tag_colum"):
        Tuner(file, space, "x", tmp_path, reading={"tag_colum": 2}, display=Display())


def test_invalid_markup_is_an_error() -> None:
    with pytest.raises(DataError, match="strip"):
        load_corpus("synthetic:60", markup="foo")  # type: ignore[arg-type]
