"""The page in a real browser: charts, filters, and texts that look like markup."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.browser import browser, missing
from tests.factories import a_config, a_result
from tune_ner.data.corpus import Corpus, Sentence, Span, SplitName
from tune_ner.data.splits import Split
from tune_ner.evaluation.span_metrics import score_spans
from tune_ner.report.html_report import write_report
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing()),
]

HOSTILE = "<script>document.title = 'taken'</script><b>😀 Feber</b> av Alvedon."
DRUG, FEVER = Span(HOSTILE.index("Alvedon"), HOSTILE.index("Alvedon") + 7, "DRUG"), HOSTILE.index("Feber")
DISORDER = Span(FEVER, FEVER + 5, "DISORDER")
PLAIN = "Ta Alvedon mot huvudvärk."
GOLD = (Span(3, 10, "DRUG"), Span(15, 24, "DISORDER"))
CORPUS = Corpus(
    "made",
    (
        Sentence("train", PLAIN, GOLD),
        *(Sentence(f"hostile {i}", HOSTILE, (DISORDER, DRUG)) for i in range(2)),
        *(Sentence(f"plain {i}", PLAIN, GOLD) for i in range(2)),
    ),
    ("DISORDER", "DRUG"),
)
SPLIT = Split(train=(0,), validation=(1, 3), test=(2, 4))
# The first sentence of a split has a wrong type and a missed entity, the second a wrong boundary and a spurious entity.
FIRST = ((replace(DISORDER, label="DRUG"),), (Span(3, 9, "DRUG"), GOLD[1], Span(0, 2, "DISORDER")))
SECOND = ((DISORDER, DRUG), FIRST[1])
# The first sentence of the last trial has one span over two entities, the second two over one.
LAST = ((Span(FEVER, DRUG.end, "DRUG"),), (GOLD[0], Span(15, 20, "DISORDER"), Span(20, 24, "DISORDER")))


def a_trial(spans: tuple[tuple[Span, ...], ...], f1: float, seed: int) -> TrialRecord:
    parts: tuple[SplitName, ...] = ("validation", "test")
    result = a_result((f1 / 2, f1))
    gold = [CORPUS.sentences[i].spans for i in SPLIT.validation]
    scores = {
        split_name: replace(result.metrics[split_name], spans=score_spans(gold, spans, CORPUS.entity_types))
        for split_name in parts
    }
    config = a_config(seed=seed, learning_rate=seed * 1e-3, tagging_scheme="BIO" if seed % 2 else "BIOES")
    made = replace(result, predicted_spans=dict.fromkeys(parts, spans), metrics=scores)
    return TrialRecord.completed(config, made, seconds=1.0)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    folder = RunDir.new(tmp_path_factory.mktemp("runs"), "made")
    folder.create("")
    for seed in range(1, 61):
        spans = {1: SECOND, 60: LAST}.get(seed, FIRST)
        folder.append(a_trial(spans, 0.9 - seed / 100, seed), CORPUS, SPLIT)
    page = write_report(Results(folder), pytest.fail)
    assert isinstance(page, Path)
    with browser(tmp_path_factory.mktemp("profile")) as started:
        started.get(page.as_uri())
        drawn = "return document.documentElement.dataset.drawn"
        WebDriverWait(started, 60).until(lambda found: found.execute_script(drawn))
        yield started


@pytest.fixture
def page(driver: Chrome) -> Iterator[Chrome]:
    """The page after loading; no message may be in the console."""
    load_again(driver)
    yield driver
    assert driver.get_log("browser") == []


def load_again(page: Chrome) -> None:
    page.refresh()
    drawn = "return document.documentElement.dataset.drawn"
    WebDriverWait(page, 60).until(lambda found: found.execute_script(drawn))


def choose(page: Chrome, explorer: str, label: str, value: str) -> None:
    path = f"//*[@id='{explorer}-controls']//label[span[text()='{label}']]/select"
    Select(page.find_element(By.XPATH, path)).select_by_value(value)


def articles(page: Chrome) -> list[WebElement]:
    return list(page.find_elements(By.CSS_SELECTOR, "#errors article"))


def kind(page: Chrome, name: str) -> WebElement:
    return page.find_element(By.XPATH, f"//fieldset/label[normalize-space(text())='{name}']/input")


def test_every_chart_is_drawn(page: Chrome) -> None:
    charts = page.find_elements(By.CSS_SELECTOR, ".chart")
    assert len(charts) >= 7
    assert all(chart.find_elements(By.CSS_SELECTOR, "svg .mark-symbol, svg .mark-rect") for chart in charts)


def test_markup_in_sentences_is_text(page: Chrome) -> None:
    assert page.title == "Run made"
    choose(page, "errors", "trial", "1")
    first = articles(page)[0].find_element(By.CSS_SELECTOR, "dd")
    assert first.text.startswith("<script>document.title = 'taken'</script><b>😀")
    marks = first.find_elements(By.TAG_NAME, "mark")
    marked = [page.execute_script("return arguments[0].firstChild.data", mark) for mark in marks]
    assert marked == ["Feber", "Alvedon"]


def test_errors_are_filtered_by_kind_type_and_text(page: Chrome) -> None:
    choose(page, "errors", "trial", "1")
    assert len(articles(page)) == 2
    boxes = page.find_elements(By.CSS_SELECTOR, "fieldset label")
    counts = dict(box.text.split("\n") for box in boxes)
    assert counts == {
        "missed": "1",
        "spurious": "1",
        "wrong type": "1",
        "wrong boundary": "1",
        "wrong type and boundary": "0",
    }
    for name in ("spurious", "wrong boundary"):
        kind(page, name).click()
    assert [article.find_element(By.TAG_NAME, "ul").text.split(":")[0] for article in articles(page)] == ["wrong type"]
    kind(page, "spurious").click()
    choose(page, "errors", "type", "0")
    assert len(articles(page)) == 2
    search = page.find_element(By.CSS_SELECTOR, "#errors input[type=search]")
    search.send_keys("HUVUDVÄRK")
    assert len(articles(page)) == 1
    assert "1 of 2 validation sentences" in page.find_element(By.ID, "errors-result").text


def test_counts_and_frequent_errors_follow_the_filters(page: Chrome) -> None:
    twice = "[1, -1, 0, 2, 0]"  # a spurious entity of two characters
    page.execute_script(f"tuneNer.data.errors.validation.trials[1].errors[0][1].push({twice}, {twice})")
    choose(page, "errors", "trial", "1")
    counts = "return [...document.querySelectorAll('#errors fieldset output')].map((each) => Number(each.textContent))"
    assert page.execute_script(counts) == [1, 3, 1, 1, 0]
    (frequent,) = page.find_elements(By.CSS_SELECTOR, ".frequent li")
    assert re.fullmatch(r"2 × spurious: \w+ “.+”", frequent.text)
    page.find_element(By.CSS_SELECTOR, "#errors input[type=search]").send_keys("huvudvärk")
    assert page.execute_script(counts) == [0, 1, 0, 1, 0]
    assert not page.find_elements(By.CSS_SELECTOR, ".frequent li")


def test_errors_of_seen_and_unseen_entities(page: Chrome) -> None:
    page.execute_script("tuneNer.data.errors.test.has_seen = true")  # the run was not audited: all are unseen
    choose(page, "errors", "split", "test")
    choose(page, "errors", "trial", "1")
    everything = len(articles(page))
    choose(page, "errors", "gold entity", "1")
    assert not articles(page)
    choose(page, "errors", "gold entity", "0")
    assert 0 < len(articles(page)) <= everything


def test_entities_that_were_split_or_merged_are_recognised(page: Chrome) -> None:
    choose(page, "errors", "trial", "59")
    told = [item.text for item in page.find_elements(By.CSS_SELECTOR, "#errors article li")]
    assert [each for each in told if each.startswith(("split", "merged"))] == [
        "merged: DISORDER “Feber”, DRUG “Alvedon” → DRUG “Feber</b> av Alvedon”",
        "split: DISORDER “huvudvärk” → DISORDER “huvud”, DISORDER “värk”",
    ]


def test_a_link_leads_to_a_sentence_of_a_trial(page: Chrome) -> None:
    choose(page, "errors", "trial", "2")
    link = articles(page)[-1].find_element(By.CSS_SELECTOR, "h3 a")
    address, name = link.get_attribute("href"), link.text
    page.get("about:blank")
    page.get(address or "")
    WebDriverWait(page, 60).until(lambda _: articles(page))
    (article,) = articles(page)
    assert article.find_element(By.TAG_NAME, "h3").text == name
    assert page.find_element(By.XPATH, "//*[@id='errors']//label[span='trial']/select").get_attribute("value") == "2"
    page.find_element(By.XPATH, "//button[text()='Show all sentences']").send_keys(Keys.ENTER)
    assert len(articles(page)) == 2
    page.get(f"{(address or '').partition('#')[0]}#errors:constructor:0:1")  # no name of a split
    page.refresh()
    WebDriverWait(page, 60).until(lambda _: articles(page))


def test_columns_are_explained_hidden_and_copied(page: Chrome) -> None:
    table = page.find_element(By.CSS_SELECTOR, "#leaderboard table")
    assert table.find_elements(By.XPATH, ".//th[button[text()='tied']][contains(@title, 'Holm')]")
    page.find_element(By.CSS_SELECTOR, "#leaderboard .tools summary").send_keys(Keys.ENTER)
    boxes = page.find_elements(By.CSS_SELECTOR, "#leaderboard .tools label")
    seconds = next(box for box in boxes if box.text.strip() == "seconds")
    seconds.find_element(By.TAG_NAME, "input").send_keys(Keys.SPACE)
    shown = [heading.text for heading in table.find_elements(By.TAG_NAME, "th") if heading.is_displayed()]
    assert "seconds" not in shown
    page.execute_script(
        "window.copied = null;"
        "Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { copied = text; } } });"
    )
    page.find_element(By.XPATH, "//*[@id='leaderboard']//button[text()='Copy as CSV']").send_keys(Keys.ENTER)
    lines = WebDriverWait(page, 60).until(lambda found: found.execute_script("return copied")).splitlines()
    assert lines[0].split(",") == [name.replace("\n", " ") for name in shown]
    assert len(lines) == 61
    assert all(len(line.split(",")) == len(shown) for line in lines)


def test_sentences_where_two_trials_differ_are_shown(page: Chrome) -> None:
    choose(page, "errors", "trial", "1")
    choose(page, "errors", "compare with", "0")
    assert len(articles(page)) == 2
    page.find_element(By.CSS_SELECTOR, "#errors-controls > label.check input").click()
    (article,) = articles(page)
    assert [line.text for line in article.find_elements(By.TAG_NAME, "dt")] == ["gold", "#2", "#1"]
    choose(page, "errors", "compare with", "2")
    assert articles(page) == []


def test_test_errors_are_shown_with_a_warning(page: Chrome) -> None:
    warning = page.find_element(By.CSS_SELECTOR, "#errors-result .warning")
    assert not warning.is_displayed()
    choose(page, "errors", "split", "test")
    assert warning.is_displayed()
    assert "test set" in warning.text


def test_long_tables_are_paged_and_sorted_by_keyboard(page: Chrome) -> None:
    table = page.find_element(By.CSS_SELECTOR, "#leaderboard table")
    shown = [row for row in table.find_elements(By.CSS_SELECTOR, "tbody tr") if row.is_displayed()]
    assert len(shown) == 50
    rate = table.find_element(By.XPATH, ".//th[button[text()='lr']]")
    button = rate.find_element(By.TAG_NAME, "button")
    for _ in range(2):
        button.send_keys(Keys.ENTER)
    assert rate.get_attribute("aria-sort") == "descending"
    place = [heading.text for heading in table.find_elements(By.TAG_NAME, "th")].index(rate.text)
    assert table.find_elements(By.CSS_SELECTOR, "tbody tr")[0].find_elements(By.TAG_NAME, "td")[place].text == "0.06"
    score = table.find_element(By.XPATH, ".//th[button[text()='validation span F1']]")
    score.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert score.get_attribute("aria-sort") == "descending"  # the best first
    page.find_element(By.XPATH, "//*[@id='leaderboard']//button[text()='Next']").send_keys(Keys.ENTER)
    assert "51–60 of 60 rows" in page.find_element(By.CSS_SELECTOR, "#leaderboard .pager").text


def test_outcome_is_on_the_first_screen(page: Chrome) -> None:
    headline = page.find_element(By.CSS_SELECTOR, ".headline")
    assert headline.location["y"] + headline.size["height"] < 400
    assert "Test span F1" in headline.text
    assert page.find_element(By.CSS_SELECTOR, "#leaderboard .chart").location["y"] < 800
    certainty = page.find_element(By.CSS_SELECTOR, "#leaderboard details.folded")
    sentences = certainty.find_element(By.TAG_NAME, "p")
    assert not sentences.is_displayed()
    certainty.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    assert sentences.is_displayed()


def test_best_curves_are_shown_first(page: Chrome) -> None:
    told = page.find_element(By.CSS_SELECTOR, "#curves [role=status]")
    lines = "#curves .chart:first-child .mark-line path"
    assert told.text == "The best 12 of 60 trials by validation score."
    choose(page, "curves", "at most", "25")
    WebDriverWait(page, 60).until(lambda found: len(found.find_elements(By.CSS_SELECTOR, lines)) >= 25)
    assert told.text == "The best 25 of 60 trials by validation score."


def test_curves_are_shown_as_means_with_a_range(page: Chrome) -> None:
    lines = "#curves .chart:first-child .mark-line path"
    assert len(page.find_elements(By.CSS_SELECTOR, lines)) == 2 * 12  # score and loss
    choose(page, "curves", "lines", "mean")
    WebDriverWait(page, 60).until(lambda found: len(found.find_elements(By.CSS_SELECTOR, lines)) == 2 * 2)  # BIO, BIOES


def test_all_columns_of_the_leaderboard_fit(page: Chrome) -> None:
    assert page.execute_script(
        "const wide = document.querySelector('#leaderboard .wide'); return wide.scrollWidth <= wide.clientWidth;"
    )


def test_narrow_pages_do_not_scroll_sideways(page: Chrome) -> None:
    page.set_window_size(420, 900)
    try:
        load_again(page)
        wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.execute_script(wide) <= 0
    finally:
        page.set_window_size(1280, 900)


def test_titles_of_configurations_are_complete_on_a_phone(page: Chrome) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        load_again(page)
        labels = page.find_elements(By.CSS_SELECTOR, "#leaderboard .role-axis-label text")
        texts = [label.text for label in labels if label.text.startswith("#")]
        assert len(texts) > 5
        assert all(re.fullmatch(r"#\d+ BIO(ES)?lr 0\.0\d+", text) for text in texts), texts  # in two lines
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_narrow_pages_have_one_line_of_navigation(page: Chrome) -> None:
    page.set_window_size(420, 900)
    try:
        heights = {link.size["height"] for link in page.find_elements(By.CSS_SELECTOR, "nav a")}
        assert len(heights) == 1
        assert max(heights) < 40
    finally:
        page.set_window_size(1280, 900)


def test_pointer_on_a_learning_curve_shows_its_trial(page: Chrome) -> None:
    point = page.find_element(By.CSS_SELECTOR, "#curves .chart .role-mark.mark-symbol path")

    def shown(found: Chrome) -> str:
        ActionChains(found).move_by_offset(1, 0).move_to_element(point).perform()
        return str(found.find_element(By.ID, "vg-tooltip-element").text)

    tooltip = WebDriverWait(page, 60).until(shown)
    assert "seed" in tooltip
    assert "undefined" not in tooltip


def test_learning_curves_move_with_the_pointer(page: Chrome) -> None:
    chart = page.find_element(By.CSS_SELECTOR, "#curves .chart svg")
    page.execute_script("arguments[0].scrollIntoView({ block: 'center' })", chart)
    before = page.find_element(By.CSS_SELECTOR, "#curves .chart").text
    ActionChains(page).move_to_element(chart).click_and_hold().move_by_offset(0, 80).release().perform()
    WebDriverWait(page, 60).until(lambda _: page.find_element(By.CSS_SELECTOR, "#curves .chart").text != before)


def test_epoch_ticks_are_integers(page: Chrome) -> None:
    labels = page.find_elements(By.CSS_SELECTOR, "#curves .chart:first-child .role-axis-label")
    texts = [label.text for label in labels[0].find_elements(By.TAG_NAME, "text")]
    assert texts == ["1", "2"]
