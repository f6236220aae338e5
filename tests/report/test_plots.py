"""Charts for notebooks."""

from pathlib import Path

import altair as alt
import pytest

from tests.factories import a_failed_trial, a_run
from tests.results.simulated import simulated_run, simulated_trial
from tune_ner.api import Results
from tune_ner.errors import RunFolderError

NAMES = ("leaderboard", "learning_curves", "entity_types", "effects", "parallel_coordinates", "confusion_matrix")


@pytest.fixture
def results(tmp_path: Path) -> Results:
    settings = [(1e-3, 8), (1e-3, 16), (2e-3, 8)]
    records = [simulated_trial(0.8, learning_rate=rate, batch_size=size, model="m<b>") for rate, size in settings]
    return Results(simulated_run(tmp_path, records).run_dir)


@pytest.mark.parametrize("name", NAMES)
def test_a_chart_is_one_that_altair_can_draw(results: Results, name: str) -> None:
    chart = getattr(results.plot, name)()
    assert isinstance(chart, alt.TopLevelMixin)
    assert chart.to_dict()["config"]["background"] == "white"
    assert chart._repr_mimebundle_()


def test_learning_curves_are_of_the_score_or_the_loss(results: Results) -> None:
    titles = [results.plot.learning_curves(of).to_json() for of in ("score", "loss")]
    assert ["validation loss" in text for text in titles] == [False, True]


def test_unknown_charts_are_refused(results: Results) -> None:
    with pytest.raises(ValueError, match="expected 'validation' or 'test'"):
        results.plot.confusion_matrix("train")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected 'score' or 'loss'"):
        results.plot.learning_curves("f1")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_without_results_has_no_charts(tmp_path: Path, name: str) -> None:
    results = Results(a_run(tmp_path, [a_failed_trial()]))
    with pytest.raises(RunFolderError, match="no trial has the data of the chart"):
        getattr(results.plot, name)()


def test_results_are_shown_with_their_leaderboard(results: Results, tmp_path: Path) -> None:
    shown = results._repr_html_()
    assert "<table" in shown
    assert "m&lt;b&gt;" in shown
    assert "m<b>" not in shown
    assert "Best configuration on the validation set" in shown
    assert "<table" not in Results(a_run(tmp_path, [a_failed_trial()], "failed"))._repr_html_()
