"""Comparison of texts with the files in `tests/snapshots`.

Set UPDATE_SNAPSHOTS=1 to replace the files with the current texts, and review the changes with `git diff`.
"""

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "snapshots"


def assert_snapshot(name: str, text: str) -> None:
    """Fail if the text differs from the snapshot of this name."""
    file = FOLDER / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
