"""Packages of the optional extras."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tune_ner.errors import DataError


def imported(module: str, extra: str, purpose: str) -> Any:
    """Return a module of an extra.

    Args:
        module: its name.
        extra: the extra of this project that installs it.
        purpose: what it is needed for, for the message.

    Raises:
        DataError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise DataError(
            f"{purpose} needs the package {module.split('.')[0]}, which is not installed ({error}); install the extra "
            f"`{extra}`: pip install -e '.[{extra}]'"
        ) from error
