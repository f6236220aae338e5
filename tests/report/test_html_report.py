"""The page as a file: what is in it, and that no text becomes anything but text."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import a_failure, a_finding, a_record, a_run, a_stopped_trial, an_audit
from tune_ner.errors import RunFolderError
from tune_ner.report.curves import MOST_DRAWN, curves_data
from tune_ner.report.html_report import Page, PageSection, run_page, write_report
from tune_ner.report.sections import Section, Sentence, Table
from tune_ner.results.audits import Audits
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results
from tune_ner.utils.io import atomic_write

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)> \"'&amp;"


class Elements(HTMLParser):
    """What a browser would take a page for: its elements, and the text of each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "code":  # what stands between `backticks`
            self.names.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def island(page: str) -> dict[str, Any]:
    """What the script of a page reads."""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert match
    data = json.loads(match[1])
    assert isinstance(data, dict)
    return data


def page_of(folder: Any) -> str:
    return run_page(Results(folder)).html()


def texts_of(text: str) -> Page:
    """A page with a text wherever a text can stand."""
    table = Table(pd.DataFrame([[text, text]], columns=pd.Index([text, f"{text} 2"], dtype=object), dtype=object), text)
    content = (Sentence(text, label=text), {text: text}, table)
    section = PageSection("one", text, (*content, Section(text, content)), links={text: text})
    return Page(text, [section], {"texts": [text]}, text)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.just(HOSTILE))
def test_any_text_stays_text(text: str) -> None:
    page = texts_of(text).html()
    assert Elements(page).names == Elements(texts_of("plain").html()).names
    assert island(page)["texts"] == [text]


def test_a_lone_surrogate_does_not_keep_a_page_from_being_written(tmp_path: Path) -> None:
    file = atomic_write(tmp_path / "page.html", texts_of("half a character: \udc80").html())
    assert island(file.read_text(encoding="utf-8"))["texts"] == ["half a character: \udc80"]


def test_hostile_names_and_errors_of_a_run_stay_text(tmp_path: Path) -> None:
    records = [a_record(model=HOSTILE), a_record(model="tiny:1x32"), a_failure(HOSTILE, seed=2)]
    audits: Audits = {None: an_audit(a_finding(HOSTILE))}
    page = page_of(a_run(tmp_path, records, audits=audits))
    found = Elements(page)
    assert "img" not in found.names
    assert found.names.count("script") == 5  # the data, Vega and three of our own
    assert any(HOSTILE in text for text in found.text)


def test_the_sections_come_in_the_order_in_which_a_reader_needs_them(tmp_path: Path) -> None:
    audits: Audits = {None: an_audit(a_finding("a leak", "error"))}
    page = page_of(a_run(tmp_path, [a_record(), a_record(learning_rate=2e-3)], audits=audits))
    sections = re.findall(r'<section id="(\w+)"', page)
    first = ["audit", "leaderboard", "hyperparameters", "curves", "entities", "errors"]
    assert sections == [*first, "time", "run", "files"]
    for told in (
        "error: a leak",
        "Best configuration on the validation set",
        "What is the effect of the learning rate?",
        'href="trials.jsonl"',
    ):
        assert told in page


def test_nothing_on_a_page_is_fetched(tmp_path: Path) -> None:
    page = re.sub("<script>.*?</script>", "", page_of(a_run(tmp_path, [a_record()])), flags=re.DOTALL)
    attributes = re.findall(r'<(?:link|script|img|iframe)[^>]*\b(?:src|href)="([^"]*)"', page)
    assert attributes == ["data:,"]
    assert "default-src 'none'" in page


def test_a_run_without_a_finished_trial_has_a_page_that_says_so(tmp_path: Path) -> None:
    for name, records in (("none", []), ("failed", [a_failure("no weights")]), ("stopped", [a_stopped_trial()])):
        page = page_of(a_run(tmp_path, records, name))
        assert "No trial was completed" in page
        assert "not audited" in page
        assert 'id="errors"' not in page
        assert ("no weights" in page) == (name == "failed")
        assert ('id="curves"' in page) == (name == "stopped")


def test_a_half_finished_run_says_how_far_it_is(tmp_path: Path) -> None:
    space = "model: tiny:1x32\nlearning_rate: [1.0e-3, 2.0e-3]\n"
    assert "1 of 2 trials have ended." in page_of(a_run(tmp_path, [a_record()], space=space))


