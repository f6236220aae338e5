"""Formatting of texts and numbers for people."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Iterable

from markupsafe import Markup, escape

MISSING = "–"
"""Shown in place of a missing value."""

_UNITS = ("B", "kB", "MB", "GB", "TB")
_HOUR = 3600


def near_misses(word: str, known: Iterable[str]) -> str:
    """Return a hint such as ` (did you mean 'learning_rate'?)`, or an empty string if no known word is similar."""
    names = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), names, n=1, cutoff=0.6)
    return f" (did you mean {names[close[0]]!r}?)" if close else ""


def visible(text: str) -> str:
    """Return the text on one line, with every unprintable character, such as a tab, as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def visible_lines(text: str) -> str:
    """Return the text with each of its lines made `visible`."""
    return "\n".join(map(visible, text.split("\n")))


def html_with_code(text: str) -> Markup:
    """Return a text as HTML whose `code` is marked up as code."""
    pieces = visible_lines(text).split("`")
    if len(pieces) % 2 == 0:
        return escape(visible_lines(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece) for place, piece in enumerate(pieces)
    )


def plural(count: int, noun: str, many: str = "") -> str:
    """Return a count and its noun: `1 trial`, `2 trials`, `3 entities`; `many` is an irregular plural."""
    if not many:
        many = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"
    return f"{count:,} {noun if count == 1 else many}"


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its class if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def one_line(error: Exception) -> str:
    """Return an error's message as one line, or its class if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def format_value(value: object) -> str:
    """Return the value of a hyperparameter as people write it: 5e-5 and not 5.000000000000001e-05."""
    return re.sub(r"e(-?)\+?0*", r"e\1", f"{value:g}") if isinstance(value, float) else str(value)


def signed(difference: float) -> str:
    """Return a difference with its sign and three digits: `+0.012`, `−0.012`."""
    return f"{difference:+.3f}".replace("-", "−")


def short_value(value: object) -> str:
    """Return the value of a hyperparameter with at most three significant digits.

    NaN is what pandas makes of None among numbers, and is shown like it.
    """
    if not isinstance(value, float):
        return str(value)
    return "None" if math.isnan(value) else format_value(float(f"{value:.3g}"))


def format_duration(seconds: float) -> str:
    """Return a time in words: `4.2 s`, `3 min 07 s`, `2 h 05 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // _HOUR:,} h {whole % _HOUR // 60:02d} min"


def format_clock(seconds: float) -> str:
    """Return a time in hours, minutes and seconds: `0:03:07`."""
    whole = round(seconds)
    return f"{whole // _HOUR}:{whole % _HOUR // 60:02d}:{whole % 60:02d}"


def format_bytes(count: float) -> str:
    """Return a number of bytes with a decimal unit: `512 MB`, `1.3 GB`."""
    for unit in _UNITS:
        if count < 999.5 or unit == _UNITS[-1]:
            break
        count /= 1000
    return f"{count:.1f} {unit}" if count < 9.95 and unit != "B" else f"{count:,.0f} {unit}"


HIDDEN = "***"

_SECRET_NAME = r"(?:token|passw(?:or)?d|pwd|secret|api_?key|access_?key|private_?key|credentials?)"
_SECRET_VARIABLE = re.compile(rf"(?:^|_)(?:{_SECRET_NAME}|key)(?:$|_)", re.IGNORECASE)
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
    have token, password, secret, credentials or key between underscores, such as `RAY_AUTH_TOKEN`.
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
