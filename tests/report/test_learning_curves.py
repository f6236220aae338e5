from dataclasses import replace
from pathlib import Path

from tests.factories import a_pruned_trial, a_record
from tests.report.runs import results_of
from tune_ner.report.learning_curves import MOST_DRAWN, curves_data, learning_curve_charts


def test_curves_have_the_indices_of_their_values(tmp_path: Path) -> None:
    data = curves_data(results_of(tmp_path, [a_record((0.1, 0.2), model="a"), a_record((0.5,), model="b", seed=7)]))
    assert [choice["name"] for choice in data["filters"]] == ["model", "seed"]
    assert [trial["scores"] for trial in data["trials"]] == [[0.5], [0.1, 0.2]]
    first = data["trials"][0]["values"]
    assert [choice["values"][index] for choice, index in zip(data["filters"], first, strict=True)] == ["b", "7"]


def test_infinite_losses_are_missing(tmp_path: Path) -> None:
    record = a_pruned_trial()
    epochs = tuple(replace(epoch, validation_loss=float("nan")) for epoch in record.epochs)
    data = curves_data(results_of(tmp_path, [record.model_copy(update={"epochs": epochs})]))
    assert data["trials"][0]["losses"] == [None, None]


def test_charts_show_the_best_curves(tmp_path: Path) -> None:
    records = [a_record((place / 100,), seed=place) for place in range(1, MOST_DRAWN + 9)]
    for chart in learning_curve_charts(results_of(tmp_path, records)):
        assert {row["score"] for row in chart.spec["data"]["values"]} == {p / 100 for p in range(9, MOST_DRAWN + 9)}


def test_epoch_ticks_are_integers(tmp_path: Path) -> None:
    curve = [place / 100 for place in range(30)]
    chart, _ = learning_curve_charts(results_of(tmp_path, [a_record(curve, epochs=30)]))
    assert chart.spec["layer"][0]["encoding"]["x"]["axis"]["values"] == list(range(1, 31, 3))


def test_runs_without_an_epoch_have_no_curves(tmp_path: Path) -> None:
    assert learning_curve_charts(results_of(tmp_path, [])) == ()
