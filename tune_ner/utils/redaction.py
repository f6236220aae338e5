"""Redaction of secrets: passwords in URLs, tokens, and the values of environment variables that hold secrets."""

from __future__ import annotations

import os
import re

HIDDEN = "***"

_SECRET_NAME = r"(?:token|passw(?:or)?d|pwd|secret|api_?key|access_?key|private_?key|credentials?)"
_SECRET_VARIABLE = re.compile(rf"(?:^|_){_SECRET_NAME}(?:$|_)", re.IGNORECASE)
# Shells store the working folder in these, although their names look like passwords.
_FOLDERS = ("PWD", "OLDPWD")
# Shorter values occur in too many words to be redacted by value.
_SHORTEST_VALUE = 6
# As in a URL, a line of YAML, JSON and a Python dictionary.
_IS = r"['\"]?[ \t]*[=:][ \t]*['\"]?"
_PATTERNS = (
    # up to the last @ before the path, since a password may contain one
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/]+@", re.IGNORECASE), rf"\1:{HIDDEN}@"),
    (re.compile(rf"(\b{_SECRET_NAME}{_IS})[^\s&;,'\"]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(rf"(\bAuthorization{_IS}\w+) [^\s,'\"]+", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\b(Bearer|Basic) [\w.~+/=-]{6,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"\bhf_[A-Za-z0-9]{8,}"), f"hf_{HIDDEN}"),
)


def redact(text: str) -> str:
    """Return the text with its secrets replaced by `***`.

    Redacted are the password in `scheme://user:password@host`, values after `token=`, `password: ` and similar names,
    `Authorization: Token …`, `Bearer …`, Hugging Face tokens, and the values of environment variables whose names
    contain token, password, secret or key, such as `RAY_AUTH_TOKEN` and `MLFLOW_TRACKING_PASSWORD`.
    """
    for value in secret_values():
        text = text.replace(value, HIDDEN)
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text


def secret_values() -> list[str]:
    """Return the values of environment variables that hold secrets, longest first so that each is redacted whole."""
    found = {value for name, value in os.environ.items() if _SECRET_VARIABLE.search(name) and name not in _FOLDERS}
    return sorted((value for value in found if len(value) >= _SHORTEST_VALUE), key=len, reverse=True)
