"""HTML pages: every text stays text, and nothing is loaded from elsewhere."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_ner.report.html_page import Page, PageSection
from tune_ner.report.sections import Section, Sentence, Table
from tune_ner.utils.io import atomic_write

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)> \"'&amp;"


class Elements(HTMLParser):
    """The elements and texts of a page as a browser would parse it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "code":  # made of `backticks`
            self.names.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def island(page: str) -> dict[str, Any]:
    """The data that the scripts of a page read."""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert match
    data = json.loads(match[1])
    assert isinstance(data, dict)
    return data


def texts_of(text: str) -> Page:
    """A page with a text in every place for texts."""
    table = Table(pd.DataFrame([[text, text]], columns=pd.Index([text, f"{text} 2"], dtype=object), dtype=object), text)
    content = (Sentence(text, label=text), {text: text}, table)
    section = PageSection("one", text, (*content, Section(text, content)), links={text: text})
    return Page(text, [section], {"texts": [text]}, text)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.just(HOSTILE))
def test_texts_are_never_markup(text: str) -> None:
    page = texts_of(text).html()
    breaks = {"wbr"}  # after each `_` of a heading
    assert [name for name in Elements(page).names if name not in breaks] == Elements(texts_of("plain").html()).names
    assert island(page)["texts"] == [text]


def test_lone_surrogates_are_escaped(tmp_path: Path) -> None:
    file = atomic_write(tmp_path / "page.html", texts_of("half a character: \udc80").html())
    assert island(file.read_text(encoding="utf-8"))["texts"] == ["half a character: \udc80"]


def test_sections_without_content_are_left_out() -> None:
    page = Page("empty", [PageSection("empty", "Empty"), PageSection("full", "Full", (Sentence("text"),))])
    assert re.findall(r'<section id="(\w+)"', page.html()) == ["full"]
