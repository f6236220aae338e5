"""Streaming of texts from lines and JSONL; errors name the place."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_ner.data.formats import raw_text as module
from tune_ner.data.formats.raw_text import check_file, read_texts, texts_of
from tune_ner.errors import TextError

lines = st.lists(st.text(st.characters(exclude_characters="\n\r\ufeff", codec="utf-8")), min_size=1)


def read(content: bytes, is_jsonl: bool | None = None) -> list[str]:
    return [row.text for row in texts_of(io.BytesIO(content), "input", is_jsonl=is_jsonl)]


@given(lines, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_every_line_is_a_text(rows: list[str], end: str, with_mark: bool) -> None:
    content = ("\ufeff" if with_mark else "") + "".join(row + end for row in rows)
    assert read(content.encode(), is_jsonl=False) == rows


@given(lines)
def test_every_object_is_a_text_with_its_fields(rows: list[str]) -> None:
    content = "".join(json.dumps({"id": n, "text": row}) + "\n\n" for n, row in enumerate(rows)).encode()
    found = list(texts_of(io.BytesIO(content), "input"))
    assert [row.text for row in found] == rows
    assert [row.fields["id"] for row in found] == list(range(len(rows)))
    assert [row.place for row in found] == [f"input:{2 * n + 1}" for n in range(len(rows))]


@pytest.mark.parametrize("first", ["{no object", "[1]", "17"])
def test_a_first_line_that_is_not_an_object_means_plain_lines(first: str) -> None:
    assert read(f'{first}\n{{"text": "a"}}\n'.encode()) == [first, '{"text": "a"}']


def test_lines_are_read_lazily() -> None:
    class Stream(io.BytesIO):
        taken = 0

        def readline(self, size: int | None = -1) -> bytes:
            self.taken += 1
            return b"a line\n"

    stream = Stream()
    rows: Iterator[module.TextRow] = texts_of(stream, "endless", is_jsonl=False)
    assert [next(rows).text, next(rows).text] == ["a line", "a line"]
    assert stream.taken == 2


@pytest.mark.parametrize(
    ("content", "is_jsonl", "expected"),
    [
        (b"", None, "input: empty"),
        (b"Ont\nh\xe4r\n", None, "input:2: not UTF-8: byte 0xE4 at offset 5"),
        (
            b'{"text": "a"}\n{"text": 3}\n',
            None,
            "input:2: found a `text` of 3; expected an object with a string `text`",
        ),
        (b'{"text": "a"}\nb\n', None, "input:2: not JSON"),
        (b"[1]\n", True, "input:1: found list; expected an object"),
        (b'{"text": "\\ud83d"}\n', True, "input:1: half a surrogate pair (U+D83D) at offset 0"),
    ],
)
def test_errors_name_the_place(content: bytes, is_jsonl: bool | None, expected: str) -> None:
    with pytest.raises(TextError) as error:
        read(content, is_jsonl)
    assert expected in str(error.value)


def test_huge_texts_are_refused_before_they_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_TEXT", 5)
    monkeypatch.setattr(module, "_LONGEST_LINE", 20)
    assert read(b"12345\n") == ["12345"]
    with pytest.raises(TextError, match="input:2: 6 characters; expected at most 5"):
        read(b"1\n123456\n")
    with pytest.raises(TextError, match="input:1: a line of more than 20 bytes"):
        read(b"1" * 21)


def test_the_format_follows_from_the_ending(tmp_path: Path) -> None:
    content = '{"text": "a"}\n'
    for name, expected in (("a.txt", content.strip()), ("b.jsonl", "a"), ("C.JSONL", "a")):
        (tmp_path / name).write_text(content)
        assert [row.text for row in read_texts(check_file(tmp_path / name))] == [expected]
    for name, expected in (("a.csv", "unknown ending '.csv'"), ("no.txt", "No such file")):
        with pytest.raises(TextError) as error:
            check_file(tmp_path / name)
        assert expected in str(error.value)
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(TextError, match=r"folder.txt: .*Is a directory"):
        check_file(tmp_path / "folder.txt")
