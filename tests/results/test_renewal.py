"""A run folder gives way to a later state of the same run alone, whole or not at all."""

from pathlib import Path

import pytest

from tune_ner.errors import RunFolderError, Terminated
from tune_ner.results.renewal import renew
from tune_ner.results.resume import locked

FIRST, SECOND = b'{"trial": 1}\n', b'{"trial": 2}\n'


def a_state(folder: Path, records: bytes, run_config: bytes = b"{}", **models: bytes) -> Path:
    """A run folder with these records and, by file name, what is in its `best/`."""
    folder.mkdir(parents=True)
    (folder / "trials.jsonl").write_bytes(records)
    (folder / "run_config.json").write_bytes(run_config)
    for name, content in models.items():
        (folder / "best").mkdir(exist_ok=True)
        (folder / "best" / name).write_bytes(content)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "driver.lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("earlier", [b"", FIRST, FIRST + SECOND, FIRST + b'{"tri'], ids=["none", "one", "all", "torn"])
def test_an_earlier_state_gives_way(tmp_path: Path, earlier: bytes) -> None:
    target = a_state(tmp_path / "run", earlier)
    later = a_state(tmp_path / "work" / "later", FIRST + SECOND, model=b"new")
    expected = content(later)
    renew(target, later)
    assert content(target) == expected


@pytest.mark.parametrize(
    ("records", "run_config"), [(SECOND, b"{}"), (FIRST + SECOND + FIRST, b"{}"), (FIRST, b'{"data": "other"}')]
)
def test_trials_that_would_be_lost_are_kept(tmp_path: Path, records: bytes, run_config: bytes) -> None:
    target = a_state(tmp_path / "run", records, run_config)
    before = content(target)
    with pytest.raises(RunFolderError, match="choose another --results-dir"):
        renew(target, a_state(tmp_path / "work" / "later", FIRST + SECOND))
    assert content(target) == before


def test_a_run_that_is_worked_on_stays(tmp_path: Path) -> None:
    target = a_state(tmp_path / "run", FIRST)
    with locked(target), pytest.raises(RunFolderError, match="another process works on this run"):
        renew(target, a_state(tmp_path / "work" / "later", FIRST + SECOND))
    assert content(target)["trials.jsonl"] == FIRST


@pytest.mark.parametrize(("later_model", "expected"), [({}, b"old"), ({"model": b"new"}, b"new")])
def test_a_model_stays_where_none_comes(tmp_path: Path, later_model: dict[str, bytes], expected: bytes) -> None:
    target = a_state(tmp_path / "run", FIRST, model=b"old")
    renew(target, a_state(tmp_path / "work" / "later", FIRST, **later_model))
    assert content(target)["best/model"] == expected


@pytest.mark.parametrize("interruption", [Terminated, OSError])
def test_what_was_there_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    target = a_state(tmp_path / "run", FIRST)
    later = a_state(tmp_path / "work" / "later", FIRST + SECOND)
    before, rename = content(target), Path.rename

    def interrupted(path: Path, to: Path) -> Path:
        if path == later:
            raise interruption
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(interruption):
        renew(target, later)
    assert content(target) == before
