"""Ways to damage a file, for property-based tests of whatever reads one."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tune_ner.errors import TuneNerError

Damage = Callable[[bytes], bytes]

FEW = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For whole commands."""
MANY = settings(FEW, max_examples=80)
"""For a single reader."""

ODD_TEXTS = (
    # control characters, line ends that are none, a byte order mark in the middle
    *("\x00", "\x07", "\x1b[31m", "\x7f", "\x85", "\u2028", "\r\n", "\r", "\ufeff", "\n\n\n"),
    # right to left, emoji, zero width, combining, a tag character
    *("\u202eabc\u202c", "\u05e9\u05dc\u05d5\u05dd", "\U0001f600", "\U0001f469\u200d\u2695\ufe0f", "\u200b", "\u200d"),
    *("e\u0301", "\u0301", "\U000e0001"),
    # what means something to a page, a terminal, a path, a tag or a parser
    *("</script>", "[red]x[/]", "%s{}", "../../x", '"', "\\", "\t", "O", "B-", "I-X", "{", "]", "null", "NaN", "1e999"),
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 0.5, 10**30, float("inf"), float("nan"), "", "x", "../../x", "\ud800", "\x1b[31m"),
    *([], {}, [[]], {"": {}}, [None], "9" * 50),
)


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    """Cut it off, flip bits, put something in, repeat or drop a piece, Windows line ends, another encoding."""
    kind = draw(st.sampled_from(["cut", "flip", "insert", "repeat", "drop", "windows", "utf-16"]))
    first, last = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    bits = draw(st.integers(1, 255))
    odd = draw(st.sampled_from(ODD_TEXTS)).encode()

    def damage(content: bytes) -> bytes:
        start, end = int(first * len(content)), int(last * len(content))
        changed = {
            "cut": lambda: content[:start],
            "flip": lambda: (
                content[:start] + bytes(byte ^ bits for byte in content[start : start + 1]) + content[start + 1 :]
            ),
            "insert": lambda: content[:start] + odd + content[start:],
            "repeat": lambda: content[:end] + content[start:end] + content[end:],
            "drop": lambda: content[:start] + content[end:],
            "windows": lambda: content.replace(b"\n", b"\r\n"),
            "utf-16": lambda: content.decode("utf-8", errors="replace").encode("utf-16"),
        }
        return changed[kind]()

    return damage


@st.composite
def json_damages(draw: st.DrawFn) -> Damage:
    """One value of JSON, or of a line of JSONL, gives way to one that does not belong there; or a key goes."""
    seed = draw(st.integers(0, 2**32))
    value = draw(st.sampled_from(ODD_VALUES))
    kind = draw(st.sampled_from(["replace", "replace", "drop", "nest"]))

    def damage(content: bytes) -> bytes:
        lines = [line for line in content.split(b"\n") if line]
        try:
            documents = [json.loads(line) for line in lines]
        except ValueError:
            documents = [json.loads(content)]
        chosen = seed % len(documents)
        if kind == "nest":
            documents[chosen] = "@"
        else:
            places = list(_places(documents[chosen]))
            holder, key = places[seed // len(documents) % len(places)] if places else (documents, chosen)
            if kind == "replace":
                holder[key] = value
            else:
                del holder[key]
        nested = "[" * 100_000
        return "\n".join(json.dumps(d) for d in documents).replace('"@"', nested).encode() + b"\n"

    return damage


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every place within a document, as what holds it and the key or index there."""
    keys = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in list(keys):
        yield document, key
        yield from _places(document[key])


def refusal(kind: type[TuneNerError], action: Callable[[], object]) -> str:
    """What is said where the action is refused, which no other error may end; empty where it is not."""
    try:
        action()
    except kind as error:
        return str(error)
    return ""


@contextmanager
def a_folder() -> Iterator[Path]:
    """An empty folder for one example; a fixture would serve all of them."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
