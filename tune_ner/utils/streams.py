"""Output streams whose reader has closed them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import IO


def discard_output(stream: IO[str]) -> None:
    """Redirect a closed pipe to the null device: Python flushes it at exit, which would raise again."""
    with suppress(OSError), Path(os.devnull).open("w") as null:  # streams without a descriptor need no redirection
        os.dup2(null.fileno(), stream.fileno())
