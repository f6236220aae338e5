"""Secrets hidden from what is written down: passwords in addresses, tokens, and the values of secret variables."""

from __future__ import annotations

import os
import re

HIDDEN = "***"

_SECRET_NAME = r"(?:token|passw(?:or)?d|pwd|secret|api_?key|access_?key|private_?key|credentials?)"
_SECRET_VARIABLE = re.compile(rf"(?:^|_){_SECRET_NAME}(?:$|_)", re.IGNORECASE)
# what shells keep the working folder in, though a password might be called so
_FOLDERS = ("PWD", "OLDPWD")
# What is shorter stands in too many words to be hidden by its value.
_SHORTEST_VALUE = 6
# As in an address, a line of YAML, JSON and a Python dictionary.
_IS = r"['\"]?[ \t]*[=:][ \t]*['\"]?"
_PATTERNS = (
    # up to the last @ before the path, for a password may have one
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/]+@", re.IGNORECASE), rf"\1:{HIDDEN}@"),
    (re.compile(rf"(\b{_SECRET_NAME}{_IS})[^\s&;,'\"]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(rf"(\bAuthorization{_IS}\w+) [^\s,'\"]+", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\b(Bearer|Basic) [\w.~+/=-]{6,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"\bhf_[A-Za-z0-9]{8,}"), f"hf_{HIDDEN}"),
)


def masked(text: str) -> str:
    """The text without its secrets.

    Hidden are the password of `scheme://user:password@host`, what follows `token=`, `password: ` and their like,
    `Authorization: Token …`, `Bearer …`, tokens of the Hugging Face hub, and the values of environment variables whose
    names speak of a token, password, secret or key, such as `RAY_AUTH_TOKEN` and `MLFLOW_TRACKING_PASSWORD`.
    """
    for value in secret_values():
        text = text.replace(value, HIDDEN)
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text


def secret_values() -> list[str]:
    """The values of the secret environment variables, the longest first, so that none is hidden in part."""
    found = {value for name, value in os.environ.items() if _SECRET_VARIABLE.search(name) and name not in _FOLDERS}
    return sorted((value for value in found if len(value) >= _SHORTEST_VALUE), key=len, reverse=True)
