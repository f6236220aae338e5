import io

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tune_ner.utils.console import new_console, print_line, print_table

FRAME = pd.DataFrame(
    {"#": [1, 2], "model": ["a/model", "tiny"], "score": [0.125, None], "loss": ["0.5 ± 0.1", "3"], "time": [100, 2]}
)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_console_in_a_notebook_writes_to_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    file = io.StringIO()
    monkeypatch.setattr(file, "isatty", lambda: True)
    console = new_console(file)
    print_table(console, FRAME)
    assert "a/model" in text_of(console)
    assert not console.is_terminal


def test_numbers_are_right_aligned_and_missing_values_are_dashes() -> None:
    console = new_console(io.StringIO())
    print_table(console, FRAME, "Scores")
    title, _, heading, _, first, second, *_ = text_of(console).splitlines()
    assert title == "Scores"
    assert heading.split() == ["#", "model", "score", "loss", "time"]
    assert first.rstrip() == " 1 a/model 0.125 0.5 ± 0.1  100"
    assert second.rstrip() == " 2 tiny        –         3    2"


@given(st.integers(12, 60))
def test_narrow_consoles_hide_columns_and_name_them(width: int) -> None:
    console = new_console(io.StringIO(), width=width)
    print_table(console, FRAME, hide_first=["score"])
    lines = text_of(console).splitlines()
    assert "model" in lines[1]
    hidden = [name for name in FRAME.columns if name not in lines[1].split()]
    assert (" ".join(lines).count("columns hidden") == 1) == bool(hidden)
    assert set(hidden) in ({*()}, {"score"}, {"score", "time"}, {"score", "time", "loss"})
    for name in hidden:
        assert name in " ".join(lines[-4:])


def test_terminals_wrap_lines_and_pipes_do_not() -> None:
    sentence = "An entity that was truncated is a missed entity, and not a deletion."
    for terminal, count in ((True, 4), (False, 1)):
        console = new_console(io.StringIO(), width=24, force_terminal=terminal, color_system=None)
        print_line(console, sentence, indent=2)
        lines = text_of(console).splitlines()
        assert len(lines) == count
        assert all(line.startswith("  ") for line in lines)
        assert " ".join(" ".join(lines).split()) == sentence


@settings(deadline=None)
@given(st.text(max_size=30))
def test_markup_and_control_characters_are_printed_as_text(text: str) -> None:
    console = new_console(io.StringIO(), width=200)
    for odd in (text, f"[bold]{text}[/nothing]\x1b[2J"):
        print_line(console, odd, "note", "yellow")
        print_table(console, pd.DataFrame({odd: [odd], "b": [odd]}), odd)
    assert "nothing" in text_of(console)
    assert "\x1b" not in text_of(console)
