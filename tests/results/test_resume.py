import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.errors import RunFolderError
from tune_ner.results.resume import check_run_config, config_differences, lock_run
from tune_ner.results.run_dir import RunDir

CONFIG = {"space": {"epochs": [5], "split": {"seed": 67}}, "data": "d1", "libraries": {"torch": "2.13.0"}}
plain = st.recursive(
    st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.dictionaries(st.text(max_size=5), plain, max_size=4))
def test_equal_configurations_have_no_differences(run_config: dict[str, object]) -> None:
    assert config_differences(run_config, json.loads(json.dumps(run_config))) == []


def test_each_difference_is_listed_with_both_values(tmp_path: Path) -> None:
    file = tmp_path / "run_config.json"
    file.write_text(json.dumps(CONFIG))
    check_run_config(file, CONFIG)
    other = {"space": {"epochs": [8], "split": {"seed": 68}}, "data": "d1", "libraries": {}, "encoders": {"m": "x"}}
    assert config_differences(CONFIG, other) == [
        "space.epochs: [5] in the run, [8] now",
        "space.split.seed: 67 in the run, 68 now",
        "libraries.torch: 2.13.0 in the run, missing now",
        "encoders.m: missing in the run, x now",
    ]
    with pytest.raises(RunFolderError) as error:
        check_run_config(file, other)
    assert all(difference in str(error.value) for difference in config_differences(CONFIG, other))


@pytest.mark.parametrize("content", [None, b"", b"[1", b"\xff\xfe"])
def test_missing_or_corrupt_configuration_is_an_error_with_the_path(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "run_config.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RunFolderError, match=r"run_config\.json"):
        check_run_config(file, CONFIG)


def test_second_process_is_refused_with_the_id_of_the_first(tmp_path: Path) -> None:
    with lock_run(tmp_path), pytest.raises(RunFolderError, match=rf"\(process {os.getpid()} on "):
        lock_in_subprocess(tmp_path)
    lock_in_subprocess(tmp_path)


def lock_in_subprocess(folder: Path) -> None:
    """Lock a folder in another process; its error is raised here."""
    code = (
        "import pathlib, sys\n"
        "from tune_ner.errors import RunFolderError\n"
        "from tune_ner.results.resume import lock_run\n"
        "try:\n"
        "    with lock_run(pathlib.Path(sys.argv[1])): pass\n"
        "except RunFolderError as error: sys.exit(str(error))\n"
    )
    found = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    if found.returncode:
        raise RunFolderError(found.stderr)


def test_lock_of_a_killed_process_is_released(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal, sys\n"
        "from tune_ner.results.resume import lock_run\n"
        "with lock_run(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    assert (tmp_path / "driver.json").exists()
    with lock_run(tmp_path):
        pass
    assert not (tmp_path / "driver.json").exists()


def test_run_with_another_configuration_is_not_resumed(tmp_path: Path) -> None:
    run_dir = RunDir.new(tmp_path, "run")
    run_dir.create("model: x\n", CONFIG)
    with run_dir.lock(CONFIG):
        pass
    with pytest.raises(RunFolderError, match="data: d1 in the run, d2 now"), run_dir.lock({**CONFIG, "data": "d2"}):
        pass
