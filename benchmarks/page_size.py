# Run, from the repository root (a few minutes; Chromium and its driver measure the loading):
#   python -m benchmarks.page_size 12 1000
"""How large the page of a run is, how long it takes to write, and how long a browser takes to show it.

The runs are made up: encoders, schemes, rates and seeds, with generated sentences and predictions that are wrong here
and there. The time to write tables has the ranking in it, that to write the page the answers and all figures; loading
ends when every figure is drawn.
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
    """Bytes of a page, and seconds to rank, to write and to load it."""

    size: int
    ranked: float
    written: float
    loaded: float


def main() -> None:
    """Measure each number of trials and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trials", type=int, nargs="+")
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--keep", type=Path, help="leave the runs in this folder")
    arguments = parser.parse_args()
    corpus = load_corpus(f"synthetic:{arguments.sentences}")
    split = split_corpus(corpus, SplitSpec())
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="tune-ner-page-"))
    try:
        print("trials  size MB  tables s  page s  load s")
        for count in arguments.trials:
            found = measure(a_run(folder, count, corpus, split))
            print(
                f"{count:>6}  {found.size / 1e6:7.2f}  {found.ranked:8.1f}  {found.written:6.1f}  {found.loaded:6.2f}",
                flush=True,
            )
    finally:
        if not arguments.keep:
            shutil.rmtree(folder)


def measure(run: RunDir) -> Measured:
    """Write the page of a run and open it."""
    results = Results(run)
    start = time.perf_counter()
    write_tables(results)
    ranked = time.perf_counter()
    page = write_report(results, print)
    assert isinstance(page, Path), page
    written = time.perf_counter()
    return Measured(page.stat().st_size, ranked - start, written - ranked, seconds_to_load(page))


def seconds_to_load(page: Path) -> float:
    """Until every figure of a page is drawn, in a browser that has started."""
    with tempfile.TemporaryDirectory(prefix="tune-ner-browser-") as profile, browser(Path(profile)) as driver:
        driver.get("about:blank")
        start = time.perf_counter()
        driver.get(page.absolute().as_uri())
        script = "return document.documentElement.dataset.drawn"
        WebDriverWait(driver, _LIMIT, poll_frequency=0.02).until(lambda d: d.execute_script(script))
        return time.perf_counter() - start


def a_run(folder: Path, count: int, corpus: Corpus, split: Split) -> RunDir:
    """A run folder with as many finished trials."""
    run = RunDir.new(folder, f"run-{count}")
    run.create("")
    for config in islice(configurations(count), count):
        run.append(a_trial(config, corpus, split), corpus, split)
    return run


def configurations(count: int) -> Iterator[TrialConfig]:
    """Two encoders, two schemes, and with three seeds each as many learning rates as it takes."""
    rates = [round(1e-4 * (1 + place), 8) for place in range(1 + count // 12)]
    for rate, model, scheme, seed in product(rates, ("tiny:1x64", "tiny:2x128"), ("BIO", "BIOES"), (1, 2, 3)):
        yield a_config(model=model, tagging_scheme=scheme, learning_rate=rate, seed=seed, epochs=_EPOCHS)


def a_trial(config: TrialConfig, corpus: Corpus, split: Split) -> TrialRecord:
    """A trial that is wrong about a share of the entities, drawn by its configuration."""
    random = Random(config.trial_id)
    share = random.uniform(0.75, 0.95)
    parts: tuple[SplitName, ...] = ("validation", "test")
    spans = {
        split_name: tuple(_guessed(corpus.sentences[i].spans, share, random) for i in split[split_name])
        for split_name in parts
    }
    scores = {split_name: _scores(corpus, split[split_name], spans[split_name]) for split_name in parts}
    curve = [share * (1 - 0.6 ** (epoch + 1)) for epoch in range(_EPOCHS)]
    result = replace(a_result(curve), predicted_spans=spans, metrics=scores)
    return TrialRecord.completed(config, result, seconds=random.uniform(5, 50))


def _guessed(gold: Sequence[Span], share: float, random: Random) -> tuple[Span, ...]:
    """Most spans as they are; of the others some are lost, some shortened, some of another type."""
    guessed = []
    for span in gold:
        if random.random() < share:
            guessed.append(span)
        elif span.end - span.start > 1 and random.random() < 0.5:
            guessed.append(Span(span.start, span.end - 1, span.label))
        elif random.random() < 0.5:
            guessed.append(Span(span.start, span.end, "DRUG"))
    return tuple(guessed)


def _scores(corpus: Corpus, indices: Sequence[int], spans: Sequence[Sequence[Span]]) -> SplitMetrics:
    scores = score_spans([corpus.sentences[i].spans for i in indices], spans, corpus.entity_types)
    seqeval = SeqevalMetrics(scores.precision, scores.recall, scores.f1, 0.9, scores.support, {})
    half = TypeMetrics(scores.precision, scores.recall, scores.f1, scores.support // 2)
    return SplitMetrics(seqeval, scores, half, half, None, 0.0)


if __name__ == "__main__":
    main()
