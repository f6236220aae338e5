"""Exceptions caused by invalid input or by the environment.

Every message states what was found, what was expected and what to do. The commands print it without a traceback and
exit with `exit_code`.
"""

from __future__ import annotations


class TuneNerError(Exception):
    """Base class. `exit_code` is the exit code of a command that raises it."""

    exit_code = 2


class DataError(TuneNerError):
    """A corpus cannot be read; the message names the file and the line."""


class AuditError(TuneNerError):
    """The audit of the data found an error, and the run is strict."""

    exit_code = 4


class SplitError(TuneNerError):
    """A corpus cannot be split as requested, for instance because a split would be empty."""


class SpaceError(TuneNerError):
    """A search space is invalid; the message lists all problems, each with its key."""


class EncoderError(TuneNerError):
    """A pretrained encoder cannot be found, downloaded or loaded."""


class ResourceError(TuneNerError):
    """The machine or cluster lacks the resources requested for a trial."""


class SchedulingError(TuneNerError):
    """The trials cannot be scheduled as requested."""


class StudyError(TuneNerError):
    """The study of a search cannot be opened or belongs to another search space."""


class RunFolderError(TuneNerError):
    """A run folder cannot be created, written or read."""


class ModelError(TuneNerError):
    """An exported model cannot be written, found or loaded, or has no entity labels."""


class TextError(TuneNerError):
    """An input text for prediction cannot be read."""


class OutputError(TuneNerError):
    """A run cannot be displayed or tracked as requested."""


class DivergedError(TuneNerError):
    """The loss of a trial became NaN or infinite."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which schedulers send before they reclaim a machine."""

    exit_code = 143


def interrupt_code(error: KeyboardInterrupt) -> int:
    """Return the exit code after an interrupt: 130 for Ctrl-C, 143 for SIGTERM."""
    return error.exit_code if isinstance(error, Terminated) else 130
