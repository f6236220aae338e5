import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.utils.tables import column_texts, csv_table, escape_markdown, is_right_aligned, markdown_table


def test_markdown_table_aligns_numbers_and_escapes_markup() -> None:
    frame = pd.DataFrame({"model [x]": ["a|b", "tiny"], "F1": [0.5, None]})
    assert markdown_table(frame).splitlines() == [
        r"| model \[x\]   |   F1 |",
        r"|:--------------|-----:|",
        r"| a\|b          |  0.5 |",
        r"| tiny          |    – |",
    ]


def test_markdown_table_without_rows_has_its_heading() -> None:
    assert markdown_table(pd.DataFrame(columns=["a", "b"])).splitlines()[0].split() == ["|", "a", "|", "b", "|"]


def test_cells_are_short_texts() -> None:
    assert column_texts(pd.Series([1e-05, 0.30000000000000004, None], dtype=object)) == ["1e-5", "0.3", "–"]
    assert column_texts(pd.Series([1, pd.NA], dtype="Int64")) == ["1", "–"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [(["0.5", "–", ""], True), (["+0.5 ± 0.1", "−3 %"], True), (["1", "x"], False), ([""], False)],
)
def test_columns_of_numbers_are_right_aligned(cells: list[str], expected: bool) -> None:
    assert is_right_aligned(cells) is expected


def test_code_keeps_its_characters_in_markdown() -> None:
    assert escape_markdown("use `--data <x>`, not <b>") == r"use `--data <x>`, not \<b>"


@given(st.text(max_size=30))
def test_escaped_text_is_one_line(text: str) -> None:
    assert len(escape_markdown(text).splitlines()) <= 1


def test_texts_that_are_formulas_for_a_spreadsheet_begin_with_an_apostrophe() -> None:
    frame = pd.DataFrame({"model": ["=1+1", "@SUM(A1)", "tiny:1x32", None], "f1": [-0.5, 0.25, 1.0, None]})
    assert csv_table(frame) == "model,f1\n'=1+1,-0.5\n'@SUM(A1),0.25\ntiny:1x32,1.0\n,\n"
