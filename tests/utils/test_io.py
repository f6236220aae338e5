import errno
import os
from pathlib import Path

import pytest

from tune_ner.errors import RunFolderError
from tune_ner.utils.io import append_line, atomic_write, read_json


def full_disk(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_text_and_bytes_are_written(tmp_path: Path) -> None:
    assert atomic_write(tmp_path / "a.txt", "å\ud800").read_bytes() == "å\\ud800".encode()
    assert atomic_write(tmp_path / "a.txt", b"\xff").read_bytes() == b"\xff"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_failed_write_leaves_the_existing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = atomic_write(tmp_path / "a.txt", "old")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(RunFolderError, match=r"a\.txt: cannot be written: No space left"):
        atomic_write(file, "new")
    assert file.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_failed_append_leaves_no_partial_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.jsonl"
    append_line(file, "1")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        append_line(file, "2")
    assert file.read_text() == "1\n"


@pytest.mark.parametrize("content", [None, b"", b"[1", b"\xff\xfe", b"[" * 100_000])
def test_missing_or_invalid_json_is_an_error_with_the_path(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "a.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RunFolderError, match=r"a\.json: "):
        read_json(file)


def test_json_is_read(tmp_path: Path) -> None:
    assert read_json(atomic_write(tmp_path / "a.json", '{"a": [1, null]}')) == {"a": [1, None]}
