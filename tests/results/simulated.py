"""Runs whose trials find a given share of the entities, on a corpus large enough for significant differences."""

from dataclasses import replace
from pathlib import Path
from random import Random

from tests.factories import a_config, a_result
from tune_ner.data.corpus import Corpus, Sentence, Span, SplitName
from tune_ner.data.splits import Split
from tune_ner.evaluation.span_metrics import score_spans
from tune_ner.results.audits import Audits
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_dir import RunDir
from tune_ner.results.run_results import Results

SIZE = 150
GOLD = Span(3, 10, "DRUG")
_CORPUS = Corpus("made", tuple(Sentence(str(i), "Ta medicin.", (GOLD,)) for i in range(3 * SIZE)), ("DRUG",))
_SPLIT = Split(tuple(range(SIZE)), tuple(range(SIZE, 2 * SIZE)), tuple(range(2 * SIZE, 3 * SIZE)))


def simulated_trial(share: float, **changes: object) -> TrialRecord:
    """Return a completed trial that finds this share of the entities, drawn by its configuration."""
    config = a_config(**changes)
    random = Random(f"{config.seed}{config.learning_rate}{config.model}")
    splits: tuple[SplitName, ...] = ("validation", "test")
    spans: dict[SplitName, tuple[tuple[Span, ...], ...]] = {
        split_name: tuple((GOLD,) if random.random() < share else () for _ in range(SIZE)) for split_name in splits
    }
    result = a_result((share / 2, share))
    metrics = {
        split_name: replace(result.metrics[split_name], spans=score_spans([[GOLD]] * SIZE, predicted, ["DRUG"]))
        for split_name, predicted in spans.items()
    }
    return TrialRecord.completed(config, replace(result, predicted_spans=spans, metrics=metrics), seconds=1.0)


def simulated_run(
    folder: Path,
    records: list[TrialRecord],
    name: str = "run",
    space: str = "",
    audits: Audits | None = None,
) -> Results:
    """Return the results of a run folder with these trials."""
    run_dir = RunDir.new(folder, name)
    run_dir.create(space, audits=audits or {})
    for record in records:
        run_dir.append(record, _CORPUS, _SPLIT)
    return Results(run_dir)
