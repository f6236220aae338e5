"""Packages of the optional extras."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from tune_ner.errors import DataError, TuneNerError


def imported(module: str, extra: str, purpose: str, kind: type[TuneNerError] = DataError) -> Any:
    """Return a module of an extra.

    Args:
        module: its name.
        extra: the extra of this project that installs it.
        purpose: what it is needed for, for the message.
        kind: class of the error.

    Raises:
        TuneNerError: it is not installed; of the class `kind`.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise kind(_message(module, extra, purpose, f" ({error})")) from error


def check_installed(module: str, extra: str, purpose: str, kind: type[TuneNerError] = DataError) -> None:
    """Check that a package of an extra is installed, without importing it; arguments and errors as of `imported`."""
    if find_spec(module) is None:
        raise kind(_message(module, extra, purpose))


def _message(module: str, extra: str, purpose: str, reason: str = "") -> str:
    return (
        f"{purpose} needs the package {module.split('.')[0]}, which is not installed{reason}; install the extra "
        f"`{extra}`: pip install -e '.[{extra}]'"
    )
