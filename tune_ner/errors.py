"""The exceptions that a user can cause or meet.

Every message says what was found, what was expected and what to do; the commands print it without a
traceback and exit with the code of the class.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TuneNerError(Exception):
    """Root of the family; `exit_code` is what a command returns for it."""

    exit_code = 2


class DataError(TuneNerError):
    """A corpus cannot be read: the message names the file, the line and what to do."""


class SplitError(TuneNerError):
    """A corpus cannot be divided as asked, for instance because a part would stay empty."""


class SpaceError(TuneNerError):
    """A search space is invalid; the message lists every problem at once, each with its key."""


class EncoderError(TuneNerError):
    """A pretrained encoder cannot be found, fetched or loaded."""


class ResourceError(TuneNerError):
    """The machine or cluster cannot give a trial what was asked for it."""


class SchedulingError(TuneNerError):
    """The trials cannot be scheduled as asked."""


class StudyError(TuneNerError):
    """The study of a search cannot be opened, or is of another space."""


class RunFolderError(TuneNerError):
    """A run folder cannot be created, written or read."""


class ModelError(TuneNerError):
    """An exported model cannot be written, found or loaded, or has no labels of entities."""


class TextError(TuneNerError):
    """A text that entities are to be found in cannot be read."""


class OutputError(TuneNerError):
    """A run cannot be shown or tracked as asked."""


class DivergedError(TuneNerError):
    """A trial's loss is no number any more, or infinite."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which schedulers send before they take a machine away."""


def near_misses(word: str, known: Iterable[str]) -> str:
    """A hint such as ` (did you mean 'learning_rate'?)`, or an empty string when nothing is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def visible(text: str) -> str:
    """A text on one line, with an escape for every character that has no look of its own, such as a tab."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def visible_lines(text: str) -> str:
    """A text that may have several lines, each of them `visible`."""
    return "\n".join(map(visible, text.split("\n")))
