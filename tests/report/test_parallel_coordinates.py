"""Parallel coordinates of a run's trials."""

from pathlib import Path
from typing import Any

import pytest
import vl_convert

from tests.factories import a_pruned_trial, a_record, a_run
from tests.report.runs import results_of
from tests.report.test_charts import rows_of
from tune_ner.report.parallel_coordinates import MOST_TRIALS, parallel_coordinates_chart
from tune_ner.results.run_results import Results

SEARCH = """\
model: [tiny:1x32, tiny:2x64]
learning_rate: {loguniform: [1.0e-4, 1.0e-2]}
dropout: {uniform: [0.0, 0.4]}
"""


def a_search(tmp_path: Path) -> Results:
    settings: list[dict[str, Any]] = [
        {"validation": (0.2,), "learning_rate": 1e-4, "dropout": 0.0},
        {"validation": (0.6,), "learning_rate": 1e-3, "dropout": 0.1},
        {"validation": (0.4,), "learning_rate": 1e-2, "dropout": 0.4, "model": "tiny:2x64"},
    ]
    records = [a_record(**each) for each in settings]
    return Results(a_run(tmp_path, [*records, a_pruned_trial(learning_rate=5e-3, dropout=0.2)], space=SEARCH))


def places(results: Results) -> dict[str, list[float]]:
    """Return the places on each axis, of the trials in order of their scores."""
    found: dict[str, list[float]] = {}
    for row in rows_of(parallel_coordinates_chart(results)):
        found.setdefault(row["axis"], []).append(row["place"])
    return found


def test_each_completed_trial_has_a_place_on_each_axis(tmp_path: Path) -> None:
    found = places(a_search(tmp_path))
    assert list(found) == ["model", "learning rate", "dropout", "validation span F1"]
    assert found["model"] == [0, 1, 0]
    assert found["learning rate"] == pytest.approx([0.5, 1, 0])  # logarithmic
    assert found["dropout"] == pytest.approx([0.25, 1, 0])
    assert found["validation span F1"] == pytest.approx([1, 0.5, 0])


def test_the_chart_can_be_drawn(tmp_path: Path) -> None:
    chart = parallel_coordinates_chart(a_search(tmp_path))
    assert chart
    assert "learning rate" in chart.svg
    assert vl_convert.vegalite_to_vega(dict(chart.page_spec()))


def test_values_of_a_grid_are_evenly_spaced(tmp_path: Path) -> None:
    records = [
        a_record((0.1 * place,), learning_rate=rate, tagging_scheme=scheme)
        for place, (rate, scheme) in enumerate([(1e-5, "BIO"), (3e-5, "BIOES"), (5e-5, "BIO")])
    ]
    assert places(results_of(tmp_path, records))["learning rate"] == [1, 0.5, 0]


def test_runs_with_too_little_to_compare_have_no_chart(tmp_path: Path) -> None:
    one_axis = [a_record(learning_rate=rate) for rate in (1e-3, 2e-3)]
    assert parallel_coordinates_chart(results_of(tmp_path, one_axis, "one")) is None
    assert parallel_coordinates_chart(results_of(tmp_path, one_axis[:1], "single")) is None


def test_only_the_best_of_many_trials_are_drawn(tmp_path: Path) -> None:
    records = [
        a_record((number / 1000,), learning_rate=1e-3 + number * 1e-6, batch_size=1 + number % 7)
        for number in range(MOST_TRIALS + 5)
    ]
    results = results_of(tmp_path, records)
    scores = {row["score"] for row in rows_of(parallel_coordinates_chart(results))}
    assert (len(scores), min(scores)) == (MOST_TRIALS, 0.005)
