"""The chart of confused types."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.factories import a_failed_trial, a_record, a_run
from tests.report.test_charts import rows_of
from tune_ner.data.corpus import Span, SplitName
from tune_ner.report.confusion_matrix import MISSED, MOST_TYPES, SPURIOUS, _rows, confusion_matrix_chart
from tune_ner.results.records import TrialRecord
from tune_ner.results.run_results import Results


def predicting(*spans: Span, **changes: Any) -> TrialRecord:
    """Return a trial that predicts these spans in the test sentence, whose only entity is BODY at 9 to 15."""
    record = a_record(**changes)
    assert record.result
    splits: dict[SplitName, Any] = {**record.result.predicted_spans, "test": (spans,)}
    return record.model_copy(update={"result": replace(record.result, predicted_spans=splits)})


def counts(results: Results) -> dict[tuple[str, str], float]:
    rows = rows_of(confusion_matrix_chart(results))
    return {(row["gold"], row["predicted"]): row["count"] for row in rows if row["count"]}


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([Span(9, 15, "BODY")], {("BODY", "BODY"): 1}),
        ([Span(9, 12, "DRUG")], {("BODY", "DRUG"): 1}),
        ([Span(0, 3, "DRUG")], {("BODY", MISSED): 1, (SPURIOUS, "DRUG"): 1}),
        ([], {("BODY", MISSED): 1}),
    ],
)
def test_pairs_are_counted_by_type(spans: list[Span], expected: dict[tuple[str, str], float], tmp_path: Path) -> None:
    assert counts(Results(a_run(tmp_path, [predicting(*spans)]))) == expected


def test_counts_are_means_of_the_trials_of_the_best_configuration(tmp_path: Path) -> None:
    records = [predicting(Span(9, 15, "BODY"), seed=1), predicting(Span(9, 15, "DRUG"), seed=2)]
    worse = predicting(validation=(0.1,), learning_rate=5e-3)
    assert counts(Results(a_run(tmp_path, [*records, worse]))) == {("BODY", "BODY"): 0.5, ("BODY", "DRUG"): 0.5}


def test_shares_of_a_row_sum_to_one(tmp_path: Path) -> None:
    records = [predicting(Span(9, 15, "BODY"), seed=1), predicting(seed=2), predicting(Span(0, 3, "DRUG"), seed=3)]
    rows = rows_of(confusion_matrix_chart(Results(a_run(tmp_path, records))))
    for name in ("BODY", SPURIOUS):
        assert sum(row["share"] for row in rows if row["gold"] == name) == pytest.approx(1, abs=1e-3)


def test_few_of_many_types_are_shown(tmp_path: Path) -> None:
    spans = [Span(index, index + 1, f"T{index:02}") for index in range(8)]
    many = [
        predicting(*(replace_type(span, f"{span.label}-{seed}") for span in spans), seed=seed) for seed in range(1, 5)
    ]
    rows, trials = _rows(Results(a_run(tmp_path, many)), "test")
    assert trials == 4
    assert len({row["gold"] for row in rows}) == MOST_TYPES + 1
    assert "BODY" in {row["gold"] for row in rows}


def replace_type(span: Span, label: str) -> Span:
    return Span(span.start, span.end, label)


def test_runs_without_a_completed_trial_have_no_chart(tmp_path: Path) -> None:
    assert confusion_matrix_chart(Results(a_run(tmp_path, [a_failed_trial()]))) is None
