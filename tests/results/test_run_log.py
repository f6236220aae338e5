import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tune_ner.errors import ResourceError
from tune_ner.results.run_log import LOGGER, RunLog


def write_line(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def messages(file: Path) -> list[str]:
    """The lines without their times."""
    return [line.split(" ", 2)[2] for line in file.read_text(encoding="utf-8").splitlines()]


def test_python_output_goes_to_the_file_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RunLog(tmp_path / "run.log"):
        write_line("printed")
        sys.stderr.write("an error\n")
        LOGGER.info("our own")
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
    assert messages(tmp_path / "run.log") == ["printed", "an error", "INFO tune_ner: our own"]


def test_output_before_the_folder_exists_is_buffered(tmp_path: Path) -> None:
    file = tmp_path / "run" / "run.log"
    with RunLog(file):
        write_line("early")
        assert not file.exists()
        file.parent.mkdir()
        write_line("late")
        assert messages(file) == ["early", "late"]


def test_log_is_appended_to(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with RunLog(tmp_path / "run.log"):
            write_line(text)
    assert messages(tmp_path / "run.log") == ["first", "second"]


def test_secrets_colors_and_overwritten_lines_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "s3cr3t-value")
    with RunLog(tmp_path / "run.log"):
        write_line("\x1b[32mgreen\x1b[0m s3cr3t-value postgresql://me:secret@host/db")
        sys.stderr.write(" 10%\r 50%\r100%\n")
    assert messages(tmp_path / "run.log") == ["green *** postgresql://me:***@host/db", "100%"]


def test_error_without_a_folder_prints_the_buffered_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with RunLog(tmp_path / "none" / "run.log"):
            write_line("a clue")
            raise ResourceError("no Ray")

    with pytest.raises(ResourceError):
        fail()
    assert capsys.readouterr().err.endswith("a clue\n")
    assert not (tmp_path / "none").exists()


def test_logger_and_streams_are_restored(tmp_path: Path) -> None:
    before = LOGGER.level, list(LOGGER.handlers), sys.stdout, sys.stderr
    with RunLog(tmp_path / "run.log"):
        kept = sys.stderr
        assert LOGGER.isEnabledFor(logging.INFO)
    assert (LOGGER.level, list(LOGGER.handlers), sys.stdout, sys.stderr) == before
    kept.write("too late\n")
    assert (tmp_path / "run.log").read_text() == ""


def test_last_line_without_a_line_feed_is_written(tmp_path: Path) -> None:
    with RunLog(tmp_path / "run.log"):
        sys.stdout.write("a line")
    assert messages(tmp_path / "run.log") == ["a line"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_full_disk_only_loses_lines(tmp_path: Path) -> None:
    (tmp_path / "run.log").symlink_to("/dev/full")
    with RunLog(tmp_path / "run.log"):
        write_line("lost")
        LOGGER.info("lost too")
    (tmp_path / "other.log").mkdir()
    with RunLog(tmp_path / "other.log"):
        write_line("nowhere to go")


NATIVE = """
import logging, os, sys, warnings
from pathlib import Path
from tune_ner.results.run_log import RunLog
file = Path(sys.argv[1])
with RunLog(file):
    os.write(2, b"native, early\\n")
    file.parent.mkdir()
    warnings.warn("look out")
    logging.getLogger("some.library").warning("a library")
    os.write(2, b"native, late\\n")
    if sys.argv[2] == "die":
        os.abort()
os.write(2, b"after\\n")
"""


@pytest.mark.parametrize("end", ["live", "die"])
def test_native_output_is_logged_even_if_the_process_aborts(tmp_path: Path, end: str) -> None:
    file = tmp_path / "run" / "run.log"
    outcome = subprocess.run(
        [sys.executable, "-c", NATIVE, str(file), end],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (outcome.returncode == 0) == (end == "live")
    assert outcome.stderr == ("after\n" if end == "live" else "")
    assert outcome.stdout == ""
    lines = file.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("native, early", "native, late")
    assert any(line.endswith("UserWarning: look out") for line in lines)
    assert any(line.endswith(" a library") for line in lines)
