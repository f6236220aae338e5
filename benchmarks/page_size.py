# Run from the repository root (a few minutes; loading is measured in Chromium):
#   python -m benchmarks.page_size 12 1000
"""Size of a run's report page, time to write it, and time to load it in a browser.

The runs are simulated: encoders, schemes, learning rates and seeds with generated sentences and partly wrong
predictions. The time to write tables includes the leaderboard, the time to write the page all effects and charts.
Loading ends when every chart is drawn.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path
from random import Random

from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import browser
from tests.factories import a_config, a_result
from tune_ner.config.trial_config import TrialConfig
from tune_ner.data.corpus import Corpus, Span, SplitName
from tune_ner.data.loaders import load_corpus
from tune_ner.data.splits import Split, SplitSpec, split_corpus
from tune_ner.evaluation.seqeval_metrics import SeqevalMetrics, TypeMetrics
from tune_ner.evaluation.span_metrics import score_spans
from tune_ner.report.html_report import write_report
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results
from tune_ner.results.table_files import write_tables
from tune_ner.training.result import SplitMetrics

_EPOCHS = 5
_LIMIT = 120  # seconds


@dataclass(frozen=True)
class Measured:
    """Bytes of a page, and seconds to write the tables, to write the page and to load it."""

    size: int
    tables: float
    written: float
    loaded: float


def main() -> None:
    """Print one row of measurements per number of trials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trials", type=int, nargs="+")
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--keep", type=Path, help="folder in which the runs are kept")
    arguments = parser.parse_args()
    corpus = load_corpus(f"synthetic:{arguments.sentences}")
    split = split_corpus(corpus, SplitSpec())
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="tune-ner-page-"))
    try:
        print("trials  size MB  tables s  page s  load s")
        for count in arguments.trials:
            found = measure(a_run(folder, count, corpus, split))
            print(
                f"{count:>6}  {found.size / 1e6:7.2f}  {found.tables:8.1f}  {found.written:6.1f}  {found.loaded:6.2f}",
                flush=True,
            )
    finally:
        if not arguments.keep:
            shutil.rmtree(folder)


def measure(run: RunDir) -> Measured:
    """Write and load the page of a run."""
    results = Results(run)
    start = time.perf_counter()
    write_tables(results)
    tables = time.perf_counter()
    page = write_report(results, print)
    assert isinstance(page, Path), page
    written = time.perf_counter()
    return Measured(page.stat().st_size, tables - start, written - tables, seconds_to_load(page))


def seconds_to_load(page: Path) -> float:
    """Return the seconds until every chart of a page is drawn in a running browser."""
    with tempfile.TemporaryDirectory(prefix="tune-ner-browser-") as profile, browser(Path(profile)) as driver:
        driver.get("about:blank")
        start = time.perf_counter()
        driver.get(page.absolute().as_uri())
        script = "return document.documentElement.dataset.drawn"
        WebDriverWait(driver, _LIMIT, poll_frequency=0.02).until(lambda d: d.execute_script(script))
        return time.perf_counter() - start


def a_run(folder: Path, count: int, corpus: Corpus, split: Split) -> RunDir:
    """Return a run folder with this number of completed trials."""
    run = RunDir.new(folder, f"run-{count}")
    run.create("")
    for config in islice(configurations(count), count):
        run.append(a_trial(config, corpus, split), corpus, split)
    return run


def configurations(count: int) -> Iterator[TrialConfig]:
    """Return at least `count` configurations of two encoders, two schemes, three seeds and many learning rates."""
    rates = [round(1e-4 * (1 + place), 8) for place in range(1 + count // 12)]
    for rate, model, scheme, seed in product(rates, ("tiny:1x64", "tiny:2x128"), ("BIO", "BIOES"), (1, 2, 3)):
        yield a_config(model=model, tagging_scheme=scheme, learning_rate=rate, seed=seed, epochs=_EPOCHS)


def a_trial(config: TrialConfig, corpus: Corpus, split: Split) -> TrialRecord:
    """Return a trial that predicts a share of the entities correctly, drawn by its configuration."""
    random = Random(config.trial_id)
    share = random.uniform(0.75, 0.95)
    splits: tuple[SplitName, ...] = ("validation", "test")
    spans = {
        split_name: tuple(_predict(corpus.sentences[i].spans, share, random) for i in split[split_name])
        for split_name in splits
    }
    metrics = {split_name: _metrics(corpus, split[split_name], spans[split_name]) for split_name in splits}
    curve = [share * (1 - 0.6 ** (epoch + 1)) for epoch in range(_EPOCHS)]
    result = replace(a_result(curve), predicted_spans=spans, metrics=metrics)
    return TrialRecord.completed(config, result, seconds=random.uniform(5, 50))


def _predict(gold: Sequence[Span], share: float, random: Random) -> tuple[Span, ...]:
    """Return most spans unchanged; the others are missing, shortened or of another type."""
    predicted = []
    for span in gold:
        if random.random() < share:
            predicted.append(span)
        elif span.end - span.start > 1 and random.random() < 0.5:
            predicted.append(Span(span.start, span.end - 1, span.label))
        elif random.random() < 0.5:
            predicted.append(Span(span.start, span.end, "DRUG"))
    return tuple(predicted)


def _metrics(corpus: Corpus, indices: Sequence[int], spans: Sequence[Sequence[Span]]) -> SplitMetrics:
    exact = score_spans([corpus.sentences[i].spans for i in indices], spans, corpus.entity_types)
    found = exact.precision, exact.recall, exact.f1
    half = TypeMetrics(*found, exact.support // 2)
    return SplitMetrics(SeqevalMetrics(*found, 0.9, exact.support, {}), exact, half, half, None, 0.0)


if __name__ == "__main__":
    main()
