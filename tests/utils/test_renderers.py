import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tune_ner.utils.renderers import Column, Layout, MarkdownLayout, Sheet, TerminalLayout

SHEET = Sheet(
    "Runs",
    (Column("model", wraps=True), Column("F1", True, group="with [marks]"), Column("95 %", True, group="with [marks]")),
    (("tiny", "0.5", "0.1–0.9"), ("a|b", "–", "")),
)


def console(width: int = 80, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


def text_of(made: Console) -> str:
    assert isinstance(made.file, io.StringIO)
    return made.file.getvalue()


def test_a_terminal_puts_the_name_of_a_group_above_its_columns() -> None:
    made = console()
    TerminalLayout(made).table(SHEET)
    lines = [line.strip() for line in text_of(made).splitlines()]
    assert lines[0] == "Runs"
    assert lines[2:4] == ["with [marks]", "model   F1    95 %"]
    assert lines[5] == "tiny   0.5 0.1–0.9"


@given(st.integers(12, 60))
def test_a_terminal_leaves_columns_out_rather_than_digits(width: int) -> None:
    columns = (Column("#"), *(Column(name, right=True, leaves=place) for place, name in enumerate(("abc", "de", "f"))))
    made = console(width, terminal=True)
    TerminalLayout(made).table(Sheet("T", columns, (("1", "0.123456", "0.654321", "0.111111"),)))
    shown = [figure for figure in ("0.123456", "0.654321", "0.111111") if figure in text_of(made)]
    assert len(shown) == min(3, (width - 3) // 9)
    assert shown == ["0.123456", "0.654321", "0.111111"][3 - len(shown) :]
    assert ("not shown" in text_of(made)) == (len(shown) < 3)


def test_markdown_names_the_group_in_every_heading() -> None:
    made = console()
    MarkdownLayout(made).table(SHEET)
    assert text_of(made).splitlines()[3:] == [
        r"| model | with \[marks\] F1 | with \[marks\] 95 % |",
        "| --- | ---: | ---: |",
        "| tiny | 0.5 | 0.1–0.9 |",
        r"| a\|b | – |  |",
    ]


def test_markdown_lists_stand_apart_from_paragraphs_and_code_stays_code() -> None:
    made = console(20)
    layout = MarkdownLayout(made)
    layout.line("a paragraph that is longer than the console is wide")
    layout.item("use `--data <x>`, not <b>")
    layout.item("two\nlines", "note")
    layout.line("end")
    assert text_of(made).splitlines() == [
        "",
        "a paragraph that is longer than the console is wide",
        "",
        r"- use `--data <x>`, not \<b>",
        "- **note:** two lines",
        "",
        "end",
    ]


def test_a_terminal_breaks_lines_between_words_and_a_pipe_does_not() -> None:
    sentence = "An entity that was cut is a miss, and not a deletion."
    for terminal, lines in ((True, 3), (False, 1)):
        made = console(24, terminal)
        TerminalLayout(made).item(sentence)
        shown = text_of(made).splitlines()
        assert len(shown) == lines
        assert all(line.startswith("  ") for line in shown)
        assert " ".join(" ".join(shown).split()) == sentence


@pytest.mark.parametrize("kind", [TerminalLayout, MarkdownLayout])
@settings(deadline=None)
@given(text=st.text(max_size=30))
def test_no_text_is_taken_for_markup_or_moves_the_cursor(
    kind: type[TerminalLayout] | type[MarkdownLayout], text: str
) -> None:
    made = console(200)
    layout: Layout = kind(made)
    for odd in (text, f"[bold]{text}[/nothing]\x1b[2J"):
        layout.title(odd)
        layout.heading(odd)
        layout.facts({"name": odd})
        layout.line(odd, "note", "yellow")
        layout.item(odd)
        layout.table(Sheet(odd, (Column("a", wraps=True), Column("b", group="g")), ((odd, odd),)))
    assert "nothing" in text_of(made)
    assert "\x1b" not in text_of(made)