def test_a_search_shows_how_it_grew_and_what_was_confirmed(tmp_path: Path) -> None:
    space = "model: tiny:1x32\nlearning_rate: {loguniform: [1.0e-5, 1.0e-2]}\nseed: 42\n"
    searched = [
        TrialRecord.searched(record.config, record.curve, 1.0)
        for record in (a_record((place / 20,), learning_rate=1e-4 * place) for place in range(1, 14))
    ]
    folder = a_run(tmp_path, [*searched, a_record((0.5,), learning_rate=13e-4, seed=7)], space=space)
    page = page_of(folder)
    assert re.findall(r'<section id="(\w+)"', page)[1:5] == ["leaderboard", "hyperparameters", "search", "curves"]
    figures = island(page)["figures"]
    assert {"best_so_far", "importances", "values_learning_rate"} <= figures.keys()
    assert figures["values_learning_rate"]["encoding"]["x"]["scale"] == {"type": "log"}
    assert [len(rows) for rows in figures["values_learning_rate"]["datasets"].values()] == [13]
    assert "in the search, 0.500 with 1 new seed" in page


@pytest.mark.parametrize("known", [True, False])
def test_figures_on_seen_and_unseen_forms_have_intervals_where_train_s_forms_were_kept(
    tmp_path: Path, known: bool
) -> None:
    audits: Audits = {None: an_audit(seen_entities=frozenset({"feber"}))} if known else {}
    page = page_of(a_run(tmp_path, [a_record()], audits=audits))
    (values,) = island(page)["figures"]["forms"]["datasets"].values()
    assert [row["what"] for row in values] == ["seen (n = 1)", "unseen (n = 1)"]
    assert all(("low" in row) == known for row in values)


def test_a_page_says_below_its_title_what_it_is_of(tmp_path: Path) -> None:
    space = "data: synthetic:50\nmodel: tiny:1x32\nlearning_rate: 1.0e-3\n"
    record = a_record().model_copy(update={"finished_at": "2026-11-25T19:33:10.123+00:00"})
    page = page_of(a_run(tmp_path, [record], space=space))
    assert '<p class="subtitle">synthetic:50, markup keep · 1 trial · 2026-11-25 19:33 UTC</p>' in page


def test_an_exported_model_is_linked(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [a_record()])
    assert 'href="best/"' not in page_of(folder)
    (folder.path / "best").mkdir()
    assert 'href="best/"' in page_of(folder)


def test_a_page_that_cannot_be_written_is_told_and_the_old_one_stays(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [a_record()])
    (folder.path / "report.html").mkdir()
    notes: list[str] = []
    assert isinstance(write_report(Results(folder), notes.append), RunFolderError)
    assert notes == []
    assert not list(folder.path.glob("*.unfinished"))


def test_a_page_needs_the_predicted_spans(tmp_path: Path) -> None:
    folder = a_run(tmp_path, [a_record()])
    shutil.rmtree(folder.predictions)
    with pytest.raises(RunFolderError, match="Copy the complete run folder"):
        write_report(Results(folder), pytest.fail)


def test_curves_have_the_places_of_their_values_and_no_loss_that_is_no_number() -> None:
    records = [a_record((0.1, 0.2), model="a"), a_record((0.5,), model="b", seed=7)]
    data = curves_data(records)
    assert [axis["name"] for axis in data["axes"]] == ["model", "seed"]
    assert [trial["f1"] for trial in data["trials"]] == [[0.5], [0.1, 0.2]]
    first = [axis["values"][place] for axis, place in zip(data["axes"], data["trials"][0]["axes"], strict=True)]
    assert first == ["b", "7"]
    epoch = records[0].curve[0]
    lost = a_stopped_trial().model_copy(update={"epochs": (type(epoch)(1, float("nan"), 0, 0, 0.3, 0, 0, 0, 0, None),)})
    assert curves_data([lost])["trials"][0]["loss"] == [None]


def test_the_files_show_the_best_curves_alone(tmp_path: Path) -> None:
    records = [a_record((place / 100,), seed=place) for place in range(1, MOST_DRAWN + 9)]
    sections = run_page(Results(a_run(tmp_path, records))).sections
    (curves,) = (section for section in sections if section.anchor == "curves")
    drawn = {row["f1"] for row in curves.figures[0].spec["data"]["values"]}
    assert drawn == {place / 100 for place in range(9, MOST_DRAWN + 9)}
