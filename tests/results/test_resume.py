"""Going on with a run: what must be the same, and one driver at a time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.errors import RunFolderError
from tune_ner.results.resume import check_same, differences, locked
from tune_ner.results.run_dir import RunDir

PROTOCOL = {"space": {"epochs": [5], "split": {"seed": 67}}, "data": "d1", "libraries": {"torch": "2.13.0"}}
plain = st.recursive(
    st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
protocols = st.dictionaries(st.text(max_size=5), plain, max_size=4)


@given(protocols)
def test_what_is_the_same_has_no_difference(run_config: dict[str, object]) -> None:
    assert differences(run_config, json.loads(json.dumps(run_config))) == []


def test_every_difference_is_told_with_both_values(tmp_path: Path) -> None:
    file = tmp_path / "run_config.json"
    file.write_text(json.dumps(PROTOCOL))
    check_same(file, PROTOCOL)
    other = {"space": {"epochs": [8], "split": {"seed": 68}}, "data": "d1", "libraries": {}, "encoders": {"m": "x"}}
    with pytest.raises(RunFolderError) as error:
        check_same(file, other)
    told = str(error.value)
    assert "space.epochs: [5] there, [8] here" in told
    assert "space.split.seed: 67 there, 68 here" in told
    assert "libraries.torch: 2.13.0 there, nothing here" in told
    assert "encoders.m: nothing there, x here" in told
    assert "data" not in told.replace("comparable", "")


@pytest.mark.parametrize("content", [None, b"", b"[1", b"\xff\xfe"])
def test_a_protocol_that_is_missing_or_damaged_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "run_config.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RunFolderError, match=r"run_config\.json"):
        check_same(file, PROTOCOL)


def test_a_second_driver_is_refused_and_told_the_first(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(RunFolderError, match=rf"another process.*\(process {os.getpid()} on "):
        subprocess_locks(tmp_path)
    subprocess_locks(tmp_path)


def subprocess_locks(folder: Path) -> None:
    """Take the lock in a process of its own; its message is raised here."""
    code = (
        "import pathlib, sys\n"
        "from tune_ner.errors import RunFolderError\n"
        "from tune_ner.results.resume import locked\n"
        "try:\n"
        "    with locked(pathlib.Path(sys.argv[1])): pass\n"
        "except RunFolderError as error: sys.exit(str(error))\n"
    )
    found = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    if found.returncode:
        raise RunFolderError(found.stderr)


def test_a_driver_that_is_killed_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal, sys\n"
        "from tune_ner.results.resume import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    assert (tmp_path / "driver.json").exists()
    with locked(tmp_path):
        pass
    assert not (tmp_path / "driver.json").exists()


def test_a_run_that_began_otherwise_is_not_gone_on_with(tmp_path: Path) -> None:
    folder = RunDir.available(tmp_path, "run")
    folder.create("model: x\n", PROTOCOL)
    with folder.driven(PROTOCOL):
        pass
    with pytest.raises(RunFolderError, match="data: d1 there, d2 here"), folder.driven({**PROTOCOL, "data": "d2"}):
        pass
